"""Where an object's words stand in a conditioning, by each family's own tokenizers and text encoders."""

from __future__ import annotations

import types

import pytest
import torch

PROMPT = "red cup, a glossy Red cup with a text on it, the red cup"


@pytest.fixture(scope="module")
def tokenizers(comfy):
    """ComfyUI's own, by family; what they encode with is not needed to find words."""
    import comfy.text_encoders.flux
    import comfy.text_encoders.qwen_image
    import comfy.text_encoders.sd3_clip
    import comfy.text_encoders.z_image

    sd3 = comfy.text_encoders.sd3_clip.SD3Tokenizer()
    flux = types.SimpleNamespace(
        tokenize_with_weights=lambda text: {
            "l": sd3.clip_l.tokenize_with_weights(text),
            "t5xxl": comfy.text_encoders.flux.T5XXLTokenizer().tokenize_with_weights(text),
        }
    )
    return {
        "SD 3.5": sd3,
        "Flux": flux,
        "Qwen-Image": comfy.text_encoders.qwen_image.QwenImageTokenizer(),
        "Z-Image": comfy.text_encoders.z_image.ZImageTokenizer(),
    }


def clip_of(tokenizer, **encoders):
    """A CLIP of a tokenizer whose encoders are there or are not."""
    return types.SimpleNamespace(
        tokenize=tokenizer.tokenize_with_weights,
        cond_stage_model=types.SimpleNamespace(**{name: object() for name in encoders if encoders[name]}),
    )


def flat(rows):
    return [token for row in rows for token, *_ in row]


@pytest.mark.parametrize("name", ["Flux", "Z-Image"])
def test_every_occurrence_of_the_words_is_found(denoiser, tokenizers, name):
    clip = clip_of(tokenizers[name])
    places = denoiser.token_positions(clip, PROMPT, "red cup")
    tokens = flat(clip.tokenize(PROMPT)["t5xxl" if name == "Flux" else "qwen3_4b"])
    said = tokenizers[name].tokenize_with_weights("red cup and the red cup")
    known = set(flat(said["t5xxl" if name == "Flux" else "qwen3_4b"]))
    assert len(places) == 4
    assert all(tokens[place] in known for place in places)
    assert denoiser.token_positions(clip, PROMPT, "green door") == ()


def test_words_that_the_language_models_own_sentence_holds_are_found_in_the_text_alone(denoiser, tokenizers):
    """Qwen-Image's instructions speak of text and of shapes."""
    clip = clip_of(tokenizers["Qwen-Image"])
    (place,) = denoiser.token_positions(clip, PROMPT, "text")
    assert 0 < place < len(PROMPT.split()) + 6
    assert denoiser.token_positions(clip, PROMPT, "shape") == ()
    assert denoiser.token_positions(clip, "text of a shape", "text") == (0,)


def test_stable_diffusion_3_has_the_words_in_clips_and_t5s_tokens(denoiser, tokenizers):
    tokenizer = tokenizers["SD 3.5"]
    both = clip_of(tokenizer, clip_l=True, clip_g=True, t5xxl=True)
    places = denoiser.token_positions(both, PROMPT, "red cup")
    clips = [place for place in places if place < 77]
    t5 = [place - 77 for place in places if place >= 77]
    assert len(clips) == 6  # CLIP's tokenizer knows no capitals
    assert len(t5) == 4
    assert denoiser.token_positions(clip_of(tokenizer, clip_l=True), PROMPT, "red cup") == tuple(clips)
    assert denoiser.token_positions(clip_of(tokenizer, t5xxl=True), PROMPT, "red cup") == tuple(t5)


def test_the_place_is_that_in_what_qwen_images_encoder_makes(denoiser, tokenizers):
    """ComfyUI leaves the instructions out: a place is counted from where it begins to keep."""
    import comfy.text_encoders.qwen_image as qwen

    class Encoder(qwen.QwenImageTEModel):
        def __init__(self):
            torch.nn.Module.__init__(self)

    numbers = {}

    def encode(self, pairs):
        row = torch.tensor([token for token, *_ in pairs["qwen25_7b"][0]])
        numbers["row"] = row
        return row[None, :, None], None, {"attention_mask": torch.ones(1, len(row))}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(qwen.sd1_clip.SD1ClipModel, "encode_token_weights", encode)
        kept, _, _ = Encoder().encode_token_weights(tokenizers["Qwen-Image"].tokenize_with_weights(PROMPT))
    places = denoiser.token_positions(clip_of(tokenizers["Qwen-Image"]), PROMPT, "glossy")
    word = flat(tokenizers["Qwen-Image"].tokenize_with_weights("a glossy")["qwen25_7b"])
    assert places
    assert all(int(kept[0, place, 0]) in word for place in places)
    assert int(kept[0, 0, 0]) == flat(tokenizers["Qwen-Image"].tokenize_with_weights("red")["qwen25_7b"])[-6]
