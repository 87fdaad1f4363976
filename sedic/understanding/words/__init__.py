"""Words for a picture: typed, or asked of a language model (``textualize``).

``conversation`` is what a model is asked and how its answer is read, ``chat`` asks over the network by a profile of
``endpoints``, ``local`` in this process, ``memory`` keeps answers.
"""
