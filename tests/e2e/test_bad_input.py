"""What a user gets wrong: one line with what, where and the next step; exit code 2; nothing half-written."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import small_model
from e2e.conftest import Done, Run
from unblind.models.adapters import add_adapter

SMALL = ["--train", "8", "--validation", "4", "--test", "4", "--workers", "1"]


def assert_refused(done: Done, *says: str) -> None:
    """One line, with all of this in it."""
    assert done.code == 2, done
    assert "Traceback" not in done.err
    line = done.err.strip().splitlines()[-1]
    assert line.startswith("unblind: ") and len(line) < 700
    for part in says:
        assert part in line, line


def test_an_unknown_command_and_flag_are_met_with_the_nearest(unblind: Run, tmp_path: Path) -> None:
    assert_refused(unblind("trian"), "trian", "train")
    assert_refused(unblind("generate", "--out", tmp_path / "x", "--trian", 5), "--trian", "--train")
    assert_refused(unblind("generate", "--out", tmp_path / "x", "--train", "many"), "train", "many")
    assert_refused(unblind("generate"), "--out")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("learning_rat: 0.1\n", ["learning_rat", "learning_rate"]),
        ("rank: many\n", ["rank", "many"]),
        ("- a\n- b\n", ["key: value"]),
        ("rank: [1\n", ["line 2"]),
        ("rank: !!python/object/apply:os.system ['true']\n", ["line 1"]),
        ("", ["no recipe"]),
    ],
)
def test_a_bad_recipe(unblind: Run, dataset: Path, tmp_path: Path, content: str, says: list[str]) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(content)
    done = unblind("train", "--recipe", recipe, "--data", dataset, "--out", tmp_path / "run")
    assert_refused(done, str(recipe), *says)
    assert not (tmp_path / "run").exists()


def test_a_missing_recipe_lists_those_that_come_along(unblind: Run, tmp_path: Path) -> None:
    done = unblind("train", "--recipe", "absent", "--data", tmp_path, "--out", tmp_path / "run")
    assert_refused(done, "absent", "tiny")


@pytest.mark.parametrize(
    ("flag", "content", "says"),
    [
        ("--words", None, "no such file"),
        ("--words", b"", "empty"),
        ("--words", b"good\nna\xc3\xafve\n", "line 2"),
        ("--words", b"\xff\xd8\xff\xe0 not text", "UTF-8"),
        ("--fonts", None, "no such file"),
        ("--fonts", b"", "cannot be opened as a font"),
        ("--fonts", b"not a font", "cannot be opened as a font"),
    ],
)
def test_a_bad_words_or_font_file(
    unblind: Run, tmp_path: Path, flag: str, content: bytes | None, says: str
) -> None:
    file = tmp_path / "file.ttf"
    if content is not None:
        file.write_bytes(content)
    assert_refused(unblind("generate", "--out", tmp_path / "x", *SMALL, flag, file), str(file), says)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("command", ["generate", "train", "evaluate", "quickstart"])
def test_an_output_folder_with_other_content_stays_as_it_is(
    unblind: Run, dataset: Path, tmp_path: Path, command: str
) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    needed = ["--data", dataset] if command in ("train", "evaluate") else []
    assert_refused(unblind(command, *needed, "--out", tmp_path), str(tmp_path), "thesis.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_dataset_of_other_settings_is_refused_with_both(unblind: Run, tmp_path: Path) -> None:
    assert unblind("generate", "--out", tmp_path / "x", *SMALL).code == 0
    done = unblind("generate", "--out", tmp_path / "x", *SMALL, "--seed", 5)
    assert_refused(done, "seed was 0, now 5")


def table(**columns: list[object]) -> pa.Table:
    return pa.table(columns)


PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20  # no image
ONE_ROW = table(image=[{"bytes": PNG, "path": None}], prompt=["?"], answer=["a"])


@pytest.mark.parametrize("command", ["train", "evaluate"])
@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path.write_bytes(b"PAR1 but no more"), "data.parquet"),
        (lambda path: path.write_bytes(b""), "data.parquet"),
        (lambda path: pq.write_table(table(image=[PNG], text=["a"]), path), "prompt"),
        (lambda path: pq.write_table(ONE_ROW.slice(0, 0), path), "no rows"),
        (lambda path: pq.write_table(ONE_ROW, path), "row 0"),
        (lambda path: None, "data.parquet"),
    ],
    ids=["truncated", "empty", "columns", "rows", "image", "absent"],
)
def test_a_bad_dataset(unblind: Run, tmp_path: Path, command: str, make: object, says: str) -> None:
    file = tmp_path / "data.parquet"
    make(file)  # type: ignore[operator]
    split = ["--split", "train"] if command == "evaluate" else []
    done = unblind(command, "--data", file, "--out", tmp_path / "out", *split, "--device", "cpu")
    assert_refused(done, "data.parquet", says)
    assert not (tmp_path / "out" / "metrics.json").exists()
    assert not (tmp_path / "out" / "predictions.parquet").exists()


def test_a_truncated_image(unblind: Run, image: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.png"
    cut.write_bytes(image.read_bytes()[:200])
    assert_refused(unblind("predict", cut), "cut.png")
    assert_refused(unblind("predict", tmp_path / "absent.png"), "absent.png")
    assert_refused(unblind("predict"), "IMAGE")


def test_a_model_that_is_none(unblind: Run, image: Path, tmp_path: Path) -> None:
    assert_refused(unblind("predict", image, "--model", tmp_path), str(tmp_path), "config.json")
    assert_refused(unblind("predict", image, "--model", tmp_path / "absent"), "absent")
    for name in ("model.safetensors", "tokenizer.json", "processor_config.json"):
        (tmp_path / name).write_bytes(b"{}")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    assert_refused(unblind("predict", image, "--model", tmp_path), "bert", "paligemma")
    assert_refused(unblind("predict", image, "--adapter", tmp_path), str(tmp_path), "adapter")


@pytest.mark.slow
def test_no_network(image: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "unblind",
        "predict",
        image,
        "--model",
        "google/paligemma2-3b-pt-224",
    ]
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | nowhere, timeout=200)
    assert_refused(Done(done.returncode, done.stdout, done.stderr), "google/paligemma2-3b-pt-224", "network")


class _Hub(http.server.BaseHTTPRequestHandler):
    """Answers as the hub does for a gated and an unknown repository, and to a token that is none."""

    def do_HEAD(self) -> None:
        status, name, value = 404, "X-Error-Code", "RepoNotFound"
        if "/gated/" in self.path:
            status, value = 403, "GatedRepo"
        elif "/token/" in self.path:
            status, name, value = 401, "X-Error-Message", "Invalid credentials in Authorization header"
        self.send_response(status)
        self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.slow
def test_what_the_hub_refuses(hub: str, image: Path, tmp_path: Path) -> None:
    script = """
import sys
from unblind.cli import main
image, *names = sys.argv[1:]
for name in names:
    try:
        main(["predict", image, "--model", name])
    except SystemExit as stopped:
        print(stopped.code)
"""
    env = os.environ | {"HF_ENDPOINT": hub, "HF_HOME": str(tmp_path), "HF_TOKEN": "hf_" + 34 * "s"}
    names = ["gated/model", "no/such", "token/model"]
    run = [sys.executable, "-c", script, image, *names]
    done = subprocess.run(run, env=env, capture_output=True, text=True, timeout=280)
    assert done.stdout.split() == ["2", "2", "2"]
    # libraries may have a word on the processor
    gated, unknown, token = (line for line in done.stderr.splitlines() if line.startswith("unblind: "))
    assert "gated/model is gated" in gated and "/gated/model, then" in gated
    assert "hf auth login" in gated
    assert "no/such: neither a file or folder here, nor a model that you may read" in unknown
    assert "does not know your token, and token/model needs one; run `hf auth login`" in token
    assert "ssss" not in done.stderr + done.stdout


def test_a_model_too_large_for_the_memory(unblind: Run, image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unblind.models.loading.free_memory", lambda _: 1_000_000)
    done = unblind("predict", image, "--device", "cpu")
    assert_refused(done, "tiny takes", "GiB free", "--quantization nf4", "unblind doctor --model")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_what_only_a_gpu_can_do(unblind: Run, dataset: Path, image: Path, tmp_path: Path) -> None:
    assert_refused(unblind("predict", image, "--device", "cuda"), "no device cuda", "--device")
    run = ["train", "--data", dataset, "--out", tmp_path / "run"]
    assert_refused(unblind(*run, "--device", "cuda"), "no device cuda", "--device")
    assert_refused(unblind(*run, "--dtype", "float16"), "float16", "GPU", "--dtype")
    assert not (tmp_path / "run").exists()


def test_an_adapter_of_another_base(unblind: Run, image: Path, tmp_path: Path) -> None:
    base = small_model.model()
    base.name_or_path = "some/other-base"
    add_adapter(base, {"language": "lora"}, rank=2).save_pretrained(tmp_path, save_embedding_layers=False)
    done = unblind("predict", image, "--adapter", tmp_path)
    assert_refused(done, str(tmp_path), "does not fit this model", "some/other-base", "--model")


def test_a_report_of_nothing(unblind: Run, tmp_path: Path) -> None:
    assert_refused(unblind("report", tmp_path, "--out", tmp_path / "r.html"), str(tmp_path))
    assert_refused(unblind("report"), "DIR")
