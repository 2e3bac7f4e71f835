"""Recipes: what is read, what is refused, and how it is said."""

from pathlib import Path

import pytest

from unblind.errors import RecipeError
from unblind.recipe import TrainOptions, load_recipe


def write(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text)
    return path


def test_a_recipe_holds_what_it_names(tmp_path: Path) -> None:
    lines = ["model: tiny", "learning_rate: 1e-3", "epochs: 2", "vision: frozen", "report_to: [wandb]"]
    read = load_recipe(write(tmp_path, "\n".join([*lines, "max_steps: null", "dora: true"])))
    assert read == {
        "model": "tiny",
        "learning_rate": 1e-3,
        "epochs": 2.0,
        "vision": "frozen",
        "report_to": ("wandb",),
        "max_steps": None,
        "dora": True,
    }
    assert TrainOptions(data="d", out=tmp_path, **read).learning_rate == 1e-3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learning_rat: 1", "unknown key `learning_rat`; did you mean `learning_rate`"),
        ("zzzz: 1", "unknown key `zzzz`; known keys: data"),
        ("rank: many", "`rank` must be a whole number, not 'many'"),
        ("rank: true", "`rank` must be a whole number, not True"),
        ("vision: lorax", "`vision` must be lora or full or frozen"),
        ("learning_rate: fast", "`learning_rate` must be a number"),
        ("dora: 1", "`dora` must be true or false"),
        ("quantization: fp4", "`quantization` must be nf4 or int8 or null"),
        ("target_modules: [1]", "`target_modules` must be a list of texts"),
        ("- a\n- b", "is no recipe"),
        ("rank: [1", "line 1"),
        ("", "is no recipe"),
    ],
)
def test_a_wrong_recipe_is_explained(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(tmp_path, text))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_recipe_that_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"none\.yaml"):
        load_recipe(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(RecipeError, match=r"binary\.yaml cannot be read"):
        load_recipe(tmp_path / "binary.yaml")


@pytest.mark.parametrize(
    "options",
    [{"rank": 0}, {"batch_size": -1}, {"learning_rate": float("nan")}, {"dropout": 1.0}, {"max_steps": 0}],
)
def test_numbers_out_of_range_are_refused(options: dict) -> None:
    with pytest.raises(RecipeError, match=next(iter(options))):
        TrainOptions(data="d", out=Path("o"), **options)


def test_freezing_everything_is_refused() -> None:
    with pytest.raises(RecipeError, match="all frozen"):
        TrainOptions(data="d", out=Path("o"), language="frozen", projector="frozen", vision="frozen")
