"""The file's nodes: reference, packing, saving and loading."""

from __future__ import annotations

from itertools import chain, count
from pathlib import Path

import folder_paths
from comfy_api.latest import io
from torch import Tensor

from ..sedic.bitstream import Hints, SedicFile
from ..sedic.bitstream.mask import MaskChoice
from ..sedic.codec import Reference, encode_reference, pack, pack_within, reference_of
from ..sedic.errors import SedicError
from ..sedic.metrics.bits import spent
from ..sedic.metrics.fidelity import bits_per_pixel
from ..sedic.reference.registry import codec_names
from ..sedic.semantics import PRESETS, Semantics
from .files import check_beginning, path_of, plain_name
from .images import heard, to_image, to_pixels
from .lists import each_picture
from .said import says
from .schema import advanced, schema
from .sockets import BitstreamSocket, ReferenceSocket, SemanticsSocket
from .steering import literal

WEIGHTS_FOLDER = "sedic"
AS_WIRED = "as wired"


def weights_folder() -> Path:
    """Where reference codecs find the user's weights: models/sedic."""
    return Path(folder_paths.models_dir) / WEIGHTS_FOLDER


class ReferenceEncode(io.ComfyNode):
    """A picture to its reference."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="SEDIC_ReferenceEncode",
            search_aliases=("compress", "codec", "shrink", "thumbnail"), says=True, is_input_list=True,
            display_name="Reference Encode (SEDIC)",
            category="SEDIC/encode",
            description="Compresses the picture to the few hundred bytes that the decoder starts from.",
            inputs=[
                io.Image.Input("image", tooltip="The picture; each of several by itself."),
                io.Combo.Input("codec", options=list(codec_names()),
                               tooltip="compact: learned, quick. av1: keeps to a budget in bytes, needs no weights. "
                               "compact-slow, av1-slow: the same after a long search, a better picture for as many "
                               "bytes. cheng2020-attn needs weights of yours."),
                io.Int.Input("quality", default=0, min=0, max=255,
                             tooltip="0 is the codec's default. av1: the budget in thousandths of a bit per pixel "
                             "(18 is the default); cheng2020-attn: 1 to 6; compact: 1 to 69."),
            ],
            outputs=[ReferenceSocket.Output(display_name="reference", tooltip="Wire it to Pack Bitstream.",
                                            is_output_list=True)],
        )  # fmt: skip

    @classmethod
    @each_picture("image")
    def execute(cls, image: Tensor, codec: str, quality: int) -> io.NodeOutput:
        name = f"{codec}:{quality}" if quality else codec
        notes: list[str] = []
        with heard(notes):
            pixels = to_pixels(image)
        reference = encode_reference(pixels, name, weights_folder())
        size = len(reference.data)
        bits = bits_per_pixel(size, reference.width, reference.height)
        spent_on_it = f"{codec}, quality {reference.quality}: {size} bytes, {bits:.4f} bpp"
        return io.NodeOutput(reference, ui=says("\n".join([spent_on_it, *notes])))


class ReferenceDecode(io.ComfyNode):
    """A reference to its picture."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="SEDIC_ReferenceDecode",
            search_aliases=("decompress", "codec"),
            display_name="Reference Decode (SEDIC)",
            category="SEDIC/decode",
            description="Shows the blurred picture that the restoration starts from, at the original's size.",
            inputs=[ReferenceSocket.Input("reference", tooltip="From Unpack Bitstream or Reference Encode.")],
            outputs=[io.Image.Output(display_name="image", tooltip="The reference, of the original's size.")],
        )

    @classmethod
    def execute(cls, reference: Reference) -> io.NodeOutput:
        return io.NodeOutput(to_image(reference.picture(weights_folder())))


class PackBitstream(io.ComfyNode):
    """Joins reference and semantics to a file."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="SEDIC_PackBitstream",
            search_aliases=("compress", "codec", "bytes", "bpp", "rate"), says=True, is_input_list=True,
            display_name="Pack Bitstream (SEDIC)",
            category="SEDIC/file",
            description="Joins the reference, the words and the masks, and shows what each costs.",
            inputs=[
                ReferenceSocket.Input("reference", tooltip="From Reference Encode."),
                SemanticsSocket.Input("semantics", tooltip="Words and masks, from Grounded SAM."),
                io.Int.Input("seed", default=0, min=0, max=2**31, control_after_generate=False,
                             tooltip="The seed of the decoder's noise. It travels in the file; 0 costs no byte."),
                io.Float.Input("target_bpp", default=0.0, min=0.0, max=24.0, step=0.001, round=0.0001, optional=True,
                               tooltip="How many bits per pixel the whole file may take: objects and words that "
                                       "bring least are left out. 0: everything is taken as it is."),
                io.Combo.Input("preset", options=[AS_WIRED, *PRESETS], default=AS_WIRED, optional=True,
                               tooltip="Limits objects and words as at one of the paper's two operating points. as "
                                       "wired: no limits."),
                io.Image.Input("image", optional=True,
                               tooltip="The picture, for target_bpp: its reference is then encoded again so that the "
                                       "file fits."),
                advanced(
                    io.Int.Input("mask_cell", default=0, min=0, max=64, optional=True,
                                 tooltip="How coarse the masks are: about how many pixels a cell has. 0: as fine as "
                                         "is worth its bits."),
                ),
                advanced(
                    io.Boolean.Input("smooth_masks", default=MaskChoice.smooth, optional=True,
                                     tooltip="Tells the masks' edges more simply where that saves more than it "
                                             "loses. Off: cell by cell as they are."),
                ),
            ],
            outputs=[
                BitstreamSocket.Output(display_name="bitstream", tooltip="Wire it to Save Bitstream.",
                                       is_output_list=True),
                io.String.Output(display_name="report", tooltip="Bytes and bits per pixel of each component.",
                                 is_output_list=True),
            ],
        )  # fmt: skip

    @classmethod
    @each_picture("image")
    def execute(
        cls,
        reference: Reference,
        semantics: Semantics,
        seed: int,
        target_bpp: float = 0.0,
        preset: str = AS_WIRED,
        image: Tensor | None = None,
        mask_cell: int = 0,
        smooth_masks: bool = MaskChoice.smooth,
    ) -> io.NodeOutput:
        hints, masks = Hints(seed=seed), MaskChoice(cell=mask_cell or None, smooth=smooth_masks)
        notes: list[str] = []
        with heard(notes):
            if preset != AS_WIRED:
                semantics = semantics.limited(PRESETS[preset])
            if target_bpp:
                pixels = None if image is None else to_pixels(image)
                file = pack_within(target_bpp, reference, semantics, hints, pixels, weights_folder(), masks)
            else:
                file = pack(reference, semantics, hints, masks)
        file = SedicFile.from_bytes(file.to_bytes())
        report = "\n".join([describe(file), *notes])
        most = int(target_bpp * file.width * file.height / 8)
        return io.NodeOutput(file, report, ui=says(report, parts=spent(file), target=most))


def describe(file: SedicFile) -> str:
    """One line a section with its bytes, then the total with bits per pixel."""
    lines = []
    for section in file.sections:
        detail = f" (words {section.text_bytes}, mask {section.mask_bytes})" if section.mask_bytes else ""
        lines.append(f"{section.name}: {section.bytes} bytes{detail}")
    total = file.size
    lines.append(f"{file.width}×{file.height}: {total} bytes, {file.bits_per_pixel:.4f} bpp")
    return "\n".join([*lines, *([file.missing] if file.missing else [])])


class SaveBitstream(io.ComfyNode):
    """Writes a file."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="SEDIC_SaveBitstream",
            search_aliases=("compress", "codec", "export"), says=True, is_input_list=True,
            display_name="Save Bitstream (SEDIC)",
            category="SEDIC/file",
            description="Writes the .sedic file to ComfyUI's output folder.",
            is_output_node=True,
            inputs=[
                BitstreamSocket.Input("bitstream", tooltip="From Pack Bitstream."),
                io.String.Input("filename_prefix", default="sedic/picture",
                                tooltip="Folder and beginning of the name, as in Save Image."),
                io.String.Input("names", optional=True, force_input=True,
                                tooltip="What each file is called in that folder: the names that the pictures came "
                                "with, from Load Folder or another loader that tells them."),
            ],
            outputs=[io.String.Output(display_name="file", tooltip="The file's name, for Load Bitstream.",
                                      is_output_list=True)],
        )  # fmt: skip

    @classmethod
    @each_picture()
    def execute(cls, bitstream: SedicFile, filename_prefix: str, names: str = "") -> io.NodeOutput:
        called = plain_name(names)
        prefix = (Path(filename_prefix).parent / called).as_posix() if called else filename_prefix
        folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(
            prefix, folder_paths.get_output_directory()
        )
        # Nothing is written over: a name of one's own is taken once, and another save may have taken a number.
        numbered = (f"{name}_{number:05}_.sedic" for number in count(counter))
        candidates = chain([f"{name}.sedic"] if called else [], numbered)
        path = next(path for file in candidates if not (path := Path(folder) / file).exists())
        bitstream.write(path)
        saved = {"filename": path.name, "subfolder": subfolder, "type": "output"}
        file = f"{Path(subfolder, path.name).as_posix()} [output]"
        text = f"{file}\n{describe(bitstream)}"
        return io.NodeOutput(file, ui=says(text, parts=spent(bitstream), sedic=[saved]))


class LoadBitstream(io.ComfyNode):
    """Reads a file."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="SEDIC_LoadBitstream",
            search_aliases=("decompress", "codec", "open", "upload"), says=True,
            display_name="Load Bitstream (SEDIC)",
            category="SEDIC/file",
            description="Reads a .sedic file from ComfyUI's input or output folder. A file that was cut gives what has "
            "arrived.",
            inputs=[
                io.String.Input("file", default="picture.sedic",
                                tooltip="The file's name in the input folder; with ' [output]' behind it, in the "
                                        "output folder."),
            ],
            outputs=[BitstreamSocket.Output(display_name="bitstream", tooltip="Wire it to Unpack Bitstream.")],
        )  # fmt: skip

    @classmethod
    def validate_inputs(cls, file: str | None = None) -> bool | str:
        """Whether there is such a file and its header is sound, told before anything runs."""
        if file is None:  # a wire: what comes through it is not known yet
            return True
        try:
            check_beginning(path_of(file))
        except SedicError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, file: str | None) -> str:
        if file is None:  # a wire: what comes through it decides
            return ""
        path = path_of(file)
        return f"{path.stat().st_mtime_ns}" if path.is_file() else "missing"

    @classmethod
    def execute(cls, file: str) -> io.NodeOutput:
        bitstream = SedicFile.read(path_of(file))
        return io.NodeOutput(bitstream, ui=says(describe(bitstream), parts=spent(bitstream)))


class UnpackBitstream(io.ComfyNode):
    """Takes a file apart."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="SEDIC_UnpackBitstream",
            search_aliases=("decompress", "codec", "extract"),
            says=True,
            display_name="Unpack Bitstream (SEDIC)",
            category="SEDIC/file",
            description="Takes a file apart: its reference, its words and masks, its seed.",
            inputs=[BitstreamSocket.Input("bitstream", tooltip="From Load Bitstream.")],
            outputs=[
                ReferenceSocket.Output(display_name="reference", tooltip="Wire it to Reference Decode."),
                SemanticsSocket.Output(display_name="semantics", tooltip="Wire it to Semantic Object."),
                io.String.Output(
                    display_name="overall",
                    tooltip="The description of the whole (Text_all); wire it to CLIP Text Encode.",
                ),
                io.Int.Output(display_name="seed", tooltip="The seed of the decoder's noise; wire it to all samplers."),
            ],
        )

    @classmethod
    def execute(cls, bitstream: SedicFile) -> io.NodeOutput:
        semantics = bitstream.semantics
        words = [literal(semantics.overall), *(f"{o.name}: {o.detail}" for o in semantics.objects)]
        words += [bitstream.missing] if bitstream.missing else []
        return io.NodeOutput(
            reference_of(bitstream),
            semantics,
            literal(semantics.overall),
            bitstream.hints.seed,
            ui=says("\n".join(words)),
        )


NODES = [ReferenceEncode, ReferenceDecode, PackBitstream, SaveBitstream, LoadBitstream, UnpackBitstream]
