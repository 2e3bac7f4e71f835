"""The card of a fine-tuned model: README.md of an adapter or a merged checkpoint on the hub."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from huggingface_hub import ModelCard, ModelCardData

from unblind.models.embedded import EMBEDDED
from unblind.scoring.base_rates import rates_by_label
from unblind.sharing.hub_results import ANSWERS, Result, TaskResult, explained, model_index
from unblind.sharing.origin import Origin, is_local
from unblind.tasks.base import Task, Trait

Contents = Literal["adapter", "model"]
LEAST = 20  # samples: a smaller group's accuracy says too little
WEAKEST = 4  # groups are named

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
    contents: Contents,
    repo: str,
    near: Path,
    origin: Origin,
    before: Sequence[Result] = (),
    after: Sequence[Result] = (),
) -> ModelCard:
    """The card.

    Args:
        contents: whether it is an adapter or a merged model.
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
    of_benchmark = any(task.benchmark for task in origin.tasks)
    data = ModelCardData(
        license=origin.licence,
        library_name="peft" if contents == "adapter" else "transformers",
        pipeline_tag="image-text-to-text",
        base_model=base if on_hub else None,
        base_model_relation=("adapter" if contents == "adapter" else "finetune") if on_hub else None,
        datasets=list(dict.fromkeys(datasets)) or None,
        language="en",
        metrics=["accuracy"],
        tags=[
            "unblind",
            *([origin.model_type] if origin.family and origin.model_type else []),
            *(["BlindTest"] if of_benchmark else []),
            *(["lora"] if contents == "adapter" else []),
        ],
        model_name=name,
        eval_results=model_index(after) or None,
    )
    use = _USE_ADAPTER if contents == "adapter" else _USE_MODEL
    card: ModelCard = ModelCard.from_template(
        data,
        template_path=str(Path(__file__).with_name("model_card.md")),
        name=name,
        what=_WHAT[contents],
        architecture=_architecture(origin),
        base_link=f"[{base}](https://huggingface.co/{base})" if on_hub else _local_base(base),
        subject=_subject(origin.tasks, of_benchmark),
        use=use.format(repo=repo, name=name, base=base, question=origin.question or "YOUR QUESTION"),
        **_results(before, after),
        merged=_merged(origin.merged),
        training=list(_training(origin)),
        data=_data(origin),
        limits=list(_limits(origin.tasks, after)),
        licence=_LICENCES.get(origin.licence, f"{origin.licence}, as its base."),
    )
    return card


def _local_base(base: str) -> str:
    if base in EMBEDDED:
        return f"`{base}`, a small base that comes with Unblind and learnt to read printed words,"
    return f"a checkpoint called `{base}`"


def _architecture(origin: Origin) -> str:
    if origin.family is None:
        return "the base's architecture"
    page = f"https://huggingface.co/docs/transformers/model_doc/{origin.model_type}"
    return f"[{origin.family.name}]({page})'s architecture"


def _subject(tasks: Sequence[Task[Any]], of_benchmark: bool) -> str:
    if not tasks:
        return "the data named below."
    noun = "a question" if len(tasks) == 1 else f"{len(tasks)} questions"
    if of_benchmark:
        noun += " that vision-language models are known to be blind to\n"
        noun += "([*Vision Language Models Are Blind*](https://arxiv.org/abs/2407.06581))"
    if len(tasks) == 1:
        return f"{noun}: {_decapitalized(tasks[0].title)}"
    return "\n".join([f"{noun}:\n", *(f"- {task.name}: {task.title}" for task in tasks)])


def _results(before: Sequence[Result], after: Sequence[Result]) -> dict[str, Any]:
    """The table of results, and what stands below it. Several tasks have a column with their names."""
    labelled = [("before (the base alone)", result) for result in before]
    labelled += [("after", result) for result in after]
    tasks = {part.task.name: part.task for _, result in labelled for part in result.by_task}
    columns = {"": "---", "task": "---", "measured on": "---", "n": "---:"}
    columns |= {f"{answers} answers": "---" for answers in ANSWERS}
    if len(tasks) < 2:
        del columns["task"]
    rows = [row for label, result in labelled for row in _rows(label, result)]
    restricted = [explained(task, "restricted") for task in tasks.values() if task.answers.choices]
    return {
        "columns": columns,
        "rulers": columns.values(),
        "rows": [[row[name] for name in columns] for row in rows],
        "restricted": "the likeliest of the task's answers" if len(tasks) > 1 else "".join(restricted),
        "without_sight": "; ".join(_without_sight(after)),
    }


def _rows(label: str, result: Result) -> Iterator[dict[str, str]]:
    parts = [(part.task.name, part.metrics["n"], part.metrics["accuracy"]) for part in result.by_task]
    if len(parts) > 1:
        parts.append(("mean of the tasks", result.metrics["n"], result.metrics["mean"]))
    for task, n, accuracies in parts:
        cells = {"": label, "task": task, "measured on": f"`{result.dataset or result.data}`", "n": f"{n:,}"}
        for answers in ANSWERS:
            accuracy = accuracies.get(answers)
            cells[f"{answers} answers"] = _percent(accuracy) if accuracy else "–"
        yield cells


def _percent(share: Mapping[str, float]) -> str:
    return f"{share['value']:.1%} ({100 * share['low']:.1f}–{100 * share['high']:.1f})".replace("%", " %")


def _without_sight(results: Sequence[Result]) -> Iterator[str]:
    """The accuracies that need no eyes, of the first evaluation, for each task."""
    parts = results[0].by_task if results else []
    for part in parts:
        common, own = rates_by_label(part.task, part.metrics.get("base_rates") or {})
        named = {**common, **own}
        text = ", ".join(f"{_decapitalized(name)} {100 * value:.1f} %" for name, value in named.items())
        if text:
            yield f"{part.task.name}: {text}" if len(parts) > 1 else text


def _label(known: Mapping[str, Trait], name: str) -> str:
    """What a task calls a trait."""
    return _decapitalized(known[name].label) if name in known else name.replace("_", " ")


def _decapitalized(text: str) -> str:
    return text[:1].lower() + text[1:]


def _merged(merged: Mapping[str, Any]) -> str:
    """How the merged model compared with the adapter on its base."""
    if not merged:
        return ""
    quantization = merged["quantization"]
    trained = f"; the adapter was trained on {quantization} ones"
    note = f", to the whole weights of the base{trained}" if quantization else ""
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
    if origin.options.get("adapter"):
        yield "started from the adapter", f"`{origin.options['adapter']}`"
    for key in _TRAINED:
        if (value := origin.options.get(key)) is not None:
            yield key.replace("_", " "), str(value)


def _data(origin: Origin) -> str:
    source = origin.options.get("data")
    if not isinstance(source, str):
        return "The folder that this came from does not tell."
    if not origin.tasks:
        return f"`{source}`."
    settings = origin.data
    count = settings.get("train")
    images = f"{count:,} images" if isinstance(count, int) else "images"
    drawn = f"`{source}`: {images} for training, drawn by `unblind generate` (seed {settings.get('seed')})"
    if len(origin.tasks) == 1:
        return drawn + origin.tasks[0].drawn_from(settings)
    of_each = (task.drawn_from(settings).removeprefix(".").strip() for task in origin.tasks)
    named = (f"- {task.name}: {text}" for task, text in zip(origin.tasks, of_each, strict=True))
    return "\n".join([f"{drawn}.\n", *named])


def _limits(tasks: Sequence[Task[Any]], after: Sequence[Result]) -> Iterator[str]:
    kinds = f"{len(tasks)} kinds" if len(tasks) > 1 else "one kind"
    yield (
        f"Trained for {kinds} of question; whatever else the base could do may have suffered, and was not"
        " measured."
    )
    measured = after[0].by_task if after else []
    for part in measured:
        if weakest := _weakest(part):
            at = f" at {part.task.name}" if len(measured) > 1 else ""
            yield f"Weakest{at}, of groups of at least {LEAST} samples: {weakest}."
    for task in tasks:
        if task.limits:
            limits = task.limits[:1].upper() + task.limits[1:]
            yield f"{task.name}: {task.limits}" if len(tasks) > 1 else limits
    if tasks:
        yield "It answers every question, also where the picture does not fit it."


def _weakest(part: TaskResult) -> str:
    """The lowest accuracies, each by another trait."""
    lowest = []
    for name, by_group in (part.metrics.get("by") or {}).items():
        groups = {key: group for key, group in by_group.items() if group["n"] >= LEAST}
        if groups:
            key, group = min(groups.items(), key=lambda item: float(item[1]["value"]))
            shown = part.task.traits[name].shown(key) if name in part.task.traits else key
            lowest.append((group, f"{_label(part.task.traits, name)} {shown}"))
    lowest.sort(key=lambda pair: float(pair[0]["value"]))
    return "; ".join(f"{name}: {_percent(group)}, n = {group['n']}" for group, name in lowest[:WEAKEST])
