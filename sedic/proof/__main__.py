"""``python -m sedic.proof``: the table of the files that are there."""

from . import write_table

if __name__ == "__main__":
    write_table()
