"""The table of other people's nodes: how each stands between the models and this pack's samplers, and what holds then.

A row builds its neighbour of the scene with the core's own node classes; ``holds`` is what guidance does beside it:
None, it moves the latent and the energy falls; else a pattern of the one sentence in which it says why not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .neighbour_nodes import (
    OTHER,
    areas,
    cached_by_a_stranger,
    conditioned,
    control_with_a_text_of_its_own,
    controlled,
    default_combined,
    encoded,
    everything_in_place,
    in_place_within,
    joined,
    last_layer,
    lora,
    lora_as_hook,
    merged,
    other_layer_at_guidance,
    patched,
    perp_neg,
    ranged,
    sharpened,
    windows,
    worded,
)


@dataclass(frozen=True)
class Row:
    """One neighbour.

    Attributes:
        name: what stands between.
        build: of the scene, what of it is replaced: model, positive, negative, clip.
        holds: a sentence's pattern; None: guidance.
        settings: of Attention Guidance, over the table's own.
        note: pattern of what the node says besides.
        acts: whether it changes the unguided latent of models as small as these.
        steps: of the solver.
        like: an earlier row with the same words, whose first energy it must have.
    """

    name: str
    build: Callable[[Any], dict[str, Any]]
    holds: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    note: str | None = None
    acts: bool = True
    steps: int = 1
    like: str | None = None


LONG = ", ".join(["tall grass under a pale evening sky"] * 12)
ACROSS = " ".join([*["grass"] * 74, "red cup", "with a white rim"])

ROWS = [
    Row("nothing", lambda scene: {}, acts=False),
    Row("FreeU", patched("freelunch", "FreeU", b1=1.1, b2=1.2, s1=0.9, s2=0.2)),
    Row("FreeU_V2", patched("freelunch", "FreeU_V2", b1=1.3, b2=1.4, s1=0.9, s2=0.2)),
    Row("FreeU_V2, second up block", patched("freelunch", "FreeU_V2", b1=1.3, b2=1.4, s1=0.9, s2=0.2),
        settings={"layers": "second up block"}),
    Row("a patch in place", in_place_within),
    Row("a wrapper in place", everything_in_place, "writes over.*if_unguidable"),
    Row("HyperTile", patched("hypertile", "HyperTile", tile_size=64, swap_size=2, max_depth=2, scale_depth=True),
        acts=False),
    Row("TomePatchModel", patched("tomesd", "TomePatchModel", ratio=0.3), acts=False),
    Row("PerturbedAttentionGuidance", patched("pag", "PerturbedAttentionGuidance", scale=3.0)),
    Row("SelfAttentionGuidance", patched("sag", "SelfAttentionGuidance", scale=0.5, blur_sigma=2.0)),
    Row("RescaleCFG", patched("model_advanced", "RescaleCFG", multiplier=0.7)),
    Row("APG", patched("apg", "APG", eta=1.0, norm_threshold=5.0, momentum=0.0)),
    Row("CFGZeroStar", patched("cfg", "CFGZeroStar")),
    Row("CFGNorm", patched("cfg", "CFGNorm", strength=1.0)),
    Row("TCFG", patched("tcfg", "TCFG")),
    Row("Mahiro", patched("mahiro", "Mahiro")),
    Row("FreSca", patched("fresca", "FreSca", scale_low=1.0, scale_high=1.25, freq_cutoff=4)),
    Row("EpsilonScaling", patched("eps", "EpsilonScaling", scaling_factor=1.005)),
    Row("TemporalScoreRescaling", patched("eps", "TemporalScoreRescaling", tsr_k=0.95, tsr_sigma=1.0)),
    Row("LatentApplyOperationCFG", sharpened),
    Row("RenormCFG", patched("lumina2", "RenormCFG", cfg_trunc=100.0, renorm_cfg=0.5)),
    Row("PerpNeg", perp_neg),
    Row("DifferentialDiffusion", patched("differential_diffusion", "DifferentialDiffusion"), acts=False),
    Row("VideoLinearCFGGuidance", patched("video_model", "VideoLinearCFGGuidance", min_cfg=1.0)),
    Row("VideoTriangleCFGGuidance", patched("video_model", "VideoTriangleCFGGuidance", min_cfg=1.0)),
    Row("NAGuidance", patched("nag", "NAGuidance", nag_scale=5.0, nag_alpha=0.5, nag_tau=1.5)),
    Row("EasyCache", patched("easycache", "EasyCacheNode", reuse_threshold=3.0, start_percent=0.0, end_percent=1.0,
                             verbose=False), steps=4),
    Row("LazyCache", patched("easycache", "LazyCacheNode", reuse_threshold=3.0, start_percent=0.0, end_percent=1.0,
                             verbose=False), steps=4),
    Row("a stranger's cache", cached_by_a_stranger, "not reached, perhaps because somebody's cache"),
    Row("ContextWindowsManual, ControlNet", windows),
    Row("PatchModelAddDownscale 2", patched("model_downscale", "PatchModelAddDownscale", block_number=2,
        downscale_factor=2.0, start_percent=0.0, end_percent=1.0, downscale_after_skip=True,
        downscale_method="bicubic", upscale_method="bicubic"), settings={"layers": "second up block"}),
    Row("PatchModelAddDownscale 1.5", patched("model_downscale", "PatchModelAddDownscale", block_number=2,
        downscale_factor=1.5, start_percent=0.0, end_percent=1.0, downscale_after_skip=True,
        downscale_method="bicubic", upscale_method="bicubic")),
    Row("UNetSelfAttentionMultiply", patched("attention_multiply", "UNetSelfAttentionMultiply", q=1.1, k=1.0, v=1.0,
                                             out=0.9)),
    Row("UNetCrossAttentionMultiply", patched("attention_multiply", "UNetCrossAttentionMultiply", q=1.1, k=1.0, v=1.0,
                                              out=0.9)),
    Row("ModelSamplingDiscrete", patched("model_advanced", "ModelSamplingDiscrete", sampling="v_prediction",
                                         zsnr=True)),
    Row("ModelSamplingContinuousEDM", patched("model_advanced", "ModelSamplingContinuousEDM", sampling="v_prediction",
                                              sigma_max=120.0, sigma_min=0.002)),
    Row("ModelSamplingContinuousV", patched("model_advanced", "ModelSamplingContinuousV", sampling="v_prediction",
                                            sigma_max=500.0, sigma_min=0.03)),
    Row("ModelComputeDtype bf16", patched("model_advanced", "ModelComputeDtype", dtype="bf16")),
    Row("ModelComputeDtype fp16", patched("model_advanced", "ModelComputeDtype", dtype="fp16")),
    Row("ModelMergeSimple", merged),
    Row("LoRA", lora),
    Row("LoRA as hook", lora_as_hook),
    Row("ControlNetApplyAdvanced", controlled()),
    Row("ControlNet, 0 to 0.5, strength 0.4", controlled(strength=0.4, start=0.0, end=0.5)),
    Row("ControlNet's own layers", controlled(), settings={"layers": "control net"}),
    Row("control net layers, no ControlNet", lambda scene: {}, "No ControlNet with cross-attention",
        settings={"layers": "control net"}, acts=False),
    Row("CLIPTextEncodeControlnet", control_with_a_text_of_its_own),
    Row("CLIPTextEncodeControlnet, its layers", control_with_a_text_of_its_own, "ControlNet has a text of its own",
        settings={"layers": "control net"}),
    Row("ConditioningCombine, object first", joined("ConditioningCombine", "conditioning_1", "conditioning_2"),
        like="nothing"),
    Row("ConditioningCombine, object second", joined("ConditioningCombine", "conditioning_2", "conditioning_1"),
        like="nothing"),
    Row("ConditioningConcat, object first", joined("ConditioningConcat", "conditioning_to", "conditioning_from")),
    Row("ConditioningConcat, object second", joined("ConditioningConcat", "conditioning_from", "conditioning_to"),
        like="ConditioningConcat, object first"),
    Row("ConditioningAverage", joined("ConditioningAverage", "conditioning_to", "conditioning_from",
                                      conditioning_to_strength=0.7), note="not what the prompt .* encodes to"),
    Row("another text", lambda scene: {"positive": encoded(scene, OTHER)}, "does not hold the prompt"),
    Row("areas combined", areas, like="nothing"),
    Row("ConditioningSetDefaultAndCombine", default_combined, like="nothing"),
    Row("ConditioningSetArea", conditioned("ConditioningSetArea", width=64, height=64, x=0, y=64, strength=1.0)),
    Row("ConditioningSetAreaStrength", conditioned("ConditioningSetAreaStrength", strength=0.7)),
    Row("ConditioningSetMask", lambda scene: conditioned("ConditioningSetMask", mask=scene.mask[None], strength=1.0,
                                                         set_cond_area="default")(scene)),
    Row("time ranges, object early", ranged(True), like="nothing", steps=2),
    Row("time ranges, object late", ranged(False), "does not act at sigma"),
    Row("ConditioningZeroOut", conditioned("ConditioningZeroOut"), "is zeros"),
    Row("CLIPSetLastLayer", last_layer),
    Row("CLIPSetLastLayer, not at guidance", other_layer_at_guidance, note="not what the prompt .* encodes to"),
    Row("weights in the prompt", worded("a (glossy red cup:1.4) on a (table:0.5)")),
    Row("prompt of 308 tokens", worded(f"{LONG}, red cup")),
    Row("name across two rows of tokens", worded(ACROSS)),
    Row("embedding before the name", worded("embedding:two_rows a red cup")),
    Row("embedding as the name", worded("a glossy embedding:two_rows on a table", "embedding:two_rows")),
    Row("embedding that the encoder drops", worded("embedding:too_wide a glossy red cup")),
    Row("embedding that is not there", worded("embedding:nowhere a glossy red cup"),
        like="embedding that the encoder drops"),
]  # fmt: skip
