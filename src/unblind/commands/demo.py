"""unblind demo."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from unblind.flags import Machine


def demo(
    *,
    adapter: Path | None = None,
    model: str = "tiny",
    fonts: tuple[str, ...] = ("bundled",),
    prompt: str = "circled",
    host: str = "127.0.0.1",
    port: int = 7860,
    device: Machine[str] = "auto",
    dtype: Machine[str] = "auto",
    revision: Machine[str | None] = None,
) -> None:
    """Open a web page to try it on: type a word, circle a letter, and compare the blind and the cured model.

    Example: `unblind demo --adapter unblind-quickstart/train`

    Args:
        adapter: an adapter's folder, or a run folder of `unblind train`; without one there is no cured model.
        model: `tiny`, a folder with a checkpoint, or the id of a model on the hub.
        fonts: `bundled`, `system`, folders, or font files.
        prompt: the question: circled, highlighted, circled-braces, highlighted-braces, read, or a text.
        host: the address to listen on; the default is reached from this machine alone.
        port: 0 takes any free one.
        device: auto, cpu, cuda or mps.
        dtype: auto, float32, bfloat16 or float16.
        revision: of the model on the hub.
    """
    from unblind.demo.ask import Models
    from unblind.demo.serve import listen, serve
    from unblind.models.loading import load
    from unblind.tasks.fonts import find_fonts

    with closing(listen(host, port)) as place:  # first: it fails at once, where loading takes a while
        loaded = load(model, adapter=adapter, device=device, dtype=dtype, revision=revision)
        serve(place, Models(loaded, prompt), find_fonts(*fonts))
