"""Blank paper left out of training: nothing printed is lost, and what is left keeps its place."""

from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

import small_model
from unblind.errors import RecipeError
from unblind.models.blank_patches import dropping_patches, kept_patches
from unblind.models.paligemma import FAMILY
from unblind.recipe import TrainOptions
from unblind.training.run import fit
from unblind.training.trainer import AnswerTrainer

GRID, PATCH = 8, 2
SPOTS = arrays.arrays(np.bool_, (3, GRID, GRID), fill=st.just(False))
MODEL = small_model.model()
COLLATOR = small_model.collator(drop_blank=True)


def row(*printed: int, answer: str = "A", prompt: str = "Which?") -> dict:
    """A 28 px image with something printed in these of its two rows of patches."""
    image = np.full((28, 28, 3), 255, np.uint8)
    for number in printed:
        image[14 * number + 5, 9] = 0
    return {"id": "r", "image": Image.fromarray(image), "prompt": prompt, "answer": answer}


@given(SPOTS, st.floats(-1, 1, width=32))
def test_every_printed_patch_is_kept_and_none_too_many(spots: np.ndarray, paper: float) -> None:
    pixels = torch.full((3, 3, GRID * PATCH, GRID * PATCH), paper)
    pixels[:, 1, 1::PATCH, ::PATCH][torch.from_numpy(spots)] = 2.0
    kept = kept_patches(pixels, GRID)
    assert kept.shape[1] == (max(one.sum() for one in spots) or GRID * GRID)
    for one, found in zip(spots, kept.tolist(), strict=True):
        assert set(np.flatnonzero(one)) <= set(found)
        assert found == sorted(set(found))


def test_the_paper_beside_what_is_printed_is_kept_first() -> None:
    pixels = torch.zeros(2, 3, GRID * PATCH, GRID * PATCH)
    pixels[0, :, PATCH * 3, PATCH * 3] = pixels[1, :, PATCH // 2, :] = pixels[1, :, 5 * PATCH + 1, 3] = 1.0
    kept = kept_patches(pixels, GRID)[0]
    assert len(kept) == GRID + 1
    assert ((kept // GRID - 3).abs() <= 1).all() and ((kept % GRID - 3).abs() <= 1).all()


def test_a_batch_keeps_as_many_patches_as_its_fullest_image_has() -> None:
    assert COLLATOR([row(0), row(1)])["kept_patches"].tolist() == [[0], [2]]
    assert COLLATOR([row(0), row(0, 1)])["kept_patches"].tolist() == [[0, 1], [0, 2]]


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([(0,), (1,)]), st.text("ab ?", max_size=9)), min_size=1, max_size=3)
)
def test_tokens_keep_their_places(told: list[tuple[tuple[int, ...], str]]) -> None:
    rows = [row(*printed, prompt=prompt) for printed, prompt in told]
    batch, whole = COLLATOR(rows), small_model.collator()(rows)
    for i in range(len(rows)):
        there = batch["attention_mask"][i] == 1
        places = batch["position_ids"][i, there]
        text = int(whole["attention_mask"][i].sum()) - 4
        assert places.tolist() == [*(batch["kept_patches"][i] + 1).tolist(), *range(5, 5 + text)]
        assert batch["input_ids"][i, there][1:].tolist() == whole["input_ids"][i][-text:].tolist()


@torch.no_grad()
def test_a_model_that_keeps_everything_answers_as_always() -> None:
    batch = small_model.collator()([row(0), row(1, prompt="Which letter?")])
    everything = np.indices((28, 28)).sum(0, dtype=np.uint8)[..., None].repeat(3, axis=2)
    full = [row() | {"image": Image.fromarray(everything)}, row(prompt="Which letter?")]
    kept = COLLATOR(full) | {"pixel_values": batch["pixel_values"]}
    expected = MODEL(**batch).loss
    with dropping_patches(MODEL, FAMILY):
        torch.testing.assert_close(MODEL(**kept).loss, expected, rtol=0, atol=1e-5)
        assert torch.equal(MODEL(**batch).loss, expected)
    with pytest.raises(ValueError, match="do not match"):  # the hooks are gone
        MODEL(**COLLATOR([row(0)]))


@torch.no_grad()
def test_the_order_of_the_patches_is_nothing_and_their_places_are_everything() -> None:
    batch = COLLATOR([row(0, 1, answer="a")])
    turned, moved = dict(batch), dict(batch)
    turned["kept_patches"] = batch["kept_patches"].flip(1)
    turned["position_ids"] = batch["position_ids"].clone()
    turned["position_ids"][:, :2] = batch["position_ids"][:, :2].flip(1)
    moved["position_ids"] = batch["position_ids"] + (batch["position_ids"] > 4) * 100
    with dropping_patches(MODEL, FAMILY):
        expected = MODEL(**batch).loss
        torch.testing.assert_close(MODEL(**turned).loss, expected, rtol=0, atol=1e-5)
        assert abs(MODEL(**moved).loss - expected) > 1e-5


def test_training_leaves_paper_out_and_its_validation_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, set[int]] = {"train": set(), "validation": set()}
    loss = AnswerTrainer.compute_loss
    step = AnswerTrainer.prediction_step

    def watched_loss(self, model, inputs, *args, **named):
        if model.training:
            seen["train"].add(inputs["kept_patches"].shape[1])
        return loss(self, model, inputs, *args, **named)

    def watched_step(self, model, inputs, *args, **named):
        seen["validation"].add(int((inputs["input_ids"] == self.image).sum(1)[0]))
        return step(self, model, inputs, *args, **named)

    monkeypatch.setattr(AnswerTrainer, "image", small_model.processor().image_token_id, raising=False)
    monkeypatch.setattr(AnswerTrainer, "compute_loss", watched_loss)
    monkeypatch.setattr(AnswerTrainer, "prediction_step", watched_step)
    features = datasets.Features(
        {
            "id": datasets.Value("string"),
            "image": datasets.Image(),
            **{name: datasets.Value("string") for name in ("prompt", "answer")},
        }
    )
    rows = datasets.Dataset.from_list([row(i % 2) for i in range(8)], features)
    told = TrainOptions(
        data="in memory", out=tmp_path / "run", max_steps=2, batch_size=4, accumulation=1, rank=2,
        eval_every=1, drop_blank=True, device="cpu", dtype="float32",
    )  # fmt: skip
    fit(small_model.loaded(), rows, rows, told)
    assert seen == {"train": {1}, "validation": {4}}


def test_features_of_whole_images_and_parts_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="either out"):
        TrainOptions(data="d", out=tmp_path, vision="frozen", cache_features=tmp_path, drop_blank=True)
