"""unblind evaluate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console
from rich.table import Table

from unblind.flags import Machine
from unblind.recipe import Attention, Quantization

OF_THE_MODEL = ("blank_image", "uncircled")  # base rates that differ from model to model

Count = Annotated[int, Parameter(validator=Number(gte=1))]


def evaluate(
    *,
    data: str,
    out: Path,
    model: str = "tiny",
    adapter: Path | None = None,
    split: str | None = None,
    columns: tuple[str, ...] = (),
    task: tuple[str, ...] = (),
    prompt: str | None = None,
    limit: Count | None = None,
    free: bool = True,
    max_new_tokens: Count = 16,
    blank: bool = True,
    uncircled: Annotated[bool, Parameter(negative=())] = False,
    occlusion: Annotated[bool, Parameter(negative=())] = False,
    contrast: Annotated[bool, Parameter(negative=())] = False,
    batch_size: Machine[Count] = 32,
    device: Machine[str] = "auto",
    dtype: Machine[str] = "auto",
    revision: Machine[str | None] = None,
    quantization: Machine[Quantization | None] = None,
    max_pixels: Machine[int | None] = None,
    attention: Machine[Attention] = "auto",
) -> None:
    """Measure how often a model's answer is right, and write predictions.parquet and metrics.json.

    Example: `unblind evaluate --adapter run --data circles --out after`

    Args:
        data: a dataset folder, a Parquet, CSV or JSON file, or the id of a dataset on the Hugging Face Hub.
        out: the folder for the results.
        model: `tiny`, a folder with a checkpoint, or the id of a model on the hub.
        adapter: an adapter's folder, or a run folder of `unblind train`.
        split: of the dataset; by default the held-out one.
        columns: what the dataset calls image, prompt and answer, where they have other names:
            image=photo,answer=label.
        task: only the dataset's rows of these tasks; by default all of them.
        prompt: instead of the dataset's own: the name of one of the task's (for letters circled, highlighted,
            circled-braces, highlighted-braces, read, word), or a text; `answer en ` may come before it. each:
            all questions that the task and the model's family offer, one after the other; the best counts.
        limit: only the first so many samples.
        free: also decode free answers; --no-free leaves them out.
        max_new_tokens: where a free answer is cut off, but not before the right one would end.
        blank: also ask about a white image: what the model answers without seeing anything. It costs one
            image a distinct question; --no-blank leaves it out.
        uncircled: also ask about each picture without what the answer depends on, such as the word without
            its ellipse; needs the scenes of our own Parquet datasets.
        occlusion: also leave out one part of each picture after another, such as the ellipse, the circled
            letter or another one, and write occlusion.json; needs the scenes too.
        contrast: also ask about each picture's twin, which differs in one small thing by which the right
            answer changes, and count the pairs of which both are right; needs the scenes too.
        batch_size: samples at once; half as many each time that the memory runs out.
        device: auto, cpu, cuda or mps.
        dtype: auto, float32, bfloat16 or float16.
        revision: of the model on the hub.
        quantization: of the model's language side, with bitsandbytes.
        max_pixels: scale larger images down to so many pixels, where a model keeps their size (Qwen); by
            default as the adapter was trained, or else as the checkpoint has it.
        attention: auto, eager, sdpa or flex, of the language model; flex takes less memory where sdpa cannot
            be had, as with Gemma 2.
    """
    from unblind.data.columns import columns_named
    from unblind.data.reading import read
    from unblind.evaluation.contrast import check_twins
    from unblind.evaluation.occlusion import occlusion_check
    from unblind.evaluation.prompts import evaluate_each
    from unblind.evaluation.questions import rows_of_tasks
    from unblind.evaluation.run import evaluate_to
    from unblind.evaluation.views import check_views
    from unblind.models.loading import load
    from unblind.runtime.distributed import is_main_process
    from unblind.runtime.outputs import claim, refuse_inside, write_json
    from unblind.tasks.base import EACH

    # Whatever decides an answer is in the settings; the size of batches moves last digits alone.
    loading: dict[str, Any] = {"device": device, "dtype": dtype, "revision": revision}
    loading["quantization"] = quantization
    loading |= {} if max_pixels is None else {"max_pixels": max_pixels}
    asking: dict[str, Any] = {"prompt": prompt, "free": free, "max_new_tokens": max_new_tokens}
    asking |= {"blank": blank, "uncircled": uncircled}
    asking |= {"contrast": True} if contrast else {}  # folders of before have no such setting
    settings: dict[str, Any] = {"data": data, "split": split, "task": list(task), "limit": limit}
    settings |= {"model": model, "adapter": adapter and str(adapter), "occlusion": occlusion}
    settings |= loading | asking
    if attention != "auto":
        loading["attention"] = settings["attention"] = attention
    settings |= {"columns": list(columns)} if columns else {}
    refuse_inside(out, data)
    samples = read(data, split, columns=columns_named(columns))
    samples = rows_of_tasks(samples, task) if task else samples
    samples = samples if limit is None else samples.select(range(min(limit, len(samples))))
    for flag, asked in (("--occlusion", occlusion), ("--uncircled", uncircled)):
        if asked:
            check_views(samples, flag)
    if contrast:
        check_twins(samples)
    with claim(out, settings, made_by="unblind evaluate"):
        loaded = load(model, adapter=adapter, **loading)
        if prompt == EACH:
            del asking["prompt"]
        ask = evaluate_each if prompt == EACH else evaluate_to
        metrics = ask(out, loaded, samples, data=data, batch_size=batch_size, **asking)
        if occlusion and is_main_process():
            covered = occlusion_check(
                loaded, samples, prompt=metrics.get("prompt", prompt), batch_size=batch_size
            )
            write_json(out / "occlusion.json", covered)
    if is_main_process():
        show({"": metrics})
        files = ("predictions.parquet", "metrics.json", *(("occlusion.json",) if occlusion else ()))
        print(", ".join(f"{out}/{name}" for name in files))


def show(runs: Mapping[str, Mapping[str, Any]]) -> None:
    """A table of accuracies with their 95 % intervals, a row a run and task, and the base rates below."""
    table = Table("", "samples", "right, restricted", "right, free", box=None, pad_edge=False)
    for name, metrics in runs.items():
        for label, accuracy, count in _accuracies(name, metrics):
            cells = (percent(accuracy.get(answers)) for answers in ("restricted", "free"))
            table.add_row(label, f"{count:,}", *cells)
    console = Console(highlight=False, soft_wrap=True)
    console.print(table)
    if any("prompts" in metrics for metrics in runs.values()):
        console.print("* The best of the prompts, which counts.")
    for task, of_task in _by_task(runs).items():
        _show_beside(console, task, of_task)


def _accuracies(name: str, metrics: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], int]]:
    """What a run's rows are called, their accuracies, and of how many samples."""
    if "prompts" in metrics:
        for prompt, accuracy in metrics["prompts"].items():
            best = " *" if prompt == metrics["prompt"] else ""
            yield f"{name} {prompt}{best}".strip(), accuracy, metrics["n"]
        return
    if "tasks" not in metrics:
        yield name, metrics["accuracy"], metrics["n"]
        return
    count = sum(of_task["n"] for of_task in metrics["tasks"].values())
    for task, of_task in metrics["tasks"].items():
        yield f"{name} {task}".strip(), of_task["accuracy"], of_task["n"]
    yield f"{name} mean over tasks".strip(), metrics["mean"], count
    yield f"{name} all samples".strip(), metrics["share"], count


def _by_task(runs: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Mapping[str, Any]]]:
    """The metrics of each run by the name of the task; of runs of one task alone it is not named."""
    tasks: dict[str, dict[str, Mapping[str, Any]]] = {}
    for name, metrics in runs.items():
        for task, of_task in metrics.get("tasks", {"": metrics}).items():
            tasks.setdefault(task, {})[name] = of_task
    return tasks


def _show_beside(console: Console, task: str, runs: Mapping[str, Mapping[str, Any]]) -> None:
    """What else is known of some runs on one task: which answers count, and what needs no eyes."""
    about = f"{task}: " if task else ""
    first = next(iter(runs.values()))
    if first["accuracy"]["restricted"] is None:
        console.print(f"{about}Any text may be an answer here: free answers alone are counted.")
    if tokens := first["accuracy"].get("tokens"):
        console.print(f"{about}Token by token, each after the right ones before it: {tokens['value']:.1%}")
    common = {name: rate for name, rate in first["base_rates"].items() if name not in OF_THE_MODEL}
    if common:
        console.print(f"{about}Without sight: {_listed(common)}")
    for name, metrics in runs.items():
        if pairs := metrics.get("contrast"):
            console.print(f"{about}{name.capitalize() or 'This model'}, {_pairs(pairs)}")
        if own := {n: rate for n, rate in metrics["base_rates"].items() if n in OF_THE_MODEL}:
            console.print(f"{about}{name.capitalize() or 'This model'}, shown nothing to see: {_listed(own)}")


def _pairs(contrast: Mapping[str, Any]) -> str:
    """How many contrast pairs both of which are right."""
    ways = [f"{percent(share)} {way}" for way, share in contrast["both"].items() if share]
    return f"both of {contrast['n']:,} contrast pairs right: {', '.join(reversed(ways))}"


def _listed(rates: dict[str, float]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {rate:.1%}" for name, rate in rates.items())


def counted(n: int) -> str:
    """How many samples, for reading."""
    return f"{n:,} samples" if n != 1 else "1 sample"


def percent(value: dict[str, float] | None) -> str:
    """A share with its interval, for reading."""
    if not value:
        return "not asked"
    return f"{value['value']:.1%} ({value['low']:.1%}-{value['high']:.1%})"
