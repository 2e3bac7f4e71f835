"""How much main memory does loading a sharded checkpoint take, if the weights go to another device?

Saves a checkpoint of 2 GB with random weights in shards, and loads it by `unblind.load` and by plain
`from_pretrained` that is moved afterwards, each in a process of its own. The device is PyTorch's meta device,
which keeps nothing: what is seen is the way there. Counted is anonymous memory (RssAnon in /proc), as pages
of mapped files are given back when memory is short. Linux only.

    python benchmarks/loading.py
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from transformers import PaliGemmaForConditionalGeneration

from unblind.models.loading import load
from unblind.models.paligemma_shapes import make_config

MEASURE = """
import re, sys, threading, torch
from pathlib import Path
from transformers import AutoModelForImageTextToText
from unblind.models import loading
loading.choose_device = lambda *_: torch.device("meta")
def ours(folder):
    return loading.load(folder, dtype="float32")
def alternative(folder):
    return AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).to("meta")
def anonymous():
    return int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024
way, folder = sys.argv[1:]
loading.load("tiny", dtype="float32")
before, highest, done = anonymous(), [0], threading.Event()
def watch():
    while not done.wait(0.001):
        highest[0] = max(highest[0], anonymous())
watcher = threading.Thread(target=watch)
watcher.start()
{"ours": ours, "alternative": alternative}[way](folder)
done.set()
watcher.join()
print(highest[0] - before)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, default=10, help="of the published 26; 10 make 2 GB")
    parser.add_argument("--shard", default="250MB")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        shards = save(Path(folder), asked.layers, asked.shard)
        peaks = {way: measured(way, folder) for way in ("ours", "alternative")}
    total, largest = sum(shards), max(shards)
    print(f"{len(shards)} shards, {total / 1e9:.2f} GB, the largest {largest / 1e6:.0f} MB")
    for way, peak in peaks.items():
        print(
            f"{way:<12} {peak / 1e6:7.0f} MB of anonymous memory, {peak / largest:.2f} of the largest shard"
        )
    line = {"benchmark": "loading", "ratio": round(peaks["alternative"] / peaks["ours"], 3), "unit": "MB"}
    line |= {way: round(peak / 1e6, 1) for way, peak in peaks.items()}
    print(json.dumps(line | {"largest_shard": round(largest / 1e6, 1), "total": round(total / 1e6, 1)}))


def save(folder: Path, layers: int, shard: str) -> list[int]:
    """Write the checkpoint; the sizes of its shards, in bytes."""
    processor = load("tiny", device="cpu").processor
    config = make_config(2304, layers, 9216, 8, 4, 256, 256, vision_layers=4)
    config.text_config.vocab_size = 64_000  # with 2304 of width a matrix of 295 MB, the largest of all
    config.image_token_id = processor.image_token_id
    model = PaliGemmaForConditionalGeneration._from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(folder, max_shard_size=shard)
    processor.save_pretrained(folder)
    return [path.stat().st_size for path in folder.glob("model-*.safetensors")]


def measured(way: str, folder: str) -> int:
    """The highest anonymous memory above what the process had before, in bytes."""
    run = [sys.executable, "-c", MEASURE, way, folder]
    return int(subprocess.run(run, capture_output=True, text=True, check=True).stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
