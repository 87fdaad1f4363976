"""Runs the fuzzer; see the package's docstring."""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["sedic.bitstream"]):
    from . import target
    from .seeds import seeds

    SEEDS = seeds()  # made here, so that the modules of all coders are watched too

CORPUS = Path(__file__).parent / "corpus"
FOUND = Path(".cache") / "fuzz"
DEFAULTS = ("-max_len=1200", "-print_final_stats=1")


def main() -> None:
    """Options of libFuzzer and folders of inputs, of which the first takes what is found; the defaults come first."""
    folders = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    folders = folders or [str(FOUND)]
    Path(folders[0]).mkdir(parents=True, exist_ok=True)
    for name, data in SEEDS.items():
        (Path(folders[0]) / f"seed-{name}").write_bytes(data)
    options = [argument for argument in sys.argv[1:] if argument.startswith("-")]
    artifacts = f"-artifact_prefix={folders[0]}/"
    atheris.Setup([sys.argv[0], *DEFAULTS, artifacts, *options, *folders, str(CORPUS)], target.check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
