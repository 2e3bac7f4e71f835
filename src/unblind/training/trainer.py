"""transformers.Trainer for answers: accuracy of answers measured, gradients watched."""
# ruff: noqa: ARG002  (Trainer fixes the signatures of its hooks)

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import datasets
import numpy as np
import torch
from peft import PeftModel
from peft.helpers import disable_input_dtype_casting
from transformers import (
    EarlyStoppingCallback,
    PrinterCallback,
    ProgressCallback,
    Trainer,
    TrainingArguments,
)
from transformers.trainer_utils import EvalPrediction

from unblind.data.stream import Stream
from unblind.errors import ModelError, RecipeError
from unblind.models.adapters import base_of
from unblind.models.choices import Choices, choices_as_tokens
from unblind.models.collate import Collator
from unblind.models.finite import refuse_non_finite
from unblind.models.loading import Loaded
from unblind.models.vision_cache import Features
from unblind.recipe import STREAM, Part, TrainOptions
from unblind.runtime.device_memory import peak_memory
from unblind.runtime.distributed import world_size
from unblind.tasks.base import Row
from unblind.tasks.generic import GENERIC
from unblind.tasks.registry import task_of
from unblind.training.batches import AlikeBatches
from unblind.training.callbacks import Checkpoints, GradientGuard, LastStep, ProgressBar, ProgressLines
from unblind.training.continuing import LearningRate

# where Weights & Biases, Comet and MLflow look for what Trainer does not pass on to them
_PROJECTS = ("WANDB_PROJECT", "COMET_PROJECT_NAME", "MLFLOW_EXPERIMENT_NAME")


class AnswerTrainer(Trainer):
    """Logs samples and seconds, and measures answers instead of collecting logits."""

    def __init__(
        self,
        *,
        choices: Choices | None,
        samples_per_step: int,
        rates: Mapping[Part, float],
        part_of: Callable[[str], Part | None],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.choices = choices
        self.rates = rates
        self.part_of = part_of
        self.samples_per_step = samples_per_step
        self.began = time.monotonic()
        self._mark: tuple[float, int] | None = None  # when the last line was logged, and at which step

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Trainer's; the keys and values that only decoding needs are not kept."""
        return super().compute_loss(model, {**inputs, "use_cache": False}, *args, **kwargs)

    def compute_loss_context_manager(self) -> ExitStack:
        """Trainer's autocast, without peft's own casts of LoRA's inputs to float32 and back."""
        stack = ExitStack()
        stack.enter_context(super().compute_loss_context_manager())
        if self.args.bf16 or self.args.fp16:
            stack.enter_context(disable_input_dtype_casting(cast(PeftModel, self.model)))
        return stack

    def prediction_step(
        self,
        model: Any,
        inputs: Mapping[str, Any],
        prediction_loss_only: bool,
        ignore_keys: list[str] | None = None,
    ) -> tuple[None, torch.Tensor, torch.Tensor]:
        """For each answer whether it is right (restricted, exact), its probability, and its part of the loss.

        The prefix does not see the answer, so that these logits are those of a prefill without it; and greedy
        decoding gives an answer exactly if each of its tokens is the likeliest after those before it.

        Returns float32 (B, 5): restricted, exact, the mean probability of a token, the sum of the tokens'
        losses, their number; then zeros. Trainer's own loss comes first and is left out: where several
        processes share the last batch it counts the rows twice that fill it up.
        """
        inputs = self._prepare_inputs(dict(inputs))
        with torch.no_grad(), self.compute_loss_context_manager():
            _, outputs = self.compute_loss(model, inputs, return_outputs=True)
        refuse_non_finite(outputs.logits, "the model in training")
        logits, targets = outputs.logits.float(), inputs["shift_labels"]
        lengths = inputs["logits_to_keep"].sum(1)
        logs = logits.log_softmax(-1).gather(1, targets[:, None])[:, 0].split(lengths.tolist())
        hits = (logits.argmax(-1) == targets).split(lengths.tolist())
        exact = torch.stack([part.all() for part in hits])
        restricted = exact
        if self.choices is not None:
            deciding = lengths.cumsum(0) - lengths + len(self.choices.shared)
            tokens = torch.tensor(self.choices.tokens, device=logits.device)
            restricted = tokens[logits[deciding][:, tokens].argmax(-1)] == targets[deciding]
        shares = torch.stack([part.exp().mean() for part in logs])
        losses = torch.stack([-part.sum() for part in logs])
        columns = [restricted.float(), exact.float(), shares, losses, lengths.float()]
        measured = torch.stack(columns, dim=1)
        return None, measured, torch.zeros_like(measured)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """Trainer's, with groups of their own for the parts that have a learning rate of their own."""
        optimizer: torch.optim.Optimizer = super().create_optimizer(model)
        if self.rates:
            trained = cast(torch.nn.Module, model or self.model)
            names = {id(parameter): name for name, parameter in trained.named_parameters()}
            optimizer.param_groups[:] = [
                part for group in optimizer.param_groups for part in self._by_part(group, names)
            ]
        return optimizer

    def _by_part(self, group: Mapping[str, Any], names: Mapping[int, str]) -> Iterator[dict[str, Any]]:
        """An optimizer's group, cut up by learning rates."""
        by_rate: dict[float, list[torch.nn.Parameter]] = {}
        for parameter in group["params"]:
            part = self.part_of(names[id(parameter)].removeprefix("base_model.model."))
            rate = self.rates.get(part, group["lr"]) if part else group["lr"]
            by_rate.setdefault(rate, []).append(parameter)
        for rate, parameters in by_rate.items():
            yield {**group, "params": parameters, "lr": rate}

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        """Trainer's; where blank paper is left out, alike images come together."""
        rows = train_dataset if train_dataset is not None else self.train_dataset
        if cast(Collator, self.data_collator).drop_blank and isinstance(rows, datasets.Dataset):
            return AlikeBatches(rows, self.args.train_batch_size * self.args.world_size, self.args.seed)
        return super()._get_train_sampler(train_dataset)

    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        """Of whole images, whatever is left out of training."""
        collator = self.data_collator
        self.data_collator = replace(cast(Collator, collator), drop_blank=False)
        try:
            return super().get_eval_dataloader(eval_dataset)
        finally:
            self.data_collator = collator

    def whole_weights(self) -> dict[str, torch.Tensor] | None:
        """The trained model's weights where FSDP has them in pieces; None where they lie in the model."""
        if not self.is_fsdp_enabled:
            return None
        weights: dict[str, torch.Tensor] = self.accelerator.get_state_dict(self.model_wrapped)
        return weights

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        if self._mark is None:  # what comes before the first step is no training
            self._mark = time.monotonic(), self.state.global_step
        return super().training_step(*args, **kwargs)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Trainer's, with samples, seconds, samples/s and the peak of memory.

        Raises ModelError if a loss or a gradient norm is not finite.
        """
        self._refuse_non_finite(logs)
        now, step = time.monotonic(), self.state.global_step
        logs["samples"] = step * self.samples_per_step
        logs["seconds"] = round(self.seconds_before + now - self.began, 3)
        if "loss" in logs and self._mark and step > self._mark[1]:
            seconds = max(now - self._mark[0], 1e-9)
            logs["samples_per_second"] = round((step - self._mark[1]) * self.samples_per_step / seconds, 3)
            if (peak := peak_memory(self.args.device)) is not None:
                logs["peak_memory_gib"] = round(peak / 2**30, 3)
        self._mark = now, step  # of an evaluation, the end
        super().log(logs, start_time)

    def _refuse_non_finite(self, logs: Mapping[str, float]) -> None:
        """Raise ModelError where training has come to infinity; a GradScaler skips such steps by itself."""
        skipped = self.accelerator.optimizer_step_was_skipped
        labels = {"loss": "loss", "grad_norm": "gradient norm", "eval_loss": "validation loss"}
        for name, label in labels.items():
            value = float(logs.get(name, 0.0))
            if not math.isfinite(value) and not (name == "grad_norm" and skipped):
                raise ModelError(
                    f"the {label} is {value} at step {self.state.global_step:,}: the model's numbers are no"
                    " longer finite; take a wider --dtype (bfloat16, float32) or a lower --learning-rate; if"
                    " that does not help, the checkpoint is broken"
                )

    @property
    def seconds_before(self) -> float:
        """Seconds that a run took before it was resumed: those of the last row before this session's own."""
        if not hasattr(self, "_seconds_before"):
            rows = [row for row in self.state.log_history if "seconds" in row]
            self._seconds_before = float(rows[-1]["seconds"]) if rows else 0.0
        return self._seconds_before


def samples_per_step(options: TrainOptions) -> int:
    """In an optimizer step of all processes."""
    return options.batch_size * options.accumulation * world_size()


def make_trainer(
    loaded: Loaded,
    model: PeftModel,
    training: datasets.Dataset | Stream,
    validation: datasets.Dataset | None,
    options: TrainOptions,
    features: Features | None,
    told_to_stop: threading.Event,
    on_checkpoint: Callable[[Path], object] | None = None,
) -> AnswerTrainer:
    watched = validation if options.eval_every > 0 else None
    if options.project:
        os.environ |= dict.fromkeys(_PROJECTS, options.project)
    try:
        trainer = AnswerTrainer(
            choices=_choices(loaded, watched, options.prompt) if watched else None,
            samples_per_step=samples_per_step(options),
            rates=options.rates,
            part_of=loaded.family.part_of,
            model=model,
            args=_arguments(loaded, options, watched is not None),
            train_dataset=training,
            eval_dataset=watched,
            data_collator=Collator(
                loaded.family,
                loaded.processor,
                options.prompt,
                features=features,
                drop_blank=options.drop_blank,
            ),
            compute_metrics=_accuracies,
            callbacks=[GradientGuard(), LastStep(), Checkpoints(told_to_stop, on_checkpoint), LearningRate()],
        )
    except (ImportError, RuntimeError, ValueError) as error:  # a tracker that is unknown or not installed
        raise RecipeError(f"training cannot be set up ({error}); check report_to and optimizer") from error
    if watched and options.early_stopping:
        one_more = 0.5 / len(watched)  # half of what one more right answer adds to the accuracy
        trainer.add_callback(EarlyStoppingCallback(options.early_stopping, one_more))
    shards = getattr(trainer.accelerator.state, "fsdp_plugin", None)
    if shards is not None and shards.transformer_cls_names_to_wrap is None:
        shards.transformer_cls_names_to_wrap = loaded.family.layer_classes(base_of(model))
    trainer.remove_callback(PrinterCallback if trainer.args.disable_tqdm else ProgressCallback)
    trainer.add_callback(ProgressLines() if trainer.args.disable_tqdm else ProgressBar())
    return trainer


def _arguments(loaded: Loaded, options: TrainOptions, watched: bool) -> TrainingArguments:
    embeddings = base_of(loaded.model).get_input_embeddings()
    dtype = loaded.compute_dtype or next(embeddings.parameters()).dtype
    on_cpu = loaded.device.type == "cpu"
    arguments = TrainingArguments(
        output_dir=str(options.out / "checkpoints"),
        per_device_train_batch_size=options.batch_size,
        per_device_eval_batch_size=options.batch_size,
        gradient_accumulation_steps=options.accumulation,
        num_train_epochs=options.epochs,
        max_steps=options.max_steps or -1,
        learning_rate=options.learning_rate,
        lr_scheduler_type=options.scheduler,
        warmup_steps=options.warmup_steps,
        weight_decay=options.weight_decay,
        max_grad_norm=options.max_grad_norm,
        optim=options.optimizer,
        activation_checkpointing=options.gradient_checkpointing,
        activation_checkpointing_kwargs={"use_reentrant": False} if options.gradient_checkpointing else None,
        seed=options.seed,
        # a stream's rows are random already
        train_sampling_strategy="sequential" if options.data.startswith(STREAM) else "random",
        logging_steps=options.log_every,
        logging_nan_inf_filter=False,  # it would show them as the last loss that was finite
        eval_strategy="steps" if watched else "no",
        eval_steps=options.eval_every if watched else None,
        save_strategy="steps",
        save_steps=options.eval_every or 500,
        save_total_limit=2,
        load_best_model_at_end=watched,
        metric_for_best_model="selection" if watched else None,
        greater_is_better=True if watched else None,
        report_to=list(options.report_to) or "none",
        run_name=options.run_name or options.out.name,
        project=options.project or "unblind",
        remove_unused_columns=False,
        label_names=["labels"],
        use_cpu=on_cpu,
        ddp_find_unused_parameters=False,  # the guard of gradients finds them
        bf16=dtype == torch.bfloat16,
        fp16=dtype == torch.float16 and not on_cpu,  # with a GradScaler; the model casts by itself
        dataloader_num_workers=options.workers,
        # forked workers share the data; others would each get a copy
        dataloader_multiprocessing_context="fork" if options.workers and sys.platform == "linux" else None,
        dataloader_pin_memory=loaded.device.type == "cuda",
        disable_tqdm=not sys.stderr.isatty(),
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)  # DataParallel would cut the flattened labels in two
    return arguments


def _choices(loaded: Loaded, validation: datasets.Dataset, prompt: str | None) -> Choices | None:
    """The tokens by which the validation split's answers differ; None: accuracy is that of exact answers.

    That is so where answers are of several tasks or formats, too many to list, or not told apart by a token.
    """
    rows: list[Row] = list(validation.remove_columns("image"))
    names = {row.get("task") for row in rows}
    task = task_of(names.pop(), {str(row["answer"]) for row in rows}) if len(names) == 1 else GENERIC
    formats = {task.prompt_of(str(prompt or row.get("prompt")), row).reply for row in rows}
    answers = {task.ask_again(row, prompt).answer for row in rows}
    if len(formats) != 1 or not answers <= set(task.answers.choices or ()):
        return None
    replies = list(map(formats.pop(), task.answers.choices or ()))
    with suppress(ModelError):
        return choices_as_tokens(loaded.family, loaded.processor, replies)
    return None


def _accuracies(results: EvalPrediction) -> dict[str, float]:
    """A token's loss, accuracies in [0, 1], and what chooses a checkpoint: between equals, the surer one."""
    measured = np.asarray(results.predictions)
    restricted, exact, share, losses, tokens = (float(mean) for mean in measured.mean(axis=0))
    # the smallest difference in accuracy, 1 / n, outweighs any difference of the second term
    selection = restricted + share / (100 * len(measured))
    return {"loss": losses / tokens, "accuracy": restricted, "exact": exact, "selection": selection}
