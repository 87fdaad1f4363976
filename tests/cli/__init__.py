"""The command line: what it prints, its exit status, and one line for each failure."""
