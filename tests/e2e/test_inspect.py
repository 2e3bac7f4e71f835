"""Our samples under Inspect: with its mock model, and over HTTP from `transformers serve`."""

from __future__ import annotations

import base64
import gc
import io
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest
from PIL import Image

from unblind.data.dataset_options import DatasetOptions
from unblind.data.generation import generate
from unblind.errors import RecipeError
from unblind.models.embedded import TINY

if TYPE_CHECKING:
    from inspect_ai.model import ModelOutput

pytest.importorskip("inspect_ai", reason="Inspect is not installed: pip install -e '.[inspect]'")

OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "INSPECT_DISPLAY": "none"}


def evaluate(tmp_path: Path, *arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
    """Inspect in a process of its own, as a user calls it; its logs go to tmp_path."""
    program = [sys.executable, "-m", "inspect_ai", "eval", "unblind/circled_letter"]
    environment = os.environ | OFFLINE | {"PYTHONWARNINGS": "ignore"} | more
    return subprocess.run(
        [*program, "--log-dir", str(tmp_path / "logs"), *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        timeout=200,
    )


def log(tmp_path: Path):
    from inspect_ai.log import list_eval_logs, read_eval_log

    (found,) = list_eval_logs(str(tmp_path / "logs"))
    return read_eval_log(found)


def test_samples_and_rules(dataset: Path) -> None:
    from unblind.evaluation.inspect_task import circled_letter

    rows = pq.read_table(dataset / "data" / "test-00000-of-00001.parquet").to_pylist()
    task = circled_letter(data=str(dataset), limit=3)
    assert [sample.target for sample in task.dataset] == [row["answer"] for row in rows[:3]]
    picture, text = task.dataset[0].input[0].content
    assert text.text == "Which letter is being circled?"
    sent = Image.open(io.BytesIO(base64.b64decode(picture.image.partition(",")[2])))
    assert sent.tobytes() == Image.open(io.BytesIO(rows[0]["image"]["bytes"])).convert("RGB").tobytes()
    with pytest.raises(RecipeError, match="unknown rule loose"):
        circled_letter(data=str(dataset), rule="loose")


@pytest.fixture(scope="module")
def two_tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Circles and squares in turn."""
    out = tmp_path_factory.mktemp("two") / "data"
    names = ("two-circles", "nested-squares")
    generate(out, DatasetOptions(task=names, train=2, validation=2, test=8), workers=1)
    return out


def replies(texts: Sequence[str]) -> list[ModelOutput]:
    """What Inspect's mock model says, one after the other."""
    from inspect_ai.model import ModelOutput, ModelUsage

    outputs = [ModelOutput.from_content("mockllm/model", text) for text in texts]
    for output in outputs:
        output.usage = ModelUsage()  # counting tokens would fetch a vocabulary from the internet
    return outputs


def test_the_samples_of_each_task(two_tasks: Path) -> None:
    from unblind.evaluation.inspect_task import blindtest

    rows = pq.read_table(two_tasks / "data" / "test-00000-of-00001.parquet").to_pylist()
    samples = blindtest(data=str(two_tasks), limit=2).dataset
    assert [sample.metadata["task"] for sample in samples] == ["two-circles", "nested-squares"] * 2
    assert [(sample.id, sample.target) for sample in samples] == [
        (row["id"], row["answer"]) for row in rows[:4]
    ]
    assert [sample.input[0].content[1].text for sample in samples] == [row["prompt"] for row in rows[:4]]
    squares = blindtest(data=str(two_tasks), task="nested-squares").dataset
    assert {sample.metadata["task"] for sample in squares} == {"nested-squares"} and len(squares) == 4
    with pytest.raises(RecipeError, match=r"task=\.\.\. grid: the data has no such task"):
        blindtest(data=str(two_tasks), task="grid")
    with pytest.raises(RecipeError, match="unknown rule loose"):
        blindtest(data=str(two_tasks), rule="loose")


@pytest.mark.filterwarnings("ignore")  # of Inspect's own
def test_each_task_has_its_accuracy(two_tasks: Path, tmp_path: Path) -> None:
    """By the registered name; each reply is read by its own task."""
    import inspect_ai
    from inspect_ai.model import get_model

    rows = pq.read_table(two_tasks / "data" / "test-00000-of-00001.parquet").to_pylist()[:6]
    circles, squares = [rows[i]["answer"] for i in (0, 2, 4)], [rows[i]["answer"] for i in (1, 3, 5)]
    wrong = "No" if circles[2] == "Yes" else "Yes"
    texts = [circles[0], "{" + squares[0] + "}", circles[1] + ".", "ninety", wrong, "0"]
    found = inspect_ai.eval(
        "unblind/blindtest",
        task_args={"data": str(two_tasks), "limit": 3},
        model=get_model("mockllm/model", custom_outputs=replies(texts)),
        log_dir=str(tmp_path),
        display="none",
        max_samples=1,
    )
    assert found[0].status == "success", found[0].error
    metrics = {
        name: metric.value for score in found[0].results.scores for name, metric in score.metrics.items()
    }
    assert metrics["two-circles"] == pytest.approx(2 / 3)
    assert metrics["nested-squares"] == pytest.approx(1 / 3)
    assert metrics["mean"] == metrics["accuracy"] == pytest.approx(1 / 2)
    assert metrics["two-circles stderr"] == pytest.approx(1 / 3)
    gc.collect()  # as below


def test_a_dataset_with_names_of_its_own(tmp_path: Path) -> None:
    from unblind.evaluation.inspect_task import evaluate

    Image.new("RGB", (8, 8)).save(tmp_path / "0.png")
    row = {"photo": "0.png", "ask": "What?", "answers": ["net", "nets", "net"]}
    (tmp_path / "test.json").write_text(json.dumps([row]))
    (sample,) = evaluate(data=str(tmp_path), columns=["image=photo", "prompt=ask"]).dataset
    assert sample.input[0].content[1].text == "What?" and sample.target == ["net", "nets"]


@pytest.mark.filterwarnings("ignore")  # of Inspect's own
@pytest.mark.parametrize(("rule", "right"), [("exact", 1 / 3), ("any-case", 2 / 3)])
def test_how_replies_are_scored(dataset: Path, tmp_path: Path, rule: str, right: float) -> None:
    """By the task's registered name, with Inspect's mock model."""
    import inspect_ai
    from inspect_ai.model import get_model

    rows = pq.read_table(dataset / "data" / "test-00000-of-00001.parquet").to_pylist()
    answers = [row["answer"] for row in rows[:3]]
    texts = ["{" + answers[0] + "}", answers[1].swapcase(), f"The letter is {answers[2]}."]
    found = inspect_ai.eval(
        "unblind/circled_letter",
        task_args={"data": str(dataset), "limit": 3, "rule": rule},
        model=get_model("mockllm/model", custom_outputs=replies(texts)),
        log_dir=str(tmp_path),
        display="none",
        max_samples=1,
    )
    assert found[0].status == "success", found[0].error
    assert found[0].results.scores[0].metrics["accuracy"].value == pytest.approx(right)
    gc.collect()  # Inspect leaves open streams behind; they complain here, where warnings are ignored


@contextmanager
def served(model: Path, folder: Path) -> Iterator[str]:
    """The address of `transformers serve` with a checkpoint, on loopback; its log goes into the folder."""
    for name in ("fastapi", "uvicorn", "openai"):
        pytest.importorskip(name, reason=f"transformers serve needs {name}: pip install -e '.[dev]'")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = Path(sys.executable).with_name("transformers")
    with (folder / "serve.log").open("w") as out:
        process = subprocess.Popen(
            [program, "serve", str(model), "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"],
            stdout=out,
            stderr=out,
            env=os.environ | OFFLINE,
        )
    try:
        address = f"http://127.0.0.1:{port}"
        until = time.monotonic() + 200
        while not _answers(address + "/health"):
            assert process.poll() is None and time.monotonic() < until, (folder / "serve.log").read_text()
            time.sleep(0.2)
        yield address + "/v1"
    finally:
        process.terminate()
        process.wait(20)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=2) as reply:
            return reply.status == 200
    except (urllib.error.URLError, OSError):
        return False


def replies_over_http(model: Path, dataset: Path, tmp_path: Path, *options: str) -> list[str]:
    """What Inspect gets from a served checkpoint to the first four samples."""
    data = ("-T", f"data={dataset}", "-T", "limit=4", "--max-tokens", "16", *options)
    with served(model, tmp_path) as server:
        program = ("--model", f"openai-api/local/{model}", "--max-connections", "1")
        done = evaluate(tmp_path, *program, *data, LOCAL_API_KEY="none", LOCAL_BASE_URL=server)
    assert done.returncode == 0, done.stderr
    found = log(tmp_path)
    assert found.status == "success", found.error
    return [sample.output.completion.strip() for sample in found.samples]


@pytest.mark.slow
def test_over_http(dataset: Path, tmp_path: Path) -> None:
    """The tiny base gives the same replies over HTTP as here."""
    from unblind.data.reading import read
    from unblind.evaluation.run import evaluate as ask
    from unblind.models.loading import load

    replies = replies_over_http(TINY, dataset, tmp_path, "-T", "prompt=read")
    rows = read(str(dataset), "test").select(range(4))
    assert replies == ask(load("tiny"), rows, prompt="read")["free"].to_pylist()
