"""What happens when the memory runs out."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

import small_model
from unblind.errors import ModelError
from unblind.evaluation import run
from unblind.evaluation.answers import Prefill
from unblind.evaluation.batches import BatchSize
from unblind.evaluation.run import evaluate
from unblind.models.loading import Loaded


def refuse_above(most: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let forward passes of more than so many samples fail; returns the sizes that were tried."""
    tried: list[int] = []
    prefill = run.prefill

    def limited(loaded: Loaded, batch: dict[str, torch.Tensor]) -> Prefill:
        tried.append(len(batch["input_ids"]))
        if tried[-1] > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return prefill(loaded, batch)

    monkeypatch.setattr(run, "prefill", limited)
    return tried


def test_batches_are_halved_until_they_fit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = small_model.samples(20)
    whole = evaluate(small_model.loaded(), rows, batch_size=8, blank=True)
    tried = refuse_above(3, monkeypatch)
    halved = evaluate(small_model.loaded(), rows, batch_size=8, blank=True)
    assert tried == [1, 8, 4, *[2] * 10]
    for name in ("id", "restricted", "free", "blank"):
        assert halved[name].to_pylist() == whole[name].to_pylist()
    said = capsys.readouterr().err
    assert "not enough memory for 8 samples at once; continuing with 4" in said
    assert said.count("continuing with") == 2


def test_a_single_sample_that_does_not_fit_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_above(0, monkeypatch)
    with pytest.raises(ModelError, match=r"single sample \(CUDA out of memory.*--quantization nf4"):
        evaluate(small_model.loaded(), small_model.samples(4), batch_size=4)


def test_other_errors_are_not_taken_for_it() -> None:
    def broken(start: int, stop: int) -> Sequence[int]:
        raise RuntimeError("shapes do not fit")

    size = BatchSize(4)
    with pytest.raises(RuntimeError, match="shapes"):
        size.apply(broken, 4)
    assert size.value == 4
    assert size.apply(lambda start, stop: range(start, stop), 10) == list(range(10))
    assert size.apply(lambda start, stop: range(start, stop), 0) == []
