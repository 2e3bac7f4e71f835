"""The main job through the command line, at a small size, and what others can do with what it leaves."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from e2e.conftest import Run

SIZES = ["--train", "1600", "--validation", "16", "--test", "60"]
BENCHMARK = Path(__file__).parents[3] / "shared" / "blindtest" / "acknowledgement.parquet"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A quickstart of 1,600 images, through the console script."""
    out = tmp_path_factory.mktemp("flow") / "quickstart"
    command = [str(Path(sys.executable).parent / "unblind"), "quickstart", "--out", str(out)]
    done = subprocess.run([*command, *SIZES], capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stderr
    assert re.match(r"Five steps, about \d+ min on this machine", done.stdout)
    assert "blind" in done.stdout and "after fine-tuning" in done.stdout and "report.html" in done.stdout
    return out


def test_quickstart_leaves_what_the_contract_says(quickstart: Path) -> None:
    metrics = json.loads((quickstart / "metrics.json").read_text())
    assert set(metrics) == {"blind", "after", "train"}
    assert set(metrics["train"]) == {"samples", "seconds", "samples_per_second", "trainable_parameters"}
    assert metrics["train"]["samples"] == 1600
    for run in ("blind", "after"):
        assert metrics[run] == json.loads((quickstart / run / "metrics.json").read_text())
        assert metrics[run]["n"] == 60
        value = metrics[run]["accuracy"]["restricted"]
        assert 0 <= value["low"] <= value["value"] <= value["high"] <= 1
        assert {"length", "position", "font", "letter"} <= set(metrics[run]["by"])
        rates = {"chance", "first_letter", "most_frequent", "most_frequent_letter", "blank_image"}
        assert set(metrics[run]["base_rates"]) == rates
        table = pq.read_table(quickstart / run / "predictions.parquet")
        assert {"id", "answer", "free", "restricted", "probability", "top5"} <= set(table.column_names)
        hits = sum(
            a == r for a, r in zip(table["answer"].to_pylist(), table["restricted"].to_pylist(), strict=True)
        )
        assert value["value"] == pytest.approx(hits / 60)
    page = (quickstart / "report.html").read_text()
    assert len(page) < 4_000_000 and "<svg" in page


def test_the_blind_model_is_blind_and_learns_to_see(quickstart: Path) -> None:
    metrics = json.loads((quickstart / "metrics.json").read_text())
    for kind in ("free", "restricted"):
        blind, after = (metrics[run]["accuracy"][kind] for run in ("blind", "after"))
        assert blind["low"] <= 0.20
        assert after["low"] > blind["high"]  # 58 of 60 were right when this was written, 6 before


def test_quickstart_again_changes_nothing(quickstart: Path, unblind: Run) -> None:
    before = {path: path.read_bytes() for path in quickstart.rglob("*.parquet")}
    adapter = (quickstart / "train" / "adapter" / "adapter_model.safetensors").read_bytes()
    assert unblind("quickstart", "--out", quickstart, *SIZES).code == 0
    assert before == {path: path.read_bytes() for path in quickstart.rglob("*.parquet")}
    assert adapter == (quickstart / "train" / "adapter" / "adapter_model.safetensors").read_bytes()


def test_a_quickstart_of_several_tasks_asks_each_in_all_its_wordings(unblind: Run, tmp_path: Path) -> None:
    command = ["quickstart", "--task", "two-circles=2", "grid", "--train", "12", "--validation", "4"]
    done = unblind(*command, "--test", "30", "--out", tmp_path / "out")
    assert done.code == 0, done.err
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    for run in ("blind", "after"):
        assert {name: of_task["n"] for name, of_task in metrics[run]["tasks"].items()} == {
            "two-circles": 20,
            "grid": 10,
        }
        assert set(metrics[run]["mean"]) == {"free", "restricted"}
    asked = pq.read_table(tmp_path / "out" / "after" / "predictions.parquet", columns=["task", "prompt"])
    assert asked.group_by(["task", "prompt"]).aggregate([]).num_rows == 4 + 3
    assert "tiny-all" not in done.out and "Drawing 58 images" in done.out.replace("\n", " ")


def test_datasets_alone_loads_the_data(quickstart: Path, tmp_path: Path) -> None:
    code = """
import sys, datasets
loaded = datasets.load_dataset(sys.argv[1], cache_dir=sys.argv[2])
row = loaded["test"][0]
assert {name: len(part) for name, part in loaded.items()} == {"train": 1600, "validation": 16, "test": 60}
assert row["image"].size == (224, 224) and row["word"][row["index"]] == row["letter"] == row["answer"], row
"""
    subprocess.run([sys.executable, "-c", code, quickstart / "data", tmp_path], check=True, timeout=120)


def test_transformers_and_peft_alone_load_base_and_adapter(quickstart: Path) -> None:
    code = """
import sys, torch, peft
from transformers import PaliGemmaForConditionalGeneration, PaliGemmaProcessor
base, adapter = sys.argv[1:]
model = PaliGemmaForConditionalGeneration.from_pretrained(base, dtype=torch.float32)
processor = PaliGemmaProcessor.from_pretrained(base, backend="pil")
assert model.config.model_type == "paligemma" and model.config.text_config.model_type == "gemma2"
assert processor.image_seq_length == 256
assert all(len(processor.tokenizer(c, add_special_tokens=False).input_ids) == 1 for c in "azAZ")
model = peft.PeftModel.from_pretrained(model, adapter)
assert any("lora" in name for name, _ in model.named_parameters())
"""
    from unblind.models.embedded import TINY

    arguments = [TINY, quickstart / "train" / "adapter"]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, timeout=120)


def test_predict_says_what_evaluate_says(quickstart: Path, unblind: Run, tmp_path: Path) -> None:
    rows = pq.read_table(quickstart / "data" / "data" / "test-00000-of-00001.parquet").slice(0, 3).to_pylist()
    for row in rows:
        (tmp_path / f"{row['id']}.png").write_bytes(row["image"]["bytes"])
    files = [tmp_path / f"{row['id']}.png" for row in rows]
    # "auto" may change with the load of the machine
    answering = ["--adapter", quickstart / "train", "--dtype", "float32"]
    data, out = quickstart / "data", tmp_path / "evaluated"
    assert unblind("evaluate", "--data", data, "--limit", 3, "--out", out, *answering).code == 0
    said = []
    for file, row in zip(files, rows, strict=True):
        ask = ["--prompt", row["prompt"], "--json", *answering]
        done = unblind("predict", file, *ask)
        assert done.code == 0, done.err
        said.append(json.loads(done.out))
    written = pq.read_table(out / "predictions.parquet").to_pylist()
    for one, other in zip(said, written, strict=True):
        assert (one["letter"], one["free"]) == (other["restricted"], other["free"])
        assert one["probability"] == pytest.approx(other["probability"], abs=1e-4)


def test_evaluate_reads_the_benchmark(quickstart: Path, unblind: Run, tmp_path: Path) -> None:
    if not BENCHMARK.exists():
        pytest.skip("the benchmark's images are not beside the repository (../shared/blindtest)")
    arguments = [
        "--adapter",
        quickstart / "train",
        "--data",
        BENCHMARK,
        "--limit",
        24,
        "--out",
        tmp_path / "e",
    ]
    done = unblind("evaluate", *arguments)
    assert done.code == 0, done.err
    metrics = json.loads((tmp_path / "e" / "metrics.json").read_text())
    assert metrics["n"] == 24 and set(metrics["by"]) >= {"length", "position", "font", "letter"}
    assert "Acknowledgement" in pq.read_table(tmp_path / "e" / "predictions.parquet")["word"].to_pylist()


def test_train_takes_recipe_and_flags_and_flags_win(unblind: Run, dataset: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "rank: 4\nmax_steps: 2\nbatch_size: 4\nvision: frozen\neval_every: 0\nlearning_rate: 1e-3\n"
    )
    done = unblind("train", "--recipe", recipe, "--data", dataset, "--out", tmp_path / "run", "--rank", 2)
    assert done.code == 0, done.err
    import yaml

    config = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert (config["rank"], config["max_steps"], config["vision"], config["learning_rate"]) == (
        2,
        2,
        "frozen",
        1e-3,
    )
    again = unblind("train", "--recipe", recipe, "--data", dataset, "--out", tmp_path / "run", "--rank", 2)
    assert again.code == 2 and "--resume" in again.err
