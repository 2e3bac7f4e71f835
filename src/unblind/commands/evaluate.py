"""unblind evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console
from rich.table import Table

from unblind.flags import Machine
from unblind.recipe import Quantization

OF_THE_MODEL = ("blank_image", "uncircled")  # base rates that differ from model to model

Count = Annotated[int, Parameter(validator=Number(gte=1))]


def evaluate(
    *,
    data: str,
    out: Path,
    model: str = "tiny",
    adapter: Path | None = None,
    split: str | None = None,
    prompt: str | None = None,
    limit: Count | None = None,
    free: bool = True,
    blank: bool = True,
    uncircled: Annotated[bool, Parameter(negative=())] = False,
    occlusion: Annotated[bool, Parameter(negative=())] = False,
    batch_size: Machine[Count] = 32,
    device: Machine[str] = "auto",
    dtype: Machine[str] = "auto",
    revision: Machine[str | None] = None,
    quantization: Machine[Quantization | None] = None,
) -> None:
    """Measure how often a model names the right letter, and write predictions.parquet and metrics.json.

    Example: `unblind evaluate --adapter run --data circles --out after`

    Args:
        data: a dataset folder, a Parquet file, or the id of a dataset on the Hugging Face Hub.
        out: the folder for the results.
        model: `tiny`, a folder with a checkpoint, or the id of a model on the hub.
        adapter: an adapter's folder, or a run folder of `unblind train`.
        split: of the dataset; by default the held-out one.
        prompt: instead of the dataset's own: circled, highlighted, circled-braces, highlighted-braces, read,
            word, or a text.
        limit: only the first so many samples.
        free: also decode free answers; --no-free leaves them out.
        blank: also ask about a white image: what the model answers without seeing anything. It costs one
            image a distinct question; --no-blank leaves it out.
        uncircled: also ask about each word without its ellipse; needs the scenes of our own Parquet datasets.
        occlusion: also cover the ellipse, the circled letter or another one, and write occlusion.json; needs
            the scenes too.
        batch_size: samples at once.
        device: auto, cpu, cuda or mps.
        dtype: auto, float32, bfloat16 or float16.
        revision: of the model on the hub.
        quantization: of the model's language side, with bitsandbytes.
    """
    from unblind.data.reading import read
    from unblind.evaluation.occlusion import occlusion_check, scenes_needed
    from unblind.evaluation.run import evaluate_to
    from unblind.models.loading import load
    from unblind.runtime.distributed import main_process
    from unblind.runtime.outputs import claim, write_json

    given = {"data": data, "model": model, "revision": revision, "quantization": quantization}
    settings = given | {"split": split, "prompt": prompt, "limit": limit, "adapter": adapter and str(adapter)}
    settings |= {"blank": blank, "uncircled": uncircled, "occlusion": occlusion}
    samples = read(data, split)
    samples = samples if limit is None else samples.select(range(min(limit, len(samples))))
    if occlusion or uncircled:
        scenes_needed(samples)
    with claim(out, settings, made_by="unblind evaluate"):
        loaded = load(
            model, adapter=adapter, device=device, dtype=dtype, revision=revision, quantization=quantization
        )
        metrics = evaluate_to(
            out,
            loaded,
            samples,
            data=data,
            prompt=prompt,
            free=free,
            batch_size=batch_size,
            blank=blank,
            uncircled=uncircled,
        )
        if occlusion and main_process():
            covered = occlusion_check(loaded, samples, prompt=prompt, batch_size=batch_size)
            write_json(out / "occlusion.json", covered)
    if main_process():
        show({"": metrics})
        print(f"{out}/predictions.parquet, {out}/metrics.json" + (f", {out}/occlusion.json" * occlusion))


def show(runs: dict[str, dict[str, Any]]) -> None:
    """A table of accuracies with their 95 % intervals, a row a run, and the base rates below."""
    table = Table("", "samples", "right, restricted", "right, free", box=None, pad_edge=False)
    for name, metrics in runs.items():
        accuracy = metrics["accuracy"]
        cells = (percent(accuracy.get(kind)) for kind in ("restricted", "free"))
        table.add_row(name, f"{metrics['n']:,}", *cells)
    console = Console(highlight=False, soft_wrap=True)
    console.print(table)
    first = next(iter(runs.values()))
    if first["accuracy"]["restricted"] is None:
        console.print("The answers are no single letters A-Z, a-z: free answers alone are counted.")
    if tokens := first["accuracy"].get("tokens"):
        console.print(f"Letter by letter, each after the right ones before it: {tokens['value']:.1%}")
    common = {name: rate for name, rate in first["base_rates"].items() if name not in OF_THE_MODEL}
    if common:
        console.print(f"Without sight: {_listed(common)}")
    for name, metrics in runs.items():
        if own := {n: rate for n, rate in metrics["base_rates"].items() if n in OF_THE_MODEL}:
            console.print(f"{name.capitalize() or 'This model'}, shown nothing to see: {_listed(own)}")


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
