"""The embedded networks and tokenizer are diffusers' and transformers' own, without importing them."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from sedic.models import embedded

TEXTS = [
    "", "Red Cup, a glossy red cup", "  a\n\tb  ", "it's they're I'VE 12,345.67", "naïve Café São Über", "日本語 🎉😀",
    "<|endoftext|> x <|startoftext|>y", "<|ENDOFTEXT|>", "e\u0301 \u00a0 \u2028 z", "ab" * 50,
    "ﬁ ½ ² Ⅷ", "\x00\x07", "!?…“”İ",
]  # fmt: skip


def values(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
@pytest.mark.parametrize("size", [(8, 12), (10, 14)], ids=["halves", "rounds"])
def test_the_networks_answer_as_diffusers_do(size):
    from diffusers import ControlNetModel, UNet2DConditionModel

    theirs = {"unet": UNet2DConditionModel(**embedded.UNET), "controlnet": ControlNetModel(**embedded.CONTROLNET)}
    for part, network in theirs.items():
        network.eval().load_state_dict(embedded.read_state(part))
    ours = {part: embedded.load(part) for part in theirs}
    z, condition = values(2, embedded.LATENT_CHANNELS, *size).unbind(0)
    text, time = values(1, 77, embedded.UNET["cross_attention_dim"]), torch.tensor(400)
    added, middle = ours["controlnet"](z[None], time, text, controlnet_cond=condition[None], return_dict=False)
    their_added, their_middle = theirs["controlnet"](
        z[None], time, text, controlnet_cond=condition[None], return_dict=False
    )
    for one, other in zip([*added, middle], [*their_added, their_middle], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    found, expected = (
        network(
            z[None], time, text, down_block_additional_residuals=added, mid_block_additional_residual=middle
        ).sample
        for network in (ours["unet"], theirs["unet"])
    )  # fmt: skip
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_the_text_encoder_answers_as_transformers_does():
    from transformers import CLIPTextConfig, CLIPTextModel

    theirs = CLIPTextModel(CLIPTextConfig(**embedded.TEXT_ENCODER)).eval()
    names = {name.removeprefix("text_model."): name for name in theirs.state_dict()}
    state = embedded.read_state("text_encoder")
    theirs.load_state_dict({names[name]: value for name, value in state.items()}, strict=False)
    words = embedded.tokenizer()
    tokens = torch.tensor([words("red cup, a glossy red cup")["input_ids"]])
    torch.testing.assert_close(embedded.load("text_encoder")(tokens)[0], theirs(tokens)[0], rtol=1e-4, atol=1e-4)


def test_a_new_text_encoder_begins_as_clips_training_does():
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(0)
    theirs = CLIPTextModel(CLIPTextConfig(**embedded.TEXT_ENCODER)).state_dict()
    spread = {name.removeprefix("text_model."): value.std().item() for name, value in theirs.items() if value.ndim > 1}
    for name, value in embedded.new_text_encoder().state_dict().items():
        if value.ndim > 1:
            assert value.std().item() == pytest.approx(spread[name], rel=0.05), name
        else:
            assert value.unique().tolist() == [1.0 if "norm" in name and name.endswith("weight") else 0.0]


def test_the_tokenizer_cuts_as_transformers_does():
    from transformers import CLIPTokenizer

    theirs = CLIPTokenizer.from_pretrained(str(embedded.WEIGHTS / "tokenizer"), local_files_only=True)
    ours = embedded.tokenizer()
    for text in TEXTS:
        for whole in (True, False):
            assert list(ours(text, add_special_tokens=whole)["input_ids"]) == list(
                theirs(text, add_special_tokens=whole)["input_ids"]
            ), text
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        assert getattr(ours, name) == getattr(theirs, name)


def test_the_embedded_models_need_neither_pipelines_nor_a_compiler():
    code = """
import sys
from sedic.codec import load_models
load_models().embed("a red cup")
heavy = {"diffusers", "transformers", "torch._dynamo", "sympy", "scipy", "torchvision"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)
