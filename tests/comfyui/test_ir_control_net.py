"""DiffBIR's ControlNet, whose input is a concatenation, through ComfyUI's class, which has a hint block instead."""

from __future__ import annotations

import importlib

import pytest
import torch

SHAPE = {
    "image_size": 32, "model_channels": 64, "num_res_blocks": 2, "channel_mult": (1, 2, 4, 4),
    "transformer_depth_middle": 1, "num_head_channels": 64, "context_dim": 32, "use_spatial_transformer": True,
    "use_linear_in_transformer": True, "legacy": False, "hint_channels": 4,
}  # fmt: skip


class Nothing(torch.nn.Module):
    """A hint block that adds nothing: what DiffBIR's network has."""

    def forward(self, hint, emb, context):
        return torch.zeros(1)


@pytest.fixture(scope="module")
def original(comfy):
    """DiffBIR's network with random weights: 8 input channels, no hint."""
    import comfy.cldm.cldm

    torch.manual_seed(0)
    depth = [1, 1, 1, 1, 1, 1, 0, 0]
    network = comfy.cldm.cldm.ControlNet(in_channels=8, transformer_depth=depth, **SHAPE)
    network.input_hint_block = Nothing()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    return network.eval()


def test_hint_block_equals_the_concatenated_convolution(pack, original):
    models = importlib.import_module(f"{pack.__name__}.nodes.models")
    loaded = models.load_ir_control_net(original.state_dict(), "v2.pth")
    assert loaded.compression_ratio == 1
    z, condition, context = torch.randn(1, 4, 16, 16), torch.randn(1, 4, 16, 16), torch.randn(1, 77, 32)
    time = torch.tensor([500.0])
    with torch.no_grad():
        expected = original(torch.cat([z, condition], 1), torch.zeros(1), time, context)
        found = loaded.control_model(z, condition, time, context)
    for kind, outputs in expected.items():
        assert len(outputs) == len(found[kind])
        for a, b in zip(outputs, found[kind], strict=True):
            assert a.abs().max() > 1e-3
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_other_control_nets_are_refused_by_name(pack):
    models = importlib.import_module(f"{pack.__name__}.nodes.models")
    error = importlib.import_module(f"{pack.__name__}.sedic.errors").SedicError
    with pytest.raises(error, match=r"tile\.pth is not a DiffBIR IRControlNet"):
        models.load_ir_control_net({"input_blocks.0.0.weight": torch.zeros(8, 4, 3, 3)}, "tile.pth")
