"""Does a model wait for samples that are drawn as it trains?

Fine-tunes the embedded tiny model on the same samples twice in one run: read from a stored dataset, and drawn
on the fly (`--data stream:`), with `unblind train`'s own loop. Prints samples/s of each, their ratio, and
which share of the time the training process waited for its next batch. Then it draws alone, to say how many
samples/s a core could feed.

    python benchmarks/streaming.py --steps 12 --workers 0
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from unblind.data.dataset_options import GenerateOptions
from unblind.data.generation import generate
from unblind.data.reading import read
from unblind.data.stream import Stream, stream_mixture
from unblind.models.collate import Collator
from unblind.models.loading import load
from unblind.recipe import TrainOptions, load_recipe
from unblind.training.run import fit
from unblind.training.trainer import AnswerTrainer

WARM = 3  # steps that are not timed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=12, help="timed steps of 32 samples")
    parser.add_argument("--workers", type=int, default=0, help="processes that prepare batches")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        generate(data, GenerateOptions(train=32 * (told.steps + WARM), validation=0, test=0))
        # a process each: neither inherits the other's memory pools
        stored, stored_wait = _apart(_train, str(data), told.steps, told.workers, Path(folder) / "stored")
        drawn, drawn_wait = _apart(_train, "stream:", told.steps, told.workers, Path(folder) / "drawn")
        alone = _apart(_draw_alone)
    print(f"stored       {stored:7.1f} samples/s, waiting {stored_wait:.1%} of the time")
    print(f"on the fly   {drawn:7.1f} samples/s, waiting {drawn_wait:.1%}   {drawn / stored:.3f} x")
    print(f"drawing and preparing alone, one core: {alone:.0f} samples/s")
    result = {"benchmark": "streaming", "ratio": drawn / stored, "ours": drawn, "alternative": stored}
    result |= {"unit": "samples/s", "waiting": drawn_wait, "waiting_stored": stored_wait}
    result |= {"drawn_alone": alone, "workers": told.workers, "load": os.getloadavg()[0]}
    print(json.dumps({key: round(v, 4) if isinstance(v, float) else v for key, v in result.items()}))


def _apart(function: Any, *arguments: Any) -> Any:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def _train(data: str, steps: int, workers: int, out: Path) -> tuple[float, float]:
    """Samples/s, and the share of the time that was spent waiting for batches, of the timed steps."""
    told = {"data": data, "out": out, "max_steps": steps + WARM, "eval_every": 0, "log_every": 1}
    options = TrainOptions(**load_recipe("tiny") | told | {"workers": workers})
    stream = Stream(stream_mixture(data), 32 * (steps + WARM)) if data == "stream:" else None
    with _waiting() as waits:
        fit(load("tiny", dtype="float32"), stream or read(data, "train"), None, options)
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    seconds = {row["step"]: row["seconds"] for row in rows if "loss" in row}
    took = seconds[steps + WARM] - seconds[WARM]
    return 32 * steps / took, sum(waits[WARM : steps + WARM]) / took


@contextmanager
def _waiting() -> Iterator[list[float]]:
    """Collects the seconds that each step waits for its batches."""
    waits: list[float] = []
    fetch = AnswerTrainer.get_batch_samples

    def timed(*arguments: Any, **options: Any) -> Any:
        began = time.perf_counter()
        found = fetch(*arguments, **options)
        waits.append(time.perf_counter() - began)
        return found

    AnswerTrainer.get_batch_samples = timed
    try:
        yield waits
    finally:
        AnswerTrainer.get_batch_samples = fetch


def _draw_alone() -> float:
    """Samples/s that one process draws and makes tensors of."""
    samples, loaded = Stream(stream_mixture("stream:"), 10**9), load("tiny")
    collate = Collator(loaded.family, loaded.processor)
    collate([samples[i] for i in range(64)])  # fonts and words are read once
    began = time.process_time()
    for start in range(64, 576, 8):
        collate([samples[i] for i in range(start, start + 8)])
    return 512 / (time.process_time() - began)


if __name__ == "__main__":
    main()
