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
        split: the dataset's split. The default is the held-out one.
        columns: the dataset's names for image, prompt and answer, if they differ: image=photo,answer=label.
        task: use only the dataset's rows of these tasks. The default is all.
        prompt: a question instead of the dataset's own: the name of one of the task's (for letters: circled,
            highlighted, circled-braces, highlighted-braces, read, word), or any text; `answer en ` may come
            before it. `each` asks all questions of the task and the model's family; the best one counts.
        limit: use only the first LIMIT samples.
        free: also decode free answers; --no-free skips them.
        max_new_tokens: the longest free answer, in tokens; longer if the right answer is longer.
        blank: also ask about a white image, to measure answers without sight. It costs one image for each
            distinct question; --no-blank skips it.
        uncircled: also ask about each picture without the part that decides the answer, such as the word
            without its ellipse. It needs the scenes of our own Parquet datasets.
        occlusion: also cover one part of each picture after another, such as the ellipse, the circled letter
            or another letter, and write occlusion.json. It needs the scenes too.
        contrast: also ask about a twin of each picture, which differs in one small thing that changes the
            right answer, and count the pairs with both answers right. It needs the scenes too.
        batch_size: samples a batch; halved each time that memory runs out.
        device: auto, cpu, cuda or mps.
        dtype: auto, float32, bfloat16 or float16.
        revision: the model's revision on the hub.
        quantization: quantize the language model, with bitsandbytes.
        max_pixels: scale larger images down to this many pixels, for models that keep image sizes (Qwen). The
            default is what the adapter was trained with, or else the checkpoint's own.
        attention: the language model's attention: auto, eager, sdpa or flex. flex takes less memory than
            eager for models that cannot use sdpa, such as Gemma 2.
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
