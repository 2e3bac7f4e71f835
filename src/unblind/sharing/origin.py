"""What a fine-tuned model came from, as far as its folder tells: base, training, data. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml
from httpx2 import HTTPError
from huggingface_hub import ModelCard, hf_hub_download

from unblind.data.dataset_options import DEFAULT_PROMPT
from unblind.errors import ModelError
from unblind.models.adapter_files import CONFIG, adapter_folder
from unblind.models.embedded import EMBEDDED
from unblind.models.family import Family
from unblind.models.registry import family_named, model_types, own_families
from unblind.runtime.json_files import read_json
from unblind.runtime.outputs import read_settings, write_json
from unblind.tasks.base import EACH, Task
from unblind.tasks.registry import DEFAULT_TASK, TASKS, task_of

ORIGIN = "unblind.json"  # in a merged checkpoint
_FOLDERS = {path.parts[-3:]: name for name, path in EMBEDDED.items()}  # the same on any machine
_PATHS = ("data", "out", "model", "cache_features", "adapter")  # among a run's options


@dataclass(frozen=True)
class Origin:
    """Where a model came from.

    Attributes:
        base: `tiny`, a folder, or an id on the hub.
        licence: the hub's name of the base's, which holds for what is made from it as well; or "unknown".
        revision: of the base on the hub.
        options: of the training run, as its config.yaml has them, with the last parts of paths; nothing if
            they are not known.
        training: what the run measured, as its metrics.json has it.
        data: how the training data was made, as the settings.json of its folder has it.
        merged: how the merged checkpoint compared with base and adapter; nothing for an adapter.
        model_type: of the base's config.json, as far as it can be read.
    """

    base: str
    licence: str
    revision: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    merged: Mapping[str, Any] = field(default_factory=dict)
    model_type: str | None = None

    @property
    def tasks(self) -> list[Task[Any]]:
        """What it was trained for; nothing where `unblind generate` did not draw its data."""
        if self.data.get("made_by") != "unblind generate":
            return []
        recorded = self.data.get("task", DEFAULT_TASK)
        texts = recorded if isinstance(recorded, list) else [recorded]
        names = list(TASKS) if texts == ["all"] else [str(text).partition("=")[0] for text in texts]
        return [task_of(name) for name in names]

    @property
    def family(self) -> Family | None:
        """The base's, if it is known."""
        return family_named(self.model_type) if self.model_type in model_types() else None

    @property
    def question(self) -> str | None:
        """What it was trained to answer, by the run or by what `unblind generate` drew; None: unknown."""
        task = self.tasks[0] if self.tasks else task_of(None)
        named = self.options.get("prompt") or self.data.get("prompt") or (self.tasks and DEFAULT_PROMPT)
        if not named:
            return None
        return task.question(task.default_prompt if named in (DEFAULT_PROMPT, EACH) else str(named), {})


def run_folder(folder: Path) -> Path:
    """The folder of the run that made an adapter: the folder itself, or one around it or its checkpoint."""
    around = folder.resolve().parent
    run = {folder.resolve().name: around, around.name: around.parent}
    found = run.get("adapter") or run.get("checkpoints")
    return found if found and (found / "config.yaml").is_file() else folder


def read_origin(folder: Path, base: str | None = None, revision: str | None = None) -> Origin:
    """What an adapter's folder, a run folder or a merged checkpoint says of itself.

    Args:
        folder: one of these.
        base: instead of the one that it names, and `revision` then instead of its revision.
        revision: of the base on the hub.

    Raises:
        ModelError: it is none of these, says nothing of its base, or is damaged.
    """
    if (folder / ORIGIN).is_file():
        return _read_own(folder / ORIGIN)
    adapter, run = adapter_folder(folder), run_folder(folder)
    if adapter is None:
        raise ModelError(
            f"{folder} holds no adapter, nor what `unblind export` leaves; name a run or an export"
        )
    options = _read_yaml(run / "config.yaml")
    if base is None:
        config = read_json(adapter / CONFIG)
        base = options.get("model") or config.get("base_model_name_or_path")
        revision = options.get("revision")
    if not isinstance(base, str):
        raise ModelError(f"{folder} does not say what its base is; export it with --model BASE")
    base = _FOLDERS.get(Path(base).parts[-3:], base)
    training = read_json(run / "metrics.json") if (run / "metrics.json").is_file() else {}
    data = read_settings(Path(options["data"])) if options.get("data") else None
    paths = {key: public_name(options[key], run) for key in _PATHS if options.get(key)}
    return Origin(
        base,
        licence_of(base),
        revision,
        options | paths,
        training,
        _public(data or {}, run),
        model_type=model_type_of(base),
    )


def _read_own(path: Path) -> Origin:
    """What `write_origin` left."""
    try:
        origin = Origin(**read_json(path))
    except TypeError as error:
        raise ModelError(f"{path} is of another version; export the model again") from error
    parts = (origin.options, origin.training, origin.data, origin.merged)
    if not all(isinstance(part, dict) for part in parts) or not isinstance(origin.base, str):
        raise ModelError(f"{path} is not what its name says; export the model again")
    return origin


def licence_of(base: str) -> str:
    """The hub's name of a base's licence, which holds for what is derived from it, too; or "unknown".

    Another base's is what its card says, in its folder or on the hub.
    """
    if base in EMBEDDED:
        return "mit"
    for family in own_families():
        if licence := family.licence(base):
            return licence
    card = Path(base).expanduser() / "README.md"
    if Path(base).exists() and not card.is_file():
        return "unknown"
    try:
        return str(ModelCard.load(card if card.is_file() else base).data.license or "unknown")
    except (OSError, ValueError, HTTPError):
        return "unknown"


def model_type_of(base: str) -> str | None:
    """The model type in a base's config.json: of its folder, or on the hub; None if it cannot be read."""
    for family in own_families():
        if family.licence(base):  # which members alone can read
            return min(family.model_types)
    folder = EMBEDDED.get(base, Path(base).expanduser())
    try:
        path = folder if folder.is_dir() else Path(hf_hub_download(base, "config.json")).parent
        return str(read_json(path / "config.json").get("model_type"))
    except (OSError, ValueError, HTTPError, ModelError):
        return None


def write_origin(folder: Path, origin: Origin) -> None:
    """Leave what is known beside a merged checkpoint."""
    write_json(folder / ORIGIN, asdict(origin))


def is_local(source: str, near: Path) -> bool:
    """Whether the name of a model or dataset is a path here, rather than an id on the hub.

    Args:
        source: as a run or an evaluation has noted it, perhaps relative to the folder where it was started.
        near: that run's or evaluation's folder.
    """
    path = Path(source).expanduser()
    if path.is_absolute() or source.startswith(".") or len(path.parts) > 2:
        return True
    return any((folder / path).exists() for folder in (Path(), *near.resolve().parents))


def public_name(source: str, near: Path) -> str:
    """What to call a model or dataset in public: of a path on this machine the last part alone."""
    return Path(source).expanduser().resolve().name if is_local(source, near) else source


def _public(settings: Mapping[str, Any], near: Path) -> dict[str, Any]:
    """What `unblind generate` noted of its data, without paths: of each the last part alone."""
    if settings.get("made_by") != "unblind generate":
        return {}

    def public(value: Any) -> Any:
        if isinstance(value, list):
            return [public(item) for item in value]
        return public_name(value, near) if isinstance(value, str) else value

    return {
        name: value if name == "prompt" else public(value)
        for name, value in settings.items()
        if value is not None
    }


def _read_yaml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        options = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ModelError(f"{path} cannot be read as YAML; train again, or name the adapter alone") from error
    return options if isinstance(options, dict) else {}
