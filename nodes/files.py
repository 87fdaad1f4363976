"""The .sedic files in ComfyUI's folders: by name, looked at before a run, listed for the window."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

import folder_paths
from PIL import Image

from ..sedic.bitstream import BitstreamError, SedicFile
from .server import running_server

MOST_LISTED = 500
_BEGINNING = 64  # bytes: more than any header has


def path_of(file: str) -> Path:
    """The file in ComfyUI's own folders.

    Raises:
        BitstreamError: the name leads out of them.
    """
    name, folder = folder_paths.annotated_filepath(file)
    base = Path(folder or folder_paths.get_input_directory()).resolve()
    path = (base / name.strip()).resolve()
    if not path.is_relative_to(base):
        raise BitstreamError(f"{file!r} leads out of ComfyUI's folders; put the file into the input folder.")
    return path


def plain_name(name: str) -> str:
    """A picture's name, as loaders tell it, as that of a new file without its ending; empty where there is none.

    Folders within ComfyUI's own stay, whole paths (some packs' loaders give them) become their last part.
    """
    path = PurePosixPath(folder_paths.annotated_filepath(name)[0].strip().replace("\\", "/"))
    whole = path.is_absolute() or (path.parts and path.parts[0].endswith(":"))
    parts = [part for part in path.parts[-1 if whole else 0 :] if part not in ("/", "..")]
    if not parts:
        return ""
    stem, dot, ending = parts[-1].rpartition(".")
    if stem and f"{dot}{ending}".lower() in (*Image.registered_extensions(), ".sedic"):
        parts[-1] = stem
    return "/".join(re.sub(r'[<>:"|?*\x00-\x1f]', "_", part) for part in parts)


def check_beginning(path: Path) -> None:
    """Looks at a file's header, no further.

    Raises:
        BitstreamError: there is no such file, or it is none of ours.
    """
    try:
        with path.open("rb") as file:
            beginning = file.read(_BEGINNING)
    except OSError as error:
        there = files_here()
        choose = f"choose one of the {len(there)} that are there, or another" if there else "choose one"
        raise BitstreamError(f"There is no file {path.name!r} to read ({error.strerror}); {choose}.") from error
    try:
        SedicFile.from_bytes(beginning)
    except BitstreamError as error:
        raise BitstreamError(f"{path.name}: {error}") from error


def files_here() -> list[str]:
    """Names of .sedic files as Load Bitstream takes them, those of the input folder first, the newest ones first."""
    listed: list[str] = []
    folders = (folder_paths.get_input_directory(), ""), (folder_paths.get_output_directory(), " [output]")
    for folder, mark in folders:
        found = [path for path in Path(folder).rglob("*.sedic") if path.is_file()]
        found.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
        listed += [path.relative_to(folder).as_posix() + mark for path in found]
    return listed[:MOST_LISTED]


def _offer() -> None:
    """The window's question: which files are there?"""
    server = running_server()
    if server is None:
        return
    from aiohttp import web

    @server.routes.get("/sedic/files")
    async def files(_request: web.Request) -> web.Response:
        return web.json_response(files_here())


_offer()
