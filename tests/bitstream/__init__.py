"""Tests of the file and its coders."""
