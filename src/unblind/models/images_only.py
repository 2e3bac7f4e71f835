"""Processors without their video half, which needs torchvision and is of no use here."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any


@lru_cache(maxsize=16)
def images_only(name: str) -> Any:
    """A processor class of transformers by its name, that reads images and text alone.

    Where the original also takes a video processor, that is not made. Its settings are kept as they are, so
    that a checkpoint saved with this one still has them.
    """
    import transformers

    original: Any = getattr(transformers, name)
    if "video_processor" not in original.get_attributes():
        return original
    _do_without_num2words()

    class ImagesOnly(original):  # type: ignore[misc]
        @classmethod
        def get_attributes(cls) -> list[str]:
            return [attribute for attribute in super().get_attributes() if attribute != "video_processor"]

        @classmethod
        def _get_arguments_from_pretrained(cls, *args: Any, **kwargs: Any) -> list[Any]:
            return [*super()._get_arguments_from_pretrained(*args, **kwargs), None]

        @classmethod
        def from_pretrained(cls, source: str, **options: Any) -> Any:
            processor = super().from_pretrained(source, **options)
            processor.video_processor = _video_settings(source, name, **options)
            return processor

    ImagesOnly.__name__ = name  # it is saved as the class to load with
    return ImagesOnly


def _video_settings(source: str, processor: str, revision: str | None = None, **_: Any) -> dict[str, Any]:
    """The video processor's settings in a checkpoint; where it has none, the name of its class."""
    from transformers.utils.hub import cached_file

    for file in ("processor_config.json", "video_preprocessor_config.json"):
        path = cached_file(source, file, revision=revision, _raise_exceptions_for_missing_entries=False)
        if path is None:
            continue
        settings: dict[str, Any] = json.loads(Path(path).read_text("utf-8"))
        if file == "processor_config.json":
            settings = settings.get("video_processor") or {}
        if settings:
            return settings
    return {"video_processor_type": _VIDEO_CLASSES[processor]}


# where a checkpoint of before transformers 4.52 has no settings for videos
_VIDEO_CLASSES = {
    "LlavaOnevisionProcessor": "LlavaOnevisionVideoProcessor",
    "Qwen2_5_VLProcessor": "Qwen2VLVideoProcessor",
    "Qwen3VLProcessor": "Qwen3VLVideoProcessor",
    "SmolVLMProcessor": "SmolVLMVideoProcessor",
}


def _do_without_num2words() -> None:
    """SmolVLM's processor asks for a package that writes the number of a video's frames as a word."""
    module: Any = import_module("transformers.models.smolvlm.processing_smolvlm")
    if module.num2words is None:
        module.num2words = str
