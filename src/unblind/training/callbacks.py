"""What watches a training run: gradients, checkpoints, signals, and lines that tell how it goes."""
# ruff: noqa: ARG002  (Trainer fixes the signatures of its hooks)

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import reduce
from transformers import ProgressCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from unblind.errors import ModelError
from unblind.runtime.sigterm import Stopped
from unblind.training.checkpoints import seal


class GradientGuard(TrainerCallback):
    """Stops a run in which some trainable parameter is not reached by the first step's gradient."""

    def on_pre_optimizer_step(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: Any = None,
        **_: Any,
    ) -> None:
        if state.global_step > 0:
            return
        dead = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
        if dead:
            raise ModelError(
                f"{len(dead)} trainable parameters get no gradient, among them {dead[0]};"
                " train without quantization, or freeze that part of the model"
            )


class LastStep(TrainerCallback):
    """Evaluates and saves at the last step too, which need not be a multiple of `eval_every`."""

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if state.global_step >= state.max_steps:
            control.should_evaluate = args.eval_strategy != "no"
            control.should_save = control.should_log = True


class Checkpoints(TrainerCallback):
    """Seals each checkpoint, and ends the run with one when it is told to.

    `sealed` is called with the folder of each, by the process that writes.
    """

    def __init__(self, told_to_stop: threading.Event, sealed: Callable[[Path], object] | None = None) -> None:
        self.told_to_stop = told_to_stop
        self.sealed = sealed
        self.stopping = False

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if state.best_model_checkpoint:  # its old path, if the run's folder was moved since
            name = Path(state.best_model_checkpoint).name
            state.best_model_checkpoint = str(Path(args.output_dir or "") / name)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self.stopping = _in_any_process(self.told_to_stop.is_set())
        control.should_save |= self.stopping

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        PartialState().wait_for_everyone()  # each process writes its own random state
        if state.is_world_process_zero:
            folder = Path(args.output_dir or "") / f"checkpoint-{state.global_step}"
            seal(folder)
            if self.sealed:
                self.sealed(folder)
        if self.stopping:
            raise Stopped(
                f"stopped by SIGTERM after step {state.global_step:,} of {state.max_steps:,}, which is saved;"
                " continue with the same command and --resume"
            )


def _in_any_process(told: bool) -> bool:
    """Whether any process was told to stop; a signal does not reach all of them in the same step."""
    processes = PartialState()
    if processes.num_processes == 1:
        return told
    return bool(reduce(torch.tensor(float(told), device=processes.device)) > 0)


class ProgressLines(TrainerCallback):
    """Plain progress lines, for where there is no terminal to draw a bar on."""

    def __init__(self) -> None:
        self.began, self.first_step = 0.0, 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self.began, self.first_step = time.monotonic(), state.global_step

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Any = None,
        **_: Any,
    ) -> None:
        measured = shown(logs)
        if not state.is_world_process_zero or not measured:
            return
        times = f"{logs['seconds']:,.0f} s"
        steps = state.global_step - self.first_step
        if steps > 0 and state.global_step < state.max_steps:
            left = (time.monotonic() - self.began) / steps * (state.max_steps - state.global_step)
            times += f", {duration(left)} left"
        step = f"step {state.global_step:,} of {state.max_steps:,} ({times})"
        print(f"train: {step}: {measured}", file=sys.stderr, flush=True)


class ProgressBar(ProgressCallback):
    """Trainer's progress bar, which knows the time left, with our lines above it."""

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Any = None,
        **_: Any,
    ) -> None:
        if self.training_bar is not None and (measured := shown(logs)):
            self.training_bar.write(f"step {state.global_step:,}: {measured}", file=sys.stderr)


_SHOWN = {
    "loss": "loss {:.4f}",
    "eval_accuracy": "validation accuracy {:.1%}",
    "eval_loss": "loss {:.4f}",
    "samples_per_second": "{:,.1f} samples/s",
    "learning_rate": "learning rate {:.1e}",
    "grad_norm": "gradient norm {:.2g}",
    "peak_memory_gib": "peak memory {:.1f} GiB",
}


def shown(logs: Mapping[str, float]) -> str:
    """What a logged row says to a person; nothing for the row at the end of a run."""
    if not {"loss", "eval_loss"} & logs.keys():
        return ""
    return ", ".join(text.format(logs[key]) for key, text in _SHOWN.items() if key in logs)


def duration(seconds: float) -> str:
    """A time in its two largest units: `2 h 5 min`, `1 min 20 s`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
