"""Folders of pictures: what a run takes, skips, survives and remembers."""
