"""Where a picture's objects are: ``locate`` joins masks and boxes that a person gave with what models find.

``grounding`` finds a name's boxes, ``segment`` turns a box into a mask, ``overlay`` shows them; ``dino_weights`` and
``sam_weights`` map the published files onto transformers' classes.
"""
