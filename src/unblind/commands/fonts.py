"""unblind fonts."""

from __future__ import annotations

from collections import Counter

from rich.console import Console
from rich.table import Table

from unblind.tasks.fonts import family_splits, find_fonts


def fonts(*sources: str, bold: bool = True, italic: bool = True, left_out: bool = False) -> None:
    """List the font families that Unblind can draw with, and the split of each.

    Example: `unblind fonts bundled system ~/fonts`

    Args:
        sources: `bundled` (the default), `system`, folders or font files.
        bold: --no-bold leaves out bold fonts.
        italic: --no-italic leaves out italic fonts.
        left_out: list the files that cannot be used, each with its reason.
    """
    library = find_fonts(*sources, bold=bold, italic=italic)
    console = Console()
    table = Table("family", "styles", "split", box=None, pad_edge=False)
    splits = family_splits(library.fonts)
    for family, styles in sorted(Counter(font.family for font in library.fonts).items()):
        table.add_row(family, str(styles), splits[family])
    console.print(table)
    hint = " (--left-out lists them)" if library.skipped and not left_out else ""
    print(f"{len(library.families)} families, {len(library.fonts)} fonts.", end=" ")
    print(f"{len(library.skipped)} files left out{hint}.")
    for skipped in library.skipped if left_out else ():
        print(f"{skipped.path.name}: {skipped.reason}")
