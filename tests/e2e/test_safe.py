"""What a stranger's file must not do, and what must not be told."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest
import torch
from packaging.requirements import Requirement
from packaging.version import Version

import hostile
import small_model
from e2e.conftest import Done, Run
from e2e.test_bad_input import assert_refused
from unblind.training.checkpoints import seal

ROOT = Path(__file__).parents[2]
# The first releases without the holes that we know of, in what we ask for by name.
SOUND = {
    "filelock": "3.20.3",  # CVE-2025-68146, CVE-2026-22701: a link in the place of the lock
    "gradio": "6.20",
    "jinja2": "3.1.6",  # CVE-2025-27516: out of the sandbox
    "nltk": "3.9",  # CVE-2024-39705: pickled corpora
    "pillow": "12.3",
    "pyarrow": "17.0",  # CVE-2024-52338 and before it CVE-2023-47248
    "torch": "2.10",
}
TOKEN = "hf_" + "plantedSecret" * 3


def requirements() -> list[Requirement]:
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 reads no TOML")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    return [Requirement(line) for line in [*project["dependencies"], *extras]]


def test_lower_bounds_are_above_the_known_holes() -> None:
    checked = set()
    for requirement in requirements():
        name = requirement.name.lower()
        if name in SOUND:
            floors = [Version(s.version) for s in requirement.specifier if s.operator in (">=", "==", "~=")]
            assert floors and max(floors) >= Version(SOUND[name]), f"{requirement}: need >= {SOUND[name]}"
            checked.add(name)
    assert checked == set(SOUND)


def test_our_code_reads_no_pickle_and_runs_no_remote_code() -> None:
    for path in (ROOT / "src").rglob("*.py"):
        text = path.read_text()
        assert "trust_remote_code" not in text, path
        assert not re.search(r"\b(pickle|dill|joblib|marshal|shelve)\.loads?\b|allow_pickle", text), path
        for call in re.findall(r"torch\.load\([^)]*\)", text):
            assert "weights_only=True" in call, (path, call)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small base."""
    return small_model.checkpoint(tmp_path_factory.mktemp("base") / "base")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A good picture."""
    path = tmp_path / "good.png"
    path.write_bytes(hostile.images()["alpha"][1])
    return path


def test_pickled_weights_of_a_base_are_not_read(
    unblind: Run, base: Path, image: Path, tmp_path: Path
) -> None:
    model = small_model.checkpoint(tmp_path / "model")
    (model / "model.safetensors").unlink()
    torch.save({"a": hostile.Bomb(tmp_path)}, model / "pytorch_model.bin")
    assert_refused(unblind("predict", image, "--model", model), str(model), "model.safetensors")
    assert not (tmp_path / hostile.SECRET_FILE).exists()


def test_code_in_a_checkpoint_is_not_run(unblind: Run, image: Path, tmp_path: Path) -> None:
    model = small_model.checkpoint(tmp_path / "model")
    (model / "code.py").write_text(
        f"import pathlib\npathlib.Path({str(tmp_path / 'ran')!r}).touch()\nclass C: pass\n"
    )
    places = {
        "config.json": dict.fromkeys(("AutoConfig", "AutoModel", "AutoModelForImageTextToText"), "code.C"),
        "tokenizer_config.json": {"AutoTokenizer": ["code.C", "code.C"]},
        "processor_config.json": {"AutoProcessor": "code.C", "AutoImageProcessor": "code.C"},
    }
    for name, classes in places.items():
        config = json.loads((model / name).read_text())
        (model / name).write_text(json.dumps(config | {"auto_map": classes}))
    assert unblind("predict", image, "--model", model).code in (0, 2)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("file", ["optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin"])
def test_a_pickle_in_a_strangers_run_is_not_run(unblind: Run, base: Path, tmp_path: Path, file: str) -> None:
    line = run(base, tmp_path, steps=4)
    assert unblind(*line).code == 0
    (tmp_path / "run" / "metrics.json").unlink()  # as if it had been interrupted
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "checkpoint-4")
    checkpoint = tmp_path / "run" / "checkpoints" / "checkpoint-2"
    torch.save({"a": hostile.Bomb(tmp_path)}, checkpoint / file)
    seal(checkpoint)
    done = unblind(*line, "--resume")
    assert not (tmp_path / hostile.SECRET_FILE).exists()
    if file == "training_args.bin":  # which nobody reads
        assert done.code == 0, done
    else:
        assert_refused(done, str(checkpoint), "pickle")


def run(base: Path, folder: Path, steps: int) -> list[object]:
    """The arguments of a short training in folder/run."""
    (folder / "data").mkdir(exist_ok=True)
    for split, n in (("train", 16), ("validation", 4), ("test", 8)):
        small_model.samples(n).to_parquet(folder / "data" / f"{split}-00000-of-00001.parquet")
    short = ["--max-steps", steps, "--batch-size", 4, "--accumulation", 1, "--eval-every", 2, "--rank", 2]
    model = ["--model", base, "--device", "cpu", "--dtype", "float32"]
    return ["train", "--data", folder / "data", "--out", folder / "run", *model, *short]


@pytest.mark.slow
def test_a_token_is_told_to_nobody(
    unblind: Run, base: Path, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    out = tmp_path / "out"
    out.mkdir()
    data = ["--data", tmp_path / "data", "--model", base]
    good: list[list[object]] = [
        [
            "generate",
            "--out",
            out / "circles",
            *["--train", "8", "--validation", "4", "--test", "4", "--workers", "1"],
        ],
        run(base, tmp_path, steps=2),
        ["evaluate", *data, "--out", out / "evaluation", "--adapter", tmp_path / "run"],
        ["predict", image, "--model", base, "--adapter", tmp_path / "run", "--json"],
        ["score", out / "evaluation"],
        ["report", out / "evaluation", "--out", out / "report.html"],
        ["doctor"],
    ]
    bad: list[list[object]] = [
        ["predict", image, "--model", "nobody/nothing"],
        ["evaluate", "--data", "nobody/nothing", "--out", out / "none"],
        ["train", "--data", "nobody/nothing", "--out", out / "none"],
        ["train", *data, "--out", out / "none", "--rank", "many"],
    ]
    said: list[Done] = [unblind(*line) for line in good]
    assert [done.code for done in said] == [0] * len(good), said
    said += [unblind(*line) for line in bad]
    assert [done.code for done in said[len(good) :]] == [2] * len(bad), said
    for done in said:
        assert TOKEN not in done.out + done.err
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 20
    for path in written:
        assert TOKEN.encode() not in path.read_bytes(), path
    assert os.environ["HF_TOKEN"] == TOKEN
