"""The two commands of this repository, on nothing but Python 3.10 or newer.

    python run.py demo     runs the shipped graph on the shipped photograph in a real ComfyUI; results in out/
    python run.py test     format, lint, layers, types, tests, some of them twice (further words go to pytest)

Both first make .venv and install into it what is needed, once. COMFYUI_PATH names a ComfyUI of your own to run in.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "installed.sha256"
# What keeps oneDNN and PyTorch from using more than AVX2.
LESSER = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
# The paper's reference codec. What it needs is in pyproject.toml (the extra cheng2020); its pins would undo NumPy 2.
UNPINNED = "compressai>=1.2.8"
SOURCES = ("__init__.py", "run.py", "sedic", "nodes", "headless", "tests")  # by name: .cache holds others' code


def main(arguments: list[str]) -> int:
    """Runs ``demo`` or ``test``; returns the exit status."""
    if sys.version_info < (3, 10):  # noqa: UP036 - told here, before something older stumbles over newer syntax
        print(f"This is Python {sys.version.split()[0]}; run it with Python 3.10 or newer.", file=sys.stderr)
        return 1
    if not arguments or arguments[0] not in ("demo", "test"):
        print(__doc__.strip())
        return 0 if arguments in (["-h"], ["--help"]) else 2

    from headless.comfyui import ComfyUIError

    try:
        environment = prepare()
    except (ComfyUIError, InstallError) as error:
        print(error, file=sys.stderr)
        return 1
    command, *rest = arguments
    if command == "demo":
        return call(["-m", "headless.demo", *rest], environment)
    return test(rest, environment)


class InstallError(Exception):
    """The .venv could not be made or filled."""


def prepare() -> dict[str, str]:
    """Makes .venv and a ComfyUI ready; returns the environment in which the commands run.

    Raises:
        InstallError, ComfyUIError: in one sentence, what failed and what to do.
    """
    from headless.comfyui import CACHE, find, provide, requirements

    find()  # a wrong COMFYUI_PATH is told before anything is installed
    if not works(PYTHON):
        say("Making .venv")
        make_venv()
    comfyui = find()
    if comfyui is None:
        say("Fetching ComfyUI (8 MB)")
        comfyui = provide(str(PYTHON))
    lines = list(requirements(comfyui))
    wanted = fingerprint(lines)
    if not STAMP.is_file() or STAMP.read_text(encoding="ascii") != wanted:
        say("Installing the pack, ComfyUI's requirements and the test tools into .venv: this takes minutes, once")
        STAMP.unlink(missing_ok=True)  # an interrupted install leaves no stamp and is done again
        CACHE.mkdir(exist_ok=True)
        listed = CACHE / "comfyui-requirements.txt"
        listed.write_text("\n".join(lines) + "\n", encoding="utf-8")
        # One call, so that pip chooses torch, torchvision and all else to fit one another.
        status = call(["-m", "pip", "install", "--progress-bar", "off", "-r", str(listed), "-e", ".[test,fuzz]"])
        if status != 0:
            raise InstallError("pip could not install what is needed; look at its message above and run this again.")
        if call(["-m", "pip", "install", "--progress-bar", "off", "--no-deps", UNPINNED]) != 0:
            say(
                f"{UNPINNED} could not be installed; where it has no wheel it is built by a C++ compiler. The tests of "
                f"cheng2020-attn are skipped; to try again, delete {STAMP} and run this again."
            )
        STAMP.write_text(wanted, encoding="ascii")
    return {**os.environ, "COMFYUI_PATH": str(comfyui), "PYTHONUTF8": "1"}


def make_venv() -> None:
    """Makes .venv with a pip in it, also where Python came without ensurepip (Debian's does).

    Raises:
        InstallError: neither ensurepip nor a pip that can install another one is there.
    """
    if VENV.exists():
        shutil.rmtree(VENV)
    try:
        venv.create(VENV, with_pip=True)
        return
    except subprocess.CalledProcessError:
        say("This Python has no ensurepip; its pip installs one into .venv")
    venv.create(VENV, with_pip=False, clear=True)
    command = [sys.executable, "-m", "pip", "--python", str(PYTHON), "install", "--quiet", "pip"]
    if subprocess.run(command, check=False).returncode != 0:
        raise InstallError(
            f"{sys.executable} can make no .venv, as it has neither ensurepip nor pip 22.3 or newer; "
            "install them (on Debian and Ubuntu: apt install python3-venv)."
        )


def works(python: Path) -> bool:
    """Whether ``python`` is there, is 3.10 or newer, and has pip."""
    if not python.is_file():
        return False
    probe = [str(python), "-c", "import pip, sys; sys.exit(sys.version_info < (3, 10))"]
    try:
        return subprocess.run(probe, check=False, capture_output=True).returncode == 0
    except OSError:
        return False


def fingerprint(lines: list[str]) -> str:
    """What the installed packages depend on, as a hash: a change of any of it installs again."""
    digest = hashlib.sha256()
    for name in ("pyproject.toml", "requirements.txt"):
        digest.update((ROOT / name).read_bytes())
    digest.update("\n".join([*lines, UNPINNED, str(ROOT), str(sys.version_info[:2])]).encode())
    return digest.hexdigest()


def test(arguments: list[str], environment: dict[str, str]) -> int:
    """Every check; 1 if any fails. Types, and tests as on a lesser processor, are checked beside the other tests."""
    checks = {
        "format": ["-m", "ruff", "format", "--check", *SOURCES],
        "lint": ["-m", "ruff", "check", *SOURCES],
        "types": ["-m", "mypy", "--explicit-package-bases"],  # the folder may be called ComfyUI-SEDIC: no package name
        "layers": ["-c", "import sys; from importlinter.cli import lint_imports_command as c; sys.exit(c())"],
    }
    failed = []
    # Each takes one core for a while. They are begun first, so that the tests do not wait for them at the end.
    beside = {"Checking types": begin(checks.pop("types"), environment)}
    for name, command in checks.items():
        say(f"Checking {name}")
        if call(command, environment) != 0:
            failed.append(name)
    if not arguments:
        beside |= as_lesser_processor(environment)
    say("Running the tests")
    if call(["-m", "pytest", *(arguments or beside_each_other())], environment) != 0:
        failed.append("tests")
    for title, ended in beside.items():
        say(title)
        if ended() != 0:
            failed.append(title[0].lower() + title[1:])
    if failed:
        say(f"Failed: {', '.join(failed)}")
    return 1 if failed else 0


def as_lesser_processor(environment: dict[str, str]) -> dict[str, Callable[[], int]]:
    """Begins those tests again that depend on the processor, so that one with more shows what one with less would.

    Returns:
        :func:`begin`'s function by the title of what it ends; nothing where the processor is that small itself.
    """
    has_avx2 = "import sys; from sedic.models.processor import instruction_sets as i; sys.exit('avx2' not in i())"
    if call(["-c", has_avx2], environment) != 0:
        say("This processor has no AVX2: no tests run as on one that has nothing more")
        return {}
    variables = " ".join(f"{name}={value}" for name, value in LESSER.items())
    # Their files by name, since reading all others takes as long as running these.
    files = [str(p) for p in sorted((ROOT / "tests").rglob("test_*.py")) if "mark.processor" in p.read_text("utf-8")]
    ended = begin(["-m", "pytest", "-m", "processor and not slow", *files], {**environment, **LESSER})
    return {f"Running the tests that depend on the processor as on one with AVX2 and no more ({variables})": ended}


def beside_each_other() -> list[str]:
    """pytest's words for a process a core, eight at most; the tests of a file stay together, in their order."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return ["-n", str(min(cores, 8)), "--dist", "loadfile"] if cores > 1 else []


def call(arguments: list[str], environment: dict[str, str] | None = None) -> int:
    """Runs the interpreter of .venv in the repository's folder."""
    return subprocess.run([str(PYTHON), *arguments], cwd=ROOT, env=environment, check=False).returncode


def begin(arguments: list[str], environment: dict[str, str]) -> Callable[[], int]:
    """:func:`call` beside what comes next; returns what waits for its end, shows its output and tells its status.

    Nothing is shown before, so that two outputs do not mix.
    """
    output = tempfile.TemporaryFile()  # noqa: SIM115 - it is read when the process has ended
    command = [str(PYTHON), "-u", *arguments]  # unbuffered: what it prints and its errors stay in their order
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
    atexit.register(process.kill)  # of no effect once it has ended

    def end() -> int:
        status = process.wait()
        output.seek(0)
        print(output.read().decode("utf-8", "replace"), flush=True)
        return status

    return end


def say(line: str) -> None:
    """Prints a step at once, also where the output is a file."""
    print(f"== {line}", flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("Stopped.")
