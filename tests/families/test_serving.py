"""Behind an API, and in a pipeline of transformers, a model answers as it does here."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_properties import picture
from transformers import pipeline

from e2e.test_inspect import replies_over_http
from unblind.data.dataset_options import DatasetOptions
from unblind.data.generation import generate
from unblind.data.reading import read
from unblind.evaluation.answers import answer
from unblind.evaluation.run import evaluate
from unblind.models.loading import Loaded, load

pytestmark = pytest.mark.slow


def test_gemma_3_replies_over_http_as_here(folders: dict[str, Path], tmp_path: Path) -> None:
    """The other families' processors need torchvision in `transformers serve`."""
    pytest.importorskip("inspect_ai", reason="Inspect is not installed: pip install -e '.[inspect]'")
    generate(tmp_path / "data", DatasetOptions(train=0, validation=0, test=4), workers=1)
    replies = replies_over_http(folders["gemma3"], tmp_path / "data", tmp_path)
    loaded = load(str(folders["gemma3"]), device="cpu", dtype="float32")
    here = evaluate(loaded, read(str(tmp_path / "data"), "test"))["free"].to_pylist()
    assert replies == [reply.strip() for reply in here]
    assert any(replies)


def test_a_pipeline_replies_as_we_do(folder: Path, loaded: Loaded) -> None:
    name = loaded.family.name
    if name == "SmolVLM":
        pytest.skip("its plain processor needs torchvision and num2words, in a pipeline even for images")
    # those of Gemma 3 and Idefics3 load without torchvision; of the others, ours do
    processor = {} if name in ("Gemma 3", "Idefics3") else {"processor": loaded.processor}
    ask = pipeline("image-text-to-text", model=str(folder), dtype="float32", device="cpu", **processor)
    content = [{"type": "image", "image": picture()}, {"type": "text", "text": "Which letter?"}]
    (reply,) = ask(
        text=[{"role": "user", "content": content}],
        max_new_tokens=16,
        do_sample=False,
        return_full_text=False,
    )
    (here,) = answer(loaded, [{"image": picture(), "prompt": "Which letter?"}])
    assert reply["generated_text"].strip() == here.free.strip()
