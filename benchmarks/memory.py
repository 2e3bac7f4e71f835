"""How much memory a large split takes: train and evaluate on it, with their anonymous memory sampled.

    python benchmarks/memory.py [--gigabytes 4] [--folder DIR] [--no-alternative]

Makes a set of so many GB of images, and a small one, in Parquet files, and runs `unblind train` (a pass
over all rows in random order, then a few steps) and `unblind evaluate` (of a few samples) on both, each in
a process of its own. What counts is the peak of RssAnon: pages of mapped files are the operating system's
to drop. The alternative holds the split in memory, as all versions did before, and takes about four times
its size. The set and its Arrow copy take twice its size on the disk; both are removed at the end. Linux
only (/proc).
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

SMALL = 0.02  # GB of images: the floor, which is the model's
SIDE = 256  # pixels; 197 kB an image
IMAGES_PER_FILE = 2000
STEPS, BATCH, ANSWERS = 3, 8, 32


def pictures(count: int, seed: int) -> Iterator[bytes]:
    """PNG files of noise, not packed; no two are equal."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        buffer = io.BytesIO()
        pixels = random.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
        Image.fromarray(pixels).save(buffer, "PNG", compress_level=0)
        yield buffer.getvalue()


def make(folder: Path, gigabytes: float) -> None:
    """A dataset folder with so many GB of images in its split `train`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    count = math.ceil(gigabytes * 1e9 / len(next(pictures(1, 0))))
    files = math.ceil(count / IMAGES_PER_FILE)
    (folder / "data").mkdir(parents=True)
    for number in range(files):
        rows = min(IMAGES_PER_FILE, count - number * IMAGES_PER_FILE)
        images = [{"bytes": data, "path": None} for data in pictures(rows, number)]
        answers = ["abcdefghij"[row % 10] for row in range(rows)]
        table = pa.table({"image": images, "prompt": ["Which letter?"] * rows, "answer": answers})
        path = folder / "data" / f"train-{number:05d}-of-{files:05d}.parquet"
        pq.write_table(table, path, compression="none", use_dictionary=False, row_group_size=200)


def anonymous() -> float:
    """The process's anonymous memory in MiB."""
    found = re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text("ascii"))
    return int(found[1]) / 1024 if found else math.nan


def peak_of(work: str, data: Path, out: Path, *, held: bool) -> float:
    """Do it in this process; its peak in MiB."""
    peak, ended = [0.0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.02):
            peak[0] = max(peak[0], anonymous())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        if held:
            from unblind.data import arrow_cache

            arrow_cache.IN_MEMORY = sys.maxsize
        {"train": train, "evaluate": evaluate}[work](data, out)
    finally:
        ended.set()
        watcher.join()
    return peak[0]


def train(data: Path, out: Path) -> None:
    from unblind.data.reading import read
    from unblind.models.collate import prepared
    from unblind.recipe import TrainOptions
    from unblind.training.run import train as run

    rows = prepared(read(data, "train"))
    for number in np.random.default_rng(0).permutation(len(rows)).tolist():  # what a whole epoch reads
        assert rows[number]["image"]["bytes"]
    options = TrainOptions(str(data), out, max_steps=STEPS, batch_size=BATCH, accumulation=1, device="cpu")
    run(options)


def evaluate(data: Path, out: Path) -> None:
    from unblind.commands.evaluate import evaluate as run

    run(data=str(data), split="train", out=out, limit=ANSWERS, free=False, device="cpu")


def measured(work: str, data: Path, folder: Path, *, held: bool = False) -> float:
    """`peak_of` in a new process, and how long that took."""
    began = time.monotonic()
    out = folder / f"{data.name}-GB-{work}-{'held' if held else 'mapped'}"
    command = [sys.executable, __file__, "--run", work, "--folder", str(folder), "--data", str(data)]
    command += ["--out", str(out), *(["--held"] if held else [])]
    environment = {**os.environ, "HF_DATASETS_CACHE": str(folder / "cache")}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    peak = float(done.stdout.split()[-1])
    seconds = time.monotonic() - began
    print(
        f"{work}, {data.name} GB, {'held' if held else 'mapped'}: {peak:,.0f} MiB, {seconds:.0f} s",
        flush=True,
    )
    return peak


def main() -> None:
    """Print a line a process, and one of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=4.0)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--no-alternative", action="store_true")
    for name in ("run", "data", "out"):
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)
    parser.add_argument("--held", action="store_true", help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.run:
        print(peak_of(told.run, Path(told.data), Path(told.out), held=told.held))
        return
    with tempfile.TemporaryDirectory(dir=told.folder) as name:
        folder = Path(name)
        sets = {size: folder / f"{size:g}" for size in (SMALL, told.gigabytes)}
        for size, data in sets.items():
            make(data, size)
        peaks = {
            (work, size): measured(work, data, folder)
            for work in ("train", "evaluate")
            for size, data in sets.items()
        }
        large = sets[told.gigabytes]
        held = None if told.no_alternative else measured("train", large, folder, held=True)
    grown = {work: peaks[work, told.gigabytes] - peaks[work, SMALL] for work in ("train", "evaluate")}
    found = {
        "benchmark": "memory",
        "ratio": held and round(peaks["train", told.gigabytes] / held, 4),
        "ours": round(peaks["train", told.gigabytes]),
        "alternative": held and round(held),
        "unit": "MiB of anonymous memory",
        "gigabytes": told.gigabytes,
        "above_floor": {work: round(mebibytes) for work, mebibytes in grown.items()},
        "mib_per_gb": {
            work: round(mebibytes / (told.gigabytes - SMALL), 1) for work, mebibytes in grown.items()
        },
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
