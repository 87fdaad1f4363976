"""Trainings of the coders of words: the network over pieces, and the tables of counts before it."""
