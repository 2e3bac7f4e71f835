"""What training can be told: flat dataclasses that recipes, flags and Python share. No torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from unblind.errors import RecipeError
from unblind.flags import Adapter, Machine, Memory, Optimizer, Watching
from unblind.options import checked

Part = Literal["language", "projector", "vision"]
Scope = Literal["lora", "full", "frozen"]
Quantization = Literal["nf4", "int8"]
Attention = Literal["auto", "eager", "sdpa", "flex"]
_MAX_CHARACTERS = 100_000  # what comes after is no recipe

STREAM = "stream:"  # begins the name of data that is drawn during training


@dataclass(frozen=True)
class TrainOptions:
    """Options of a fine-tuning run.

    Attributes:
        data: a dataset folder, a Parquet, CSV or JSON file, or the id of a dataset on the Hugging Face Hub.
            `stream:` draws samples during training, with options of `unblind generate`
            (`stream:words=random,seed=1`) or a YAML file of them.
        out: the run's folder.
        model: `tiny`, a folder with a checkpoint, or the id of a model on the hub.
        revision: the model's revision on the hub.
        max_pixels: scale larger images down to this many pixels, for models that keep image sizes (Qwen).
        prompt: a question instead of the dataset's own: a name (circled, highlighted, word, ...) or any text.
        columns: the dataset's names for image, prompt and answer, if they differ (image=photo,answer=label).
        adapter: an adapter to start from: a run's folder, or one that peft saved. It keeps its own rank.
        language: how the language model is trained: lora, full or frozen.
        projector: how the projector is trained.
        vision: how the vision tower is trained.
        rank: rank of the LoRA matrices (peft's r).
        alpha: LoRA's scale is alpha / rank.
        dropout: dropout on LoRA's input.
        rslora: scale by alpha / sqrt(rank) instead.
        dora: train magnitudes as well (DoRA).
        target_modules: module names for LoRA, instead of all linear layers of the chosen parts.
        quantization: quantize the language model's weights, except embeddings and head, with bitsandbytes.
        double_quantization: quantize nf4's scales as well, which saves 0.4 bits a weight.
        quantize_vision: also quantize vision tower and projector, where it costs most and saves least.
        epochs: passes over the data, if max-steps is not given.
        max_steps: optimizer steps.
        batch_size: samples per forward pass.
        accumulation: forward passes per optimizer step.
        learning_rate: the peak learning rate.
        language_lr: another learning rate for the language model.
        projector_lr: another learning rate for the projector.
        vision_lr: another learning rate for the vision tower.
        scheduler: learning-rate scheduler, as transformers.Trainer names it.
        warmup_steps: steps in which the learning rate rises from zero.
        weight_decay: decoupled weight decay.
        max_grad_norm: gradients are clipped to this norm.
        optimizer: optimizer, as transformers.Trainer names it.
        attention: the language model's attention. auto is sdpa if the family has it, else eager. flex takes
            less memory than eager for models without sdpa, such as Gemma 2; its gradients are untested.
        gradient_checkpointing: use less memory and a third more time.
        drop_blank: train without patches of blank paper, which is faster.
        cache_features: a folder for the outputs of a frozen vision tower, one for each image.
        seed: seed of weights and order. On a CPU the same seed gives the same adapter, bit for bit.
        log_every: steps between lines of the log.
        eval_every: steps between evaluations on the validation split; 0 means never.
        eval_samples: the most validation samples to use.
        early_stopping: stop after this many evaluations without improvement; 0 means never.
        report_to: trackers that transformers.Trainer knows (tensorboard, wandb, ...).
        run_name: the run's name in the trackers. The default is its folder's name.
        project: the project's name in the trackers.
        device: auto, cpu, cuda or mps.
        dtype: auto, float32, bfloat16 or float16.
        workers: number of processes that prepare batches; 0 means the training process itself.
        resume: continue this folder's run after an interruption, or for more steps than it has done
            (--max-steps).
    """

    data: str
    out: Path
    model: str = "tiny"
    revision: Machine[str | None] = None
    max_pixels: Memory[int | None] = None
    prompt: str | None = None
    columns: tuple[str, ...] = ()
    # what is trained
    adapter: Adapter[Path | None] = None
    language: Adapter[Scope] = "lora"
    projector: Adapter[Scope] = "lora"
    vision: Adapter[Scope] = "lora"
    rank: Adapter[int] = 16
    alpha: Adapter[float] = 32.0
    dropout: Adapter[float] = 0.0
    rslora: Adapter[bool] = False
    dora: Adapter[bool] = False
    target_modules: Adapter[tuple[str, ...]] = ()
    quantization: Memory[Quantization | None] = None
    double_quantization: Memory[bool] = True
    quantize_vision: Memory[bool] = False
    # how
    epochs: float = 1.0
    max_steps: Optimizer[int | None] = None
    batch_size: int = 8
    accumulation: Optimizer[int] = 4
    learning_rate: float = 2e-4
    language_lr: Optimizer[float | None] = None
    projector_lr: Optimizer[float | None] = None
    vision_lr: Optimizer[float | None] = None
    scheduler: Optimizer[str] = "linear"
    warmup_steps: Optimizer[int] = 10
    weight_decay: Optimizer[float] = 0.0
    max_grad_norm: Optimizer[float] = 1.0
    optimizer: Optimizer[str] = "adamw_torch"
    attention: Memory[Attention] = "auto"
    gradient_checkpointing: Memory[bool] = False
    drop_blank: Memory[bool] = False
    cache_features: Memory[Path | None] = None
    seed: int = 0
    # how it is watched
    log_every: Watching[int] = 10
    eval_every: Watching[int] = 50
    eval_samples: Watching[int] = 256
    early_stopping: Watching[int] = 0
    report_to: Watching[tuple[str, ...]] = ()
    run_name: Watching[str | None] = None
    project: Watching[str | None] = None
    # where
    device: Machine[str] = "auto"
    dtype: Machine[str] = "auto"
    workers: Machine[int] = 0
    resume: bool = False

    def __post_init__(self) -> None:
        """Raise RecipeError for a number out of its range."""
        _refuse_extremes(self)
        positive = (
            "rank alpha epochs batch_size accumulation learning_rate max_grad_norm log_every eval_samples"
        )
        for name in positive.split():
            _refuse(name, getattr(self, name), not getattr(self, name) > 0, "must be above 0")
        for name in ("warmup_steps", "weight_decay", "eval_every", "early_stopping", "workers", "seed"):
            _refuse(name, getattr(self, name), not getattr(self, name) >= 0, "must not be negative")
        _refuse("dropout", self.dropout, not 0 <= self.dropout < 1, "must be at least 0 and below 1")
        _refuse(
            "max_steps", self.max_steps, self.max_steps is not None and self.max_steps < 1, "must be above 0"
        )
        _refuse(
            "max_pixels",
            self.max_pixels,
            self.max_pixels is not None and self.max_pixels < 1024,
            "must be 1024 at least",
        )
        if {self.language, self.projector, self.vision} == {"frozen"}:
            raise RecipeError(
                "language, projector and vision are all frozen; set one of them to lora or full"
            )
        for part, rate in self.rates.items():
            _refuse(f"{part}_lr", rate, not rate > 0, "must be above 0")
            if self.scopes[part] == "frozen":
                raise RecipeError(f"{part}_lr is {rate}, and {part} is frozen; change either")
        for part in self.quantized_parts:
            if self.scopes[part] == "full":
                raise RecipeError(
                    f"{part} is full, and {self.quantization} weights cannot be trained whole; set {part} to"
                    " lora or frozen, or leave quantization out"
                )
        if self.data.startswith(STREAM) and self.max_steps is None:
            raise RecipeError(f"{self.data} has no end; say after how many steps to stop (--max-steps)")
        if self.data.startswith(STREAM) and self.cache_features is not None:
            raise RecipeError(f"cache_features keeps stored images, and {self.data} has none; leave it out")
        if self.cache_features is not None and self.drop_blank:
            raise RecipeError("cache_features keeps whole images, and drop_blank parts; leave either out")
        if self.cache_features is not None and self.vision != "frozen":
            raise RecipeError(
                f"cache_features needs vision to be frozen, and it is {self.vision}; change either"
            )

    @property
    def scopes(self) -> dict[Part, Scope]:
        """What is trained of each part of the model."""
        return {"language": self.language, "projector": self.projector, "vision": self.vision}

    @property
    def rates(self) -> dict[Part, float]:
        """The learning rates of the parts that have one of their own."""
        rates: dict[Part, float | None] = {
            "language": self.language_lr,
            "projector": self.projector_lr,
            "vision": self.vision_lr,
        }
        return {part: rate for part, rate in rates.items() if rate is not None}

    @property
    def quantized_parts(self) -> tuple[Part, ...]:
        """The parts whose weights are quantized."""
        if self.quantization is None:
            return ()
        return ("language", "projector", "vision") if self.quantize_vision else ("language",)


@dataclass(frozen=True)
class PretrainOptions:
    """How the embedded base is made.

    Attributes:
        see_steps: optimizer steps of the first stage, in which the tower learns to see letters.
        read_steps: of the second, in which the whole model learns to read.
        polish_steps: of the third, in which both are learnt at once.
        printed: pictures of strings a step.
        drawn: pictures of the other tasks a step; 0: none.
        muon_lr: peak learning rate of the matrices.
        adamw_lr: of everything else.
        circles: teach the tower to mark circled letters.
        frozen: share of the second stage in which the tower is kept as it is.
        tower_lr: the tower's share of the learning rates after that.
        polish_lr: the third stage's share of the peak learning rates.
        start: a checkpoint after the first two stages, to continue with the third.
        font_sources: where lessons take their fonts from: bundled, system, folders, files.
        families: those to take; none named: all. Held-out families are never taken.
        neighbours: those to take more often, as they resemble fonts that matter.
        seed: of weights and lessons.
        save_every: steps between checkpoints.
        device: auto, cpu, cuda or mps.
        dtype: auto, float32 or bfloat16; weights are float32 in any case.
    """

    see_steps: int = 1600
    read_steps: int = 1000
    polish_steps: int = 2800
    printed: int = 64
    drawn: int = 24
    muon_lr: float = 3e-3
    adamw_lr: float = 1.5e-3
    circles: bool = True
    frozen: float = 0.6
    tower_lr: float = 0.3
    polish_lr: float = 0.6
    start: str | None = None
    font_sources: tuple[str, ...] = ("bundled",)
    families: tuple[str, ...] = ()
    neighbours: tuple[str, ...] = ()
    seed: int = 0
    save_every: int = 200
    device: str = "auto"
    dtype: str = "auto"

    def __post_init__(self) -> None:
        """Raise RecipeError for a number out of its range."""
        _refuse_extremes(self)
        for name in (
            "see_steps",
            "read_steps",
            "polish_steps",
            "printed",
            "muon_lr",
            "adamw_lr",
            "save_every",
        ):
            _refuse(name, getattr(self, name), not getattr(self, name) > 0, "must be above 0")
        for name in ("frozen", "tower_lr", "polish_lr"):
            _refuse(name, getattr(self, name), not 0 <= getattr(self, name) <= 1, "must be from 0 to 1")


def _refuse_extremes(options: TrainOptions | PretrainOptions) -> None:
    for name, value in vars(options).items():
        if isinstance(value, float):
            _refuse(name, value, not math.isfinite(value), "must be a finite number")
        elif isinstance(value, int):
            _refuse(name, value, abs(value) >= 2**31, "must be below 2^31")


def _refuse(name: str, value: object, wrong: bool, rule: str) -> None:
    if wrong:
        raise RecipeError(f"{name} is {value}; it {rule}")


def load_recipe(
    recipe: str | Path, options: type[TrainOptions] | type[PretrainOptions] = TrainOptions
) -> dict[str, Any]:
    """Read a recipe, a YAML mapping of an options class's fields; only what the file names is in the result.

    Args:
        recipe: a file, or the name of one that comes along, like `tiny`.
        options: whose fields.

    Raises:
        RecipeError: no such file, no mapping, an unknown key (the nearest right one is named), a wrong type.
    """
    path = _find(recipe)
    return checked(options, read_mapping(path), path)


def read_mapping(path: Path) -> dict[str, Any]:
    """A YAML file of `key: value`. Raises RecipeError if it is none."""
    if not path.is_file():  # nor a pipe or a device, which would be read forever
        raise RecipeError(f"{path}: no such file; name a recipe, lines of `key: value`")
    try:
        with path.open(encoding="utf-8") as file:
            mapping = yaml.safe_load(file.read(_MAX_CHARACTERS))
    except RecursionError:
        raise RecipeError(f"{path} is nested too deeply; a recipe is lines of `key: value`") from None
    except (OSError, ValueError) as error:
        text = "not text" if isinstance(error, UnicodeDecodeError) else str(error)
        reason = getattr(error, "strerror", None) or text
        raise RecipeError(f"{path} cannot be read ({reason}); name a recipe file (--recipe)") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not YAML"
        raise RecipeError(f"{path}{line}: {problem}; a recipe is lines of `key: value`") from error
    if not isinstance(mapping, dict):
        raise RecipeError(f"{path} is no recipe; it must be lines of `key: value`")
    return mapping


def _find(recipe: str | Path) -> Path:
    bundled = {path.stem: path for path in (Path(__file__).parent / "recipes").glob("*.yaml")}
    path = Path(recipe)
    if path.exists():
        return path
    if str(recipe) in bundled:
        return bundled[str(recipe)]
    raise RecipeError(
        f"--recipe {recipe}: no such file, nor one that comes along: {', '.join(sorted(bundled))}"
    )
