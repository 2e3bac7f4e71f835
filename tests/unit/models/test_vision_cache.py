"""Cached vision features: the same loss, and never those of another tower or of other images."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import small_model
from unblind.errors import DatasetError, RecipeError
from unblind.models.adapters import add_adapter
from unblind.models.collate import Collator, prepared
from unblind.models.loading import Loaded
from unblind.models.paligemma import FAMILY
from unblind.models.vision_cache import Features, cached_features, without_tower
from unblind.recipe import TrainOptions
from unblind.training.run import fit

ROWS = prepared(small_model.samples(20))


def frozen(seed: int = 0) -> Loaded:
    loaded = small_model.loaded(seed)
    loaded.model.requires_grad_(False)
    return loaded


def features(folder: Path, loaded: Loaded | None = None, rows=ROWS) -> Features:
    return cached_features(loaded or frozen(), [rows], folder)


def trained(out: Path, **changes: object) -> list[dict]:
    told = TrainOptions(
        data="in memory", out=out, max_steps=4, batch_size=4, accumulation=2, rank=4, log_every=1,
        learning_rate=1e-2, vision="frozen", projector="lora", eval_every=2, device="cpu", dtype="float32",
    )  # fmt: skip
    rows = small_model.samples(16), small_model.samples(6, seed=1)
    fit(small_model.loaded(), *rows, replace(told, **changes))
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def test_the_loss_is_that_of_pixels(tmp_path: Path) -> None:
    loaded = frozen()
    found = features(tmp_path, loaded)
    batch = [ROWS[i] for i in (3, 17, 4)]
    expected = loaded.model(**Collator(loaded.family, loaded.processor)(batch)).loss
    with without_tower(loaded.model, FAMILY):
        ours = loaded.model(**Collator(loaded.family, loaded.processor, features=found)(batch)).loss
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-5)
    again = loaded.model(**Collator(loaded.family, loaded.processor)(batch)).loss  # the tower is back
    assert torch.equal(again, expected)


@pytest.mark.parametrize("workers", [0, 1])
def test_training_is_the_same(tmp_path: Path, workers: int) -> None:
    plain = trained(tmp_path / "plain")
    cached = trained(tmp_path / "cached", cache_features=tmp_path / "features", workers=workers)
    for key in ("loss", "eval_loss"):
        expected = [row[key] for row in plain if key in row]
        assert [row[key] for row in cached if key in row] == pytest.approx(expected, abs=2e-5)


def test_they_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = features(tmp_path)
    monkeypatch.setattr("unblind.models.vision_cache._make", None)
    assert features(tmp_path) == made


def test_half_precision_survives_the_disk(tmp_path: Path) -> None:
    loaded = frozen()
    loaded.model.to(torch.bfloat16)
    assert features(tmp_path, loaded)([ROWS[0]]).dtype == torch.bfloat16


def test_another_tower_other_images_other_sizes_are_other_features(tmp_path: Path) -> None:
    first = features(tmp_path)
    assert features(tmp_path, frozen(seed=1)).folder != first.folder
    assert features(tmp_path, rows=prepared(small_model.samples(20, seed=1))).folder != first.folder
    nudged = frozen()
    next(nudged.model.model.vision_tower.parameters()).data.flatten()[0] += 1e-3
    assert features(tmp_path, nudged).folder != first.folder


@pytest.mark.parametrize("name", ["index.json", "features.bin"])
def test_what_is_cut_short_is_made_again(tmp_path: Path, name: str) -> None:
    first = features(tmp_path)
    expected = first([ROWS[5]])
    path = first.folder / name
    path.write_bytes(path.read_bytes()[:-7])
    assert torch.equal(features(tmp_path)([ROWS[5]]), expected)


def test_damage_is_noticed(tmp_path: Path) -> None:
    found = features(tmp_path)
    path = found.folder / "features.bin"
    data = bytearray(path.read_bytes())
    data[3] ^= 1
    path.write_bytes(data)
    with pytest.raises(DatasetError, match="is damaged; delete the folder"):
        found([ROWS[i] for i in range(20)])
    with pytest.raises(DatasetError, match="row s0 has a new image"):
        found([prepared(small_model.samples(1, seed=5))[0]])


def test_a_trained_tower_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="vision to be frozen, and it is lora"):
        TrainOptions(data="d", out=tmp_path, cache_features=tmp_path)
    loaded = small_model.loaded()
    add_adapter(loaded.model, {"language": "lora"}, target_modules=("q_proj",))  # also in the tower
    with pytest.raises(RecipeError, match="needs a vision tower that stays as it is"):
        features(tmp_path, loaded)
