"""A vision-language model in this process, from a folder of transformers (``image-text-to-text``): Qwen-VL, SmolVLM,
LLaVA and what else ``AutoModelForImageTextToText`` knows. Local files only; no code from a folder is ever run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from ..checkpoints import ModelError, load_folder, model_type, require, silence
from .conversation import OTHER_WORDS, TextualizeError, Turn, Watch

WHAT = "vision-language model"
SOURCE = "huggingface.co, e.g. HuggingFaceTB/SmolVLM-Instruct or Qwen/Qwen2.5-VL-3B-Instruct, the whole folder"


def types() -> tuple[str, ...]:
    """``model_type`` of every folder that can be loaded, as the installed transformers knows them."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    return tuple(MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES)


class LocalModel:
    """A loaded vision-language model, as a :class:`.conversation.Provider`.

    Attributes:
        model: transformers' class, in evaluation mode; the caller may move it to a device.
        processor: what turns words and a picture into its inputs.
        folder: where both came from.
    """

    def __init__(self, model: Any, processor: Any, folder: Path) -> None:
        """See the class."""
        self.model, self.processor, self.folder = model, processor, folder

    @property
    def name(self) -> str:
        """The folder's name."""
        return f"The local model {self.folder.name!r}"

    @property
    def identity(self) -> str:
        """The folder's name and a hash of what its files are, without reading the weights."""
        files = sorted(path for path in self.folder.iterdir() if path.is_file())
        stats = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
        return f"{self.folder.name} {hashlib.sha256(repr(stats).encode()).hexdigest()}"

    def answer(self, picture: Image.Image, turns: Sequence[Turn], seed: int, tokens: int, watch: Watch) -> str:
        """The model's next message: its likeliest words, or with a ``seed`` words drawn at random by that number."""
        import torch

        conversation: list[dict] = [{"role": t.role, "content": [{"type": "text", "text": t.text}]} for t in turns]
        conversation[0]["content"].insert(0, {"type": "image", "image": picture})
        try:
            inputs = self.processor.apply_chat_template(
                conversation, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
            )
        except Exception as error:  # templates are programs in the folder: whatever goes wrong in one ends here
            raise TextualizeError(
                f"{self.name} cannot be asked: its processor takes no picture with words "
                f"({_first_line(error)}); fetch the whole folder again, or choose an instruct model."
            ) from error
        inputs = inputs.to(self.model.device, self.model.dtype)  # numbers of words stay whole numbers

        def stop(ids: torch.Tensor, _scores: torch.Tensor, **_more: Any) -> torch.Tensor:
            watch()
            return torch.zeros(ids.shape[0], dtype=torch.bool, device=ids.device)

        drawn: dict[str, Any] = {"do_sample": bool(seed), **dict.fromkeys(("temperature", "top_p", "top_k"))}
        if seed:
            drawn |= {"temperature": OTHER_WORDS, "top_p": 0.9, "top_k": 0}
        device = self.model.device
        with torch.no_grad(), torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            # Folders often bring settings for drawing at random, which would be told as unused.
            result = self.model.generate(
                **inputs,
                **drawn,
                num_beams=1,
                max_new_tokens=tokens,
                stopping_criteria=[stop],
            )
        if not self.model.config.is_encoder_decoder:
            result = result[:, inputs["input_ids"].shape[1] :]  # without the question
        return str(self.processor.batch_decode(result, skip_special_tokens=True)[0])


def load_local(folder: Path) -> LocalModel:
    """Loads a vision-language model onto the CPU, in the precision that it is stored in.

    Args:
        folder: of transformers, with config.json, weights, tokenizer and processor.

    Raises:
        ModelError: something is missing or damaged, or the folder holds another kind of model.
    """
    require(folder, "The vision-language model", SOURCE, otherwise="type the words")
    if model_type(folder) not in types():
        kind = model_type(folder) or "none"
        raise ModelError(
            f"The folder {folder} holds no vision-language model that transformers reads (model_type: {kind}); "
            f"get one from {SOURCE}, or update transformers."
        )
    from transformers import AutoModelForImageTextToText, AutoProcessor

    try:
        with silence():
            processor = AutoProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, TypeError, ImportError, AttributeError) as error:
        raise ModelError(
            f"The processor of {folder} cannot be read ({_first_line(error)}); fetch the whole folder again."
        ) from error
    if not hasattr(processor, "image_processor"):  # transformers gives the bare tokenizer where there is no processor
        raise ModelError(f"The folder {folder} has no processor for pictures; fetch the whole folder again.")
    if not getattr(processor, "chat_template", None):
        raise ModelError(f"The folder {folder} has no chat template (chat_template.jinja); choose an instruct model.")
    model = load_folder(AutoModelForImageTextToText, folder, WHAT, spare=True)
    return LocalModel(model, processor, folder)


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
