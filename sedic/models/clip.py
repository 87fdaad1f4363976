"""CLIP's text encoder and its tokenizer, under transformers' names; importing transformers would take seconds."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SelfAttention(nn.Module):
    """Causal attention, (B, N, C) -> (B, N, C)."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(channels, channels) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # B,N,heads·d -> B,heads,N,d
            for layer in (self.q_proj, self.k_proj, self.v_proj)
        )
        return self.out_proj(
            F.scaled_dot_product_attention(query, key, value, is_causal=True).transpose(1, 2).flatten(2)
        )


class FeedForward(nn.Module):
    """Each token by itself, with CLIP's quick approximation of GELU."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(channels, inner), nn.Linear(inner, channels)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.fc1(x)
        return self.fc2(inner * torch.sigmoid(1.702 * inner))


class Layer(nn.Module):
    """Attention and feed-forward, each added to what it reads."""

    def __init__(self, channels: int, inner: int, heads: int) -> None:
        super().__init__()
        self.layer_norm1, self.self_attn = nn.LayerNorm(channels), SelfAttention(channels, heads)
        self.layer_norm2, self.mlp = nn.LayerNorm(channels), FeedForward(channels, inner)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.self_attn(self.layer_norm1(x))
        return x + self.mlp(self.layer_norm2(x))


class Embeddings(nn.Module):
    """Tokens (B, N) to vectors with their places in them, (B, N, C)."""

    def __init__(self, tokens: int, places: int, channels: int) -> None:
        super().__init__()
        self.token_embedding, self.position_embedding = (
            nn.Embedding.from_pretrained(torch.empty(size, channels), freeze=False) for size in (tokens, places)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        return self.token_embedding(tokens) + self.position_embedding.weight[: tokens.shape[1]]


class TextEncoder(nn.Module):
    """Tokens (B, N) to the last layer's features, (B, N, C), as the first of a tuple.

    Args:
        shape: transformers' words, see :data:`.embedded.TEXT_ENCODER`.
    """

    def __init__(self, **shape: Any) -> None:
        super().__init__()
        self.config = SimpleNamespace(**shape)
        channels = shape["hidden_size"]
        self.embeddings = Embeddings(shape["vocab_size"], shape["max_position_embeddings"], channels)
        layers = [
            Layer(channels, shape["intermediate_size"], shape["num_attention_heads"])
            for _ in range(shape["num_hidden_layers"])
        ]
        self.encoder: Any = nn.ModuleDict({"layers": nn.ModuleList(layers)})
        self.final_layer_norm = nn.LayerNorm(channels)
        self._begin(channels, len(layers))

    def _begin(self, channels: int, layers: int) -> None:
        """Random weights as CLIP's training has them; none where there is no memory for them (device ``meta``)."""
        deep = (2 * layers * channels) ** -0.5
        stds = {
            "embedding": 0.02, "out_proj": channels**-0.5, "fc1": (2 * channels) ** -0.5, "fc2": deep, "_proj": deep,
        }  # fmt: skip
        for name, value in self.named_parameters():
            if value.is_meta:  # PyTorch's compiler would be loaded for drawing nothing
                return
            if value.ndim > 1:
                nn.init.normal_(value, std=next(std for part, std in stds.items() if part in name))
            elif name.endswith("bias"):
                nn.init.zeros_(value)

    def forward(self, tokens: Tensor) -> tuple[Tensor]:
        x = self.embeddings(tokens)
        for layer in self.encoder["layers"]:
            x = layer(x)
        return (self.final_layer_norm(x),)


class Tokenizer:
    """CLIP's byte-pair tokens of a text (Radford et al. 2021), by the ``tokenizers`` package.

    Args:
        folder: holds ``vocab.json`` and ``merges.txt``.

    Attributes:
        bos_token_id, eos_token_id: what begins and ends a text.
        pad_token_id: what fills it up; the end, unless somebody changes it.
    """

    def __init__(self, folder: Path) -> None:
        from tokenizers import AddedToken, Regex, models, normalizers, pre_tokenizers
        from tokenizers import Tokenizer as Backend

        begin, end = "<|startoftext|>", "<|endoftext|>"
        files = (str(folder / name) for name in ("vocab.json", "merges.txt"))
        self.backend = Backend(models.BPE.from_file(*files, end_of_word_suffix="</w>", unk_token=end))
        self.backend.normalizer = normalizers.Sequence(
            [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
        )
        words = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"
        self.backend.pre_tokenizer = pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex(words), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ])  # fmt: skip
        self.backend.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in (begin, end)])
        self.bos_token_id, self.eos_token_id = (int(self.backend.token_to_id(token) or 0) for token in (begin, end))
        self.pad_token_id = self.eos_token_id

    def __call__(self, text: str, add_special_tokens: bool = True) -> dict[str, list[int]]:
        """The tokens as ``input_ids``, between begin and end if ``add_special_tokens``."""
        tokens: list[int] = self.backend.encode(text, add_special_tokens=False).ids
        return {"input_ids": [self.bos_token_id, *tokens, self.eos_token_id] if add_special_tokens else tokens}
