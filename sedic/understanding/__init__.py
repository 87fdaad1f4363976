"""The encoder's eyes: ``words`` for a picture, and ``masks`` that say where its objects are. Nothing here downloads.

``embedded`` does both with nothing typed and no model of the user's. ``checkpoints`` reads the files of others' models,
``appearance`` measures how a region looks.
"""
