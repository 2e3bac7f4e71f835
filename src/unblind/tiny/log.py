"""How pre-training went: a line every 20 steps, printed and kept in log.jsonl."""

from __future__ import annotations

import json
import math
import statistics
import time
from collections import defaultdict
from pathlib import Path

import torch

EVERY = 20  # steps


class Log:
    """The log of a stage. Of a run that was interrupted it reads as if nothing had happened."""

    def __init__(self, path: Path, stage: str, state: dict[str, float]) -> None:
        """Open it at the start of a stage, or where `state` was saved; lines after that are taken out.

        Args:
            path: log.jsonl, with the stages before.
            stage: its name.
            state: what `state` gave at a checkpoint of this stage, with its "step"; empty at the start.
        """
        self.path, self.stage = path, stage
        self._images = int(state.get("images", 0))
        self._began = time.perf_counter() - state.get("seconds", 0.0)
        self._seen = defaultdict[str, list[float]](list)
        if path.exists():
            lines = path.read_text("utf-8").splitlines(keepends=True)
            rows = [json.loads(line) for line in lines if line.endswith("\n")]  # the last one may be torn
            done = [row for row in rows if row["stage"] != stage or row["step"] <= state.get("step", 0)]
            path.write_text("".join(json.dumps(row) + "\n" for row in done), "utf-8")

    @property
    def state(self) -> dict[str, float]:
        """For a checkpoint: the stage's images and seconds so far."""
        return {"images": self._images, "seconds": time.perf_counter() - self._began}

    def add(self, step: int, images: int, shares: dict[str, torch.Tensor]) -> None:
        """A step's images, and its loss and shares of what is right; the means of some steps make a line."""
        self._images += images
        for name, value in shares.items():  # a step asks some heads only
            if not math.isnan(number := float(value.detach())):
                self._seen[name].append(number)
        if step % EVERY:
            return
        seconds = self.state["seconds"]
        row = {"stage": self.stage, "step": step, "seconds": round(seconds, 1), "images": self._images}
        row |= {name: round(statistics.fmean(values), 4) for name, values in self._seen.items()}
        row["images_per_second"] = round(self._images / seconds, 1)
        print(json.dumps(row), flush=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        self._seen.clear()
