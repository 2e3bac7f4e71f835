"""Any damage to any file is met with an error of ours, or does no harm: never with another exception."""

from __future__ import annotations

import itertools
import shutil
import string
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hostile
import small_model
from unblind.data.reading import read
from unblind.errors import UnblindError
from unblind.models.adapters import add_adapter, load_adapter
from unblind.recipe import PretrainOptions, TrainOptions, load_recipe
from unblind.scoring.predictions import read_predictions
from unblind.tasks.fonts import find_fonts
from unblind.tasks.words import load_words

few = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
numbers = itertools.count()


@st.composite
def damage(draw: st.DrawFn, data: bytes) -> bytes:
    """Some bytes changed, cut out or doubled, often near the ends, where formats keep what they rely on."""
    spoilt = bytearray(data)
    size = len(data)
    place = st.one_of(st.integers(0, size - 1), st.integers(0, 63), st.integers(max(0, size - 64), size - 1))
    for at, value in draw(st.lists(st.tuples(place, st.integers(0, 255)), max_size=8)):
        spoilt[at % size] = value
    start, length = draw(place) % size, draw(st.integers(0, size // 2))
    match draw(st.sampled_from(("keep", "cut", "end", "double"))):
        case "cut":
            del spoilt[start : start + length]
        case "end":
            del spoilt[start:]
        case "double":
            spoilt[start:start] = spoilt[start : start + length]
    return bytes(spoilt)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damage")


def unharmed(work: Callable[..., object], *arguments: object) -> bool:
    """Do it; whether it succeeded. An error that a user reads is no harm."""
    try:
        work(*arguments)
    except UnblindError as error:
        assert str(error).strip()
        return False
    return True


def assert_some_succeed_and_some_fail(trial: Callable[[st.DataObject], bool]) -> None:
    """Try many draws; what always or never fails would tell nothing about damage."""
    outcomes = set()

    @few
    @given(st.data())
    def many(data: st.DataObject) -> None:
        outcomes.add(trial(data))

    many()
    assert outcomes == {True, False}


@pytest.mark.parametrize("work", [read, read_predictions])
def test_datasets_and_predictions(folder: Path, work: Callable[..., object]) -> None:
    hostile.write(folder / "good.parquet", free=["a", "b", "c"], restricted=["a", "b", "c"])
    path = folder / "spoilt.parquet"

    def trial(data: st.DataObject) -> bool:
        path.write_bytes(data.draw(damage((folder / "good.parquet").read_bytes())))
        return unharmed(work, path)

    assert_some_succeed_and_some_fail(trial)


def test_fonts(folder: Path) -> None:
    hostile.variable(folder / "good.ttf")

    def trial(data: st.DataObject) -> bool:
        path = folder / f"{next(numbers)}.ttf"
        path.write_bytes(data.draw(damage((folder / "good.ttf").read_bytes())))
        done = unharmed(find_fonts, str(path))
        path.unlink()
        return done

    assert_some_succeed_and_some_fail(trial)


def test_words(folder: Path) -> None:
    lines = st.text(string.ascii_letters + "\n", max_size=60)
    content = st.binary(max_size=200) | (lines | st.text(max_size=60)).map(str.encode)

    def trial(data: st.DataObject) -> bool:
        (folder / "words.txt").write_bytes(data.draw(content))
        return unharmed(load_words, str(folder / "words.txt"))

    assert_some_succeed_and_some_fail(trial)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.dates(),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3)
    ),
    max_leaves=5,
)


@pytest.mark.parametrize("kind", [TrainOptions, PretrainOptions])
def test_recipes(folder: Path, kind: type) -> None:
    keys = st.sampled_from([field.name for field in fields(kind)]) | st.text(max_size=8)
    mappings = st.dictionaries(keys, values, max_size=4).map(yaml.safe_dump)

    def use() -> None:
        needed = {"data": "d", "out": folder} if kind is TrainOptions else {}
        kind(**needed | load_recipe(folder / "recipe.yaml", kind))

    def trial(data: st.DataObject) -> bool:
        text = data.draw(mappings | st.text(max_size=80))
        (folder / "recipe.yaml").write_text(text, "utf-8", errors="replace")
        return unharmed(use)

    assert_some_succeed_and_some_fail(trial)


def test_adapters(folder: Path) -> None:
    good, path = folder / "adapter", folder / "spoilt"
    scopes = dict.fromkeys(("language", "projector", "vision"), "lora")
    add_adapter(small_model.model(), scopes, rank=2).save_pretrained(good)

    def trial(data: st.DataObject) -> bool:
        shutil.copytree(good, path, dirs_exist_ok=True)
        name = data.draw(st.sampled_from(("adapter_config.json", "adapter_model.safetensors")))
        (path / name).write_bytes(data.draw(damage((good / name).read_bytes())))
        return unharmed(load_adapter, small_model.model(), path)

    assert_some_succeed_and_some_fail(trial)
