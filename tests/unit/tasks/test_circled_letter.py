"""Twins of circled letters: the ring moves on by one letter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from unblind.tasks.base import sample_scene
from unblind.tasks.circled_letter.draw import letter_boxes
from unblind.tasks.circled_letter.task import TASK


def test_a_twin_has_the_next_letter_circled() -> None:
    """Everything else stays; the ring is clearly about its letter, wide as that one is."""
    options = TASK.options_class()
    resources, rng = TASK.resources(options), np.random.default_rng(0)
    found = 0
    for i in range(150):
        scene = sample_scene(TASK, 0, "test", i, options, resources)
        twin = TASK.contrast(rng, scene)
        if twin is None:
            continue
        found += 1
        assert abs(twin.index - scene.index) == 1
        assert TASK.truth(twin) != TASK.truth(scene)
        assert replace(twin, index=scene.index, ellipse=scene.ellipse) == scene
        boxes = letter_boxes(twin, resources.get(twin.font.digest)).astype(float)
        inside = twin.ellipse.contains((boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2)
        assert np.flatnonzero(inside).tolist() == [twin.index]
    assert found > 130
    assert TASK.contrast(rng, scene, "word") is None
    assert TASK.contrast(rng, replace(scene, font=replace(scene.font, digest="0" * 64))) is None


def test_a_twin_and_its_twin_have_the_same_rings() -> None:
    """There and back again: the axes scale with the letters."""
    options = TASK.options_class()
    resources, rng = TASK.resources(options), np.random.default_rng(1)
    for i in range(60):
        scene = sample_scene(TASK, 0, "train", i, options, resources)
        twin = TASK.contrast(rng, scene)
        back = twin and TASK.contrast(rng, twin)
        if back is not None and back.index == scene.index:
            assert np.allclose(list(vars(back.ellipse).values()), list(vars(scene.ellipse).values()))
