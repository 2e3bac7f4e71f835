"""Fine-tuning: a thin layer over transformers.Trainer."""

from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from pickle import UnpicklingError
from shlex import quote
from typing import Any

import datasets
import yaml
from peft import PeftModel
from transformers import set_seed
from transformers.trainer_utils import SchedulerType
from transformers.training_args import OptimizerNames

from unblind.data.columns import columns_named
from unblind.data.content import content_of
from unblind.data.generation import settings_of
from unblind.data.reading import read, splits
from unblind.data.splits import SPLIT_NAMES
from unblind.data.stream import Stream, stream_mixture, validation_of
from unblind.errors import DatasetError, ModelError, OutputError, RecipeError
from unblind.models.adapters import add_adapter, base_of, start_from, trainable_parameters
from unblind.models.attention import trainable_attention
from unblind.models.base_digest import BASE, digest_of, refuse_other_base
from unblind.models.blank_patches import dropping_patches
from unblind.models.collate import prepared
from unblind.models.family import with_fixed_grid
from unblind.models.loading import Loaded, choose_device, load_as_trained
from unblind.models.memory_estimate import largest_batch
from unblind.models.vision_cache import cached_features, without_tower
from unblind.recipe import STREAM, TrainOptions
from unblind.runtime.device_memory import SMALLER, explain_out_of_memory, keep_freed_memory, total_memory
from unblind.runtime.distributed import from_main_process, is_main_process, world_size
from unblind.runtime.outputs import (
    atomic,
    claim,
    explain_full_disk,
    read_settings,
    refuse_inside,
    write_json,
    write_text,
)
from unblind.runtime.sigterm import Stopped, on_sigterm
from unblind.runtime.versions import versions
from unblind.training.checkpoints import newest_checkpoint, remove_after, step_of
from unblind.training.continuing import (
    adapter_content,
    finished_metrics,
    refuse_fewer_steps,
    settings_to_claim,
    with_adapters_own,
)
from unblind.training.trainer import AnswerTrainer, make_trainer, samples_per_step

# What changes nothing in the result may differ between a run and its resumption.
_IMMATERIAL = {"out", "resume", "report_to", "run_name", "project", "workers"}
# Options that older runs did not have, and what these did.
_LATER: dict[str, Any] = {
    "adapter": None,
    "columns": [],
    "language_lr": None,
    "max_pixels": None,
    "projector_lr": None,
    "vision_lr": None,
    "attention": "auto",
}


@dataclass(frozen=True)
class TrainResult:
    """What a run left: its folder, the adapter in it, and metrics.json."""

    out: Path
    adapter: Path
    metrics: dict[str, Any]


def train(options: TrainOptions, *, on_checkpoint: Callable[[Path], object] | None = None) -> TrainResult:
    """Train an adapter on the split `train` of a dataset, watched on its split `validation`, if it has one.

    Where `torchrun` or `accelerate launch` started several processes, each has batches of its own, and the
    main one writes.

    The folder `options.out` then holds adapter/ (for peft), checkpoints/, config.yaml, versions.json,
    log.jsonl (Trainer's log, with samples and seconds) and metrics.json.

    Args:
        options: of the run.
        on_checkpoint: called with the folder of each checkpoint once it is whole; peft reads it.

    Raises:
        RecipeError: a name that Trainer does not know, cached features of a tower that is trained, float16
            without a GPU, something else than the adapter has that training starts from.
        DatasetError: no such dataset, columns missing, a broken row.
        ModelError: the model cannot be loaded, memory runs out, or a trainable parameter gets no gradient.
        OutputError: the folder holds something else, another run, one on other samples, one of more steps, or
            an unfinished one and `resume` is off; the disk is full.
        Stopped: by SIGTERM, with a checkpoint of the last step.
    """
    _check(options)
    refuse_inside(options.out, options.data)
    if options.resume and (finished := from_main_process(lambda: _finished(options))):
        return finished  # its data may be gone
    training, validation = _samples(options)
    attention = trainable_attention(options.attention, choose_device(options.device))
    loaded = load_as_trained(replace(options, attention=attention))
    try:
        return fit(loaded, training, validation, options, on_checkpoint=on_checkpoint)
    except DatasetError as error:
        raise DatasetError(f"{options.data}: {error}") from None


def fit(
    loaded: Loaded,
    training: datasets.Dataset | Stream,
    validation: datasets.Dataset | None,
    options: TrainOptions,
    *,
    on_checkpoint: Callable[[Path], object] | None = None,
) -> TrainResult:
    """`train` for a model and datasets that are already in memory; `loaded.model` is adapted in place."""
    if not isinstance(training, Stream):
        training = prepared(training)
    if validation is not None:
        validation = prepared(validation)
        validation = validation.select(range(min(len(validation), options.eval_samples)))
    settings = _settings(options, training, validation) if is_main_process() else {}
    keep_freed_memory(loaded.device)
    set_seed(options.seed)
    model, options = _adapted(loaded, options)
    with (
        claim(options.out, settings, made_by="unblind train"),
        explain_full_disk(options.out, "continue with the same command and --resume"),
    ):
        if options.resume and (finished := from_main_process(partial(_left_behind, options))):
            return finished
        checkpoint = from_main_process(partial(_begin, options))
        sets = [one for one in (training, validation) if isinstance(one, datasets.Dataset)]
        cache = options.cache_features
        features = None if cache is None else from_main_process(lambda: cached_features(loaded, sets, cache))
        told_to_stop = threading.Event()
        trainer = make_trainer(
            loaded, model, training, validation, options, features, told_to_stop, on_checkpoint
        )
        with (
            _vision_side(loaded, options),
            explain_out_of_memory(lambda: _batch_that_fits(loaded, options)),
            on_sigterm(told_to_stop.set),
        ):
            _train(trainer, checkpoint, told_to_stop)
        return _write_run(options, loaded.name, model, trainer)


def _adapted(loaded: Loaded, options: TrainOptions) -> tuple[PeftModel, TrainOptions]:
    """The model to train, and the options with what the adapter decides that it starts from."""
    if options.adapter is not None:
        refuse_other_base(options.adapter, options.model)
        model = start_from(loaded.model, options.adapter, options.scopes)
        return model, with_adapters_own(options, model)
    model = add_adapter(
        loaded.model,
        options.scopes,
        rank=options.rank,
        alpha=options.alpha,
        dropout=options.dropout,
        rslora=options.rslora,
        dora=options.dora,
        target_modules=options.target_modules,
    )
    return model, options


def _vision_side(loaded: Loaded, options: TrainOptions) -> AbstractContextManager[None]:
    """While the block runs, the model takes the images as the options have the collator give them."""
    base = base_of(loaded.model)
    if options.cache_features:
        return without_tower(base, with_fixed_grid(loaded.family, "cache_features"))
    if options.drop_blank:
        return dropping_patches(base, with_fixed_grid(loaded.family, "drop_blank"))
    return nullcontext()


def _batch_that_fits(loaded: Loaded, options: TrainOptions) -> str:
    """What to do where a step takes more memory than there is."""
    limit = total_memory(loaded.device)
    base = base_of(loaded.model)
    batch = limit and largest_batch(base.config, options, base.dtype, loaded.device, limit)
    if limit is None or batch == options.batch_size:
        return SMALLER
    if not batch:
        return "not even single samples fit: take --gradient-checkpointing or --quantization nf4"
    accumulation = math.ceil(options.batch_size * options.accumulation / batch)
    return f"--batch-size {batch} --accumulation {accumulation} should fit"


def _samples(options: TrainOptions) -> tuple[datasets.Dataset | Stream, datasets.Dataset | None]:
    """What to train on and what to watch it with."""
    if options.data.startswith(STREAM):
        mixture = stream_mixture(options.data)
        length = (options.max_steps or 0) * samples_per_step(options)
        return Stream(mixture, length), validation_of(mixture, options.eval_samples)
    columns = columns_named(options.columns)
    watched = not set(SPLIT_NAMES["validation"]).isdisjoint(splits(options.data, columns))
    validation = read(options.data, "validation", columns=columns) if watched else None
    return read(options.data, "train", columns=columns), validation


def _train(trainer: AnswerTrainer, checkpoint: Path | None, told_to_stop: threading.Event) -> None:
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except UnpicklingError as error:
        raise ModelError(
            f"{checkpoint} holds a pickle of more than numbers, which could run code; delete it, and --resume"
        ) from error
    except RuntimeError as error:  # the signal ended a process that prepared batches, before this one stopped
        if not (told_to_stop.is_set() and "DataLoader worker" in str(error)):
            raise
        raise Stopped("stopped by SIGTERM; --resume continues from the last checkpoint") from None


def _check(options: TrainOptions) -> None:
    if options.quantization and os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true":
        raise RecipeError(
            f"{options.quantization} weights cannot be split among processes (FSDP); leave quantization out,"
            " or launch with recipes/accelerate/ddp.yaml"
        )
    for key, known in (("optimizer", OptimizerNames), ("scheduler", SchedulerType)):
        names = [member.value for member in known]
        if getattr(options, key) not in names:
            raise RecipeError(f"unknown {key} {getattr(options, key)}; choose one of {', '.join(names)}")
    if options.dtype == "float16" and choose_device(options.device).type == "cpu":
        raise RecipeError(
            "float16 trains on a GPU only, and this is a CPU; take float32 or bfloat16 (--dtype)"
        )


def _settings(
    options: TrainOptions, training: datasets.Dataset | Stream, validation: datasets.Dataset | None
) -> dict[str, Any]:
    """What the run is made of, with hashes of what lies elsewhere."""
    settings = _told(options)
    sets = [one for one in (training, validation) if isinstance(one, datasets.Dataset)]
    settings["data_content"] = content_of(sets)
    if options.adapter is not None:
        settings["adapter_content"] = adapter_content(options.adapter)
    return settings_to_claim(options, settings)


def _told(options: TrainOptions) -> dict[str, Any]:
    settings = {
        key: value
        for key, value in _plain(asdict(options)).items()
        if key not in _IMMATERIAL and not (key in _LATER and value == _LATER[key])
    }
    if options.data.startswith(STREAM):
        settings["stream"] = settings_of(stream_mixture(options.data))
    return settings | {"processes": world_size()}  # by which batches grow


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Only what YAML and JSON know."""
    return {key: _plain_value(value) for key, value in values.items()}


def _plain_value(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, Path) else value


def _finished(options: TrainOptions) -> TrainResult | None:
    """What a finished run left, if it is asked for again by the names that it began with."""
    found, told = read_settings(options.out) or {}, _told(options)
    same = all(found.get(name) == told.get(name) for name in ("data", "adapter"))
    finished = _left_behind(options) if same else None
    if finished is None:
        return None
    contents = {key: found[key] for key in ("data_content", "adapter_content") if key in found}
    with claim(options.out, settings_to_claim(options, told | contents), made_by="unblind train"):
        return finished


def _left_behind(options: TrainOptions) -> TrainResult | None:
    metrics = finished_metrics(options, samples_per_step(options))
    return None if metrics is None else TrainResult(options.out, options.out / "adapter", metrics)


def _checkpoint_to_resume(options: TrainOptions) -> Path | None:
    checkpoints, finished = options.out / "checkpoints", options.out / "metrics.json"
    if options.resume:
        checkpoint = newest_checkpoint(checkpoints)
        if checkpoint is None and finished.exists():
            raise OutputError(
                f"{options.out} holds a finished run without checkpoints to continue from; start another run"
                f" from its adapter (--adapter {quote(str(options.out))} --out DIR)"
            )
        refuse_fewer_steps(options, step_of(checkpoint) if checkpoint else 0)
        remove_after(checkpoints, checkpoint)
        finished.unlink(missing_ok=True)  # it marks the end, which is further away now
        return checkpoint
    for path, state in ((finished, "a finished"), (checkpoints, "an unfinished")):
        if path.exists():
            raise OutputError(
                f"{options.out} holds {state} run; continue it (--resume) or name another (--out)"
            )
    return None


def _begin(options: TrainOptions) -> Path | None:
    """Write what the run is made of; returns the checkpoint to start from."""
    checkpoint = _checkpoint_to_resume(options)
    write_text(options.out / "config.yaml", yaml.safe_dump(_plain(asdict(options)), sort_keys=False))
    write_json(options.out / "versions.json", versions())
    return checkpoint


def _write_run(options: TrainOptions, base: str, model: PeftModel, trainer: AnswerTrainer) -> TrainResult:
    """Write adapter, log and metrics; metrics.json comes last and so marks a finished run."""
    out, rows = options.out, trainer.state.log_history
    weights = trainer.whole_weights()
    samples = trainer.state.global_step * trainer.samples_per_step
    seconds = rows[-1]["seconds"]
    training_seconds = max(seconds - sum(row.get("eval_runtime", 0.0) for row in rows), 1e-9)
    metrics = {
        "samples": samples,
        "seconds": seconds,
        "samples_per_second": round(samples / training_seconds, 3),
        "trainable_parameters": trainable_parameters(model),
        "best_accuracy": max((row["eval_accuracy"] for row in rows if "eval_accuracy" in row), default=None),
    }
    if is_main_process():
        with atomic(out / "adapter") as folder:
            # embeddings are never trained; left to itself peft would ask the hub about them
            model.save_pretrained(str(folder), state_dict=weights, save_embedding_layers=False)
            if digest := digest_of(base):
                write_json(Path(folder) / BASE, {"sha256": digest})
        write_text(out / "log.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
        write_json(out / "metrics.json", metrics)
    return TrainResult(out, out / "adapter", metrics)
