"""The encoder's eyes: words for a picture (``textualize``, ``endpoints``), and where its objects are.

``grounding`` finds a name's boxes, ``segment`` turns a box into a mask, ``locate`` joins the two with masks and
boxes that a person gave; ``checkpoints`` and ``dino_weights`` read the files of the models. Nothing here downloads.
"""
