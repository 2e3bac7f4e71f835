"""Published results, as data and image by image."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unblind import read
from unblind.data.images import encode_png
from unblind.scoring.published import best_published, published, published_of


def test_published_numbers_name_their_items_and_source() -> None:
    """One model has different numbers on different items; none goes without saying which."""
    gpt = {result.images: result for result in published_of("circled-letter") if result.model == "GPT-4o"}
    assert (gpt[1248].percent, gpt[312].percent) == (70.67, 74.23)
    assert gpt[1248].source != gpt[312].source
    for result in published():
        assert 0 < result.percent <= 100 and result.source and result.items
        assert result.url.startswith("https://")


def test_every_kind_of_the_benchmark_has_the_papers_row_and_the_mean_is_theirs() -> None:
    printed = [r for r in published() if r.model == "GPT-4o" and "as printed" in r.source]
    by_task = {result.task: result.percent for result in printed}
    assert len(by_task) == 9
    mean = by_task.pop(None)
    assert sum(by_task.values()) / 8 == pytest.approx(mean, abs=0.006)


def test_the_best_is_of_the_benchmarks_own_images() -> None:
    best = best_published("line-intersections")
    assert best is not None and (best.model, best.percent) == ("Gemini 2.0 Flash", 85.44)
    assert any(r.percent > best.percent and not r.whole for r in published_of("line-intersections"))
    assert best_published("generic") is None


def test_benchmark_file_is_read_with_what_published_models_answered(tmp_path: Path) -> None:
    """Tasks get our names, prompts are kept, metadata and what it says of published models are spread."""
    image = {"bytes": encode_png(np.zeros((4, 4, 3), np.uint8)), "path": "x.png"}
    question = "Which letter is being circled?"
    metadata = {"word": "Ab", "index": 1, "font": "OpenSans", "padding": 25, "thickness": 4}
    results = {f"GPT-4o | {question}": False, f"Sonnet-3.5 | {question}": True, "damaged": 3}
    rows = [
        {"task": "Circled Letter", "groundtruth": "b", "metadata": metadata | {"published": results}},
        {"task": "Circled Letter", "groundtruth": "A", "metadata": metadata | {"published": "nothing"}},
        {"task": "Subway Connections", "groundtruth": "2", "metadata": {}},
    ]
    for row in rows:
        row |= {"image": image, "prompt": question, "metadata": json.dumps(row["metadata"])}
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "valid-00000-of-00001.parquet")
    found = read(tmp_path)
    assert found["answer"][:] == ["b", "A", "2"] and set(found["prompt"]) == {question}
    assert found["task"][:] == ["circled-letter", "circled-letter", "subway"]
    assert (found["word"][0], found["index"][0], found["font"][0]) == ("Ab", 1, "OpenSans")
    assert (found["padding"][0], found["thickness"][0]) == (25, 4)
    assert json.loads(found["published"][0]) == {"GPT-4o": {question: False}, "Sonnet-3.5": {question: True}}
    assert found["published"][1] is None
