"""Picture, words and masks to a file and back, with the reference's codec and the decoder replaced by small ones."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from sedic import codec
from sedic.bitstream import BitstreamError, Hints, SedicFile
from sedic.demo import PHOTOGRAPH
from sedic.metrics import psnr
from sedic.reference.registry import CodecError
from sedic.semantics import Limits, SceneObject, Semantics
from tests.grower import IMAGE, Grower


@pytest.fixture
def grower(monkeypatch) -> Grower:
    """Stands behind every name and number."""
    grower = Grower()
    parse = lambda text, models=None: (grower, int(text.partition(":")[2] or grower.default_quality))  # noqa: E731
    monkeypatch.setattr(codec, "parse_reference", parse)
    monkeypatch.setattr(codec, "codec_by_id", lambda number, models=None: grower)
    return grower


def words(objects: int = 1) -> Semantics:
    mask = np.zeros((32, 48), bool)
    mask[8:24, 8:24] = True
    return Semantics("a plain wall", tuple(SceneObject(f"spot {j}", "round", mask) for j in range(objects)))


def test_file_holds_what_was_given_through_bytes(grower):
    hints = Hints(seed=7, object_steps=3, overall_steps=4, guidance=False)
    file = SedicFile.from_bytes(codec.encode(IMAGE, words(), "grower:12", hints=hints).to_bytes())
    assert (file.width, file.height, file.codec_id, file.quality) == (48, 32, 9, 12)
    assert file.fingerprint == grower.weights
    assert file.hints == hints
    assert file.semantics.overall == "a plain wall"
    np.testing.assert_array_equal(codec.reference_of(file).picture(), IMAGE)


def test_words_beyond_the_limits_are_cut_with_a_warning(grower):
    with pytest.warns(UserWarning, match="1 cut"):
        file = codec.encode(IMAGE, words(), limits=Limits(overall_words=2))
    assert file.semantics.overall == "a plain"


def test_a_picture_that_no_quality_can_code_is_the_codecs_own_error(grower, monkeypatch):
    def refuse(image, quality):
        raise CodecError("The picture is too small; enlarge it.")

    monkeypatch.setattr(grower, "encode", refuse)
    with pytest.raises(CodecError, match="enlarge it"):
        codec.encode(IMAGE, words(), target_bpp=1.0)


def test_other_weights_than_the_senders_are_an_error_naming_both(grower):
    reference = codec.encode_reference(IMAGE)
    grower.weights = b"\5\6\7\x08"
    with pytest.raises(CodecError, match="01020304, found are 05060708"):
        reference.picture()


def test_reference_that_has_not_arrived_is_told():
    whole = SedicFile(48, 32, 1, 9, b"123456", words())
    cut = SedicFile.from_bytes(whole.to_bytes()[: whole.sections[0].bytes + 3])
    with pytest.raises(BitstreamError, match="reference is missing"):
        codec.reference_of(cut)


def test_hints_are_applied_and_absent_ones_leave_the_settings():
    from sedic.restoration.settings import Settings

    file = SedicFile(48, 32, 1, 9, b"1", words(), hints=Hints(seed=5, overall_steps=2, guidance=False))
    settings = codec.settings_of(file, Settings(object_steps=33, seed=1))
    assert (settings.seed, settings.object_steps, settings.overall_steps, settings.guide) == (5, 33, 2, False)
    plain = codec.settings_of(SedicFile(48, 32, 1, 9, b"1", words()), Settings())
    assert plain == Settings()


@pytest.mark.parametrize("overall", ["a plain wall", ""])
@pytest.mark.parametrize("until", ["object", "final"])
def test_decoder_gets_the_reference_and_whatever_words_there_are(overall, until, grower, monkeypatch):
    from sedic.restoration import stages

    calls = []
    monkeypatch.setattr(stages, "decode", lambda *arguments: calls.append(arguments) or iter(()))
    file = codec.encode(IMAGE, Semantics(overall, words().objects))
    assert list(codec.decode(file, "models", stages.Settings(), until)) == []
    ((models, image, semantics, _, last, _),) = calls
    assert models == "models"
    assert image.shape == (1, 3, 32, 48)
    assert image[0, :, 3, 5].mul(255).round().tolist() == [200, 100, 50]
    assert last == until
    assert semantics is file.semantics


def test_a_pictures_read_only_pixels_warn_of_nothing(grower, monkeypatch):
    import torch

    from sedic.restoration import stages

    monkeypatch.setattr(stages, "decode", lambda *_: iter(()))
    file = codec.encode(IMAGE, words())
    torch.set_warn_always(True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            list(codec.decode(file, "models", stages.Settings()))
    finally:
        torch.set_warn_always(False)


def test_pixels_are_rounded_and_kept_in_range():
    import torch

    image = torch.tensor([-0.5, 0.4999 / 255, 0.5001 / 255, 2.0]).reshape(1, 1, 1, 4).expand(1, 3, 1, 4)
    pixels = codec.to_pixels(image)
    assert pixels.dtype == np.uint8
    assert pixels.shape == (1, 4, 3)
    assert pixels[0, :, 0].tolist() == [0, 0, 1, 255]


@pytest.mark.processor
@pytest.mark.parametrize(("found", "kind"), [({"avx512_bf16": True}, torch.bfloat16), ({"avx2": True}, torch.float32)])
def test_auto_precision_is_what_the_processor_computes_in(monkeypatch, found, kind):
    for limit in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"):
        monkeypatch.delenv(limit, raising=False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found, raising=False)
    models = codec.load_models(precision="auto")
    assert models.unet.dtype == models.controlnet.dtype == models.autoencoder.dtype == kind


def test_of_a_folder_the_autoencoder_stays_in_float32():
    models = codec.load_models()
    models.where = "somewhere"
    assert models.in_precision("bfloat16").unet.dtype == torch.bfloat16
    assert models.autoencoder.dtype == torch.float32


def test_in_bfloat16_the_picture_is_that_of_float32_to_the_eye():
    with Image.open(PHOTOGRAPH) as photograph:
        file = codec.encode(photograph.convert("RGB").resize((192, 128)), "a mug of coffee on a table")
    first, other = (
        codec.to_pixels(list(codec.decode(file, codec.load_models(precision=kind)))[-1].image)
        for kind in ("float32", "bfloat16")
    )
    assert 45 < psnr(first, other) < 100
