"""How options look in --help: the common ones are explained, the others named; --help-all explains all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cyclopts.help import DefaultFormatter, HelpPanel
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions


def show_default(value: object) -> str | None:
    """A default as one would type it; None (not shown) for nothing, an empty list, and a flag that is off."""
    if isinstance(value, bool) or value is None:
        return "on" if value else None
    if isinstance(value, tuple):
        return " ".join(f"{item:g}" if isinstance(item, float) else str(item) for item in value) or None
    return str(value)


class HelpFormatter(DefaultFormatter):
    """Explain what is common and name the rest, or explain everything."""

    def __init__(self, *, everything: bool = False) -> None:
        super().__init__()
        self.everything = everything
        self.introduced = False

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        """Print one panel."""
        if self.everything or panel.title in ("Commands", "Arguments", "Parameters"):
            # a flag that is off needs no --no-flag; it is accepted all the same
            entries = [e if e.default else e.copy(negative_names=()) for e in panel.entries]
            super().__call__(console, options, panel.copy(entries=entries))
        elif panel.entries:
            if not self.introduced:
                console.print("\nMore, explained by --help-all:", style="bold")
                self.introduced = True
            names = " ".join(entry.names[0] for entry in panel.entries)
            console.print(Text(f"{panel.title}: ").append(names, "cyan"))
