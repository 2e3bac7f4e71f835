"""The checkpoints that ship inside the package: small models of the PaliGemma 2 architecture."""

from importlib.resources import files
from pathlib import Path

_TINY = Path(str(files("unblind") / "tiny"))
TINY = _TINY / "checkpoint"
UNMARKED = _TINY / "unmarked"  # its tower was never taught to mark circled letters
EMBEDDED = {"tiny": TINY, "tiny-unmarked": UNMARKED}
