"""`unblind export`: a checkpoint that plain transformers loads and that answers the same, or nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from huggingface_hub import ModelCard
from safetensors import safe_open

import small_model
from e2e.conftest import Run
from stand_in_hub import serve
from unblind.errors import ModelError
from unblind.evaluation.answers import Answer
from unblind.models.embedded import EMBEDDED
from unblind.models.loading import load
from unblind.recipe import TrainOptions
from unblind.sharing.export import compare, export
from unblind.training.run import fit

EXACT = ("--device", "cpu", "--dtype", "float32")


def short_run(out: Path, base: Path, **changes: object) -> TrainOptions:
    """Options of a run on the small model."""
    told = TrainOptions("in memory", out, model=str(base), batch_size=4, accumulation=1, warmup_steps=0)
    return replace(told, eval_every=0, device="cpu", dtype="float32", **changes)


@pytest.fixture(scope="module")
def run(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run on the tiny base, through the command; its learning rate moves the answers."""
    from unblind.cli import main

    out = tmp_path_factory.mktemp("export") / "run"
    sizes = (
        "--max-steps 6 --batch-size 4 --accumulation 1 --warmup-steps 0 --learning-rate 3e-3 --eval-every 0"
    )
    with pytest.raises(SystemExit) as stopped:
        main(["train", "--data", str(dataset), "--out", str(out), *EXACT, *sizes.split()])
    assert stopped.value.code == 0
    return out


@pytest.fixture(scope="module")
def merged(run: Path) -> Path:
    """It, exported by the command."""
    from unblind.cli import main

    out = run.parent / "merged"
    with pytest.raises(SystemExit) as stopped:
        main(["export", "--adapter", str(run), "--out", str(out), "--device", "cpu", "--samples", "4"])
    assert stopped.value.code == 0
    return out


def test_it_is_a_whole_checkpoint_that_says_what_it_is(run: Path, merged: Path) -> None:
    wanted = {"config.json", "generation_config.json", "model.safetensors", "processor_config.json"}
    wanted |= {"tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "README.md", "unblind.json"}
    assert {path.name for path in merged.iterdir()} == wanted
    assert json.loads((merged / "config.json").read_text())["dtype"] == "bfloat16"  # as the base
    card = ModelCard.load(merged / "README.md")
    assert (card.data.license, card.data.library_name) == ("mit", "transformers")
    assert "Saved in bfloat16. On 4 of 4 drawn samples" in card.text
    for path in merged.iterdir():
        assert str(run.parent).encode() not in path.read_bytes(), path


def test_evaluated_it_says_what_base_and_adapter_say(
    run: Path, merged: Path, dataset: Path, tmp_path: Path, unblind: Run
) -> None:
    for out, model in (("a", ("--adapter", run)), ("b", ("--model", merged)), ("blind", ())):
        done = unblind("evaluate", "--data", dataset, "--out", tmp_path / out, *model, *EXACT)
        assert done.code == 0, done.err
    one, other, blind = (
        pq.read_table(tmp_path / name / "predictions.parquet") for name in ("a", "b", "blind")
    )
    for column in ("id", "answer", "restricted", "free"):
        assert one[column].to_pylist() == other[column].to_pylist()
    assert one["probability"].to_pylist() == pytest.approx(other["probability"].to_pylist(), abs=0.02)
    assert one["restricted"].to_pylist() != blind["restricted"].to_pylist()


@pytest.fixture(scope="module")
def transformers_4(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the last transformers 4 and what it needs of its own, before this environment's."""
    folder = tmp_path_factory.mktemp("transformers4")
    pinned = ("transformers==4.57.*", "huggingface_hub<1", "tokenizers<0.23")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), *pinned]
    done = subprocess.run(pip, capture_output=True, text=True, timeout=280)
    if done.returncode:
        pytest.skip(f"transformers 4.57 cannot be installed: {done.stderr.strip().splitlines()[-1]}")
    return folder


LOAD = """
import sys, torch, transformers
from transformers import AutoModelForImageTextToText, AutoProcessor, AutoTokenizer
from PIL import Image
folder, picture, out = sys.argv[1:]
AutoTokenizer.from_pretrained(folder)
processor = AutoProcessor.from_pretrained(folder)
options = {"dtype": torch.float32, "output_loading_info": True}
model, info = AutoModelForImageTextToText.from_pretrained(folder, **options)
assert not any(info.values()), info
batch = processor(images=[Image.open(picture)], text=["<image>Which letter is circled?"], return_tensors="pt")
with torch.no_grad():
    logits = model.eval()(**{name: batch[name] for name in batch if name != "labels"}).logits
cap = model.config.text_config.final_logit_softcapping
if transformers.__version__ < "5":  # which leaves the cap out of every PaliGemma 2
    logits = cap * torch.tanh(logits / cap)
torch.save({"version": transformers.__version__, "logits": logits, "ids": batch["input_ids"]}, out)
"""


@pytest.mark.slow
@pytest.mark.parametrize("what", ["merged", "tiny", "tiny-unmarked"])
def test_transformers_4_loads_it_completely_and_answers_the_same(
    image: Path, transformers_4: Path, tmp_path: Path, what: str, request: pytest.FixtureRequest
) -> None:
    folder = EMBEDDED.get(what) or request.getfixturevalue("merged")
    found = {}
    for name, paths in (("5", ()), ("4", (str(transformers_4),))):
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        environment |= {"PYTHONPATH": os.pathsep.join(paths), "HF_HUB_OFFLINE": "1"}
        line = [sys.executable, "-c", LOAD, str(folder), str(image), str(tmp_path / name)]
        done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=280)
        assert done.returncode == 0, done.stderr
        assert "newly initialized" not in done.stderr
        found[name] = torch.load(tmp_path / name)
    assert {name: answer["version"].partition(".")[0] for name, answer in found.items()} == {
        "5": "5",
        "4": "4",
    }
    assert torch.equal(found["5"]["ids"], found["4"]["ids"])
    torch.testing.assert_close(found["5"]["logits"], found["4"]["logits"], rtol=1e-4, atol=1e-3)


def test_its_tensors_have_the_published_names(merged: Path) -> None:
    with safe_open(merged / "model.safetensors", "np") as file:
        names = [name for name in file.keys() if "vision_tower" in name]  # noqa: SIM118
    assert len(names) == 69 and all(".vision_model." in name for name in names)
    assert "extra_special_tokens" not in json.loads((merged / "tokenizer_config.json").read_text())


@pytest.mark.slow
def test_the_five_lines_of_its_card_run_on_transformers_alone(
    merged: Path, dataset: Path, image: Path, unblind: Run
) -> None:
    """A chat message with an image, through the exported chat template, as the servers do it."""
    code = re.search(r"```python\n(.*?)```", (merged / "README.md").read_text(), re.S)[1]
    assert len(code.strip().splitlines()) <= 5
    (merged.parent / "photo.png").write_bytes(image.read_bytes())
    check = "import sys; assert not [name for name in sys.modules if name.startswith('unblind')]"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{check}"],
        cwd=merged.parent,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    asked = unblind("predict", image, "--model", merged, "--json", *EXACT)
    assert json.loads(asked.out)["free"] == re.search(r"'generated_text': '(.*)'", done.stdout)[1].strip()


def test_the_image_comes_first_in_a_chat(merged: Path) -> None:
    from transformers import AutoProcessor

    content = [{"type": "text", "text": "Which?"}, {"type": "image"}]
    chat = [{"role": "user", "content": content}]
    assert AutoProcessor.from_pretrained(merged).apply_chat_template(chat) == "<image>Which?"


def test_pushed_it_arrives_whole(merged: Path, tmp_path: Path) -> None:
    from e2e.test_push import push

    with serve() as hub:
        code, said = push(hub, tmp_path, merged, "me/merged")
        assert code == 0, said
        files = hub.files("models/me/merged")
    assert set(files) == {path.name for path in merged.iterdir()}
    for path in merged.iterdir():
        if path.name != "README.md":
            assert files[path.name] == path.read_bytes()
    assert b'model="me/merged"' in files["README.md"] and b"| trainable parameters |" in files["README.md"]


def test_its_card_has_the_results_that_are_named(run: Path, tmp_path: Path, unblind: Run) -> None:
    from e2e.test_push import make_evaluation

    mine = make_evaluation(tmp_path / "mine", 47, 50, adapter=str(run))
    other = make_evaluation(tmp_path / "other", 1, 2, model="google/paligemma2-3b-pt-224")
    line = ("export", "--adapter", run, "--out", tmp_path / "my model", "--device", "cpu", "--samples", 2)
    refused = unblind(*line, "--results", other)
    assert refused.code == 2 and "(--results)" in refused.err and not (tmp_path / "my model").exists()
    done = unblind(*line, "--results", mine)
    assert done.code == 0 and f"unblind push '{tmp_path}/my model' USER/NAME" in done.out, done
    assert "94.0 %" in (tmp_path / "my model" / "README.md").read_text()


def test_an_adapter_of_4_bit_weights_is_merged_onto_the_whole_base(tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    base = small_model.checkpoint(tmp_path / "base")
    told = short_run(tmp_path / "run", base, max_steps=4, rank=4, learning_rate=3e-2, quantization="nf4")
    model = load(str(base), device="cpu", dtype="float32", quantization="nf4")
    fit(model, small_model.samples(16), None, told)
    found = export(tmp_path / "merged", told.out, dtype="bfloat16", device="cpu", samples=4).merged
    assert (found["quantization"], found["dtype"], found["samples"]) == ("nf4", "bfloat16", 4)
    assert 0 < found["distance"] < 0.5
    card = (tmp_path / "merged" / "README.md").read_text()
    assert "the adapter was trained on nf4 ones" in card and "license: unknown" in card
    assert load(str(tmp_path / "merged"), device="cpu", dtype="bfloat16").model.dtype == torch.bfloat16


def test_a_merge_that_overflows_is_not_kept(tmp_path: Path) -> None:
    """Weights too large for float16: it is refused, and neither a folder nor a part of one is left."""
    model = small_model.model()
    model.model.multi_modal_projector.linear.bias.data[0] = 1e6
    model.save_pretrained(tmp_path / "base")
    small_model.processor().save_pretrained(tmp_path / "base")
    told = short_run(tmp_path / "run", tmp_path / "base", max_steps=1)
    fit(load(str(tmp_path / "base"), device="cpu", dtype="float32"), small_model.samples(8), None, told)
    with pytest.raises(ModelError, match=r"1 weights are too large for float16.*nothing.*--dtype float32"):
        export(tmp_path / "merged", told.out, dtype="float16", device="cpu", samples=2)
    assert {path.name for path in tmp_path.iterdir()} == {"base", "run"}
    assert export(tmp_path / "merged", told.out, dtype="float32", device="cpu", samples=2).merged["same"] == 2


def test_one_answer_or_distant_logits_are_enough_to_refuse() -> None:
    answers = [Answer("a", 0.9, [("a", 0.9)], "a")] * 3
    logits = torch.randn(3, 100, generator=torch.Generator().manual_seed(0))
    assert compare((answers, logits), (answers, logits + 1e-3)) == pytest.approx(1e-3, rel=0.1)
    other = [*answers[:2], replace(answers[2], free="b")]
    with pytest.raises(ModelError, match="1 of 3 samples otherwise"):
        compare((answers, logits), (other, logits))
    with pytest.raises(ModelError, match="0 of 3 samples otherwise"):
        compare((answers, logits), (answers, logits.flip(1)))


def test_what_a_user_gets_wrong(run: Path, merged: Path, dataset: Path, tmp_path: Path, unblind: Run) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    for arguments, says in (
        ((run, tmp_path / "mine"), "thesis.txt"),
        ((run, merged), "holds other content"),
        ((dataset, tmp_path / "x"), "holds no adapter"),
        ((tmp_path / "absent", tmp_path / "x"), "holds no adapter"),
        ((run, tmp_path / "x", "--dtype", "int3"), "unknown dtype int3"),
        ((run, tmp_path / "x", "--model", small_model.checkpoint(tmp_path / "small")), "on other weights"),
    ):
        adapter, out, *more = arguments
        done = unblind("export", "--adapter", adapter, "--out", out, *more)
        assert done.code == 2 and says in done.err and "Traceback" not in done.err, done
    assert not (tmp_path / "x").exists()
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_an_adapter_that_is_not_finite_is_refused(
    run: Path, image: Path, tmp_path: Path, unblind: Run
) -> None:
    from safetensors.torch import load_file, save_file

    shutil.copytree(run, tmp_path / "run")
    weights = tmp_path / "run" / "adapter" / "adapter_model.safetensors"
    tensors = load_file(weights)
    name = min(tensors)
    tensors[name].view(-1)[0] = float("nan")
    save_file(tensors, weights, {"format": "pt"})
    done = unblind("export", "--adapter", tmp_path / "run", "--out", tmp_path / "merged")
    assert done.code == 2 and f"1 weights are infinite or no numbers, among them {name}" in done.err
    assert not (tmp_path / "merged").exists()
    done = unblind("predict", "--adapter", tmp_path / "run", image, *EXACT)
    assert done.code == 2 and "infinite or no numbers" in done.err
