"""Runs the two nodes inside ComfyUI's modules, in a process of its own; prints what came out as JSON.

Arguments: ComfyUI's folder, the repository, a folder for models and pictures.
"""

from __future__ import annotations

import importlib
import json
import sys
import types
import warnings
from pathlib import Path

COMFYUI, REPOSITORY, BASE = map(Path, sys.argv[1:4])
sys.argv = ["main.py", "--cpu", "--base-directory", str(BASE)]
sys.path.insert(0, str(COMFYUI))

import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()

import utils.extra_config  # noqa: E402

# As ComfyUI's main.py does with extra_model_paths.yaml, before it loads the packs.
utils.extra_config.load_extra_path_config(str(BASE / "extra_model_paths.yaml"))

import numpy as np  # noqa: E402
import torch  # noqa: E402

pack = types.ModuleType("some_other_name")
pack.__path__ = [str(REPOSITORY)]
sys.modules["some_other_name"] = pack
encode = importlib.import_module("some_other_name.nodes.encode")
SedicError = importlib.import_module("some_other_name.sedic.errors").SedicError

BOX = {"x": 10, "y": 20, "width": 40, "height": 50}  # as ComfyUI's own nodes give them


def told(call):
    """The sentence of the error that ``call`` ends in."""
    try:
        call()
    except SedicError as error:
        return str(error)
    return ""


def main():
    words, masks = encode.NODES
    picture = torch.rand(1, 90, 120, 3)
    result = {"info": {node.GET_SCHEMA().node_id: node.GET_NODE_INFO_V1() for node in encode.NODES}}
    say = {"image": picture, "endpoint": "home", "objects": 3, "detail_words": 2, "overall_words": 50}
    text = "barn: red old wood\npond: wet\noverall: a quiet yard"
    result["preset"] = words.execute(mode="typed", text=text, preset="low", **say).ui.as_dict()["text"][0]
    typed = words.execute(mode="typed", text=text, **say)
    result["typed"] = typed.ui.as_dict()["text"][0]
    result["no profile"] = told(lambda: words.execute(mode="endpoint", text="", **say))

    shared = {"image": picture, "semantics": typed.args[0], "detector": "none", "segmenter": "none", "boxes": ""}
    left = torch.zeros(1, 45, 60)
    left[:, :, :30] = 1
    found, batch, preview, _ = masks.execute(
        **{**shared, "mode": "auto", "boxes": "-\n70 10 110 80", "mask_1": left}
    ).args
    result["given"] = [[float(m[:, :60].mean()), float(m[:, 60:].mean())] for m in batch]
    result["shapes"] = [list(batch.shape), list(preview.shape), [list(o.mask.shape) for o in found.objects]]
    result["nothing"] = told(lambda: masks.execute(**{**shared, "mode": "masks"}))
    result["no detector"] = told(lambda: masks.execute(**{**shared, "mode": "models"}))
    result["missing"] = masks.validate_inputs("groundingdino_swint_ogc.pth")
    result["way out"] = masks.validate_inputs(["../../secret.pth"])
    result["there"] = [masks.validate_inputs(each) for each in ("small-dino", (None,))]

    models = {**shared, "mode": "models", "detector": "small-dino", "segmenter": "small-sam"}
    # The small models are random: only a threshold says whether they find something.
    dropped = masks.execute(**models, box_threshold=1.0)
    result["dropped"] = [dropped.ui["text"][0], dropped.args[3]]
    result["empty batch"] = list(dropped.args[1].shape)
    for segmenter in ("small-sam", "other-sam.pth"):
        found = masks.execute(**{**models, "segmenter": segmenter}, box_threshold=0.0, text_threshold=0.0)
        result[f"by {segmenter}"] = [bool(np.isin(o.mask, (0, 1)).all()) for o in found.args[0].objects]
    result["management"] = management()
    batch = torch.zeros(3, 90, 120)
    batch[1, 20:50, 70:100] = 1
    given = {**shared, "mode": "auto", "boxes": "-\n", "mask_1": left, "masks": batch}
    result["batch"] = [float(m.mean()) for m in masks.execute(**given).args[1]]
    result["too many"] = masks.execute(**{**given, "masks": torch.ones(4, 90, 120)}).args[3]
    boxed = {**shared, "mode": "boxes", "bounding_boxes": [[BOX, BOX | {"x": 70}], []]}
    wired = masks.execute(**boxed)
    typed_boxes = masks.execute(**{**boxed, "boxes": "10 20 50 70\n70 20 110 70", "bounding_boxes": None})
    result["boxes"] = [bool((wired.args[1] == typed_boxes.args[1]).all()), wired.args[3], told(
        lambda: masks.execute(**{**boxed, "bounding_boxes": [{"x": 1}]}))]  # fmt: skip
    nowhere = {**shared, "mode": "detected", "mask_1": torch.zeros(1, 90, 120), "mask_2": left}
    found, _, _, notes = masks.execute(**nowhere).args
    result["detected"] = [[o.name for o in found.objects], notes]
    result["odd"] = odd(masks, shared)
    result["fused"] = fused()
    seen = words.execute(mode="embedded", text="", **{**say, "image": torch.full((1, 90, 120, 3), 0.4)})
    result["seen"] = seen.ui.as_dict()["text"][0]
    result["unknown name"] = masks.execute(**{**shared, "mode": "embedded"}).args[3]
    result["modes"] = [
        result["info"][f"SEDIC_{n}"]["input"]["required"]["mode"] for n in ("LMMTextualize", "GroundedSAM")
    ]
    print(json.dumps(result))


def odd(masks, shared):
    """What Grounded SAM says of a picture and of masks that are not what a decoder wants."""
    label = torch.zeros(1, 90, 120)
    label[:, 20:60, 30:80] = 1 / 255  # a label that Load Image made a fraction of white
    inverted = 1 - label * 255
    seen = torch.cat([shared["image"], label[..., None] * 255], 3)
    given = {**shared, "image": seen, "mode": "masks", "mask_1": label, "mask_2": inverted.repeat(2, 1, 1)}
    found, _, _, notes = masks.execute(**given).args
    return {"shares": [float(o.mask.mean()) for o in found.objects], "notes": notes,
            "covered": told(lambda: masks.execute(**{**given, "mask_2": label})),
            "broken": told(lambda: masks.execute(**{**given, "mask_1": label * float("nan")}))}  # fmt: skip


def fused():
    """The mask that Latent Mask Fuse hands on, of a batch, of 8-bit numbers and of shades."""
    steering = importlib.import_module("some_other_name.nodes.steering")
    shades = torch.rand(1, 8, 8)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        wired = [steering.LatentMaskFuse.execute(m, None).args[0].mask for m in (
            shades, shades[0], shades.repeat(2, 1, 1), (shades > 0.5).to(torch.uint8) * 255)]  # fmt: skip
    same = [m.shape == given.shape and bool((m == given).all()) for m, given in zip(
        wired[:3], (shades[0], shades[0], shades.repeat(2, 1, 1)), strict=True)]  # fmt: skip
    return {"same": same, "white": float(wired[3].max()), "told": [str(w.message) for w in heard],
            "empty": told(lambda: steering.LatentMaskFuse.execute(torch.zeros(0, 8, 8), None))}  # fmt: skip


def management():
    """What ComfyUI's model management holds: after the run, when asked again, and when it has unloaded everything."""
    from comfy import model_management

    kinds = importlib.import_module("some_other_name.nodes.encode.models")

    def held():
        return sorted(type(m.model.model.model).__name__ for m in model_management.current_loaded_models)

    kept = [kind._kept[1] for kind in (kinds.DETECTORS, kinds.SEGMENTERS)]
    result = {"after the run": held()}
    result["again the same"] = [
        kinds.DETECTORS.ready("small-dino") is kept[0],
        kinds.SEGMENTERS.ready("other-sam.pth") is kept[1],
    ]
    result["still once"] = held()
    model_management.unload_all_models()
    result["unloaded"] = held()
    result["freed"] = [{p.device.type for p in k.model.parameters()} == {"meta"} for k in kept]
    fresh = kinds.DETECTORS.ready("small-dino")
    result["read anew"] = fresh is not kept[0] and fresh.model.device.type == "cpu"
    result["once more"] = held()
    return result


# As ComfyUI does: weights loaded inside are inference tensors.
with torch.inference_mode():
    main()
