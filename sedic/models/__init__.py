"""The embedded small models: their shapes and loading; the weights, each with a card, are in ``weights``."""
