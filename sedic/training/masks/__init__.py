"""Trainings of the coders of masks: the network over cells, and the tree before it."""
