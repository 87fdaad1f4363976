"""LMM Textualize: words for a picture."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import folder_paths
from comfy import model_management
from comfy_api.latest import io
from torch import Tensor

from ...sedic.errors import SedicError
from ...sedic.semantics import PRESETS, Limits, Semantics
from ...sedic.understanding.embedded.look import look
from ...sedic.understanding.words import endpoints, local
from ...sedic.understanding.words.memory import AnswerCache
from ...sedic.understanding.words.textualize import provider_of, textualize, typed
from ..images import heard, to_pixels
from ..lists import each_picture, only
from ..said import says
from ..schema import advanced, schema
from ..sockets import SemanticsSocket
from .models import DESCRIBERS, NONE, logged

LIMITS = Limits()
# ComfyUI serves a folder whose name begins with two underscores to no browser.
PRIVATE = "__sedic"
CUSTOM = "custom"


def _told() -> str:
    """The presets' limits in words."""
    return "; ".join(
        f"{name}: {most.objects} object{'s' * (most.objects > 1)}, {most.name_words} words a name, "
        f"{most.detail_words} a detail, {most.overall_words} the whole"
        for name, most in PRESETS.items()
    )


class LMMTextualize(io.ComfyNode):
    """Words for a picture: typed, or from a vision-language model."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Sockets and widgets."""
        return schema(
            node_id="SEDIC_LMMTextualize",
            search_aliases=("caption", "describe", "words", "prompt from image", "VLM"),
            says=True,
            is_input_list=True,
            display_name="LMM Textualize (SEDIC)",
            category="SEDIC/encode",
            description="Describes a picture: its main objects, details of each, and the whole.",
            inputs=[
                io.Image.Input("image", tooltip="The picture to describe; each of several by itself."),
                io.Combo.Input(
                    "mode",
                    options=["typed", "endpoint", "local model", "embedded"],
                    default="typed",
                    tooltip="typed: the words below. endpoint: ask a server. local model: ask a model of models/LLM. "
                    "embedded: what the pack's own small eyes are sure of, with masks.",
                ),
                io.String.Input(
                    "text",
                    multiline=True,
                    default="",
                    placeholder="red barn: weathered boards, white doors\noverall: a red barn beside a pond",
                    tooltip="For typed: a line for each object (name: detail) and a line for the whole (overall: "
                    "text). Semantics JSON works, too.",
                ),
                io.String.Input(
                    "endpoint",
                    default="local",
                    tooltip="For endpoint: a profile of user/__sedic/endpoints.toml or ~/.config/sedic/endpoints.toml. "
                    "Keys belong into that file or the environment, never here.",
                ),
                io.Int.Input(
                    "objects",
                    default=LIMITS.objects,
                    min=1,
                    max=7,
                    tooltip="How many objects there may be (J). Each costs bits, and a stage of the decoder.",
                ),
                io.Int.Input(
                    "detail_words",
                    default=LIMITS.detail_words,
                    min=1,
                    max=200,
                    tooltip="How many words an object's detail may have (l_d); a longer one is cut.",
                ),
                io.Int.Input(
                    "overall_words",
                    default=LIMITS.overall_words,
                    min=1,
                    max=200,
                    tooltip="How many words the overall text may have (l_all); a longer one is cut.",
                ),
                advanced(
                    io.Int.Input(
                        "name_words",
                        default=LIMITS.name_words,
                        min=1,
                        max=20,
                        optional=True,
                        tooltip="How many words an object's name may have (l_n); a longer one is cut.",
                    )
                ),
                io.Combo.Input(
                    "local_model",
                    options=DESCRIBERS.choices(),
                    default=NONE,
                    optional=True,
                    tooltip="For local model: a transformers folder of a vision-language model in models/LLM.",
                ),
                advanced(
                    io.Int.Input(
                        "attempt",
                        default=0,
                        min=0,
                        max=2**31 - 1,
                        optional=True,
                        tooltip="Answers are kept: the same picture, question, model and attempt give the same words "
                        "at no cost. Another number asks for other words, and is sent as the seed.",
                    )
                ),
                io.Combo.Input(
                    "preset",
                    options=[CUSTOM, *PRESETS],
                    default=CUSTOM,
                    optional=True,
                    tooltip="custom: the limits of the widgets above. Otherwise those of the paper's operating points. "
                    f"{_told()}.",
                ),
            ],
            outputs=[
                SemanticsSocket.Output(
                    display_name="semantics", tooltip="The words; embedded brings masks, too.", is_output_list=True
                )
            ],
        )

    @classmethod
    def validate_inputs(cls, local_model: Any = NONE) -> bool | str:
        """A model that is not there is told with its folder and source, instead of as a value not in a list."""
        return DESCRIBERS.lacking(only(local_model)) or True

    @classmethod
    def fingerprint_inputs(cls, mode: Any, endpoint: Any, **_others: Any) -> str:
        """A profile that was written anew asks again, although no widget changed; never holds a key."""
        mode, endpoint = only(mode), only(endpoint)
        if mode != "endpoint" or endpoint is None:
            return ""
        try:
            # Hashed, as ComfyUI writes it into pictures: an address may be nobody else's business.
            return hashlib.sha256(provider_identity(endpoint).encode()).hexdigest()
        except SedicError as error:
            return str(error)

    @classmethod
    @each_picture("image")
    def execute(
        cls,
        image: Tensor,
        mode: str,
        text: str,
        endpoint: str,
        objects: int,
        detail_words: int,
        overall_words: int,
        name_words: int = LIMITS.name_words,
        local_model: str = NONE,
        attempt: int = 0,
        preset: str = CUSTOM,
    ) -> io.NodeOutput:
        """Asks or reads, then cuts to the limits; the node shows the words and what was cut."""
        limits = PRESETS.get(preset) or Limits(objects, name_words, detail_words, overall_words)
        notes: list[str] = []
        with heard(notes):
            if mode == "typed":
                semantics = typed(text).limited(limits)
            elif mode == "embedded":
                semantics, seen, _ = look(to_pixels(image), limits)
                notes += seen
            else:
                provider = _local(local_model) if mode == "local model" else _remote(endpoint)
                watch = model_management.throw_exception_if_processing_interrupted
                memory = AnswerCache(private_folder() / "answers")
                semantics = textualize(to_pixels(image), provider, limits, attempt, memory, watch)
        return io.NodeOutput(semantics, ui=says("\n".join([*_lines(semantics), *logged(notes)])))


def private_folder() -> Path:
    """The pack's folder in ComfyUI's user folder: profiles of endpoints, kept answers."""
    return Path(folder_paths.get_user_directory()) / PRIVATE


def endpoints_file() -> Path:
    """The endpoints' file in ComfyUI's user folder, or the one of the command line where that does not exist."""
    own = private_folder() / "endpoints.toml"
    return own if own.is_file() or not endpoints.default_path().is_file() else endpoints.default_path()


def provider_identity(endpoint: str) -> str:
    """Address and model of a profile, and what else of it an answer depends on."""
    return endpoints.read_endpoint(endpoint.strip(), endpoints_file()).identity


def _remote(endpoint: str) -> Any:
    profile = endpoints.read_endpoint(endpoint.strip(), endpoints_file())
    if profile.folder is not None:
        raise SedicError(
            f"The profile {profile.name!r} names a folder, which ComfyUI would load outside its model management; "
            f"put the folder into {DESCRIBERS.places()[0]} and choose the mode local model."
        )
    return provider_of(profile)


def _local(name: str) -> Any:
    model = DESCRIBERS.ready(name)
    if model is None:
        raise SedicError(
            f"The mode local model needs a model; put one into {DESCRIBERS.places()[0]} ({local.SOURCE}) and choose it."
        )
    return model


def _lines(semantics: Semantics) -> list[str]:
    """The words in the form in which they can be typed."""
    return [*(f"{o.name}: {o.detail}" for o in semantics.objects), f"overall: {semantics.overall}"]
