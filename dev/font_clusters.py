"""Make src/unblind/tasks/font_clusters.json and font_references.npz: which font families go together.

    python dev/font_clusters.py FOLDER...

The folders hold reference fonts beside the bundled ones. The committed table was made from those Debian
packages that the recipe of the embedded base names (tiny-base-fonts.txt), and fonts-croscore, fonts-freefont-
ttf, fonts-liberation2, fonts-droid-fallback, fonts-lato, fonts-open-sans, fonts-ebgaramond, fonts-league-
spartan, fonts-junction, fonts-comfortaa, fonts-jura, fonts-texgyre, fonts-lmodern, fonts-cabin, fonts-
jetbrains-mono and fonts-stix, of Debian 12.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from unblind.tasks.font_likeness import THRESHOLD, Outlines, likeness, outlines, plain_name
from unblind.tasks.fonts import Font, find_fonts, split_by_name
from unblind.tasks.splits import Split

TASKS = Path(__file__).parents[1] / "src" / "unblind" / "tasks"

# Families that are one design by their makers' word, or that were drawn to replace each other.
SAME_DESIGN = (
    ("helvetica", "helvetica neue", "arial", "liberation sans", "arimo"),
    ("helvetica", "nimbus sans", "nimbus sans l", "freesans", "tex gyre heros"),
    ("open sans", "noto sans", "droid sans"),
    ("source serif pro", "source serif", "source serif 4", "source serif 4 variable"),
    ("source sans pro", "source sans 3"),
    ("times", "times new roman", "liberation serif", "tinos", "nimbus roman", "freeserif"),
    ("times", "stixgeneral", "stix", "stix two", "tex gyre termes"),
    ("roboto", "roboto flex"),
)
# Clusters whose split is chosen: the benchmark's, and those of a plain install that no released base saw.
# The hash of its first name, or of its member in a plain install, decides for every other cluster.
TEST = ("open sans", "helvetica", "hanken grotesk", "intuitive", "source serif pro", "red hat", "fjalla one")
VALIDATION = ("manrope", "stixgeneral")
PLACED: dict[str, Split] = {**dict.fromkeys(TEST, "test"), **dict.fromkeys(VALIDATION, "validation")}


def plainest(fonts: Iterable[Font]) -> dict[str, Font]:
    """One upright font of ordinary weight for each family, by plain name."""
    order = ("Regular", "Book", "Roman", "Normal", "Medium")

    def rank(font: Font) -> tuple[int, str]:
        return (order.index(font.style) if font.style in order else len(order), font.family)

    chosen: dict[str, Font] = {}
    for font in sorted(fonts, key=rank):
        if not font.bold and not font.italic:
            chosen.setdefault(plain_name(font.family), font)
    return chosen


def clusters(shapes: dict[str, Outlines]) -> list[set[str]]:
    """Families joined where they look alike or are one design."""
    found = [{plain_name(name) for name in design} for design in SAME_DESIGN] + [
        {name} for name in (*shapes, *PLACED)
    ]
    names = sorted(shapes)
    found += [
        {one, other}
        for i, one in enumerate(names)
        for other in names[:i]
        if likeness(shapes[one], shapes[other]) >= THRESHOLD
    ]
    joined: list[set[str]] = []
    for cluster in found:
        touching = [other for other in joined if other & cluster]
        joined = [other for other in joined if not other & cluster] + [cluster.union(*touching)]
    return sorted(joined, key=lambda cluster: sorted(cluster))


def place(cluster: set[str], plain_install: set[str]) -> Split:
    """The split of a whole cluster."""
    for name in sorted(cluster):
        if name in PLACED:
            return PLACED[name]
    return split_by_name(min(cluster & plain_install or cluster))


def main() -> None:
    """Measure, join, place and write."""
    plain_install = {plain_name(family) for family in find_fonts().families}
    fonts = plainest(find_fonts("bundled", *sys.argv[1:]).fonts)
    shapes = {name: outlines(font.path) for name, font in fonts.items()}
    together = clusters(shapes)
    chosen = [c for c in together if len(c) > 1 or c & set(PLACED)]
    table = {
        "threshold": THRESHOLD,
        "clusters": [{"split": place(c, plain_install), "families": sorted(c)} for c in chosen],
        "alone": sorted(set().union(*together) - set().union(*chosen)),
    }
    (TASKS / "font_clusters.json").write_text(json.dumps(table, indent=1) + "\n", "utf-8")
    held_out = {n for c in table["clusters"] if c["split"] != "train" for n in c["families"]}
    kept = {name: np.packbits(shapes[name], axis=-1) for name in sorted(held_out & set(shapes))}
    np.savez_compressed(TASKS / "font_references.npz", **kept)
    print(f"{len(shapes)} families, {len(chosen)} clusters, {len(kept)} references")


if __name__ == "__main__":
    main()
