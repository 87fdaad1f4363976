"""The encoder's eyes: ``words`` for a picture, and ``masks`` that say where its objects are. Nothing here downloads.

``checkpoints`` reads the files of both kinds' models.
"""
