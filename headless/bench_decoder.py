"""What a guided step costs in ComfyUI, beside an unguided one, on models of full size with random weights.

    python -m headless.bench_decoder [--models DIR] [--count]

Writes the checkpoints of ``headless.checkpoints`` into DIR if they are not there (SD 1.5: 3 GB; a temporary folder
without --models), loads them with ComfyUI's own loaders and prints the tables of :func:`report`. Run it with
OMP_NUM_THREADS=1: seconds are processor time of one thread. It needs 8 GB of memory.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from . import bench_families, checkpoints
from .comfyui import find
from .errors import HeadlessError
from .in_process import load_comfyui, load_pack
from .meter import Cost, counted, timed

PROMPT, NAME = "red cup, a glossy red cup with a white rim", "red cup"
LAYERS = (("first up block",), ("second up block",), ("middle block",), ("control net",))


def load(name: str = "sd15", control_net: int = 0) -> SimpleNamespace:
    """Models of one of :data:`.checkpoints.NAMES`, where ComfyUI looks for them, by its loaders, with encoded texts.

    Args:
        name: of the combination.
        control_net: which of its ControlNets.
    """
    import nodes  # ComfyUI's

    pack = sys.modules.get("comfyui_sedic") or load_pack()
    with torch.inference_mode():
        model, clip, vae = nodes.CheckpointLoaderSimple().load_checkpoint(checkpoints.CHECKPOINTS[name])
        file = checkpoints.CONTROL_NETS[name][control_net]
        if name == "sd21":
            loader = importlib.import_module(f"{pack.__name__}.nodes.models").IRControlNetLoader
            (control,) = loader.execute(file).result
        else:
            (control,) = nodes.ControlNetLoader().load_controlnet(file)
        if "union" in file:
            from comfy_extras.nodes_controlnet import SetUnionControlNetType

            control = SetUnionControlNetType.execute(control, "tile").result[0]
        positive, negative = (nodes.CLIPTextEncode().encode(clip, text)[0] for text in (PROMPT, "blurry"))
    return SimpleNamespace(
        model=model, clip=clip, vae=vae, control_net=control, positive=positive, negative=negative,
        restore=importlib.import_module(f"{pack.__name__}.nodes.restore"),
        steering=importlib.import_module(f"{pack.__name__}.nodes.steering"),
        stage=importlib.import_module(f"{pack.__name__}.nodes.stage"),
        denoiser=importlib.import_module(f"{pack.__name__}.nodes.comfy_denoiser"),
        guidance=importlib.import_module(f"{pack.__name__}.sedic.restoration.guidance"),
        fusion=importlib.import_module(f"{pack.__name__}.sedic.restoration.fusion"),
    )  # fmt: skip


def in_sampler(models: SimpleNamespace, size: int, function: Callable[[Any, torch.Tensor, torch.Tensor], Any]) -> Any:
    """Calls ``function(denoiser, x, sigma)`` where ComfyUI runs a sampler's step loop, ControlNet attached."""
    import comfy.sample
    import comfy.samplers

    results = []

    def sampler(model, x, sigmas, extra_args, callback=None, disable=None):
        with torch.inference_mode(False), torch.no_grad():
            results.append(function(models.denoiser.ComfyDenoiser(model, extra_args), x.clone(), sigmas[0].clone()))
            return x

    with torch.inference_mode():
        image = torch.rand(1, size, size, 3, generator=torch.Generator().manual_seed(1))
        both = [models.positive, models.negative]
        positive, negative = models.stage.with_control(both, models.control_net, image, 1.0, models.vae)
        latent = torch.zeros(1, models.model.get_model_object("latent_format").latent_channels, size // 8, size // 8)
        comfy.sample.sample_custom(
            models.denoiser.with_gradients(models.model), comfy.sample.prepare_noise(latent, 3), 3.5,
            comfy.samplers.KSAMPLER(sampler), torch.tensor([5.0, 0.0]), positive, negative, latent, seed=3,
        )  # fmt: skip
    return results[0]


def update(bound: Any, x: torch.Tensor, sigma: torch.Tensor, layers: tuple[str, ...], through: bool = True) -> None:
    """One guided update's forward and backward pass; the energy stands in for Eq. 2, which costs nothing beside."""
    with torch.enable_grad():
        leaf = x.clone().requires_grad_()
        maps = bound.attention(leaf, sigma, layers, through)
        energy = torch.stack([one.weights[..., 1:3].square().mean() for one in maps]).mean()
        torch.autograd.grad(energy, leaf)


def measure(models: SimpleNamespace, size: int, meter: Callable, real: bool) -> dict[str, Cost]:
    """Costs of a CFG step and of an update of each kind at ``size`` pixels a side; ``real`` without: shapes only."""

    def run(bound: Any, x: torch.Tensor, sigma: torch.Tensor) -> dict[str, Cost]:
        costs = {}

        def one(name: str, function: Callable[[], Any]) -> None:
            with meter() as costs[name]:
                function()

        if real:
            bound.denoise(x, sigma)  # warm
        one("CFG step", lambda: bound.denoise(x, sigma))
        for layers in LAYERS:
            one(layers[0], lambda layers=layers: update(bound, x, sigma, layers))
        one("first up block, ControlNet constant", lambda: update(bound, x, sigma, LAYERS[0], through=False))
        bound.checkpoint = True
        one("first up block, checkpointing", lambda: update(bound, x, sigma, LAYERS[0]))
        return costs

    def shapes(bound: Any, x: torch.Tensor, sigma: torch.Tensor) -> dict[str, Cost]:
        controls = {id(c["control"]): c["control"] for some in bound.conds.values() for c in some}.values()
        for control in controls:
            control.timestep_range = None  # numbers, which tensors without values cannot be compared with
        try:
            with FakeTensorMode(allow_non_fake_inputs=True):
                return run(bound, torch.empty(1, x.shape[1], size // 8, size // 8), torch.tensor(5.0))
        finally:
            for control in controls:
                control.cond_hint = None

    return in_sampler(models, size, run if real else shapes)


def outside(models: SimpleNamespace, size: int) -> tuple[float, float]:
    """(seconds outside the models' own passes, seconds in all) of a guided and fused stage of two steps.

    Run it behind :func:`measure`, which has the weights made ready for gradients: that happens once.
    """
    image = torch.rand(1, size, size, 3, generator=torch.Generator().manual_seed(1))
    mask = torch.zeros(size, size)
    mask[size // 4 : -size // 4, size // 4 : -size // 4] = 1
    settings = models.guidance.GuidanceSettings(t_prime=0.5, updates=1, threshold=0.0)
    tokens = models.steering.token_positions(models.clip, PROMPT, NAME)
    inside = Cost()
    places = [(models.model.model.diffusion_model, "forward"), (models.control_net.control_model, "forward")]
    places += [(models.vae, "encode"), (models.vae, "decode"), (torch.autograd, "grad")]

    def stage() -> None:
        with torch.inference_mode():
            models.restore.ORAGSampler.execute(
                model=models.model, positive=models.positive, negative=models.negative, vae=models.vae, image=image,
                seed=1, steps=2, cfg=3.5, sampler="euler", scheduler="simple", strength=1.0, stage=1,
                control_net=models.control_net, guidance=models.guidance.Guidance(mask, tokens, settings),
                fusion=models.fusion.Fusion(mask, image),
            )  # fmt: skip

    def watched(original: Callable) -> Callable:
        def call(*arguments: Any, **options: Any) -> Any:
            start = time.thread_time()
            try:
                return original(*arguments, **options)
            finally:
                inside.seconds += time.thread_time() - start

        return call

    with ExitStack() as stack:
        for owner, name in places:
            stack.enter_context(patch.object(owner, name, watched(getattr(owner, name))))
        total = stack.enter_context(timed())
        stage()
    return total.seconds - inside.seconds, total.seconds


def weights(models: SimpleNamespace) -> int:
    """Bytes of the network's and the ControlNet's weights."""
    networks = (models.model.model.diffusion_model, models.control_net.control_model)
    return sum(p.nbytes for network in networks for p in network.parameters())


def table(costs: dict[str, Cost], loaded: int) -> Iterator[str]:
    """Rows of one size: what each update adds to a step, as a share of an unguided one."""
    step = costs["CFG step"]
    yield f"{'':44}{'operations':>12}{'guided step':>13}{'live tensors':>14}{'beyond the CFG peak':>21}"
    for name, cost in costs.items():
        unit, spent = (1e9, cost.operations) if step.operations else (1, cost.seconds)
        whole = step.operations / 1e9 if step.operations else step.seconds
        row = f"{name:44}{spent / unit:10.1f} {'G' if step.operations else 's'}"
        if name == "CFG step":
            yield row + f"{'':13}" + (f"{cost.peak / 1e6:11.0f} MB" if step.peak else "")
            continue
        row += f"{(whole + spent / unit) / whole:12.2f}×"
        if step.peak:
            extra = max(0, cost.peak - step.peak)
            row += f"{cost.peak / 1e6:11.0f} MB{extra / step.peak:10.2f}× {extra / (loaded + step.peak):6.2f}×"
        yield row


def report(models: SimpleNamespace, run: bool = True) -> Iterator[str]:
    """The tables, line by line: counted from shapes alone at 256 and 512 pixels, then, if ``run``, timed at 256."""
    loaded = weights(models)
    yield f"SD 1.5 with its tile ControlNet, float32, random weights, {loaded / 1e6:.0f} MB of them; CFG; one update"
    yield "guided step: CFG step and update, beside a CFG step alone; beyond the CFG peak: without and with weights"
    for size in (256, 512):
        yield f"\n{size}×{size}, operations and bytes counted from shapes"
        yield from table(measure(models, size, counted, real=False), loaded)
    if not run:
        return
    yield "\n256×256, run: seconds of processor time"
    yield from table(measure(models, 256, timed, real=True), loaded)
    beside, total = outside(models, 256)
    yield f"\nA guided and fused stage of two steps, 256×256: {total:.1f} s, {beside:.2f} s ({beside / total:.1%})"
    yield "of them outside the network, the ControlNet, the autoencoder and the backward pass."


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m headless.bench_decoder", description=__doc__.split("\n")[0])
    parser.add_argument("--models", type=Path, metavar="DIR", help="keeps the checkpoints there")
    parser.add_argument("--count", action="store_true", help="operations and bytes only, nothing is run")
    options = parser.parse_args()
    try:
        comfyui = find()
    except HeadlessError as error:
        print(error, file=sys.stderr)
        return 1
    if comfyui is None:
        print("There is no ComfyUI; run `python run.py test` once, or set COMFYUI_PATH.", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as temporary:
        base = options.models or Path(temporary)
        checkpoints.write(base / "models", "sd15")
        load_comfyui(comfyui, base, pytorch_attention=True)
        if options.count:
            for line in bench_families.report(load_pack().__name__):
                print(line, flush=True)
            print()
        for line in report(load(), not options.count):
            print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
