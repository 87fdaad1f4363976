"""What is measured of pictures, and the report about it."""
