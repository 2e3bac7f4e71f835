"""Samples drawn during training: those that `generate` stores, each drawn once and by its number."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from transformers import TrainerCallback

import small_model
from unblind.data.dataset_options import GenerateOptions
from unblind.data.generation import generate
from unblind.data.reading import read
from unblind.data.stream import Stream, stream_mixture, validation_of
from unblind.errors import RecipeError, SceneError
from unblind.recipe import TrainOptions
from unblind.training import trainer as trainer_module
from unblind.training.run import fit

SOURCE = "stream:words=random,image-size=64,padding=25 100,seed=7"


def options(out: Path, **changes: object) -> TrainOptions:
    told = TrainOptions(
        data=SOURCE, out=out, max_steps=6, batch_size=4, accumulation=2, learning_rate=1e-2, warmup_steps=0,
        dropout=0.1, rank=4, log_every=1, eval_every=2, eval_samples=6, device="cpu", dtype="float32",
    )  # fmt: skip
    return replace(told, **changes)


class Watched(Stream):
    """Remembers what was drawn."""

    drawn: list[int] = []  # noqa: RUF012  (one for all, emptied by each test)

    def __getitem__(self, index: int) -> dict:
        self.drawn.append(index)
        return super().__getitem__(index)


def run(told: TrainOptions) -> bytes:
    """The weights that training on the stream leaves."""
    mixture = stream_mixture(told.data)
    result = fit(small_model.loaded(), Watched(mixture, 48), validation_of(mixture, told.eval_samples), told)
    assert result.metrics["samples"] == 48
    return (result.adapter / "adapter_model.safetensors").read_bytes()


@pytest.fixture(autouse=True)
def _nothing_drawn() -> None:
    Watched.drawn.clear()


def test_a_stream_holds_what_generate_stores(tmp_path: Path) -> None:
    mixture = stream_mixture(SOURCE)
    stored = replace(mixture.options, train=9, validation=5, test=0)
    generate(tmp_path, stored, workers=1)
    streamed = Stream(mixture, 9)
    assert len(streamed) == 9
    validation = validation_of(mixture, 5)
    assert validation is not None and len(validation) == 5
    pairs = [
        *zip(read(tmp_path, "train"), streamed, strict=False),
        *zip(read(tmp_path, "validation"), validation, strict=True),
    ]
    assert len(pairs) == 14
    for one, other in pairs:
        assert (np.asarray(one.pop("image")) == np.asarray(other.pop("image"))).all()
        assert one == other


def test_training_draws_each_sample_once_and_in_order(tmp_path: Path) -> None:
    run(options(tmp_path / "run"))
    assert Watched.drawn == list(range(48))


def test_a_resumed_run_draws_only_what_is_left(tmp_path: Path) -> None:
    class Interrupt(TrainerCallback):
        def on_step_begin(self, args, state, control, **_):
            if state.global_step == 4:
                raise KeyboardInterrupt

    whole = run(options(tmp_path / "whole"))
    halted = options(tmp_path / "halted")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer_module, "LastStep", Interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(halted)
    Watched.drawn.clear()
    assert run(replace(halted, resume=True)) == whole
    assert Watched.drawn == list(range(32, 48))


def test_processes_that_draw_ahead_change_nothing(tmp_path: Path) -> None:
    assert run(options(tmp_path / "one")) == run(options(tmp_path / "two", workers=2))


def test_a_streams_options_are_those_of_generate(tmp_path: Path) -> None:
    (tmp_path / "o.yaml").write_text("words: random\nimage-size: 64\npadding: [25, 100]\nseed: 7\n")
    assert stream_mixture(f"stream:{tmp_path}/o.yaml").options == stream_mixture(SOURCE).options
    default = stream_mixture("stream:").options
    assert default == GenerateOptions()


def test_a_run_remembers_what_its_stream_was(tmp_path: Path) -> None:
    (tmp_path / "o.yaml").write_text("words: random\nimage_size: 64\n")
    told = options(tmp_path / "run", data=f"stream:{tmp_path}/o.yaml")
    run(told)
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert settings["stream"]["scene"]["image_size"] == 64
    assert {"words_sha256", "fonts_sha256"} <= settings["stream"].keys()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("stream:wrods=random", "wrods"),
        ("stream:words", "'words' is no option; write NAME=VALUE"),
        ("stream:seed=x", "seed"),
        ("stream:train=5,layout=parquet", "layout, train says nothing of a stream"),
        ("stream:none.yaml", "none.yaml: no such file"),
    ],
)
def test_a_wrong_stream_is_explained(source: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        stream_mixture(source)
    assert "\n" not in str(caught.value)


def test_a_stream_that_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match="--image-size 9"):
        stream_mixture("stream:image_size=9")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_steps": None}, "--max-steps"),
        ({"cache_features": Path("f"), "vision": "frozen"}, "leave it out"),
    ],
)
def test_a_stream_needs_an_end_and_no_cache(tmp_path: Path, changes: dict, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        options(tmp_path, **changes)
