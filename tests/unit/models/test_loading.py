"""Loading: what is accepted, and what each wrong thing is called."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import small_model
from unblind.errors import ModelError
from unblind.models import loading
from unblind.models.adapters import add_adapter
from unblind.models.loading import choose_device, choose_dtype, load

FILES = ["config.json", "model.safetensors", "tokenizer.json", "processor_config.json"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_model.checkpoint(tmp_path_factory.mktemp("small") / "base")


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


@pytest.fixture(scope="module")
def adapter(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("adapter")
    add_adapter(load(str(folder)).model, {"vision": "lora"}, rank=2).save_pretrained(path)
    return path


def refusal(name: Path | str, **options) -> str:
    with pytest.raises(ModelError) as caught:
        load(str(name), **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def edit_json(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_folder_is_loaded(folder: Path) -> None:
    loaded = load(str(folder), device="cpu", dtype="float32")
    assert not loaded.model.training
    assert loaded.model.dtype == torch.float32
    assert type(loaded.processor.image_processor).__name__ == "SiglipImageProcessorPil"
    assert loaded.processor.image_seq_length == 4
    expected = small_model.model().state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in loaded.model.state_dict().items())


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    assert "is no folder with a checkpoint" in refusal(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x")
    assert "is no folder with a checkpoint" in refusal(tmp_path / "file")


@pytest.mark.parametrize(
    "name", ["config.json", "model.safetensors", "tokenizer.json", "processor_config.json"]
)
def test_what_is_missing_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    message = refusal(copy)
    assert name in message.split(" missing (")[0]
    assert "it holds" in message


def test_missing_shards_are_named(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    index = {"metadata": {}, "weight_map": {"a": "model-00001-of-00002.safetensors"}}
    (copy / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "model-00001-of-00002.safetensors missing" in refusal(copy)


def test_another_architecture_is_refused_before_its_weights_are_read(copy: Path) -> None:
    edit_json(copy / "config.json", model_type="llama")
    (copy / "model.safetensors").write_bytes(b"")
    assert "is of the type llama; known are paligemma" in refusal(copy)


@pytest.mark.parametrize(
    "name", ["config.json", "model.safetensors", "tokenizer.json", "processor_config.json"]
)
def test_a_damaged_file_is_refused(copy: Path, name: str) -> None:
    data = (copy / name).read_bytes()
    (copy / name).write_bytes(data[: len(data) // 2])
    assert "copy or download the folder again" in refusal(copy)


def test_weights_that_do_not_fit_are_refused(copy: Path, tmp_path: Path) -> None:
    wider = small_model.checkpoint(tmp_path / "wider", width=64)
    shutil.copy(wider / "model.safetensors", copy / "model.safetensors")
    assert str(copy) in refusal(copy)


def test_missing_weights_are_refused(copy: Path, tmp_path: Path) -> None:
    shallower = small_model.checkpoint(tmp_path / "shallower", layers=1)
    shutil.copy(shallower / "model.safetensors", copy / "model.safetensors")
    assert "weights, among them" in refusal(copy)


def test_an_adapter_is_put_on_its_base(folder: Path, adapter: Path, tmp_path: Path) -> None:
    loaded = load(str(folder), adapter=adapter)
    assert loaded.adapter == str(adapter)
    assert any("lora_A" in name for name, _ in loaded.model.named_parameters())
    shutil.copytree(adapter, tmp_path / "run" / "adapter")  # a run folder does as well
    load(str(folder), adapter=tmp_path / "run")


def test_a_folder_without_an_adapter_is_refused(folder: Path, tmp_path: Path) -> None:
    assert "is no adapter: adapter_config.json" in refusal(folder, adapter=tmp_path)
    assert "is no adapter" in refusal(folder, adapter=folder)


def test_an_adapter_in_the_place_of_a_model_is_explained(adapter: Path) -> None:
    assert "it holds an adapter" in refusal(adapter)


@pytest.mark.parametrize("shape", [{"width": 64}, {"layers": 1}, {"layers": 3}])
def test_an_adapter_of_another_base_is_refused(adapter: Path, tmp_path: Path, shape: dict[str, int]) -> None:
    other = small_model.checkpoint(tmp_path / "other", **shape)
    assert "does not fit this model" in refusal(other, adapter=adapter)


def test_a_broken_adapter_is_refused(folder: Path, adapter: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(adapter, tmp_path / "broken"))
    (broken / "adapter_model.safetensors").write_bytes(b"1234567890")
    assert "is broken" in refusal(folder, adapter=broken)


def test_a_device_that_is_not_there() -> None:
    with pytest.raises(ModelError, match=r"no device tpu; it has .*cpu"):
        choose_device("tpu")


def test_dtypes() -> None:
    assert choose_dtype("float16", torch.device("cpu")) == torch.float16
    found = torch.cpu.get_capabilities()
    emulated = not (found.get("avx512_bf16") or found.get("amx_bf16"))
    allowed = {torch.float32} if emulated else {torch.float32, torch.bfloat16}
    assert choose_dtype("auto", torch.device("cpu")) in allowed
    with pytest.raises(ModelError, match="unknown dtype int3"):
        choose_dtype("int3", torch.device("cpu"))


class Busy(TorchDispatchMode):
    """Ten float32 products during a burst and ten in bfloat16 after it would give the wrong one."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.products = 0.0, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten.mm.default:
            self.now += (2 if args[0].dtype == torch.bfloat16 else 1) * (10 if self.products < 12 else 1)
            self.products += 1
        return func(*args, **(kwargs or {}))


def test_the_faster_data_type_is_found_while_other_work_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten float32 products during a burst, and ten in bfloat16 after it, would give the wrong one."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    loading._cpu_prefers_bfloat16.cache_clear()
    try:
        with Busy() as clock:
            monkeypatch.setattr(loading.time, "perf_counter", lambda: clock.now)
            assert choose_dtype("auto", torch.device("cpu")) == torch.float32
    finally:
        loading._cpu_prefers_bfloat16.cache_clear()


def test_quantization_without_bitsandbytes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    assert "pip install 'bitsandbytes>=" in refusal(folder, quantization="nf4")
