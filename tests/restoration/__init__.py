"""Tests of the decoder, on models of a few lines."""
