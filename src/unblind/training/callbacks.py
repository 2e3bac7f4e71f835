"""What watches a training run: gradients, checkpoints, signals, and lines that tell how it goes."""
# ruff: noqa: ARG002  (Trainer fixes the signatures of its hooks)

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import reduce
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

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
    """Seals each checkpoint, and ends the run with one when it is told to."""

    def __init__(self, told_to_stop: threading.Event) -> None:
        self.told_to_stop = told_to_stop
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
            seal(Path(args.output_dir or "") / f"checkpoint-{state.global_step}")
        if self.stopping:
            raise Stopped(
                f"stopped by SIGTERM after step {state.global_step:,} of {state.max_steps:,}, which is saved;"
                " go on with the same command and --resume"
            )


def _in_any_process(told: bool) -> bool:
    """Whether any process was told to stop; a signal does not reach all of them in the same step."""
    processes = PartialState()
    if processes.num_processes == 1:
        return told
    return bool(reduce(torch.tensor(float(told), device=processes.device)) > 0)


class ProgressLines(TrainerCallback):
    """Plain progress lines, for where there is no terminal to draw a bar on."""

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Any = None,
        **_: Any,
    ) -> None:
        shown = {
            "loss": "loss {:.4f}",
            "eval_accuracy": "validation accuracy {:.1%}",
            "eval_loss": "loss {:.4f}",
        }
        if not state.is_world_process_zero:
            return
        parts = [text.format(logs[key]) for key, text in shown.items() if key in logs]
        if parts:
            progress = f"step {state.global_step:,} of {state.max_steps:,} ({logs['seconds']:,.0f} s)"
            print(f"train: {progress}: {', '.join(parts)}", file=sys.stderr, flush=True)
