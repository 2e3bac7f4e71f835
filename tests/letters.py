"""Circled letters, sampled in one line."""

from __future__ import annotations

from unblind.tasks import base
from unblind.tasks.circled_letter.options import Options, Resources
from unblind.tasks.circled_letter.scene import Scene, SceneOptions
from unblind.tasks.circled_letter.task import TASK
from unblind.tasks.fonts import FontLibrary
from unblind.tasks.splits import Split
from unblind.tasks.words import WordSource


def sample_scene(
    seed: int,
    split: Split,
    index: int,
    words: WordSource,
    fonts: FontLibrary,
    options: SceneOptions = SceneOptions(),
) -> Scene:
    """Row `index` of a split, as `generate` draws it."""
    resources = Resources(fonts.fonts, words=words)
    return base.sample_scene(TASK, seed, split, index, Options(scene=options), resources)
