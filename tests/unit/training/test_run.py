"""Training through the real Trainer, on a model small enough to learn in seconds."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import datasets
import pytest
import torch
import yaml
from safetensors.torch import load_file
from transformers import TrainerCallback

import small_model
from unblind.errors import DatasetError, ModelError, OutputError, RecipeError
from unblind.evaluation.run import evaluate
from unblind.models.loading import load
from unblind.recipe import TrainOptions
from unblind.training import trainer as trainer_module
from unblind.training.checkpoints import newest_checkpoint
from unblind.training.run import TrainResult, fit, train


def options(out: Path, **changes: object) -> TrainOptions:
    short = TrainOptions(
        data="in memory",
        out=out,
        max_steps=6,
        batch_size=4,
        accumulation=2,
        learning_rate=1e-2,
        warmup_steps=0,
        dropout=0.1,
        rank=4,
        log_every=1,
        eval_every=2,
        device="cpu",
        dtype="float32",
    )
    return replace(short, **changes)


def run(told: TrainOptions, *, answers: str = "Ab") -> TrainResult:
    return fit(
        small_model.loaded(), small_model.samples(48, answers), small_model.samples(10, answers, seed=1), told
    )


def weights(result: TrainResult) -> bytes:
    return (result.adapter / "adapter_model.safetensors").read_bytes()


def rows(result: TrainResult) -> list[dict]:
    return [json.loads(line) for line in (result.out / "log.jsonl").read_text().splitlines()]


def test_a_task_is_learnt_and_the_run_folder_tells_how(tmp_path: Path) -> None:
    told = options(tmp_path / "run", max_steps=60, eval_every=20, language="full", dropout=0.0)
    result = run(told)
    log = rows(result)
    losses = [row["loss"] for row in log if "loss" in row]
    assert losses[-1] < losses[0] / 4
    evaluations = [row for row in log if "eval_accuracy" in row]
    assert [row["step"] for row in evaluations] == [20, 40, 60]
    assert evaluations[-1]["eval_accuracy"] == result.metrics["best_accuracy"] == 1.0
    assert log[0]["samples"] == 8
    assert all(row["seconds"] > 0 for row in log)

    assert result.metrics["samples"] == 480
    assert result.metrics["samples_per_second"] > 0
    assert result.metrics["trainable_parameters"] > 0
    assert json.loads((result.out / "metrics.json").read_text()) == result.metrics
    assert yaml.safe_load((result.out / "config.yaml").read_text())["learning_rate"] == 1e-2
    assert "torch" in json.loads((result.out / "versions.json").read_text())

    base = small_model.checkpoint(tmp_path / "base")
    after = evaluate(load(str(base), adapter=result.out), small_model.samples(10, seed=2))
    assert after["restricted"].to_pylist() == after["answer"].to_pylist()
    assert after["free"].to_pylist() == after["answer"].to_pylist()


def test_the_same_seed_gives_the_same_bytes_and_a_resumed_run_too(tmp_path: Path) -> None:
    whole = run(options(tmp_path / "whole"))
    again = run(options(tmp_path / "again"))
    assert weights(whole) == weights(again)

    halted = options(tmp_path / "halted")
    with pytest.raises(KeyboardInterrupt):
        _interrupted_at(5, halted)
    torn = halted.out / "checkpoints" / "checkpoint-5"  # as a kill while saving leaves it
    torn.mkdir()
    (torn / "trainer_state.json").write_text('{"global_step": 5, "log_hi')
    assert newest_checkpoint(halted.out / "checkpoints") == halted.out / "checkpoints" / "checkpoint-4"
    with pytest.raises(OutputError, match="unfinished run; go on with it"):
        run(halted)
    resumed = run(replace(halted, resume=True))
    assert weights(resumed) == weights(whole)
    assert [row["step"] for row in rows(resumed)] == [row["step"] for row in rows(whole)]
    seconds = [row["seconds"] for row in rows(resumed)]
    assert seconds == sorted(seconds)


def _interrupted_at(step: int, told: TrainOptions) -> None:
    class Interrupt(TrainerCallback):
        def on_step_begin(self, args, state, control, **_):
            if state.global_step == step:
                raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer_module, "LastStep", Interrupt)
        run(told)


def test_a_finished_run_is_not_repeated(tmp_path: Path) -> None:
    told = options(tmp_path / "run", max_steps=1)
    first = run(told)
    with pytest.raises(OutputError, match="finished run"):
        run(told)
    assert train(replace(told, resume=True)) == first
    with pytest.raises(OutputError, match="rank was 4, now 5"):
        run(replace(told, resume=True, rank=5))


def test_a_folder_with_other_content_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"thesis\.txt"):
        run(options(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_training_stops_if_a_parameter_gets_no_gradient(tmp_path: Path) -> None:
    base = small_model.loaded()
    projector = base.model.model.multi_modal_projector
    forward = projector.forward
    projector.forward = lambda features: forward(features).detach()  # the tower is cut off
    with pytest.raises(ModelError, match=r"get no gradient, among them .*vision_tower"):
        fit(base, small_model.samples(16), None, options(tmp_path / "run"))
    assert not (tmp_path / "run" / "metrics.json").exists()


def test_early_stopping_and_the_best_checkpoint(tmp_path: Path) -> None:
    told = options(tmp_path / "run", max_steps=40, learning_rate=1e-9, early_stopping=2)
    result = run(told)
    evaluations = [row for row in rows(result) if "eval_accuracy" in row]
    assert [row["step"] for row in evaluations] == [2, 4, 6]  # two more brought nothing
    surest = max(evaluations, key=lambda row: row["eval_selection"])["step"]
    best = load_file(told.out / "checkpoints" / f"checkpoint-{surest}" / "adapter_model.safetensors")
    kept = load_file(result.adapter / "adapter_model.safetensors")
    assert all(torch.equal(best[name], kept[name]) for name in kept)


def test_answers_of_several_letters_are_scored_exactly(tmp_path: Path) -> None:
    training = small_model.samples(48).map(lambda row: {"answer": {"A": "dark", "b": "light"}[row["answer"]]})
    told = options(tmp_path / "run", max_steps=60, eval_every=60, language="full", dropout=0.0)
    result = fit(small_model.loaded(), training, training.select(range(8)), told)
    last = next(row for row in reversed(rows(result)) if "eval_accuracy" in row)
    assert last["eval_accuracy"] == last["eval_exact"] == 1.0


def test_training_without_validation(tmp_path: Path) -> None:
    result = fit(small_model.loaded(), small_model.samples(16), None, options(tmp_path / "run", max_steps=2))
    assert result.metrics["best_accuracy"] is None
    assert not any("eval_accuracy" in row for row in rows(result))


def test_train_reads_a_folder(tmp_path: Path) -> None:
    for split, n in (("train", 16), ("validation", 8)):
        (tmp_path / "data").mkdir(exist_ok=True)
        small_model.samples(n).to_parquet(tmp_path / "data" / f"{split}-00000-of-00001.parquet")
    base = small_model.checkpoint(tmp_path / "base")
    result = train(options(tmp_path / "run", data=str(tmp_path / "data"), model=str(base), max_steps=2))
    assert result.metrics["best_accuracy"] is not None
    shutil.rmtree(tmp_path / "data")  # a finished run needs it no more
    again = options(tmp_path / "run", data=str(tmp_path / "data"), model=str(base), max_steps=2, resume=True)
    assert train(again).metrics == result.metrics


@pytest.mark.parametrize("scope", ["frozen", "full"])
def test_scopes_train(tmp_path: Path, scope: str) -> None:
    run(options(tmp_path / "run", max_steps=2, vision=scope, projector=scope, gradient_checkpointing=True))


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
def test_a_quantized_base_trains(tmp_path: Path, quantization: str) -> None:
    pytest.importorskip("bitsandbytes")
    base = load(str(small_model.checkpoint(tmp_path / "base")), quantization=quantization, device="cpu")
    layer = base.model.model.language_model.layers[0].mlp.up_proj
    assert type(layer).__name__ in ("Linear4bit", "Linear8bitLt")
    assert type(base.model.model.multi_modal_projector.linear) is torch.nn.Linear
    evaluate(base, small_model.samples(4))  # an evaluation must not cost the gradients that come after it
    told = options(tmp_path / "run", vision="frozen", projector="frozen", dropout=0.0)
    result = fit(base, small_model.samples(16), small_model.samples(4), told)
    losses = [row["loss"] for row in rows(result) if "loss" in row]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("missing", ["image", "answer"])
def test_missing_columns_are_named(tmp_path: Path, missing: str) -> None:
    training = small_model.samples(4).remove_columns(missing)
    with pytest.raises(DatasetError, match=f"lacks the column {missing}"):
        fit(small_model.loaded(), training, None, options(tmp_path / "run"))


def test_a_column_image_of_text_is_refused(tmp_path: Path) -> None:
    training = datasets.Dataset.from_list([{"image": "a.png", "prompt": "?", "answer": "A"}])
    with pytest.raises(DatasetError, match="holds no images"):
        fit(small_model.loaded(), training, None, options(tmp_path / "run"))


@pytest.mark.parametrize(("key", "value"), [("optimizer", "adamm"), ("scheduler", "linea")])
def test_names_that_trainer_does_not_know_are_refused(tmp_path: Path, key: str, value: str) -> None:
    with pytest.raises(RecipeError, match=f"unknown {key} {value}; choose one of"):
        train(options(tmp_path / "run", **{key: value}))


def test_an_unknown_tracker_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="check report_to"):
        run(options(tmp_path / "run", report_to=("wand",)))


def test_a_tracker_gets_what_the_log_has(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    result = run(options(tmp_path / "run", max_steps=2, report_to=("tensorboard",)))
    (events,) = {path.parent for path in result.out.rglob("events.out.tfevents.*")}
    written = EventAccumulator(str(events)).Reload()
    expected = [row["loss"] for row in rows(result) if "loss" in row]
    assert [event.value for event in written.Scalars("train/loss")] == pytest.approx(expected)
    assert len(written.Scalars("eval/accuracy")) == 1
