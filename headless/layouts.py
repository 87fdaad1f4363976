"""Names and shapes of the tensors in the checkpoints that people have, written down as data.

Taken from the published layouts (CompVis' latent-diffusion, OpenAI's and OpenCLIP's text encoders), not from
ComfyUI's classes: what loads these names proves something. Each function returns ``{name: shape}``.
"""

from __future__ import annotations

from dataclasses import dataclass

Layout = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class UNetShape:
    """What tells one Stable Diffusion UNet from another.

    Attributes:
        context: width of the text encoding.
        depths: transformer blocks at each level, 0 where a level has no attention.
        middle: transformer blocks in the middle.
        linear: whether a transformer's projections are matrices rather than 1×1 convolutions.
        pooled: width of SDXL's second conditioning, 0 without.
        width, mults: channels of the first level, and the factor of each level.
    """

    context: int
    depths: tuple[int, ...]
    middle: int
    linear: bool
    pooled: int = 0
    width: int = 320
    mults: tuple[int, ...] = (1, 2, 4, 4)


SD15 = UNetShape(context=768, depths=(1, 1, 1, 0), middle=1, linear=False)
SD21 = UNetShape(context=1024, depths=(1, 1, 1, 0), middle=1, linear=True)
SDXL = UNetShape(context=2048, depths=(0, 2, 10), middle=10, linear=True, pooled=2816, mults=(1, 2, 4))
LEVEL_BLOCKS = 2


def _under(prefix: str, layout: Layout) -> Layout:
    return {f"{prefix}.{name}": shape for name, shape in layout.items()}


def _weights(name: str, *shape: int, bias: bool = True) -> Layout:
    """A layer's weight and bias; one number stands for a norm."""
    return {f"{name}.weight": shape} | ({f"{name}.bias": shape[:1]} if bias else {})


def _residual(channels: int, out: int, time: int) -> Layout:
    layout = _weights("in_layers.0", channels) | _weights("in_layers.2", out, channels, 3, 3)
    layout |= _weights("emb_layers.1", out, time)
    layout |= _weights("out_layers.0", out) | _weights("out_layers.3", out, out, 3, 3)
    return layout | (_weights("skip_connection", out, channels, 1, 1) if channels != out else {})


def _transformer(channels: int, depth: int, shape: UNetShape) -> Layout:
    project = (channels, channels) if shape.linear else (channels, channels, 1, 1)
    layout = _weights("norm", channels) | _weights("proj_in", *project) | _weights("proj_out", *project)
    for number in range(depth):
        block: Layout = {}
        for name, width in (("attn1", channels), ("attn2", shape.context)):
            block |= _weights(f"{name}.to_q", channels, channels, bias=False)
            block |= _weights(f"{name}.to_k", channels, width, bias=False)
            block |= _weights(f"{name}.to_v", channels, width, bias=False)
            block |= _weights(f"{name}.to_out.0", channels, channels)
        block |= _weights("ff.net.0.proj", 8 * channels, channels) | _weights("ff.net.2", channels, 4 * channels)
        block |= _weights("norm1", channels) | _weights("norm2", channels) | _weights("norm3", channels)
        layout |= _under(f"transformer_blocks.{number}", block)
    return layout


def _encoder(shape: UNetShape, in_channels: int) -> tuple[Layout, list[int]]:
    """Time embedding, input blocks and middle block, which a ControlNet shares; and the skips' channels."""
    time, channels = 4 * shape.width, shape.width
    layout = _weights("time_embed.0", time, shape.width) | _weights("time_embed.2", time, time)
    if shape.pooled:
        layout |= _weights("label_emb.0.0", time, shape.pooled) | _weights("label_emb.0.2", time, time)
    layout |= _weights("input_blocks.0.0", channels, in_channels, 3, 3)
    skips = [channels]
    for level, (mult, depth) in enumerate(zip(shape.mults, shape.depths, strict=True)):
        out = mult * shape.width
        for _ in range(LEVEL_BLOCKS):
            layout |= _under(f"input_blocks.{len(skips)}.0", _residual(channels, out, time))
            if depth:
                layout |= _under(f"input_blocks.{len(skips)}.1", _transformer(out, depth, shape))
            channels = out
            skips.append(channels)
        if level < len(shape.mults) - 1:
            layout |= _weights(f"input_blocks.{len(skips)}.0.op", channels, channels, 3, 3)
            skips.append(channels)
    for number in (0, 2):
        layout |= _under(f"middle_block.{number}", _residual(channels, channels, time))
    return layout | _under("middle_block.1", _transformer(channels, shape.middle, shape)), skips


def unet(shape: UNetShape) -> Layout:
    """The denoising network, without its prefix ``model.diffusion_model.``."""
    layout, skips = _encoder(shape, 4)
    channels, number = skips[-1], 0
    for level, (mult, depth) in reversed(list(enumerate(zip(shape.mults, shape.depths, strict=True)))):
        out = mult * shape.width
        for block in range(LEVEL_BLOCKS + 1):
            layout |= _under(f"output_blocks.{number}.0", _residual(channels + skips.pop(), out, 4 * shape.width))
            if depth:
                layout |= _under(f"output_blocks.{number}.1", _transformer(out, depth, shape))
            if level and block == LEVEL_BLOCKS:
                layout |= _weights(f"output_blocks.{number}.{2 if depth else 1}.conv", out, out, 3, 3)
            channels, number = out, number + 1
    return layout | _weights("out.0", channels) | _weights("out.2", 4, channels, 3, 3)


def control_net(shape: UNetShape, hint: bool = True) -> Layout:
    """A ControlNet in its authors' layout; without ``hint``, DiffBIR's, which reads z and condition concatenated."""
    layout, skips = _encoder(shape, 4 if hint else 8)
    for number, channels in enumerate(skips):
        layout |= _weights(f"zero_convs.{number}.0", channels, channels, 1, 1)
    layout |= _weights("middle_block_out.0", skips[-1], skips[-1], 1, 1)
    if hint:
        widths = (3, 16, 16, 32, 32, 96, 96, 256, shape.width)
        for number, (channels, out) in enumerate(zip(widths, widths[1:], strict=False)):
            layout |= _weights(f"input_hint_block.{2 * number}", out, channels, 3, 3)
    return layout


def autoencoder() -> Layout:
    """Stable Diffusion's autoencoder, without its prefix ``first_stage_model.``."""

    def residual(channels: int, out: int) -> Layout:
        layout = _weights("norm1", channels) | _weights("conv1", out, channels, 3, 3)
        layout |= _weights("norm2", out) | _weights("conv2", out, out, 3, 3)
        return layout | (_weights("nin_shortcut", out, channels, 1, 1) if channels != out else {})

    def middle() -> Layout:
        layout = _under("mid.block_1", residual(512, 512)) | _under("mid.block_2", residual(512, 512))
        layout |= _weights("mid.attn_1.norm", 512)
        for name in ("q", "k", "v", "proj_out"):
            layout |= _weights(f"mid.attn_1.{name}", 512, 512, 1, 1)
        return layout

    widths = (128, 256, 512, 512)
    encoder = (
        _weights("conv_in", 128, 3, 3, 3) | middle() | _weights("norm_out", 512) | _weights("conv_out", 8, 512, 3, 3)
    )
    decoder = (
        _weights("conv_in", 512, 4, 3, 3) | middle() | _weights("norm_out", 128) | _weights("conv_out", 3, 128, 3, 3)
    )
    channels = 128
    for level, out in enumerate(widths):
        for block in range(2):
            encoder |= _under(f"down.{level}.block.{block}", residual(channels, out))
            channels = out
        if level < 3:
            encoder |= _weights(f"down.{level}.downsample.conv", out, out, 3, 3)
    for level, out in reversed(list(enumerate(widths))):
        for block in range(3):
            decoder |= _under(f"up.{level}.block.{block}", residual(channels, out))
            channels = out
        if level:
            decoder |= _weights(f"up.{level}.upsample.conv", out, out, 3, 3)
    quantize = _weights("quant_conv", 8, 8, 1, 1) | _weights("post_quant_conv", 4, 4, 1, 1)
    return _under("encoder", encoder) | _under("decoder", decoder) | quantize


def clip_l() -> Layout:
    """OpenAI's ViT-L/14 text encoder as transformers names it."""
    width = 768
    layout: Layout = {
        "embeddings.token_embedding.weight": (49408, width),
        "embeddings.position_embedding.weight": (77, width),
    }
    for number in range(12):
        layer = _weights("layer_norm1", width) | _weights("layer_norm2", width)
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            layer |= _weights(f"self_attn.{name}", width, width)
        layer |= _weights("mlp.fc1", 4 * width, width) | _weights("mlp.fc2", width, 4 * width)
        layout |= _under(f"encoder.layers.{number}", layer)
    return _under("text_model", layout | _weights("final_layer_norm", width))


def open_clip(width: int, layers: int) -> Layout:
    """An OpenCLIP text encoder: ViT-H is 1024 wide with 24 layers, bigG 1280 with 32."""
    layout: Layout = {
        "token_embedding.weight": (49408, width),
        "positional_embedding": (77, width),
        "text_projection": (width, width),
        "logit_scale": (),
    }
    for number in range(layers):
        layer: Layout = {"attn.in_proj_weight": (3 * width, width), "attn.in_proj_bias": (3 * width,)}
        layer |= _weights("attn.out_proj", width, width) | _weights("ln_1", width) | _weights("ln_2", width)
        layer |= _weights("mlp.c_fc", 4 * width, width) | _weights("mlp.c_proj", width, 4 * width)
        layout |= _under(f"transformer.resblocks.{number}", layer)
    return layout | _weights("ln_final", width)
