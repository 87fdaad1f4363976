"""What the tests of questions and answers share."""

from __future__ import annotations

import traceback

import numpy as np
import pytest

from sedic.semantics import Limits
from sedic.understanding.words.conversation import TextualizeError
from sedic.understanding.words.textualize import provider_of, textualize

from .chat_server import KEY

IMAGE = np.random.default_rng(0).integers(0, 256, (600, 1000, 3), dtype=np.uint8)


def ask(endpoint, limits=Limits(), image=IMAGE, **more):
    """The words that an endpoint gives for a picture."""
    return textualize(image, provider_of(endpoint), limits, **more)


def failing(endpoint, limits=Limits(), named=True):
    """The sentence of the error that asking ends in; nowhere in its traceback or causes is the key.

    ``named``: whether it names the profile.
    """
    with pytest.raises(TextualizeError) as caught:
        ask(endpoint, limits)
    error: BaseException | None = caught.value
    assert KEY not in "".join(traceback.format_exception(error))
    while error is not None:
        assert KEY not in repr(error)
        error = error.__cause__ or error.__context__
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert "'home'" in sentence or not named
    return sentence
