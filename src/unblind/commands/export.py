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
    """Merge an adapter into its base, as a checkpoint for plain transformers and the common servers.

    The command loads the saved checkpoint and compares its answers to drawn samples with those of base and
    adapter. If they differ, it removes the checkpoint.

    Example: `unblind export --adapter run --out merged`

    Args:
        adapter: a run folder of `unblind train`, or an adapter's folder.
        out: a new or empty folder for the checkpoint.
        model: the adapter's base: `tiny`, a folder with a checkpoint, or a model id on the hub. By default
            the one that the run names.
        dtype: the data type to save: auto (the base's own), float32, bfloat16 or float16.
        device: auto, cpu, cuda or mps. Merging takes place in float32, four bytes a weight, and on the CPU if
            the device is too small.
        revision: the base's revision on the hub.
        samples: number of drawn samples for the check.
        results: folders of `unblind evaluate` for the card. The command finds those of a quickstart itself.
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
