"""Where a picture's objects are: ``locate`` joins masks and boxes that a person gave with what models find.

``grounding`` finds a name's boxes, ``segment`` turns a box into a mask, ``overlay`` shows them; ``sam_original`` runs
the published SAM in its own package, ``dino_weights`` maps the published Grounding DINO onto transformers' class.
"""
