"""A reference codec whose size is its quality, for tests of what is chosen."""

from __future__ import annotations

import numpy as np

from sedic.reference.registry import CodecError

IMAGE = np.full((32, 48, 3), (200, 100, 50), np.uint8)


class Grower:
    """A codec whose every step of quality costs one byte; it refuses qualities below 4."""

    name, id, default_quality, qualities = "grower", 9, 10, range(1, 201)
    weights = b"\1\2\3\4"
    tried: list[int]

    def __init__(self):
        self.tried = []

    def encode(self, image, quality):
        self.tried.append(quality)
        if quality < 4:
            raise CodecError(f"grower:{quality} is too little; use grower:4 or more.")
        return bytes(image[0, 0]) + bytes(quality - 3)

    def decode(self, data, size, quality):
        pixels = np.empty((size[1], size[0], 3), np.uint8)
        pixels[:] = np.frombuffer(data[:3], np.uint8)
        pixels.flags.writeable = False
        return pixels

    def fingerprint(self, quality):
        return self.weights

    def least_quality(self, image):
        return 4

    def most_bytes(self, quality, size):
        return None
