"""Training through the real Trainer, on a model small enough to learn in seconds."""

import json
import os
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import datasets
import pytest
import torch
import yaml
from safetensors.torch import load_file
from transformers import TrainerCallback, TrainingArguments

import small_model
from unblind.errors import DatasetError, ModelError, OutputError, RecipeError
from unblind.evaluation.run import evaluate
from unblind.models.loading import load
from unblind.models.memory_estimate import ROOM, training_memory
from unblind.recipe import TrainOptions
from unblind.training import trainer as trainer_module
from unblind.training.callbacks import duration
from unblind.training.checkpoints import newest_checkpoint
from unblind.training.run import TrainResult, fit, train
from unblind.training.trainer import AnswerTrainer


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
    with pytest.raises(OutputError, match="unfinished run; continue it"):
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


def test_training_stops_at_the_first_loss_that_is_no_number(tmp_path: Path) -> None:
    base = small_model.loaded()
    base.model.model.language_model.layers[0].mlp.up_proj.weight.data[0, 0] = torch.inf
    with pytest.raises(ModelError, match=r"the loss is nan at step 1: .* lower --learning-rate"):
        fit(base, small_model.samples(16), None, options(tmp_path / "run"))
    assert not (tmp_path / "run" / "metrics.json").exists()


@pytest.mark.parametrize(
    ("name", "label"), [("grad_norm", "gradient norm"), ("eval_loss", "validation loss")]
)
def test_gradients_and_validation_are_watched_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, label: str
) -> None:
    log = AnswerTrainer.log

    def with_infinity(self, logs, *rest):
        log(self, logs | ({name: torch.inf} if name in logs else {}), *rest)

    monkeypatch.setattr(AnswerTrainer, "log", with_infinity)
    with pytest.raises(ModelError, match=f"the {label} is inf at step"):
        run(options(tmp_path / "run"))


def test_a_step_that_a_scaler_skips_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = AnswerTrainer.log

    def with_infinity(self, logs, *rest):
        log(self, logs | ({"grad_norm": torch.inf} if "grad_norm" in logs else {}), *rest)

    monkeypatch.setattr(AnswerTrainer, "log", with_infinity)
    monkeypatch.setattr("accelerate.Accelerator.optimizer_step_was_skipped", True)
    run(options(tmp_path / "run", max_steps=2))


def test_lines_tell_how_it_goes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = run(options(tmp_path / "run", max_steps=3, eval_every=3))
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("train: ")]
    assert [line.split(" (")[0] for line in lines] == [f"train: step {n} of 3" for n in (1, 2, 3, 3)]
    number = r"[\d,.e+-]+"
    measured = f"loss {number}, {number} samples/s, learning rate {number}, gradient norm {number}"
    assert re.fullmatch(rf"train: step 2 of 3 \(\d+ s, \d+ s left\): {measured}.*", lines[1])
    assert re.fullmatch(rf"train: step 3 of 3 \(\d+ s\): {measured}.*", lines[2])
    assert re.fullmatch(
        rf"train: step 3 of 3 \(\d+ s\): validation accuracy {number}%, loss {number}", lines[3]
    )
    if sys.platform == "linux":
        assert all("peak memory" in line for line in lines[:3])
    assert all(row["samples_per_second"] > 0 for row in rows(result) if "loss" in row)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.6, "1 min 0 s"), (80, "1 min 20 s"), (7_500, "2 h 5 min")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_parts_learn_at_their_own_rates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    groups: list[dict] = []
    create = AnswerTrainer.create_optimizer

    def watched(self, *arguments):
        optimizer = create(self, *arguments)
        names = {id(p): name for name, p in self.model.named_parameters()}
        groups.extend({**g, "names": {names[id(p)] for p in g["params"]}} for g in optimizer.param_groups)
        return optimizer

    monkeypatch.setattr(AnswerTrainer, "create_optimizer", watched)
    run(options(tmp_path / "run", max_steps=1, vision_lr=0.5, language_lr=0.25, vision="full"))
    rates = {name: group["lr"] for group in groups for name in group["names"]}
    words = {"vision_tower": 0.5, "language_model": 0.25, "multi_modal_projector": 1e-2}
    assert {word for word in words for name in rates if word in name} == set(words)
    assert all(rate == words[word] for word in words for name, rate in rates.items() if word in name)


def test_a_rate_of_its_own_moves_one_part_alone(tmp_path: Path) -> None:
    def change(**rates: float) -> dict[str, float]:
        told = options(tmp_path / str(rates), max_steps=1, dropout=0.0, learning_rate=1e-9, **rates)
        weights = load_file(run(told).adapter / "adapter_model.safetensors")
        parts = ("vision_tower", "language_model", "multi_modal_projector")
        moved = {
            part: [w for name, w in weights.items() if part in name and "lora_B" in name] for part in parts
        }
        return {part: max(float(w.abs().max()) for w in moved[part]) for part in parts}  # lora_B starts at 0

    moved = change(vision_lr=1e-2)
    assert moved["vision_tower"] > 1e-3
    assert max(moved["language_model"], moved["multi_modal_projector"]) < 1e-6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vision_lr": 1e-3, "vision": "frozen"}, "vision_lr is 0.001, and vision is frozen"),
        ({"projector_lr": 0.0}, "projector_lr is 0.0; it must be above 0"),
        ({"language": "full", "quantization": "nf4"}, "language is full, and nf4 weights"),
        ({"vision": "full", "quantization": "int8", "quantize_vision": True}, "vision is full, and int8"),
    ],
)
def test_options_that_contradict_each_other(tmp_path: Path, changes: dict, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        options(tmp_path, **changes)


def test_quantized_weights_are_not_trained_whole(tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    base = load(str(small_model.checkpoint(tmp_path / "base")), quantization="nf4", device="cpu")
    with pytest.raises(RecipeError, match="language is full, and its weights are quantized"):
        fit(base, small_model.samples(8), None, options(tmp_path / "run", language="full"))


def test_quantized_weights_are_not_sharded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(RecipeError, match=r"nf4 weights cannot be split among processes \(FSDP\)"):
        train(options(tmp_path / "run", quantization="nf4"))


@pytest.mark.parametrize(
    ("gib", "advice"),
    [
        (2.0, "--batch-size 16 --accumulation 4 should fit"),
        (1e-6, "not even single samples fit"),
        (None, "lower"),
    ],
)
def test_memory_that_runs_out_names_the_batch_that_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gib: float | None, advice: str
) -> None:
    def out_of_memory(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    told = options(tmp_path / "run", batch_size=32, accumulation=2)
    base = small_model.loaded()
    sizes = {
        size: training_memory(base.model.config, replace(told, batch_size=size), torch.float32).total
        for size in (16, 32)
    }
    between = (sizes[16] + sizes[32]) // 2
    limit = None if gib is None else int(gib * 2**30) if gib < 1 else int(between / ROOM)
    monkeypatch.setattr("unblind.training.run.total_memory", lambda _: limit)
    monkeypatch.setattr(AnswerTrainer, "training_step", out_of_memory)
    with pytest.raises(ModelError, match=advice):
        fit(base, small_model.samples(64), None, told)


def test_trackers_are_told_run_and_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments: list[TrainingArguments] = []

    class Watch(TrainerCallback):
        def on_train_begin(self, args, state, control, **_):
            arguments.append(args)

    monkeypatch.setattr(trainer_module, "LastStep", Watch)
    for name in ("WANDB_PROJECT", "COMET_PROJECT_NAME", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.setenv(name, "another")
    run(options(tmp_path / "plain", max_steps=1))
    assert (arguments[0].run_name, os.environ["WANDB_PROJECT"]) == ("plain", "another")
    run(options(tmp_path / "named", max_steps=1, run_name="third try", project="letters"))
    assert (arguments[1].run_name, arguments[1].project) == ("third try", "letters")
    assert os.environ["WANDB_PROJECT"] == os.environ["MLFLOW_EXPERIMENT_NAME"] == "letters"


def test_keys_and_values_are_not_kept_in_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = small_model.loaded()
    caches: list[object] = []
    base.model.register_forward_hook(lambda _, __, outputs: caches.append(outputs.cache))
    fit(base, small_model.samples(16), small_model.samples(4), options(tmp_path / "run", max_steps=2))
    assert caches and set(caches) == {None}


def test_validation_is_restricted_to_the_choices_in_the_prompts_format(tmp_path: Path) -> None:
    training, validation = small_model.samples(48), small_model.samples(10, seed=1)
    told = options(tmp_path / "run", max_steps=1, prompt="circled-braces")
    result = fit(small_model.loaded(), training, validation, told)
    last = next(row for row in reversed(rows(result)) if "eval_accuracy" in row)
    assert last["eval_exact"] == 0.0  # no base says {A} by itself
    trainer = trainer_module._choices(small_model.loaded(), validation, "circled-braces")
    assert trainer is not None and len(trainer.shared) == 1 and len(trainer.tokens) == 52
    mixed = datasets.concatenate_datasets([validation, small_model.samples(2, answers="?!")])
    assert trainer_module._choices(small_model.loaded(), mixed, None) is None
    others = validation.add_column("task", ["two-circles"] * 5 + ["circled-letter"] * 5)
    assert trainer_module._choices(small_model.loaded(), others, None) is None
