"""What a fine-tuned model came from, as far as its folder tells: base, training, data. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml
from httpx2 import HTTPError
from huggingface_hub import ModelCard

from unblind.errors import ModelError
from unblind.models.adapter_files import CONFIG, adapter_folder
from unblind.models.embedded import EMBEDDED
from unblind.models.registry import own_families
from unblind.runtime.json_files import read_json
from unblind.runtime.outputs import read_settings, write_json
from unblind.tasks.prompts import prompt_text

ORIGIN = "unblind.json"  # in a merged checkpoint
_FOLDERS = {path.parts[-3:]: name for name, path in EMBEDDED.items()}  # the same on any machine
_PATHS = ("data", "out", "model", "cache_features")  # among a run's options
# of the data's settings
_TOLD = ("made_by", "train", "seed", "words", "min_length", "max_length", "random_strings", "prompt")


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
    """

    base: str
    licence: str
    revision: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    merged: Mapping[str, Any] = field(default_factory=dict)

    @property
    def question(self) -> str | None:
        """What it was trained to answer, by the run or by what `unblind generate` drew; None: unknown."""
        named = self.options.get("prompt") or self.data.get("prompt")
        return prompt_text(str(named), "{word}") if named else None


def run_folder(folder: Path) -> Path:
    """The folder of the run that made an adapter: the folder itself, or the one around it."""
    around = folder.resolve().parent
    return around if folder.resolve().name == "adapter" and (around / "config.yaml").is_file() else folder


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
        try:
            return Origin(**read_json(folder / ORIGIN))
        except TypeError as error:
            raise ModelError(f"{folder / ORIGIN} is of another version; export the model again") from error
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
    told = _told(data or {}, run)
    return Origin(base, licence_of(base), revision, options | paths, training, told)


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
    return any((place / path).exists() for place in (Path(), *near.resolve().parents))


def public_name(source: str, near: Path) -> str:
    """What to call a model or dataset in public: of a path on this machine the last part alone."""
    return Path(source).expanduser().resolve().name if is_local(source, near) else source


def _told(settings: Mapping[str, Any], near: Path) -> dict[str, Any]:
    told = {key: settings[key] for key in _TOLD if settings.get(key) is not None}
    return told | ({"words": public_name(told["words"], near)} if "words" in told else {})


def _read_yaml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        found = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ModelError(f"{path} cannot be read as YAML; train again, or name the adapter alone") from error
    return found if isinstance(found, dict) else {}
