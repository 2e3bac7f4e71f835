"""The embedded bases: small models of the PaliGemma 2 architecture, and how they were made."""

from pathlib import Path

TINY = Path(__file__).parent / "checkpoint"
UNMARKED = Path(__file__).parent / "unmarked"  # its tower was never taught to mark circled letters
EMBEDDED = {"tiny": TINY, "tiny-unmarked": UNMARKED}
