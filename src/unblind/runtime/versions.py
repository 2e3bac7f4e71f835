"""What a run was made with, and how to install what is missing."""

import platform
import re
from importlib.metadata import PackageNotFoundError, requires, version

DISTRIBUTION = "unblind-vlm"  # what package installers call us; `unblind` is another project on PyPI
_LIBRARIES = ("torch", "transformers", "peft", "accelerate", "datasets", "pillow", "bitsandbytes")


def versions() -> dict[str, str]:
    """Versions of Python, of ours, and of the libraries that decide a result, if installed."""
    found = {"python": platform.python_version(), "unblind": version(DISTRIBUTION)}
    return found | {name: text for name in _LIBRARIES if (text := _version(name))}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def install_command(extra: str) -> str:
    """The command that installs what an optional extra of ours needs, like `pip install 'nltk>=3.9'`."""
    named = re.compile(rf"extra\s*==\s*[\"']{re.escape(extra)}[\"']")
    needed = [text.partition(";")[0].strip() for text in requires(DISTRIBUTION) or () if named.search(text)]
    return " ".join(["pip install", *(f"'{text}'" for text in needed)])
