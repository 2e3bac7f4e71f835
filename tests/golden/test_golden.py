"""What this version draws, answers and takes as options is what earlier ones did.

`make.py` says when the JSON files beside this may be renewed.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import unblind
from golden import measured
from golden.measured import NEAR, close, read_golden

ZLIB_NG = "zlib-ng" in zlib.ZLIB_RUNTIME_VERSION  # packs the same pixels into other bytes


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes each dataset once."""
    folder = tmp_path_factory.mktemp("golden")

    @cache
    def make(name: str) -> Path:
        if name == "blindtest":
            return _benchmark(folder / name)
        return measured.generate(folder / name, {**measured.OPTIONS_OF, "folder": measured.FOLDER}[name])

    return make


def _benchmark(out: Path) -> Path:
    if measured.run("generate", "--out", out, "--workers", 1, "--preset", "blindtest") != 0:
        pytest.skip("the benchmark's fonts are not here (fonts-open-sans, fonts-liberation)")
    if measured.font_digests(out) != read_golden("datasets")["benchmark_fonts"]:
        pytest.skip("the benchmark's fonts are of other releases here, or Helvetica is there")
    return out


@pytest.mark.parametrize("name", measured.OPTIONS_OF)
def test_a_dataset_has_the_same_values_and_bytes_column_by_column(
    dataset: Callable[[str], Path], name: str
) -> None:
    assert _differences(read_golden("datasets")["hashes"][name], measured.hashes(dataset(name))) == []


def test_an_image_folder_has_the_same_files(dataset: Callable[[str], Path]) -> None:
    found = measured.folder_hashes(dataset("folder"))
    assert _differences(read_golden("datasets")["hashes"]["imagefolder"], found) == []


def _differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    found = list(close(old, new, 0))
    return [text for text in found if not ("image" in text or ".png was" in text)] if ZLIB_NG else found


@pytest.mark.parametrize("name", measured.OPTIONS_OF)
def test_a_stored_scene_is_drawn_again_as_it_was(dataset: Callable[[str], Path], name: str) -> None:
    folder = dataset(name)
    for split in measured.splits(folder):
        rows = unblind.read(folder, split)
        for row in rows.select(range(min(len(rows), measured.ROWS))):
            assert np.array_equal(unblind.redraw(row), np.asarray(row["image"])), row["id"]


@pytest.mark.parametrize("command", measured.COMMANDS)
def test_every_option_is_still_there_unchanged(command: str) -> None:
    new = measured.options()[command]
    for name, option in read_golden("options")[command].items():
        assert name in new, f"{command} {name} is gone"
        assert set(option.pop("names")) <= set(new[name].pop("names"))
        assert set(option.pop("choices")) <= set(new[name].pop("choices"))
        assert new[name] == option, f"{command} {name}"


def test_random_weights_answer_the_same(tmp_path: Path) -> None:
    data = measured.generate(tmp_path / "questions", measured.COLOURED)
    table = measured.random_answers(measured.small_checkpoint(tmp_path / "small"), data)
    _compare(read_golden("random"), table, unblind.score(table))


@pytest.mark.slow
def test_the_base_that_comes_along_answers_the_same(tmp_path: Path) -> None:
    golden = read_golden("tiny")
    data = measured.generate(tmp_path / "questions", measured.QUESTIONS)
    table = measured.tiny_answers(tmp_path / "tiny", data)
    metrics = json.loads((tmp_path / "tiny" / "metrics.json").read_text("utf-8"))
    assert set(golden["keys_of_metrics"]) <= set(metrics)
    assert metrics["model"] == "tiny" and metrics["data"] == str(data)
    _compare(golden, table, metrics)
    covered = json.loads((tmp_path / "tiny" / "occlusion.json").read_text("utf-8"))
    assert list(close(golden["occlusion"], covered, 1.5 / table.num_rows)) == []


def _compare(golden: dict[str, Any], table: pa.Table, metrics: dict[str, Any]) -> None:
    """Texts where they are firm, probabilities nearly, and metrics as far as the answers are the same."""
    old, new = golden["answers"], measured.answers(table)
    assert (new["id"], new["answer"]) == (old["id"], old["answer"])
    for name, firm in golden["firm"].items():
        assert sum(firm) >= len(firm) / 2
        wrong = [
            i
            for i, sure in zip(old["id"], firm, strict=True)
            if sure and _at(old, name, i) != _at(new, name, i)
        ]
        assert not wrong, f"{name} of {wrong}"
    assert new["probability"] == pytest.approx(old["probability"], abs=NEAR)
    for before, after in zip(old["top5"], new["top5"], strict=True):
        likely = {letter: p for letter, p in json.loads(before) if p > 5 * NEAR}
        assert list(close(likely, dict(json.loads(after)), NEAR)) == []
    _compare_metrics(golden, new, metrics)


def _at(columns: dict[str, list[Any]], name: str, id_: str) -> Any:
    return columns[name][columns["id"].index(id_)]


def _compare_metrics(golden: dict[str, Any], new: dict[str, Any], metrics: dict[str, Any]) -> None:
    old, flipped = golden["score"], 0
    for name in measured.TEXTS:
        flipped += sum(a != b for a, b in zip(golden["answers"][name], new[name], strict=True))
    if not flipped:
        assert list(close(old, metrics, NEAR)) == []
        return
    assert set(old) <= set(metrics)
    for kind, share in old["accuracy"].items():
        assert metrics["accuracy"][kind]["value"] == pytest.approx(share["value"], abs=flipped / old["n"])
