"""Published results, as data and image by image."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from unblind import read
from unblind.data.images import encode_png
from unblind.scoring.published import published


def test_published_numbers_name_their_items_and_source() -> None:
    """One model has different numbers on different items; none goes without saying which."""
    gpt = {result.images: result for result in published() if result.model == "GPT-4o"}
    assert (gpt[1248].percent, gpt[624].percent) == (70.67, 74.23)
    assert gpt[1248].source != gpt[624].source
    assert all(0 < result.percent <= 100 and result.source and result.items for result in published())
    assert not any(r.circled_letters_alone for r in published() if r.model == "Gemini 3 Pro")


def test_benchmark_file_is_read_with_what_published_models_answered(tmp_path: Path) -> None:
    """Other tasks are left out, prompts kept, metadata and what it says of published models spread."""
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
    assert found["answer"][:] == ["b", "A"] and set(found["prompt"]) == {question}
    assert (found["word"][0], found["index"][0], found["font"][0]) == ("Ab", 1, "OpenSans")
    assert (found["padding"][0], found["thickness"][0]) == (25, 4)
    assert json.loads(found["published"][0]) == {"GPT-4o": {question: False}, "Sonnet-3.5": {question: True}}
    assert found["published"][1] is None
