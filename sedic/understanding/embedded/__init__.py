"""The embedded eyes: a photograph is described with nothing typed and no language model, modestly and honestly.

``view`` looks (a classifier of ImageNet's classes, and where in the picture each name's evidence lies), ``faces`` looks
for people, ``names`` says in which words, ``look`` joins them into semantics. What is unsure stays out, and is told.
"""
