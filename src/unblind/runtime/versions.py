"""What a run was made with."""

import platform
from importlib.metadata import PackageNotFoundError, version

_PACKAGES = ("unblind", "torch", "transformers", "peft", "accelerate", "datasets", "pillow", "bitsandbytes")


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that decide a result, as far as they are installed."""
    found = {"python": platform.python_version()}
    return found | {name: text for name in _PACKAGES if (text := _version(name))}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
