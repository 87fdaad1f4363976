"""The encoder's eyes: words for a picture (``textualize``), and where its objects are (``locate``).

Words: ``conversation`` is what a model is asked and how its answer is read, ``chat`` asks over the network by a profile
of ``endpoints``, ``local`` in this process, ``memory`` keeps answers. Masks: ``grounding`` finds a name's boxes,
``segment`` turns a box into a mask, ``locate`` joins the two with masks and boxes that a person gave, ``overlay`` shows
them; ``checkpoints``, ``dino_weights`` and ``sam_weights`` read the files of the models. Nothing here downloads.
"""
