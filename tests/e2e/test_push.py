"""`unblind push` up to the wire: the real command against a stand-in for the hub on loopback."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import yaml
from huggingface_hub import ModelCard, parse_eval_result_entries
from safetensors.numpy import save_file

import small_model
import stand_in_hub
import unblind
from stand_in_hub import TOKEN, Hub, Repo
from unblind.recipe import TrainOptions
from unblind.scoring.intervals import wilson
from unblind.scoring.metrics import score

TINY = Path(unblind.__file__).parent / "tiny" / "checkpoint"
GOOGLE = "google/paligemma2-3b-pt-224"


@pytest.fixture
def hub() -> Iterator[Hub]:
    with stand_in_hub.serve() as found:
        yield found


def push(hub: Hub | str, cwd: Path, *arguments: object, token: str | None = TOKEN) -> tuple[int, str]:
    """The command in a process of its own, in `cwd`; its exit code, and all that it printed."""
    address = hub if isinstance(hub, str) else hub.address
    own = {
        "HF_ENDPOINT": address,
        "HF_HOME": str(cwd / "hf"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_OFFLINE": "0",
    }
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))} | own
    done = subprocess.run(
        [sys.executable, "-m", "unblind", "push", *map(str, arguments)],
        env=environment | ({"HF_TOKEN": token} if token else {}),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert TOKEN not in done.stdout + done.stderr
    return done.returncode, done.stdout + done.stderr


def refused(done: tuple[int, str], *says: str) -> None:
    code, said = done
    assert code == 2, said
    line = said.strip().splitlines()[-1]
    assert line.startswith("unblind: ") and "Traceback" not in said, said
    for part in says:
        assert part in line, line


def make_run(out: Path, model: str = "tiny") -> Path:
    """What `unblind train` leaves, with an adapter of noise."""
    (out / "adapter").mkdir(parents=True)
    (out / "checkpoints").mkdir()
    (out / "checkpoints" / "large.bin").write_bytes(b"not for sharing")
    options = asdict(TrainOptions(data="circles", out=out, model=model, seed=7))
    plain = {key: list(v) if isinstance(v, tuple) else v for key, v in options.items()} | {"out": str(out)}
    (out / "config.yaml").write_text(yaml.safe_dump(plain))
    numbers = {"samples": 7200, "seconds": 600.0, "samples_per_second": 12.0, "trainable_parameters": 369_664}
    (out / "metrics.json").write_text(json.dumps(numbers | {"best_accuracy": 0.9}))
    config = {
        "peft_type": "LORA",
        "r": 16,
        "base_model_name_or_path": str(TINY) if model == "tiny" else model,
    }
    (out / "adapter" / "adapter_config.json").write_text(json.dumps(config))
    noise = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    save_file({"lora_A": noise}, out / "adapter" / "adapter_model.safetensors")
    return out


def make_evaluation(out: Path, right: int, n: int, **more: object) -> Path:
    """What `unblind evaluate` leaves of answers of which `right` of `n` are right."""
    said = ["a"] * right + ["b"] * (n - right)
    words = ["ab", "ba"] * (n // 2)
    columns = {"id": [str(i) for i in range(n)], "answer": ["a"] * n, "free": said, "restricted": said}
    metrics = score(pa.table(columns | {"word": words})) | {
        "model": "tiny",
        "adapter": None,
        "data": "circles",
    }
    out.mkdir(parents=True)
    (out / "metrics.json").write_text(json.dumps(metrics | more))
    return out


@pytest.fixture
def quickstart(tmp_path: Path) -> Path:
    """A quickstart's run, and the two evaluations beside it."""
    out = tmp_path / "qs"
    run = make_run(out / "train")
    make_evaluation(out / "blind", 8, 50)
    make_evaluation(out / "after", 47, 50, adapter=str(run))
    return out


def test_an_adapter_arrives_with_its_card_and_both_forms_of_results(hub: Hub, quickstart: Path) -> None:
    run = quickstart / "train"
    code, said = push(hub, quickstart, run, "me/cured", "--dataset", "me/circles", "--private")
    assert code == 0 and f"{hub.address}/me/cured" in said, said
    repo = hub.repos["models/me/cured"]
    assert repo.private and repo.commits == 1
    names = {"README.md", "adapter_config.json", "adapter_model.safetensors"}
    results = {".eval_results/after-restricted.yaml", ".eval_results/after-free.yaml"}
    assert set(repo.files) == names | results
    weights = (run / "adapter" / "adapter_model.safetensors").read_bytes()
    assert repo.files["adapter_model.safetensors"] == weights
    assert any("PUT /lfs/" in line for line in hub.asked)

    low, high = wilson(47, 50)
    card = ModelCard(repo.files["README.md"].decode())
    assert (card.data.license, card.data.library_name, card.data.base_model) == ("mit", "peft", None)
    assert card.data.datasets == ["me/circles"]
    kinds = {result.metric_name: result for result in card.data.eval_results}
    assert set(kinds) == {"accuracy, restricted answers", "accuracy, free answers"}
    for result in kinds.values():
        assert (result.metric_value, result.dataset_type) == (0.94, "me/circles")
        args = result.metric_args
        assert (args["n"], args["low"], args["high"]) == (50, round(low, 5), round(high, 5))
    for path in results:
        (entry,) = parse_eval_result_entries(yaml.safe_load(repo.files[path]))
        assert (entry.dataset_id, entry.task_id, entry.value) == ("me/circles", "circled_letter", 0.94)
        assert f"n = 50, Wilson 95 % {round(low, 5)} to {round(high, 5)}" in entry.notes
        assert entry.source_url == f"{hub.address}/me/cured"

    for said in (
        "| before (the base alone) | `me/circles` | 50 | 16.0 % (8.3–28.5) | 16.0 % (8.3–28.5) |",
        f"94.0 % ({100 * low:.1f}–{100 * high:.1f})",
        "| trainable parameters | 369,664 |",
        "| seed | 7 |",
        "## Limits",
        "unblind predict photo.png --model tiny --adapter cured",
    ):
        assert said in card.text, card.text
    assert len(re.search(r"```sh\n(.*?)```", card.text, re.S)[1].splitlines()) <= 5


def test_the_card_says_how_the_data_was_drawn(hub: Hub, quickstart: Path) -> None:
    words = {"words": "webster", "min_length": 5, "max_length": 15, "random_strings": 0.5}
    settings = {"made_by": "unblind generate", "train": 8000, "seed": 3} | words
    (quickstart / "circles").mkdir()
    (quickstart / "circles" / "settings.json").write_text(json.dumps(settings))
    code, said = push(hub, quickstart, quickstart / "train", "me/cured", "--dataset", "me/circles")
    assert code == 0, said
    card = " ".join(ModelCard(hub.repos["models/me/cured"].files["README.md"].decode()).text.split())
    assert "8,000 images for training, drawn by `unblind generate` (seed 3)" in card
    assert "5 to 15 letters, and with random strings instead in 50% of them. The words" in card


def test_no_path_of_this_machine_is_sent(hub: Hub, quickstart: Path) -> None:
    assert push(hub, quickstart, quickstart / "train" / "adapter", "me/cured")[0] == 0
    sent = b"\n".join([*hub.seen, *hub.files("models/me/cured").values()])
    assert str(quickstart).encode() not in sent and str(TINY.parent).encode() not in sent
    config = json.loads(hub.files("models/me/cured")["adapter_config.json"])
    assert config["base_model_name_or_path"] is None and config["r"] == 16


def test_the_token_is_nowhere(hub: Hub, quickstart: Path) -> None:
    """`push` itself looks for it in what is printed."""
    assert push(hub, quickstart, quickstart / "train", "me/cured")[0] == 0
    refused(push(hub, quickstart, quickstart / "train", "you/cured"), "***")  # the server repeats it
    written = [path for path in quickstart.rglob("*") if path.is_file()]
    assert written
    for path in written:
        assert TOKEN.encode() not in path.read_bytes(), path
    assert hub.seen and not any(TOKEN.encode() in part for part in hub.seen)


def test_the_licence_is_the_bases(hub: Hub, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", model=GOOGLE)
    assert push(hub, tmp_path, run, "me/large")[0] == 0
    files = hub.files("models/me/large")
    card = ModelCard(files["README.md"].decode())
    assert (card.data.license, card.data.base_model) == ("gemma", GOOGLE)
    assert card.data.base_model_relation == "adapter" and "Gemma Terms of Use" in card.text
    assert json.loads(files["adapter_config.json"])["base_model_name_or_path"] == GOOGLE
    assert card.data.eval_results is None and "None measured yet" in card.text
    assert set(files) == {"README.md", "adapter_config.json", "adapter_model.safetensors"}


def test_pushed_again_it_goes_over_the_old_one_and_old_results_go(hub: Hub, quickstart: Path) -> None:
    stale = ".eval_results/long-ago-free.yaml"
    hub.repos["models/me/cured"] = Repo(files={stale: b"[]", "README.md": b"old", "notes.txt": b"mine"})
    code, said = push(hub, quickstart, quickstart / "train", "me/cured")
    assert code == 0, said
    files = hub.files("models/me/cured")
    assert stale not in files and files["notes.txt"] == b"mine" and b"94.0" in files["README.md"]
    assert "--dataset" in said  # circles is no dataset on the hub: the leaderboards' form is left out
    assert not any(path.startswith(".eval_results/") for path in files)
    assert "POST /api/repos/create" not in hub.asked


def test_results_on_a_dataset_of_the_hub_need_no_flag(hub: Hub, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    other = make_evaluation(tmp_path / "blindtest", 30, 50, adapter=str(run), data="XAI/vlmsareblind")
    assert push(hub, tmp_path, run, "me/cured", "--results", other)[0] == 0
    text = hub.files("models/me/cured")[".eval_results/blindtest-restricted.yaml"]
    (entry,) = parse_eval_result_entries(yaml.safe_load(text))
    assert (entry.dataset_id, entry.value) == ("XAI/vlmsareblind", 0.6)


def test_a_dataset_arrives_whole(hub: Hub, dataset: Path, tmp_path: Path) -> None:
    code, said = push(hub, tmp_path, dataset, "me/circles")
    assert code == 0 and f"{hub.address}/datasets/me/circles" in said, said
    files = hub.files("datasets/me/circles")
    here = {p.relative_to(dataset).as_posix(): p for p in dataset.rglob("*") if p.is_file()}
    assert set(files) == {name for name in here if not name.startswith(".")}
    for name, path in here.items():
        if name.endswith(".parquet"):
            assert files[name] == path.read_bytes()
    assert b'load_dataset("me/circles")' in files["README.md"] and b"Limits" in files["README.md"]
    header = yaml.safe_load(files["README.md"].decode().split("---\n")[1])
    assert header["license"] == "mit" and header["configs"] and header["dataset_info"]


@pytest.mark.parametrize("content", ["nothing", "quickstart", "evaluation", "half a run", "half a model"])
def test_a_folder_of_something_else(hub: Hub, quickstart: Path, tmp_path: Path, content: str) -> None:
    folder, says = tmp_path / "folder", "holds no finished adapter"
    folder.mkdir()
    if content == "quickstart":
        folder, says = quickstart, "train"
    elif content == "evaluation":
        folder, says = quickstart / "after", "--results"
        (folder / "predictions.parquet").write_bytes(b"")
    elif content == "half a run":
        (folder / "config.yaml").write_text("rank: 4\n")
    elif content == "half a model":
        (folder / "config.json").write_text("{}")
        says = "no safetensors"
    refused(push(hub, tmp_path, folder, "me/x"), str(folder), says)
    refused(push(hub, tmp_path, tmp_path / "absent", "me/x"), "absent", "no folder")
    assert not hub.repos and not hub.asked


def test_results_of_another_model(hub: Hub, quickstart: Path, tmp_path: Path) -> None:
    run = quickstart / "train"
    other = make_evaluation(tmp_path / "other", 1, 2, model=GOOGLE)
    refused(push(hub, tmp_path, run, "me/x", "--results", other), str(other), GOOGLE)
    second = make_evaluation(tmp_path / "second", 1, 2, adapter=str(make_run(tmp_path / "run2")))
    refused(push(hub, tmp_path, run, "me/x", "--results", second), str(second), "run2")
    refused(push(hub, tmp_path, run, "me/x", "--results", tmp_path), str(tmp_path), "no evaluation")
    photos = make_evaluation(tmp_path / "photos", 1, 2, adapter=str(run), data="photos")
    both = ("--results", quickstart / "after", photos, "--dataset", "me/circles")
    refused(push(hub, tmp_path, run, "me/x", *both), "circles and photos")
    assert not hub.asked


@pytest.mark.slow
def test_what_the_hub_refuses(hub: Hub, quickstart: Path, dataset: Path, tmp_path: Path) -> None:
    run = quickstart / "train"
    refused(push(hub, tmp_path, run, "me/x", token=None), "hf auth login", "HF_TOKEN")
    assert not hub.asked
    refused(push(hub, tmp_path, run, "me/x", token="hf_wrong"), "does not know your token", "hf auth login")
    refused(push(hub, tmp_path, run, "you/x"), "may not write to you/x", "settings/tokens")
    refused(push(hub, tmp_path, run, "x"), "USER/NAME")
    refused(push(hub, tmp_path, run, "me/a b"), "USER/NAME")
    hub.repos["datasets/me/circles"] = Repo()
    refused(push(hub, tmp_path, run, "me/circles"), "me/circles is a dataset", "name another")
    hub.repos["models/me/open"] = Repo()
    refused(push(hub, tmp_path, run, "me/open", "--private"), "me/open exists and is public", "settings")
    hub.trouble = "card"
    refused(push(hub, tmp_path, run, "me/x"), "license")
    hub.trouble = "busy"
    refused(push(hub, tmp_path, run, "me/x"), "429", "later")
    assert all(not repo.files for repo in hub.repos.values())


@pytest.mark.slow
def test_the_network_goes_away(hub: Hub, quickstart: Path, tmp_path: Path) -> None:
    refused(
        push("http://127.0.0.1:9", tmp_path, quickstart / "train", "me/x"), "cannot be reached", "network"
    )
    hub.trouble = "mid"
    refused(push(hub, tmp_path, quickstart / "train", "me/x"), "cannot be reached", "push again")
    assert hub.repos["models/me/x"].files == {}
    hub.trouble = ""
    assert push(hub, tmp_path, quickstart / "train", "me/x")[0] == 0
    assert "README.md" in hub.files("models/me/x")


def train(hub: Hub, cwd: Path, *arguments: object) -> tuple[int, str]:
    """A run of two steps with a checkpoint after each; its exit code, and all that it printed."""
    small_model.checkpoint(cwd / "base")
    (cwd / "data").mkdir()
    small_model.samples(4).to_parquet(cwd / "data" / "train.parquet")
    small_model.samples(2).to_parquet(cwd / "data" / "validation.parquet")
    sizes = "--max-steps 2 --batch-size 2 --accumulation 1 --eval-every 1 --device cpu"
    folders = ["--data", cwd / "data", "--model", cwd / "base", "--out", cwd / "run"]
    run = ["train", *folders, *sizes.split(), *arguments]
    told = {"HF_ENDPOINT": hub.address, "HF_HOME": str(cwd / "hf"), "HF_TOKEN": TOKEN, "HF_HUB_OFFLINE": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "unblind", *map(str, run)],
        env=os.environ | told | {"HF_HUB_DISABLE_XET": "1"},
        capture_output=True,
        text=True,
        timeout=280,
    )
    return done.returncode, done.stdout + done.stderr


def test_checkpoints_are_pushed_on_request(hub: Hub, tmp_path: Path) -> None:
    code, said = train(hub, tmp_path, "--push-to", "me/run")
    assert code == 0 and "checkpoint-2 is at" in said, said
    repo = hub.repos["models/me/run"]
    assert repo.private and repo.commits == 2
    assert set(repo.files) == {"README.md", "adapter_config.json", "adapter_model.safetensors"}
    last = tmp_path / "run" / "checkpoints" / "checkpoint-2" / "adapter_model.safetensors"
    assert repo.files["adapter_model.safetensors"] == last.read_bytes()
    assert not any(str(tmp_path).encode() in data for data in repo.files.values())


def test_training_goes_on_where_the_hub_does_not(hub: Hub, tmp_path: Path) -> None:
    hub.allowed = ()  # nobody may write
    code, said = train(hub, tmp_path, "--push-to", "me/run")
    assert code == 0 and "checkpoint-1 was not pushed: " in said, said
    assert (tmp_path / "run" / "adapter" / "adapter_model.safetensors").exists()


def test_a_repository_that_is_none_is_refused_before_training(hub: Hub, tmp_path: Path) -> None:
    refused(train(hub, tmp_path, "--push-to", "nobody"), "USER/NAME")
    assert not (tmp_path / "run").exists()
