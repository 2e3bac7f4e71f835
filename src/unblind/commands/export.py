"""unblind export."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

from unblind.flags import Machine


def export(
    *,
    adapter: Path,
    out: Path,
    model: str | None = None,
    dtype: str = "auto",
    device: Machine[str] = "auto",
    revision: Machine[str | None] = None,
    samples: int = 16,
    results: tuple[Path, ...] = (),
) -> None:
    """Merge an adapter into its base: a checkpoint for plain transformers and the common servers.

    It is saved, loaded again, and has to answer drawn samples as base and adapter do; else nothing is left.

    Example: `unblind export --adapter run --out merged`

    Args:
        adapter: a run folder of `unblind train`, or an adapter's folder.
        out: a new or empty folder for the checkpoint.
        model: the adapter's base: `tiny`, a folder with a checkpoint, or the id of a model on the hub; by
            default what the run names.
        dtype: to save in: auto (the base's own), float32, bfloat16 or float16.
        device: auto, cpu, cuda or mps. Merging is done in float32, four bytes a weight, on the CPU if
            the device is too small for that.
        revision: of the base on the hub.
        samples: drawn, to check it with.
        results: folders of `unblind evaluate`, for the card; a quickstart's are found by themselves.
    """
    from unblind.sharing.export import export as run

    merged = run(
        out,
        adapter,
        model=model,
        revision=revision,
        dtype=dtype,
        device=device,
        samples=samples,
        results=results,
    ).merged
    trained = "whole" if merged["quantization"] is None else merged["quantization"]
    print(
        f"{out}: in {merged['dtype']}; answers {merged['same']} of {merged['samples']} drawn samples as the"
        f" adapter on its {trained} base does (probabilities {merged['distance']:.2%} apart on average)."
    )
    quoted = quote(str(out))
    print(
        f"Next: unblind evaluate --model {quoted} --data DATA --out DIR, or unblind push {quoted} USER/NAME"
    )
