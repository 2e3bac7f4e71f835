"""Our samples under Inspect: with its mock model, and over HTTP from `transformers serve`."""

import base64
import gc
import io
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from unblind.errors import RecipeError
from unblind.models.embedded import TINY

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


@pytest.mark.filterwarnings("ignore")  # of Inspect's own
@pytest.mark.parametrize(("rule", "right"), [("exact", 1 / 3), ("any-case", 2 / 3)])
def test_how_replies_are_scored(dataset: Path, tmp_path: Path, rule: str, right: float) -> None:
    """By the task's registered name, with Inspect's mock model."""
    import inspect_ai
    from inspect_ai.model import ModelOutput, ModelUsage, get_model

    rows = pq.read_table(dataset / "data" / "test-00000-of-00001.parquet").to_pylist()
    answers = [row["answer"] for row in rows[:3]]
    texts = ["{" + answers[0] + "}", answers[1].swapcase(), f"The letter is {answers[2]}."]
    outputs = [ModelOutput.from_content("mockllm/model", text) for text in texts]
    for output in outputs:
        output.usage = ModelUsage()  # counting tokens would fetch a vocabulary from the internet
    found = inspect_ai.eval(
        "unblind/circled_letter",
        task_args={"data": str(dataset), "limit": 3, "rule": rule},
        model=get_model("mockllm/model", custom_outputs=outputs),
        log_dir=str(tmp_path),
        display="none",
        max_samples=1,
    )
    assert found[0].status == "success", found[0].error
    assert found[0].results.scores[0].metrics["accuracy"].value == pytest.approx(right)
    gc.collect()  # Inspect leaves open streams behind; they complain here, where warnings are ignored


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `transformers serve` with the tiny base, on loopback."""
    for name in ("fastapi", "uvicorn", "openai"):
        pytest.importorskip(name, reason=f"transformers serve needs {name}: pip install -e '.[dev]'")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log_file = tmp_path_factory.mktemp("serve") / "log"
    program = Path(sys.executable).with_name("transformers")
    with log_file.open("w") as out:
        process = subprocess.Popen(
            [program, "serve", str(TINY), "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"],
            stdout=out,
            stderr=out,
            env=os.environ | OFFLINE,
        )
    try:
        address = f"http://127.0.0.1:{port}"
        until = time.monotonic() + 200
        while not _answers(address + "/health"):
            assert process.poll() is None and time.monotonic() < until, log_file.read_text()
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


@pytest.mark.slow
def test_over_http(server: str, dataset: Path, tmp_path: Path) -> None:
    """The tiny base gives the same replies over HTTP as here."""
    from unblind.data.reading import read
    from unblind.evaluation.run import evaluate as ask
    from unblind.models.loading import load

    data = ("-T", f"data={dataset}", "-T", "limit=4", "-T", "prompt=read", "--max-tokens", "16")
    model = ("--model", f"openai-api/local/{TINY}", "--max-connections", "1")
    done = evaluate(tmp_path, *model, *data, LOCAL_API_KEY="none", LOCAL_BASE_URL=server)
    assert done.returncode == 0, done.stderr
    found = log(tmp_path)
    assert found.status == "success", found.error
    replies = [sample.output.completion.strip() for sample in found.samples]
    rows = read(str(dataset), "test").select(range(4))
    assert replies == ask(load("tiny"), rows, prompt="read")["free"].to_pylist()
