"""Puts this folder where worker processes, which know no packages of tests, find ``turning``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
