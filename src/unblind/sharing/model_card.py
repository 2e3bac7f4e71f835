"""The card of a fine-tuned model: README.md of an adapter or a merged checkpoint on the hub."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from huggingface_hub import ModelCard, ModelCardData

from unblind.models.embedded import EMBEDDED
from unblind.sharing.hub_results import Result, model_index
from unblind.sharing.origin import Origin, is_local

Kind = Literal["adapter", "model"]
LEAST = 20  # samples: a smaller group's accuracy says too little

_WHAT = {
    "adapter": "A LoRA adapter for a model",
    "model": "A merged checkpoint (base and LoRA adapter in one)",
}
_LICENCES = {
    "mit": "MIT, as the base, which comes with Unblind.",
    "gemma": "As its base a derivative of Gemma, under the [Gemma Terms of Use](https://ai.google.dev/gemma/terms).",
    "unknown": "That of its base, which Unblind does not know; ask whoever made that.",
}
_TRAINED = ("language", "projector", "vision", "rank", "alpha", "quantization", "learning_rate", "batch_size",
            "accumulation", "epochs", "max_steps", "prompt", "drop_blank", "seed")  # fmt: skip
_USE_ADAPTER = """\
```sh
pip install -e .  # in a checkout of Unblind
hf download {repo} --local-dir {name}
unblind predict photo.png --model {base} --adapter {name}
```"""
_USE_MODEL = """\
```python
from transformers import pipeline

ask = pipeline("image-text-to-text", model="{repo}")
content = [{{"type": "image", "path": "photo.png"}}, {{"type": "text", "text": "{question}"}}]
print(ask(text=[{{"role": "user", "content": content}}], max_new_tokens=4, return_full_text=False))
```"""


def model_card(
    kind: Kind,
    repo: str,
    near: Path,
    origin: Origin,
    before: Sequence[Result] = (),
    after: Sequence[Result] = (),
) -> ModelCard:
    """The card.

    Args:
        kind: whether it is an adapter or a merged model.
        repo: its id on the hub, or what to call it.
        near: its folder, or that of its adapter; paths may be relative to what is around it.
        origin: base, training and data.
        before: evaluations of the base alone.
        after: evaluations of the model; these are in the metadata, too.
    """
    name = repo.rpartition("/")[2]
    on_hub = "/" in origin.base and not is_local(origin.base, near)
    base = origin.base if on_hub else Path(origin.base).name
    datasets = [result.dataset for result in after if result.dataset]
    data = ModelCardData(
        license=origin.licence,
        library_name="peft" if kind == "adapter" else "transformers",
        pipeline_tag="image-text-to-text",
        base_model=base if on_hub else None,
        base_model_relation=("adapter" if kind == "adapter" else "finetune") if on_hub else None,
        datasets=list(dict.fromkeys(datasets)) or None,
        language="en",
        metrics=["accuracy"],
        tags=["unblind", "paligemma", "BlindTest", *(["lora"] if kind == "adapter" else [])],
        model_name=name,
        eval_results=model_index(after) or None,
    )
    use = _USE_ADAPTER if kind == "adapter" else _USE_MODEL
    card: ModelCard = ModelCard.from_template(
        data,
        template_path=str(Path(__file__).with_name("model_card.md")),
        name=name,
        what=_WHAT[kind],
        base_link=f"[{base}](https://huggingface.co/{base})" if on_hub else _local_base(base),
        use=use.format(repo=repo, name=name, base=base, question=origin.question or "YOUR QUESTION"),
        letters=origin.data.get("made_by") == "unblind generate",
        rows=[_row("before (the base alone)", r) for r in before] + [_row("after", r) for r in after],
        without_sight=_without_sight(after),
        merged=_merged(origin.merged),
        training=list(_training(origin)),
        data=_data(origin),
        weakest=_weakest(after),
        least=LEAST,
        licence=_LICENCES.get(origin.licence, f"{origin.licence}, as its base."),
    )
    return card


def _local_base(base: str) -> str:
    if base in EMBEDDED:
        return f"`{base}`, a small base that comes with Unblind and learnt to read printed words,"
    return f"a checkpoint called `{base}`"


def _row(label: str, result: Result) -> list[str]:
    accuracy = result.metrics["accuracy"]
    cells = [_percent(accuracy[kind]) if accuracy.get(kind) else "–" for kind in ("restricted", "free")]
    return [label, f"`{result.dataset or result.data}`", f"{result.metrics['n']:,}", *cells]


def _percent(share: Mapping[str, float]) -> str:
    return f"{share['value']:.1%} ({100 * share['low']:.1f}–{100 * share['high']:.1f})".replace("%", " %")


def _without_sight(results: Sequence[Result]) -> str:
    rates = results[0].metrics.get("base_rates") or {} if results else {}
    return ", ".join(f"{name.replace('_', ' ')} {100 * value:.1f} %" for name, value in rates.items())


def _merged(merged: Mapping[str, Any]) -> str:
    """How the merged model compared with the adapter on its base."""
    if not merged:
        return ""
    kind = merged["quantization"]
    note = f", to the whole weights of the base; the adapter was trained on {kind} ones" if kind else ""
    return (
        f"Saved in {merged['dtype']}{note}. On {merged['same']} of {merged['samples']} drawn samples its"
        " likeliest token was the same as that of the adapter on the base that it was trained on, the"
        f" probabilities {100 * merged['distance']:.2f} % apart (mean total variation distance)."
    )


def _training(origin: Origin) -> Iterator[tuple[str, str]]:
    metrics = origin.training
    if metrics:
        yield "samples seen", f"{metrics['samples']:,} in {metrics['seconds'] / 60:,.1f} minutes"
        yield "trainable parameters", f"{metrics['trainable_parameters']:,}"
    for key in _TRAINED:
        if (value := origin.options.get(key)) is not None:
            yield key.replace("_", " "), str(value)


def _data(origin: Origin) -> str:
    source = origin.options.get("data")
    if not isinstance(source, str):
        return "The folder that this came from does not tell."
    told = origin.data
    if told.get("made_by") != "unblind generate":
        return f"`{source}`."
    share = told.get("random_strings")
    strings = f", and with random strings instead in {share:.0%} of them" if share else ""
    return (
        f"`{source}`: {told['train']:,} images for training, drawn by `unblind generate` (seed"
        f" {told['seed']}) from the words of `{told['words']}` with {told['min_length']} to"
        f" {told['max_length']} letters{strings}. The words and the font families of its training, validation"
        " and test images do not overlap, and the benchmark's own never occur in training."
    )


def _weakest(results: Sequence[Result]) -> str:
    """The lowest accuracy by each property of the first evaluation."""
    found = []
    by = results[0].metrics.get("by") or {} if results else {}
    for name in ("length", "position", "font", "line_width"):
        groups = {key: group for key, group in (by.get(name) or {}).items() if group["n"] >= LEAST}
        if groups:
            key, group = min(groups.items(), key=lambda item: float(item[1]["value"]))
            found.append(f"{name.replace('_', ' ')} {key}: {_percent(group)}, n = {group['n']}")
    return "; ".join(found)
