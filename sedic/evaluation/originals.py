"""Folders of pictures that belong together: originals, their files, what these were decoded to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..bitstream import SedicFile
from ..errors import SedicError
from ..picture import picture_endings, read_picture
from ..semantics import Limits, Semantics, mask_files
from .protocols import Protocol
from .scenes import Scene

_SHOWN = 3  # names in a sentence


@dataclass(frozen=True)
class SceneOnDisk:
    """A picture that is read when it is its turn.

    Attributes:
        name: the file's, without its ending.
        path: the picture.
        protocol: how it is prepared.
        words: whether NAME.json beside it is read.
    """

    name: str
    path: Path
    protocol: Protocol
    words: bool

    @property
    def described(self) -> bool:
        """Whether words lie beside it."""
        return _json(self.path).is_file()

    @property
    def objects(self) -> int:
        """How many its words name, at most the default limit."""
        path = _json(self.path)
        said = (
            Semantics.from_json(path.read_text(encoding="utf-8-sig")) if self.words and path.is_file() else Semantics()
        )
        return min(len(said.objects), Limits().objects)

    def opened(self) -> Scene:
        """The picture as the protocol has it, with its words, cut to the default limits.

        Raises:
            SedicError: it, or its words, cannot be read.
        """
        pixels = read_picture(self.path, metadata=False)
        size = pixels.shape[1], pixels.shape[0]
        said = Semantics()
        if self.words and self.described:
            said = Semantics.read(_json(self.path), size).limited()
        prepared = self.protocol.prepared(pixels, str(self.path))
        return Scene(self.name, prepared, self.protocol.prepared_words(said, size, str(self.path)))

    def identity(self) -> str:
        """Of the files as they are now, masks left out."""
        facts = [f"{self.protocol} {self.words}"]
        for path in (self.path, _json(self.path)) if self.words else (self.path,):
            there = path.stat() if path.is_file() else None
            facts.append(f"{path.name} {there and (there.st_size, there.st_mtime_ns)}")
        return " ".join(facts)


def originals(folder: Path, protocol: Protocol, words: bool, count: int | None = None) -> list[SceneOnDisk]:
    """The pictures of a folder by name, at most ``count``; those that a NAME.json beside them names as masks are not.

    Raises:
        SedicError: no folder, no pictures, or two of one name.
    """
    masks = {mask for path in folder.glob("*.json") for mask in mask_files(path)}
    paths = [path for path in pictures(folder) if path not in masks]
    if not paths:
        raise SedicError(f"{folder} holds no pictures; name a folder of originals.")
    named = by_name(paths)
    return [SceneOnDisk(name, path, protocol, words) for name, path in list(named.items())[:count]]


def pictures(folder: Path) -> list[Path]:
    """The files of a folder, by name, whose endings are pictures'.

    Raises:
        SedicError: there is no such folder.
    """
    return _files(folder, picture_endings())


def files(folder: Path) -> list[Path]:
    """The ``.sedic`` files of a folder, by name.

    Raises:
        SedicError: there is no such folder.
    """
    return _files(folder, {".sedic"})


def partners(scenes: Sequence[SceneOnDisk], paths: Iterable[Path], folder: Path, whole: bool) -> list[Path]:
    """For each scene the path of its name.

    Args:
        whole: whether every path must have its scene, too.

    Raises:
        SedicError: a scene, or a path, has no partner; two paths have one name.
    """
    named = by_name(paths)
    alone = [scene.name for scene in scenes if scene.name not in named]
    if alone:
        raise SedicError(
            f"{len(alone)} of {len(scenes)} originals have no partner in {folder} ({_some(alone)}); name the files as "
            "the originals are."
        )
    extra = sorted(set(named) - {scene.name for scene in scenes})
    if whole and extra:
        raise SedicError(
            f"{len(extra)} of {len(named)} files in {folder} have no original ({_some(extra)}); name them as the "
            "originals are, or move them away."
        )
    return [named[scene.name] for scene in scenes]


def by_name(paths: Iterable[Path]) -> dict[str, Path]:
    """Paths by their names without endings.

    Raises:
        SedicError: two have one name.
    """
    found: dict[str, Path] = {}
    for path in paths:
        other = found.setdefault(path.stem, path)
        if other != path:
            raise SedicError(f"{other} and {path.name} have one name; rename one of them.")
    return found


def check_sizes(scenes: Sequence[SceneOnDisk], paths: Sequence[Path]) -> None:
    """Told before the work: files that were made of pictures of another size.

    Raises:
        SedicError: the first of them, or one that cannot be read.
    """
    for scene, path in zip(scenes, paths, strict=True):
        pixels = scene.opened().pixels
        if path.suffix.lower() == ".sedic":
            file = SedicFile.read(path)
            width, height = file.width, file.height
        else:
            height, width = read_picture(path, metadata=False).shape[:2]
        if (width, height) != (pixels.shape[1], pixels.shape[0]):
            raise SedicError(
                f"{path} is {width}×{height} and {scene.path.name} {pixels.shape[1]}×{pixels.shape[0]} under protocol "
                f"{scene.protocol.name}; compare pictures of one size."
            )


def _files(folder: Path, endings: Iterable[str]) -> list[Path]:
    try:
        found = sorted(path for path in folder.iterdir() if _is_file(path) and not path.name.startswith("."))
    except OSError as error:
        raise SedicError(f"{folder} cannot be read ({error.strerror or error}); name a folder.") from error
    endings = set(endings)
    return [path for path in found if path.suffix.lower() in endings]


def _is_file(path: Path) -> bool:
    """Also of a link that leads nowhere or in a circle: it is told when it is read, not left out."""
    return path.is_file() or (path.is_symlink() and not path.exists())


def _json(path: Path) -> Path:
    return path.with_suffix(".json")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
