"""Going on: more steps after a finished run, the same data elsewhere, a run that starts from an adapter."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import datasets
import pytest
import torch
import yaml
from safetensors.torch import load_file

import small_model
from unblind.data import arrow_cache
from unblind.data.content import content_of
from unblind.errors import OutputError, RecipeError
from unblind.models.collate import prepared
from unblind.recipe import TrainOptions
from unblind.training.run import TrainResult, fit, train

SHORT = {
    "max_steps": 2,
    "batch_size": 4,
    "accumulation": 1,
    "learning_rate": 1e-2,
    "warmup_steps": 0,
    "rank": 4,
    "log_every": 1,
    "eval_every": 2,
    "device": "cpu",
    "dtype": "float32",
}


def options(out: Path, **changes: object) -> TrainOptions:
    return TrainOptions(**{"data": "in memory", "out": out, **SHORT, **changes})


def run(told: TrainOptions, seed: int = 0) -> TrainResult:
    sets = small_model.samples(24, "Ab", seed=seed), small_model.samples(6, "Ab", seed=1)
    return fit(small_model.loaded(), *sets, told)


def weights(result: TrainResult) -> dict[str, torch.Tensor]:
    return load_file(result.adapter / "adapter_model.safetensors")


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def rates(result: TrainResult) -> list[float]:
    rows = map(json.loads, (result.out / "log.jsonl").read_text().splitlines())
    return [row["learning_rate"] for row in rows if "learning_rate" in row]


def save(folder: Path, *, count: int = 24, seed: int = 0) -> Path:
    folder.mkdir()
    small_model.samples(count, "Ab", seed=seed).to_parquet(folder / "train.parquet")
    return folder


def test_a_finished_run_goes_on_for_more_steps(tmp_path: Path) -> None:
    constant = {"scheduler": "constant", "eval_every": 0}
    whole = run(options(tmp_path / "whole", max_steps=5, **constant))
    first = run(options(tmp_path / "run", max_steps=2, **constant))
    assert first.metrics["samples"] == 8
    longer = options(tmp_path / "run", max_steps=5, resume=True, **constant)
    result = run(longer)
    assert equal(weights(result), weights(whole)), "the samples and the steps of one run"
    assert result.metrics["samples"] == 20
    assert yaml.safe_load((result.out / "config.yaml").read_text())["max_steps"] == 5
    assert run(longer).metrics == result.metrics, "it is finished now"
    assert run(replace(longer, max_steps=None)).metrics == result.metrics
    with pytest.raises(OutputError, match="has 5 steps behind it, and --max-steps is 3; name more"):
        run(replace(longer, max_steps=3))


def test_the_learning_rate_follows_the_longer_schedule(tmp_path: Path) -> None:
    """Steps at an end of the schedule that has moved away would change nothing."""
    told = options(tmp_path / "run", eval_every=0)
    before = weights(run(told))
    result = run(replace(told, max_steps=3, resume=True))
    assert rates(result) == pytest.approx([1e-2, 5e-3, 1e-2 / 3])
    after = weights(result)
    assert not any(torch.equal(before[name], after[name]) for name in before)


def test_a_finished_run_without_checkpoints_cannot_go_on(tmp_path: Path) -> None:
    told = options(tmp_path / "run")
    first = run(told)
    (tmp_path / "run" / "checkpoints").rename(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match=r"without checkpoints .* from its adapter \(--adapter"):
        run(replace(told, max_steps=3, resume=True))
    assert run(replace(told, resume=True)).metrics == first.metrics, "and is as it was"


def test_the_same_data_under_another_path_is_the_same(tmp_path: Path) -> None:
    base = str(small_model.checkpoint(tmp_path / "base"))
    old, new = save(tmp_path / "old"), tmp_path / "new"
    told = options(tmp_path / "run", data=str(old), model=base)
    first = train(told)
    old.rename(new)
    moved = replace(told, data=str(new), resume=True)
    assert train(moved).metrics == first.metrics
    assert train(replace(moved, max_steps=3)).metrics["samples"] == 12
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["data"] == str(new)
    other = save(tmp_path / "other", seed=7)
    with pytest.raises(OutputError, match=f'data was ".*old", now "{other}"'):
        train(replace(moved, data=str(other), max_steps=4))
    with pytest.raises(OutputError, match="rank was 4, now 5"):
        train(replace(moved, rank=5))


def test_mapped_data_trains_as_held_data_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same samples in the same order; and a run that began on the one goes on with the other."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    base, data = small_model.checkpoint(tmp_path / "base"), save(tmp_path / "data")
    told = options(tmp_path / "held", data=str(data), model=str(base), scheduler="constant", eval_every=0)
    train(told)
    monkeypatch.setattr(arrow_cache, "IN_MEMORY", -1)
    monkeypatch.setattr(arrow_cache, "PIECE", 5000)
    mapped = train(replace(told, out=tmp_path / "mapped", max_steps=4))
    assert list((tmp_path / "cache").rglob("*.arrow"))
    assert equal(weights(train(replace(told, max_steps=4, resume=True))), weights(mapped))


def test_other_samples_in_the_old_place_are_noticed(tmp_path: Path) -> None:
    told = options(tmp_path / "run")
    run(told)
    with pytest.raises(OutputError, match="began with another content of in memory; name what it began with"):
        run(replace(told, max_steps=3, resume=True), seed=5)


def test_a_run_of_an_older_version_is_compared_by_path(tmp_path: Path) -> None:
    told = options(tmp_path / "run")
    run(told)
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())
    del settings["data_content"]
    (tmp_path / "run" / "settings.json").write_text(json.dumps(settings))
    assert run(replace(told, max_steps=3, resume=True)).metrics["samples"] == 12
    with pytest.raises(OutputError, match='data was "in memory", now "elsewhere"'):
        run(replace(told, data="elsewhere", max_steps=4, resume=True))


def test_content_is_of_images_and_answers_and_not_of_paths(tmp_path: Path) -> None:
    rows = prepared(small_model.samples(6))
    files = []
    for number, row in enumerate(rows):
        files.append(tmp_path / f"{number}.png")
        files[-1].write_bytes(row["image"]["bytes"])
    linked = [{"bytes": None, "path": str(path)} for path in files]
    elsewhere = rows.remove_columns("image").add_column("image", linked).cast(rows.features)
    assert content_of([elsewhere]) == content_of([rows]) == content_of([rows.select(range(6))])
    files[2].write_bytes(files[3].read_bytes())
    assert content_of([elsewhere]) != content_of([rows])
    assert content_of([rows.select([0, 1, 2, 3, 5, 4])]) != content_of([rows]), "the order counts"
    answered = rows.map(lambda row: {"answer": row["answer"] + "."})
    assert len({content_of([rows]), content_of([answered]), content_of([rows, rows])}) == 3


def test_a_run_starts_from_an_adapter(tmp_path: Path) -> None:
    first = run(options(tmp_path / "first", vision="frozen", projector="full", rank=3, alpha=5.0))
    told = options(tmp_path / "second", adapter=first.out, rank=3, learning_rate=1e-12, eval_every=0)
    second = run(replace(told, max_steps=1))
    before, after = weights(first), weights(second)
    assert before.keys() == after.keys()
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in before)
    config = yaml.safe_load((second.out / "config.yaml").read_text())
    assert config["adapter"] == str(first.out)
    assert {name: config[name] for name in ("rank", "alpha", "language", "projector", "vision")} == {
        "rank": 3, "alpha": 5.0, "language": "lora", "projector": "full", "vision": "frozen",
    }  # fmt: skip
    settings = json.loads((second.out / "settings.json").read_text())
    assert settings["adapter"] == str(first.out)
    moved = first.out.rename(tmp_path / "moved")
    again = run(replace(told, adapter=moved, max_steps=2, resume=True))
    assert again.metrics["samples"] == 8


def test_what_an_adapter_has_can_be_frozen_and_not_be_changed(tmp_path: Path) -> None:
    first = run(options(tmp_path / "first"))
    told = options(tmp_path / "second", adapter=first.out)
    before, after = weights(first), weights(run(replace(told, vision="frozen")))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert not any("vision_tower" in name for name in changed)
    for changes, message in (
        ({"rank": 5}, "rank is 5, and .*first has its own; leave rank out"),
        ({"target_modules": ("q_proj",)}, "leave target_modules out"),
        ({"projector": "full"}, "projector is full, and .*first has no whole weights of it"),
        ({"language": "frozen", "projector": "frozen", "vision": "lora", "language_lr": 1.0}, "is frozen"),
    ):
        with pytest.raises(RecipeError, match=message):
            run(replace(told, out=tmp_path / "third", **changes))
