"""Small vision-language models of true classes, made on the spot: folders as they come from a hub, from files only.

The LLaVA says what it is told to say: its language model has no opinion, so that the next word follows from the last
one alone, and the word after ``ASSISTANT:`` is the whole answer. All else (tokenizer, template, picture, vision tower,
generation) is what a real one has. The Qwen2-VL is random and says nothing that makes sense.
"""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration
from transformers import PreTrainedTokenizerFast as FastTokenizer

TEMPLATE = """{% for m in messages %}{{ m['role'] | upper }}:{% for c in m['content'] %}{% if c['type'] == 'image' %}\
IMAGE{% else %}{{ c['text'] }}{% endif %}{% endfor %}
{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"""


def tokenizer(*words: str, kind: type = FastTokenizer) -> FastTokenizer:
    """Bytes, and these words as one token each; the first ends a text."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE({letter: i for i, letter in enumerate(letters)}, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inputs = ["input_ids", "attention_mask"]
    result = kind(tokenizer_object=inner, eos_token=words[0], pad_token=words[0], model_input_names=inputs)
    # Special words are left out when text is made of tokens: an answer is none.
    special = [w for w in words if w.startswith("<")]
    result.add_tokens([AddedToken(w, special=w in special, normalized=False) for w in words], special_tokens=False)
    return result


def llava(folder: Path, answer: str) -> Path:
    """A folder of a small LLaVA that gives this answer to every question."""
    from transformers import CLIPImageProcessor, LlavaProcessor

    words = tokenizer("<end>", "<image>", "ASSISTANT:", answer)
    size = len(words)
    text = LlamaConfig(
        vocab_size=size,
        hidden_size=size + size % 2,
        num_attention_heads=1,
        num_hidden_layers=1,
        intermediate_size=8,
        max_position_embeddings=4096,
        bos_token_id=None,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
        tie_word_embeddings=False,
    )
    vision = CLIPVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=28, patch_size=14
    )
    config = LlavaConfig(vision_config=vision, text_config=text, image_token_index=words.encode("<image>")[0])
    torch.manual_seed(0)
    model = LlavaForConditionalGeneration(config)
    follows = {"ASSISTANT:": answer, answer: "<end>"}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                parameter.zero_()
        model.get_input_embeddings().weight.copy_(torch.eye(size, text.hidden_size))
        head = model.get_output_embeddings().weight
        head.zero_()
        for last, following in follows.items():
            head[words.encode(following)[0], words.encode(last)[0]] = 1
    model.generation_config.eos_token_id = words.eos_token_id
    model.generation_config.pad_token_id = words.pad_token_id
    model.save_pretrained(folder)
    LlavaProcessor(
        CLIPImageProcessor(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}),
        words,
        patch_size=14,
        vision_feature_select_strategy="default",
        chat_template=TEMPLATE.replace("IMAGE", "<image>"),
        num_additional_image_tokens=1,
    ).save_pretrained(folder)
    return folder


def qwen(folder: Path) -> Path:
    """A folder of a small Qwen2-VL with random weights."""
    import transformers
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration, Qwen2VLImageProcessor, Qwen2VLProcessor

    pads = {"image": "<|image_pad|>", "video": "<|video_pad|>"}
    newer = int(transformers.__version__.split(".")[0]) >= 5
    kind = FastTokenizer if newer else transformers.Qwen2TokenizerFast
    words = tokenizer("<|endoftext|>", "<|vision_start|>", "<|vision_end|>", *pads.values(), kind=kind)
    text = {
        "vocab_size": len(words),
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "eos_token_id": words.eos_token_id,
        "bos_token_id": words.eos_token_id,
        "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]},
    }
    vision = {"depth": 1, "embed_dim": 16, "hidden_size": 32, "num_heads": 2, "mlp_ratio": 1}
    tokens = {f"{what}_token_id": words.encode(token)[0] for what, token in pads.items()}
    tokens |= {f"vision_{at}_token_id": words.encode(f"<|vision_{at}|>")[0] for at in ("start", "end")}
    parts = {"text_config": text} if newer else text
    torch.manual_seed(0)
    model = Qwen2VLForConditionalGeneration(Qwen2VLConfig(vision_config=vision, **parts, **tokens))
    model.save_pretrained(folder)
    template = TEMPLATE.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>")
    others = {"video_processor": transformers.Qwen2VLVideoProcessor()} if newer else {}
    images = Qwen2VLImageProcessor(min_pixels=56 * 56, max_pixels=112 * 112)
    Qwen2VLProcessor(image_processor=images, tokenizer=words, chat_template=template, **others).save_pretrained(folder)
    return folder
