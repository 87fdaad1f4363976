"""The measurements print what they promise."""
