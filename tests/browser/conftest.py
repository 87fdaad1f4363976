"""One server and one Chromium for all browser tests; they are skipped as a whole where either is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from headless.comfyui import Server
from sedic.codec import encode
from sedic.semantics import SceneObject, Semantics

from .window import ARGUMENTS, CANVASES, Window, chromium, lacking

SIDE = 128


@pytest.fixture(scope="session")
def server(comfyui_path: Path, browser: Any) -> Iterator[Server]:
    """A ComfyUI with this pack whose input folder and user folder are empty, as a newcomer's are."""
    with Server(comfyui_path) as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Debian's Chromium, or another one that is there."""
    if lacking():
        pytest.skip(lacking())
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        started = running.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="session")
def context(browser: Any) -> Any:
    """One for all, as what it has read of ComfyUI's front end is at hand for the next page."""
    return browser.new_context(viewport={"width": 1440, "height": 900})


@contextmanager
def newcomer(context: Any, server: Server) -> Iterator[Any]:
    """A page of somebody who has never been here; it is to be opened."""
    page = context.new_page()
    page.goto(f"{server.url}/system_stats")
    page.evaluate("() => window.localStorage.clear()")
    yield page
    page.close()


@pytest.fixture(scope="module")
def fresh_page(context: Any, server: Server) -> Iterator[Any]:
    """One for a file of tests."""
    with newcomer(context, server) as page:
        yield page


@pytest.fixture(scope="module", params=CANVASES)
def window(request: pytest.FixtureRequest, context: Any, server: Server) -> Iterator[Window]:
    """The window on one of the two canvases."""
    with newcomer(context, server) as page:
        yield Window(page, server.url, request.param)


@pytest.fixture(scope="session")
def pixels() -> np.ndarray:
    """A small picture of soft colours, (128, 128, 3) uint8."""
    colours = np.random.default_rng(3).integers(0, 255, (3, 4, 3), np.uint8)
    return np.asarray(Image.fromarray(colours).resize((SIDE, SIDE), Image.Resampling.BICUBIC))


@pytest.fixture(scope="session")
def sedic_file(pixels: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small picture as a file with two objects."""
    masks = np.zeros((2, SIDE, SIDE), bool)
    masks[0, 16:64, 16:64] = masks[1, 64:112, 64:112] = True
    objects = (SceneObject("red cup", "red and round", masks[0]), SceneObject("blue box", "blue and square", masks[1]))
    path = tmp_path_factory.mktemp("files") / "small.sedic"
    encode(pixels, Semantics("A red cup and a blue box.", objects)).write(path)
    return path
