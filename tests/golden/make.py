"""Write the golden JSON files, from what the code does now.

Run it with `PYTHONPATH=src:tests python tests/golden/make.py`.

They say what an earlier version did, so they are renewed only where that was meant to change, and then
CHANGELOG.md names what changed and that goldens were renewed. A failing test alone is no reason. New columns,
options, metrics and commands need no renewal: what was there before is compared, nothing else. Name the files
to renew on the command line (`datasets`, `options`, `random`, `tiny`); without a name all are written.

The answers are written with what makes them comparable on other processors: `firm` marks the texts
that are the same in bfloat16, that is, under far larger errors than those between two machines.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

import unblind
from golden import measured


def datasets(folder: Path) -> dict[str, Any]:
    """Hashes of the columns of all datasets."""
    made = {name: measured.generate(folder / name, text) for name, text in measured.OPTIONS_OF.items()}
    found = {name: measured.hashes(place) for name, place in made.items()}
    found["imagefolder"] = measured.folder_hashes(measured.generate(folder / "f", measured.FOLDER))
    return {"hashes": found, "benchmark_fonts": measured.font_digests(made["blindtest"])}


def options(folder: Path) -> dict[str, Any]:
    """All options of all commands."""
    return measured.options()


def random(folder: Path) -> dict[str, Any]:
    """Answers of random weights, and their metrics."""
    data = measured.generate(folder / "questions", measured.COLOURED)
    checkpoint = measured.small_checkpoint(folder / "small")
    table = measured.random_answers(checkpoint, data)
    return _told(table, measured.random_answers(checkpoint, data, "bfloat16"))


def tiny(folder: Path) -> dict[str, Any]:
    """Answers of the base, their metrics, and what covering letters does."""
    data = measured.generate(folder / "questions", measured.QUESTIONS)
    table = measured.tiny_answers(folder / "tiny", data)
    told = _told(table, measured.tiny_answers(folder / "rough", data, "bfloat16"))
    metrics, covered = (
        json.loads((folder / "tiny" / f"{n}.json").read_text()) for n in ("metrics", "occlusion")
    )
    return told | {"keys_of_metrics": list(metrics), "occlusion": covered}


def _told(table: pa.Table, rough: pa.Table) -> dict[str, Any]:
    found, other = measured.answers(table), measured.answers(rough)
    firm = {name: [a == b for a, b in zip(found[name], other[name], strict=True)] for name in measured.TEXTS}
    ahead = [measured.margin(top5) for top5 in found["top5"]]
    firm["restricted"] = [same and gap > 0.02 for same, gap in zip(firm["restricted"], ahead, strict=True)]
    edges = [abs(10 * p - round(10 * p)) / 10 < measured.NEAR for p in found["probability"] if p < 0.99]
    assert not any(edges), "a probability so near a bin's edge that it may change sides; take another seed"
    return {"answers": found, "firm": firm, "score": unblind.score(table)}


MAKERS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "datasets": datasets,
    "options": options,
    "random": random,
    "tiny": tiny,
}


def write(names: list[str]) -> None:
    """Write the named files."""
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            value = MAKERS[name](Path(folder))
        text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
        (measured.HERE / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(sys.argv[1:] or list(MAKERS))
