"""Batches of alike images: each row once, in an order of the seed, and one task a batch."""

import datasets
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unblind.training.batches import AlikeBatches


def rows(sizes: list[int], tasks: list[str] | None = None) -> datasets.Dataset:
    features = {"image": datasets.Image(decode=False), "answer": datasets.Value("string")}
    columns: dict[str, list[object]] = {
        "image": [{"bytes": b"x" * size, "path": None} for size in sizes],
        "answer": [str(size) for size in sizes],
    }
    if tasks:
        features["task"] = datasets.Value("string")
        columns["task"] = list(tasks)
    return datasets.Dataset.from_dict(columns, datasets.Features(features))


@given(st.lists(st.integers(0, 50), min_size=1, max_size=300), st.integers(1, 9), st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_every_row_comes_once_in_an_order_of_seed_and_epoch(sizes: list[int], batch: int, seed: int) -> None:
    sampler = AlikeBatches(rows(sizes), batch, seed)
    first = list(sampler)
    assert sorted(first) == list(range(len(sizes))) and len(sampler) == len(sizes)
    assert list(AlikeBatches(rows(sizes), batch, seed)) == first
    sampler.set_epoch(1)
    assert len(sizes) < 50 or list(sampler) != first


@pytest.mark.parametrize("tasks", [None, ["grid", "subway"] * 400])
def test_a_batch_is_of_alike_images(tasks: list[str] | None) -> None:
    sizes = np.random.default_rng(0).integers(1, 1000, 800).tolist()
    order = list(AlikeBatches(rows(sizes, tasks), 8, 0))
    batches = np.array(sizes)[order].reshape(-1, 8)
    assert np.ptp(batches, axis=1).mean() < 150  # of 1000; by chance it would be near 800
    assert abs(np.corrcoef(batches.mean(axis=1), np.arange(100))[0, 1]) < 0.3  # batches come in any order
    if tasks:
        mixed = [len(set(np.array(tasks)[batch])) > 1 for batch in np.reshape(order, (-1, 8)).tolist()]
        assert np.mean(mixed) < 0.05
