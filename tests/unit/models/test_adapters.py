"""LoRA scopes: what is trainable, and what plain peft makes of the saved adapter."""

from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file

import small_model
from unblind.errors import ModelError, RecipeError
from unblind.models.adapters import add_adapter, load_adapter, merge, trainable_parameters

W, LAYERS, RANK = small_model.WIDTH, 2, 4
LINEAR_LORA = {  # rank x (in + out) of each linear layer; one key-value head of W / 2
    "language": LAYERS * RANK * (2 * 2 * W + 2 * (W + W // 2) + 3 * (W + 2 * W)),
    "projector": RANK * 2 * W,
    "vision": LAYERS * RANK * (4 * 2 * W + 2 * (W + 2 * W)),
}
FROZEN = dict.fromkeys(("language", "projector", "vision"), "frozen")


def part_of(name: str) -> str:
    parts = {"language_model": "language", "multi_modal_projector": "projector", "vision_tower": "vision"}
    return next(part for word, part in parts.items() if word in name)


def logits(model: torch.nn.Module) -> torch.Tensor:
    batch = small_model.collator()(list(small_model.samples(4)))
    with torch.no_grad():
        return model(**batch).logits


def shaken(model: PeftModel) -> PeftModel:
    """The model with every trainable weight moved, as training would."""
    torch.manual_seed(1)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.1 * torch.randn_like(parameter)
    return model.eval()


@pytest.mark.parametrize("part", ["language", "projector", "vision"])
def test_lora_stays_in_its_scope(part: str) -> None:
    model = add_adapter(small_model.model(), FROZEN | {part: "lora"}, rank=RANK)
    assert trainable_parameters(model) == LINEAR_LORA[part]
    names = [name for name, p in model.named_parameters() if p.requires_grad]
    assert all("lora_" in name and part_of(name) == part for name in names)


@pytest.mark.parametrize("part", ["language", "projector", "vision"])
def test_full_trains_all_of_a_part_but_the_tied_embeddings(part: str) -> None:
    base = small_model.model()
    whole = [
        p.numel()
        for name, p in base.named_parameters()
        if part_of(name) == part and "embed_tokens" not in name
    ]
    model = add_adapter(base, FROZEN | {part: "full"})
    assert trainable_parameters(model) == sum(whole)


def test_scopes_mix() -> None:
    scopes = {"language": "lora", "projector": "full", "vision": "frozen"}
    model = add_adapter(small_model.model(), scopes, rank=RANK)
    assert trainable_parameters(model) == LINEAR_LORA["language"] + W * W + W


def test_target_modules_are_matched_wherever_they_occur() -> None:
    model = add_adapter(
        small_model.model(), dict.fromkeys(FROZEN, "lora"), rank=RANK, target_modules=("q_proj",)
    )
    assert trainable_parameters(model) == 2 * LAYERS * RANK * 2 * W


def test_peft_options_reach_peft() -> None:
    model = add_adapter(
        small_model.model(), FROZEN | {"vision": "lora"}, alpha=7, dropout=0.5, rslora=True, dora=True
    )
    config = model.peft_config["default"]
    assert (config.lora_alpha, config.lora_dropout, config.use_rslora, config.use_dora) == (
        7,
        0.5,
        True,
        True,
    )


def test_trainable_weights_are_float32_on_a_half_precision_base() -> None:
    scopes = {"language": "lora", "projector": "full", "vision": "frozen"}
    model = add_adapter(small_model.model().to(torch.bfloat16), scopes)
    assert {p.dtype for p in model.parameters() if p.requires_grad} == {torch.float32}


@pytest.mark.filterwarnings(
    "ignore:`is_gradient_checkpointing`:FutureWarning"
)  # peft 0.21 on transformers 5.23
@pytest.mark.parametrize(
    "scopes",
    [dict.fromkeys(FROZEN, "lora"), dict.fromkeys(FROZEN, "full"), {"language": "lora", "projector": "full"}],
)
def test_plain_peft_loads_what_is_saved(tmp_path: Path, scopes: dict[str, str]) -> None:
    base = logits(small_model.model())
    ours = shaken(add_adapter(small_model.model(), scopes, rank=RANK))
    ours.save_pretrained(tmp_path)
    theirs = PeftModel.from_pretrained(small_model.model(), tmp_path).eval()
    assert torch.equal(logits(ours), logits(theirs))
    assert not torch.allclose(logits(ours), base)


OLD_NAMES = {  # transformers before 4.52, and since; with the tower's `vision_model` of all before 5
    "4.51": {
        "model.language_model.": "language_model.model.",
        "model.vision_tower.": "vision_tower.vision_model.",
    },
    "4.57": {"model.vision_tower.": "model.vision_tower.vision_model."},
}


@pytest.mark.parametrize("version", OLD_NAMES)
def test_adapters_of_older_transformers_arrive_whole(tmp_path: Path, version: str) -> None:
    scopes = {"language": "lora", "vision": "lora"}
    ours = shaken(add_adapter(small_model.model(), scopes, rank=RANK, dora=True))
    ours.save_pretrained(tmp_path)
    path, prefix = tmp_path / "adapter_model.safetensors", "base_model.model."
    weights = load_file(path)
    for new, old in OLD_NAMES[version].items():
        weights = {name.replace(prefix + new, prefix + old): v for name, v in weights.items()}
    save_file(weights, path, {"format": "pt"})
    assert torch.equal(logits(load_adapter(small_model.model(), tmp_path)), logits(ours))


def test_weights_without_a_place_are_named_with_what_the_adapter_has(tmp_path: Path) -> None:
    scopes = {"language": "lora", "projector": "full"}
    add_adapter(small_model.model(), scopes, rank=RANK, rslora=True).save_pretrained(tmp_path)
    path = tmp_path / "adapter_model.safetensors"
    weights = load_file(path)
    gone = next(name for name in sorted(weights) if "lora_B" in name)
    save_file({name: v for name, v in weights.items() if name != gone}, path, {"format": "pt"})
    says = r"LoRA with rsLoRA, modules to save \(.*projector.*\(1 weights have no place"
    with pytest.raises(ModelError, match=says):
        load_adapter(small_model.model(), tmp_path)
    save_file(weights | {"base_model.model.elsewhere.weight": torch.zeros(2, 2)}, path, {"format": "pt"})
    with pytest.raises(ModelError, match=r"among them base_model\.model\.elsewhere\.weight"):
        load_adapter(small_model.model(), tmp_path)


def test_other_methods_are_refused_by_name(tmp_path: Path) -> None:
    add_adapter(small_model.model(), {"language": "lora"}, rank=RANK).save_pretrained(tmp_path)
    config = tmp_path / "adapter_config.json"
    config.write_text(config.read_text().replace('"LORA"', '"LOHA"'))
    with pytest.raises(ModelError, match="of the kind LoHa; LoRA is supported, also with DoRA"):
        load_adapter(small_model.model(), tmp_path)


def test_merging_keeps_the_answers() -> None:
    ours = shaken(
        add_adapter(small_model.model(), {"language": "lora", "projector": "full", "vision": "lora"})
    )
    expected = logits(ours)
    merged = merge(ours)
    assert not any("lora" in name for name, _ in merged.named_parameters())
    torch.testing.assert_close(logits(merged), expected, rtol=1e-4, atol=1e-4)


def test_nothing_to_train_is_refused() -> None:
    with pytest.raises(RecipeError, match="all frozen"):
        add_adapter(small_model.model(), FROZEN)


def test_unknown_modules_are_refused() -> None:
    with pytest.raises(ModelError, match="check target_modules"):
        add_adapter(small_model.model(), {"vision": "lora"}, target_modules=("no_such_layer",))
