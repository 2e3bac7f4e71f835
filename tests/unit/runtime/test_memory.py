"""Memory: the estimate against what a CPU process takes, and what is said where it does not suffice."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import small_model
from unblind.errors import ModelError
from unblind.models.loading import load
from unblind.models.memory_estimate import evaluation_memory, training_memory
from unblind.models.paligemma_shapes import known_config, make_config
from unblind.recipe import TrainOptions
from unblind.runtime.device_memory import explain_out_of_memory

OPTIONS = TrainOptions(data="", out=Path("o"), batch_size=16)
MEASURE = """
import re, sys, torch
from PIL import Image
from transformers import PaliGemmaForConditionalGeneration
import small_model
from unblind.models.adapters import add_adapter
from unblind.models.paligemma_shapes import make_config
from unblind.models.collate import Collator
from unblind.models.loading import load
torch.set_num_threads(1)
torch.optim.AdamW([torch.nn.Parameter(torch.ones(2))])
x = torch.randn(64, 64, requires_grad=True); (x @ x).sum().backward()
before = int(open("/proc/self/statm").read().split()[1]) * 4096
what, mode, batch = sys.argv[1], sys.argv[2], int(sys.argv[3])
loaded = load("tiny", dtype="float32", device="cpu", quantization="nf4" if mode == "nf4" else None)
row = {"image": Image.new("RGB", (224, 224)), "prompt": "Which letter is being circled?", "answer": "a"}
model = loaded.model
if what == "train":
    vision = "frozen" if mode == "checkpointing" else "lora"
    model = add_adapter(model, {"language": "lora", "projector": "lora", "vision": vision}).train()
    if mode == "checkpointing":
        model.get_base_model().activation_checkpointing_enable({"use_reentrant": False})
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad])
    for _ in range(2):
        model(**Collator(loaded.family, loaded.processor)([row] * batch), use_cache=False).loss.backward()
        optimizer.step()
else:
    with torch.inference_mode():
        batch = Collator(loaded.family, loaded.processor, answers=False)([row] * batch)
        model(**batch, use_cache=True, logits_to_keep=1)
# not getrusage's, which a process inherits from the one that started it
highest = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
print(highest * 1024 - before)
"""


# The device is one that is not main memory: PyTorch's meta device, which keeps nothing.
LOAD = """
import re, sys, threading, time, torch
from pathlib import Path
from unblind.models import loading
loading.choose_device = lambda *_: torch.device("meta")
loading.load("tiny", dtype="float32")
def anonymous():
    return int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024
before, seen, done = anonymous(), [], threading.Event()
def watch():
    while not done.wait(0.001):
        seen.append(anonymous())
watcher = threading.Thread(target=watch)
watcher.start()
loading.load(sys.argv[1], dtype="float32")
done.set()
watcher.join()
print(max(seen) - before)
"""


def measured(script: str, *arguments: str) -> int:
    """What a script prints, in a process of its own."""
    # glibc keeps freed blocks that fit no later one; by default that doubles what a process holds
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    env = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536", "PYTHONPATH": os.pathsep.join(paths)}
    run = [sys.executable, "-c", script, *arguments]
    return int(subprocess.run(run, env=env, capture_output=True, text=True, check=True).stdout)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_weights_go_to_their_device_without_a_copy_in_main_memory(tmp_path: Path) -> None:
    """Stored in bfloat16 and wanted in float32, which files cannot be mapped for."""
    small_model.model(width=1024, layers=4).to(torch.bfloat16).save_pretrained(
        tmp_path, max_shard_size="32MB"
    )
    small_model.processor().save_pretrained(tmp_path)
    shards = [path.stat().st_size for path in tmp_path.glob("model-*.safetensors")]
    assert len(shards) > 4 and measured(LOAD, str(tmp_path)) < 1.2 * max(shards)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("what", "mode", "batch"),
    # checkpointing leaves so little of a batch of 16 that the 50 MB of kernels and libraries would show
    [("train", "", 16), ("train", "checkpointing", 48), ("evaluate", "", 32), ("evaluate", "nf4", 32)],
)
def test_the_estimate_is_what_a_process_takes(what: str, mode: str, batch: int) -> None:
    taken = measured(MEASURE, what, mode, str(batch))
    config = load("tiny", dtype="float32", device="cpu").model.config
    if what == "evaluate":
        estimate = evaluation_memory(config, torch.float32, quantization=mode or None)
    elif mode:
        told = replace(OPTIONS, vision="frozen", gradient_checkpointing=True, batch_size=batch)
        estimate = training_memory(config, told, torch.float32)
    else:
        estimate = training_memory(config, OPTIONS, torch.float32)
    assert estimate.total == pytest.approx(taken, rel=0.2)


@pytest.mark.slow
def test_what_saves_memory_is_seen_to() -> None:
    config = make_config(256, 16, 1024, 4, 2, 64, 64, vision_layers=3)
    told = replace(OPTIONS, batch_size=4, vision="frozen")

    def estimated(**changes: object) -> int:
        return training_memory(config, replace(told, **changes), torch.bfloat16).activations

    whole = estimated()
    assert estimated(gradient_checkpointing=True) < whole / 2
    assert estimated(cache_features=Path("f")) <= whole < estimated(vision="lora")
    assert estimated(batch_size=8) == pytest.approx(2 * whole, rel=0.1)


def test_quantized_weights_are_counted() -> None:
    config = known_config("google/paligemma2-3b-pt-224")
    sizes = [evaluation_memory(config, torch.bfloat16, batch_size=1, quantization=q) for q in (None, "nf4")]
    assert sizes[0].weights == 2 * 3_032_242_416
    # 26 layers of 77,856,768 linear weights at 4.127 bits instead of 16
    assert sizes[0].weights - sizes[1].weights == pytest.approx(26 * 77_856_768 * (16 - 4.127) / 8, rel=1e-3)


def test_a_model_too_large_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = small_model.checkpoint(tmp_path / "base")
    monkeypatch.setattr("unblind.models.loading.free_memory", lambda _: 1000)
    with pytest.raises(ModelError, match=r"takes .* GiB .* quantize it \(--quantization nf4\)"):
        load(str(folder))


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory."), MemoryError(), RuntimeError("can't allocate memory")],
)
def test_memory_that_runs_out_is_explained(error: Exception) -> None:
    with pytest.raises(ModelError, match="--batch-size"), explain_out_of_memory():
        raise error
    with pytest.raises(RuntimeError, match="shapes"), explain_out_of_memory():
        raise RuntimeError("shapes differ")
