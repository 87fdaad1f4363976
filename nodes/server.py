"""ComfyUI's server, where there is one: tests and measurements load the pack without it."""

from __future__ import annotations

import sys
from typing import Any


def running_server() -> Any:
    """``PromptServer.instance``, or None. Never imports it, which would start half a ComfyUI."""
    return getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)
