"""Whether the pack loaded is read from ComfyUI's log, wherever that ComfyUI and a clone of the pack lie."""

from __future__ import annotations

import pytest

from headless.comfyui import PACK_NAME, load_failure


@pytest.mark.parametrize("root", ["/srv/{}", "/srv/ComfyUI/custom_nodes/{}", r"C:\ComfyUI\custom_nodes\{}"])
def test_nodes_of_comfyui_that_fail_below_a_clone_are_not_the_packs(root):
    path = root.format(PACK_NAME) + "/.cache/comfyui-0.3.75/comfy_extras/nodes_audio.py"
    assert load_failure(f"Starting\nCannot import {path} module for custom nodes: No module named 'torchaudio'") is None


@pytest.mark.parametrize(
    "line",
    [
        "Cannot import /srv/a b/custom_nodes/{} module for custom nodes: No module named 'sedic'",
        "Error while calling comfy_entrypoint in /srv/custom_nodes/{}: broken",
        r"Skip C:\base\custom_nodes\{} module for custom nodes due to the lack of NODE_CLASS_MAPPINGS",
    ],
)
def test_a_failure_of_the_pack_itself_is_told_as_comfyui_tells_it(line):
    told = line.format(PACK_NAME)
    assert load_failure(f"Starting\n{told}\nTo see the GUI go to: http://127.0.0.1:8188") == told


def test_a_log_without_failures_tells_none():
    assert load_failure(f"Import times for custom nodes:\n   0.1 seconds: /srv/custom_nodes/{PACK_NAME}") is None
