"""Whether memory stays flat: generate and train, again and again in one process, with its memory sampled.

    python benchmarks/soak.py [--minutes 60] [--figure docs/images/soak.png]

Each round draws a new dataset and fine-tunes the tiny model on it. The ratio is that of the medians of
resident memory in the last and the second quarter of the time. The first is left out: imports, caches of
fonts and words, and the allocator's pools grow in it. Linux only (/proc).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

from unblind.data.dataset_options import GenerateOptions
from unblind.data.generation import generate
from unblind.recipe import TrainOptions
from unblind.training.run import train

IMAGES, STEPS, SECONDS_BETWEEN_SAMPLES = 128, 8, 1.0
Samples = list[tuple[float, float]]  # seconds, MiB


def resident() -> float:
    """Resident memory of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def sample(samples: Samples, ended: threading.Event) -> None:
    began = time.monotonic()
    while not ended.wait(SECONDS_BETWEEN_SAMPLES):
        samples.append((time.monotonic() - began, resident()))


def one_round(folder: Path, seed: int) -> None:
    """A dataset of its own, and a fine-tuning on it."""
    data = folder / "data"
    generate(data, GenerateOptions(train=IMAGES, validation=16, test=1, seed=seed), workers=1)
    train(
        TrainOptions(
            data=str(data),
            out=folder / "run",
            max_steps=STEPS,
            accumulation=2,
            eval_every=STEPS // 2,
            eval_samples=16,
            seed=seed,
            device="cpu",
        )
    )


def plot(samples: Samples, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 2.6), layout="constrained")
    axes.plot(
        [seconds / 60 for seconds, _ in samples], [mebibytes for _, mebibytes in samples], linewidth=0.8
    )
    axes.set(xlabel="minutes", ylabel="resident memory (MiB)", ylim=(0, None), xlim=(0, None))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=150)


def medians(samples: Samples) -> list[float]:
    """Of each quarter of the time."""
    quarter = max(1, len(samples) // 4)
    return [statistics.median(m for _, m in samples[i * quarter : (i + 1) * quarter]) for i in range(4)]


def main() -> None:
    """Print a table, and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--figure", type=Path)
    told = parser.parse_args()
    samples: Samples = []
    ended = threading.Event()
    sampler = threading.Thread(target=sample, args=(samples, ended))
    sampler.start()
    rounds, end = 0, time.monotonic() + 60 * told.minutes
    try:
        while time.monotonic() < end:
            with tempfile.TemporaryDirectory() as folder:
                one_round(Path(folder), seed=rounds)
            rounds += 1
    finally:
        ended.set()
        sampler.join()
    first, second, third, last = medians(samples)
    for name, value in (("first", first), ("second", second), ("third", third), ("last", last)):
        print(f"median of the {name} quarter: {value:,.0f} MiB")
    if told.figure:
        plot(samples, told.figure)
    found = {
        "benchmark": "soak",
        "ratio": round(last / second, 4),
        "ours": round(last, 1),
        "alternative": round(second, 1),
        "unit": "MiB",
        "minutes": round(samples[-1][0] / 60, 1),
        "rounds": rounds,
        "open_files": len(list(Path("/proc/self/fd").iterdir())),
    }
    print(json.dumps(found))
    if last > 1.05 * second:
        sys.exit("memory grows by more than 5 %")


if __name__ == "__main__":
    main()
