"""Trainings of the reference codecs: ``compact``, and ``cheng2020-attn`` at lower rates."""
