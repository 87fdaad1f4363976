"""A folder of pictures for the encoder, with the names that they go by there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import folder_paths
from comfy_api.latest import io

from ..sedic.errors import SedicError
from ..sedic.picture import read_picture
from .images import heard, to_image
from .said import says
from .schema import schema

WORDS = (".json", ".txt")


class LoadFolder(io.ComfyNode):
    """Pictures of a folder, their names, and the words that lie beside them."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Sockets and widgets."""
        return schema(
            node_id="SEDIC_LoadFolder",
            search_aliases=("batch", "load images", "load folder", "directory"),
            says=True,
            display_name="Load Folder (SEDIC)",
            category="SEDIC/encode",
            description="The pictures of a folder within ComfyUI's input folder, as a list, with their names.",
            inputs=[
                io.Combo.Input(
                    "folder",
                    options=folder_paths.get_input_subfolders(),
                    tooltip="A folder within the input folder; its pictures are taken in the order of their names.",
                )
            ],
            outputs=[
                io.Image.Output(
                    display_name="images", tooltip="The pictures, of any sizes, as a list.", is_output_list=True
                ),
                io.String.Output(
                    display_name="names",
                    tooltip="Their names with the folder, for Save Bitstream and for Save Image.",
                    is_output_list=True,
                ),
                io.String.Output(
                    display_name="texts",
                    tooltip="What lies beside each picture under its name as .json (Semantics JSON) or .txt, for LMM "
                    "Textualize; empty where nothing does.",
                    is_output_list=True,
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, folder: str | None = None) -> bool | str:
        """Whether the folder is there and holds pictures, told before anything runs."""
        try:
            if folder is not None:  # None: a wire decides
                pictures_of(folder)
        except SedicError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, folder: str | None = None) -> Any:
        """Pictures that were added, taken away or changed are read anew."""
        place = None if folder is None else place_of(folder)
        if place is None or not place.is_dir():
            return ""
        files = (file for file in sorted(place.iterdir()) if file.is_file())
        return [(file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in files]

    @classmethod
    def execute(cls, folder: str) -> io.NodeOutput:
        """Reads them all; the node shows their names, and what was odd."""
        images, names, texts, told = [], [], [], []
        for path in pictures_of(folder):
            notes: list[str] = []
            with heard(notes):
                images.append(to_image(read_picture(path)))
            names.append(f"{folder}/{path.stem}")
            texts.append(words_beside(path))
            told.append(": ".join([path.name, *notes]))
        return io.NodeOutput(images, names, texts, ui=says("\n".join([f"{len(images)} pictures", *told])))


def place_of(folder: str) -> Path:
    """The folder on the disk.

    Raises:
        SedicError: the name leads out of the input folder.
    """
    base = Path(folder_paths.get_input_directory()).resolve()
    place = (base / folder.strip()).resolve()
    if not place.is_relative_to(base):
        raise SedicError(f"{folder!r} leads out of the input folder; put the pictures into a folder within it.")
    return place


def pictures_of(folder: str) -> list[Path]:
    """Files in a folder that are pictures by their names' endings, in the order of their names.

    Raises:
        SedicError: there is none.
    """
    place = place_of(folder)
    if not place.is_dir():
        raise SedicError(f"There is no folder {folder!r} in the input folder; choose one that is there.")
    names = [path.name for path in place.iterdir() if path.is_file()]
    pictures = folder_paths.filter_files_content_types(names, ["image"])
    if not pictures:
        raise SedicError(f"There is no picture in the folder {folder!r}; put some there or choose another.")
    return [place / name for name in sorted(pictures)]


def words_beside(picture: Path) -> str:
    """The text beside a picture under its name; empty without one."""
    found = [path for ending in WORDS if (path := picture.with_suffix(ending)).is_file()]
    if not found:
        return ""
    try:
        return found[0].read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SedicError(f"{found[0].name} cannot be read as text in UTF-8 ({error}); save it so.") from error


NODES = [LoadFolder]
