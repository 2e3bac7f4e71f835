"""unblind doctor."""

from __future__ import annotations

import importlib.util
import os
import platform

from unblind.model import choose_device, choose_dtype
from unblind.versions import versions


def doctor() -> None:
    """Say what this machine can run, and what is missing."""
    import torch

    from unblind.fonts import find_fonts

    device = choose_device()
    dtype = str(choose_dtype("auto", device)).removeprefix("torch.")
    library = find_fonts()
    for name, value in (
        ("machine", f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores{_memory()}"),
        ("device", f"{_device_name(device)}, computing in {dtype}"),
        ("fonts", f"{len(library.families)} families, {len(library.fonts)} fonts"),
        ("versions", ", ".join(f"{package} {number}" for package, number in versions().items())),
    ):
        print(f"{name:<9} {value}")
    print()
    print("can run   unblind quickstart, and everything with --model tiny")
    for line in _larger_models(torch.cuda.is_available()):
        print(line)


def _memory() -> str:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on Windows
        return ""
    return f", {total / 2**30:.0f} GiB of memory"


def _device_name(device: object) -> str:
    import torch

    if str(device) != "cuda":
        return str(device)
    properties = torch.cuda.get_device_properties(0)
    return f"{properties.name} with {properties.total_memory / 2**30:.0f} GiB"


def _larger_models(cuda: bool) -> list[str]:
    """What stands between this machine and the real checkpoints."""
    from huggingface_hub import get_token

    missing = []
    if not cuda:
        missing.append(
            "missing   a GPU that PyTorch sees: --model google/paligemma2-3b-pt-224 would be slow here"
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        missing.append("missing   bitsandbytes, for --quantization: pip install 'unblind[gpu]'")
    if get_token() is None:
        missing.append("missing   a Hugging Face token, for Google's checkpoints: hf auth login")
    return missing or ["can run   google/paligemma2-3b-pt-224, if its licence is accepted on the hub"]
