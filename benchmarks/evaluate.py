"""How fast a dataset is evaluated, against `generate` one image at a time and against the bare forward pass.

All in one run, on the same images, greedy, with the same answers: restricted and free. The alternative is
what transformers' documentation shows: its processor and `generate`, an image at a time, the checkpoint as
`from_pretrained` loads it. The same in our data type is timed as well.

    python benchmarks/evaluate.py [--images N] [--rounds N] [--wide]

With `--wide` a model of PaliGemma 2 3B's widths, two layers of tower and text each, random weights; it is in
no folder to load from, so that the alternative has our data type.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import PaliGemmaConfig, PaliGemmaForConditionalGeneration, PaliGemmaProcessor

from unblind.data.dataset_options import GenerateOptions
from unblind.data.generation import generate
from unblind.data.images import decode_image
from unblind.data.reading import read
from unblind.evaluation.run import evaluate
from unblind.models.collate import Collator, prepared
from unblind.models.embedded import TINY
from unblind.models.loading import Loaded, load
from unblind.runtime.device_memory import keep_freed_memory

BATCH = 32
SINGLES = 32  # at most so many are asked one by one
TOKENS = 16


def wide() -> Loaded:
    """Two layers of PaliGemma 2 3B's shapes (its config.json), with tiny's tokenizer and vocabulary."""
    tiny = load("tiny")
    known = tiny.model.config.to_dict()
    vision = {
        "hidden_size": 1152,
        "intermediate_size": 4304,
        "num_attention_heads": 16,
        "num_hidden_layers": 2,
    }
    text = {"hidden_size": 2304, "intermediate_size": 9216, "num_attention_heads": 8, "head_dim": 256}
    text |= {"num_key_value_heads": 4, "num_hidden_layers": 2, "query_pre_attn_scalar": 256}
    known["vision_config"] |= vision | {"projection_dim": 2304}
    known["text_config"] |= text | {"layer_types": ["sliding_attention", "full_attention"]}
    config = PaliGemmaConfig.from_dict(known | {"projection_dim": 2304, "hidden_size": 2304})
    torch.manual_seed(0)
    model = PaliGemmaForConditionalGeneration(config).to(tiny.model.dtype).eval()
    return Loaded(model, tiny.processor, "wide", None, None, tiny.device)


def one_by_one(model: Any, processor: Any, rows: list[tuple[Image.Image, str]]) -> list[str]:
    """What `generate` says to each image and question."""
    replies = []
    for image, question in rows:
        inputs = processor(images=image, text=processor.image_token + question, return_tensors="pt")
        out = model.generate(**inputs, max_new_tokens=TOKENS, do_sample=False)
        text = processor.decode(out[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        replies.append(text.strip())
    return replies


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


@torch.inference_mode()
def main() -> None:
    """Print a table, and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--wide", action="store_true")
    options = parser.parse_args()
    count = options.images
    loaded = wide() if options.wide else load("tiny")
    keep_freed_memory(loaded.device)  # as `evaluate` does, which would help only what comes after it
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "circles"
        generate(data, GenerateOptions(train=0, validation=0, test=count), workers=1)
        rows = prepared(read(str(data), "test"))
        collate = Collator(loaded.family, loaded.processor, answers=False)
        ready = [collate(rows.select(range(i, min(i + BATCH, count)))) for i in range(0, count, BATCH)]
        first = rows.select(range(min(count, SINGLES)))
        singles = [(decode_image(row["image"], "a row"), row["prompt"]) for row in first]

        def forward() -> None:
            for batch in ready:
                loaded.model(**batch, use_cache=False, logits_to_keep=1)

        replies: dict[str, list[str]] = {}

        def both() -> None:
            replies["ours"] = evaluate(loaded, rows, batch_size=BATCH)["free"].to_pylist()

        def several() -> None:
            evaluate(loaded, rows, batch_size=BATCH, free=False, prompt="circled-braces")

        def theirs() -> None:
            replies["theirs"] = one_by_one(loaded.model, loaded.processor, singles)

        works: dict[str, tuple[Callable[[], object], int]] = {
            "forward pass alone": (forward, count),
            "restricted answers": (lambda: evaluate(loaded, rows, batch_size=BATCH, free=False), count),
            "restricted answers of several tokens": (several, count),
            "restricted and free answers": (both, count),
            f"generate, one by one, {_dtype(loaded.model)}": (theirs, len(singles)),
        }
        alternative = list(works)[-1]
        if not options.wide:
            plain = PaliGemmaForConditionalGeneration.from_pretrained(TINY)
            processor = PaliGemmaProcessor.from_pretrained(TINY, backend="pil")
            alternative = f"generate, one by one, as loaded ({_dtype(plain)})"
            works[alternative] = (lambda: one_by_one(plain, processor, singles), len(singles))
        loaded.model(**ready[0], logits_to_keep=1)  # warm
        # in turn, the best of a few: what else runs on the machine slows all of them alike
        rounds = [
            {name: _seconds(work) / images for name, (work, images) in works.items()}
            for _ in range(options.rounds)
        ]
    times = {name: min(found[name] for found in rounds) for name in works}
    print(f"{'what':<48} {'ms/image':>9} {'images/s':>9}   ({loaded.name}, {_dtype(loaded.model)})")
    for name, seconds in times.items():
        print(f"{name:<48} {1000 * seconds:>9.1f} {1 / seconds:>9.1f}")
    print(json.dumps(_line(loaded, times, alternative, replies, count)))


def _line(
    loaded: Loaded, times: dict[str, float], alternative: str, replies: dict[str, list[str]], count: int
) -> dict[str, Any]:
    ours, one_token = times["restricted and free answers"], times["restricted answers"]
    same_type = times[f"generate, one by one, {_dtype(loaded.model)}"]
    agree = [a == b for a, b in zip(replies["ours"], replies["theirs"], strict=False)]
    return {
        "benchmark": f"evaluating {loaded.name}",
        "ratio": times[alternative] / ours,
        "ours": 1 / ours,
        "alternative": 1 / times[alternative],
        "unit": "images/s",
        "against": alternative,
        "ratio_in_one_data_type": same_type / ours,
        "over_forward_pass": one_token / times["forward pass alone"],
        "several_tokens_over_one": times["restricted answers of several tokens"]
        / times["restricted answers"],
        "same_free_answers": sum(agree) / len(agree),
        "images": count,
        "threads": torch.get_num_threads(),
    }


def _dtype(model: Any) -> str:
    return str(model.dtype).removeprefix("torch.")


if __name__ == "__main__":
    main()
