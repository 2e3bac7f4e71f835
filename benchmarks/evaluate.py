"""How fast a dataset is evaluated, against `generate` one image at a time and against the bare forward pass.

All in one run, on the same images, greedy, with the same answers: restricted and free.

    python benchmarks/evaluate.py [IMAGES] [--wide]

With `--wide` a model of PaliGemma 2 3B's widths, two layers of tower and text each, random weights, bfloat16.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import PaliGemmaConfig, PaliGemmaForConditionalGeneration

from unblind.collate import Collator, prepared
from unblind.dataset import read
from unblind.evaluation import batches, evaluate
from unblind.generation import GenerateOptions, generate
from unblind.model import Loaded, load

BATCH = 32
ROUNDS = 3


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
    model = PaliGemmaForConditionalGeneration(config).to(torch.bfloat16).eval()
    return Loaded(model, tiny.processor, "wide", None, None, tiny.device)


def _seconds(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


@torch.inference_mode()
def main() -> None:
    """Print a table, and one line of JSON."""
    arguments = [value for value in sys.argv[1:] if value != "--wide"]
    count = int(arguments[0]) if arguments else 128
    loaded = wide() if "--wide" in sys.argv else load("tiny")
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "circles"
        generate(data, GenerateOptions(train=0, validation=0, test=count), workers=1)
        rows = prepared(read(str(data), "test"))
        collate = Collator(loaded.processor, answers=False)
        ready = [batch for _, batch in batches(rows, collate, BATCH)]
        loaded.model(**ready[0], logits_to_keep=1)  # warm

        replies: dict[str, list[str]] = {}

        def forward() -> None:
            for batch in ready:
                loaded.model(**batch, use_cache=False, logits_to_keep=1)

        def restricted() -> None:
            evaluate(loaded, rows, batch_size=BATCH, free=False)

        def both() -> None:
            replies["ours"] = evaluate(loaded, rows, batch_size=BATCH)["free"].to_pylist()

        def one_by_one() -> None:
            replies["theirs"] = []
            for row in rows:
                inputs = collate([row])
                out = loaded.model.generate(**inputs, max_new_tokens=16, do_sample=False)
                new = out[0, inputs["input_ids"].shape[1] :]
                text = loaded.processor.tokenizer.decode(new, skip_special_tokens=True)
                replies["theirs"].append(text.strip())

        works = {
            "forward pass alone": forward,
            "restricted answers": restricted,
            "restricted and free answers": both,
            "generate, one by one": one_by_one,
        }
        # in turn, the best of a few: what else runs on the machine slows all of them alike
        rounds = [{name: _seconds(work) for name, work in works.items()} for _ in range(ROUNDS)]
    times = {name: min(found[name] for found in rounds) for name in works}
    print(f"{'what':<28} {'s':>8} {'images/s':>9}   ({loaded.name}, {loaded.model.dtype}, {count} images)")
    for name, seconds in times.items():
        print(f"{name:<28} {seconds:>8.2f} {count / seconds:>9.1f}")
    line = {
        "benchmark": f"evaluating {loaded.name}",
        "ratio": times["generate, one by one"] / times["restricted and free answers"],
        "ours": count / times["restricted and free answers"],
        "alternative": count / times["generate, one by one"],
        "unit": "images/s",
        "against": "generate, one image at a time",
        "over_forward_pass": times["restricted answers"] / times["forward pass alone"],
        "same_free_answers": sum(a == b for a, b in zip(*replies.values(), strict=True)) / count,
        "images": count,
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
