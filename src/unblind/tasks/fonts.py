"""Fonts to draw with: where they come from, whether they can draw the letters, and which split each is in."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import freetype
import numpy as np
from numpy.typing import NDArray

from unblind.errors import FontsError
from unblind.tasks.font_likeness import plain_name, resembled, table
from unblind.tasks.glyphs import draw_letters, measure_letters, open_face
from unblind.tasks.splits import SPLITS, Split, split_by_hash
from unblind.tasks.words import LETTERS

SUFFIXES = (".ttf", ".otf", ".woff")
UNREAD = {
    ".ttc": "a collection of several fonts; take them apart (fonttools) and name the files",
    ".otc": "a collection of several fonts; take them apart (fonttools) and name the files",
    ".woff2": "WOFF2, which FreeType cannot read here; turn it into .ttf (fonttools ttLib.woff2)",
}
# With this salt the hash of its name fixes the split of any family that the table of clusters leaves alone.
_SALT = "110104"
_TRAIN, _VALIDATION = 0.7, 0.8
_COMPUTER_MODERN = re.compile(r"cm[a-z]+10")  # TeX's fonts name each style as a family of its own
_MAX_FILE_BYTES = 32 * 2**20


@dataclass(frozen=True)
class Font:
    """One font file that can draw every letter."""

    family: str
    style: str
    path: Path
    digest: str  # SHA-256 of the file, hex: what a scene remembers a font by
    bold: bool
    italic: bool


@dataclass(frozen=True)
class Skipped:
    """A font file that was left out, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class FontLibrary:
    """The fonts that were found, sorted by family and style, and what was left out."""

    fonts: tuple[Font, ...]
    skipped: tuple[Skipped, ...] = ()

    @property
    def families(self) -> tuple[str, ...]:
        """The families' names, sorted."""
        return tuple(sorted({font.family for font in self.fonts}))

    def of_split(self, split: Split) -> tuple[Font, ...]:
        """The fonts whose family belongs to this split.

        Raises:
            FontsError: there is none.
        """
        found = self._by_split[split]
        if not found:
            raise FontsError(
                f"none of the {len(self.families)} font families ({', '.join(self.families[:5])}, ...) falls"
                f" into the {split} split; add fonts (--fonts bundled, or a folder with more families)"
            )
        return found

    @cached_property
    def _by_split(self) -> dict[Split, tuple[Font, ...]]:
        splits = family_splits(self.fonts)
        return {s: tuple(font for font in self.fonts if splits[font.family] == s) for s in SPLITS}

    def get(self, digest: str) -> Font:
        """The font with this SHA-256.

        Raises:
            FontsError: it was not found.
        """
        for font in self.fonts:
            if font.digest == digest:
                return font
        raise FontsError(
            f"the font with SHA-256 {digest[:12]}... is not among the {len(self.fonts)} fonts found here;"
            " install it, or name its folder (--fonts)"
        )


def family_splits(fonts: Sequence[Font]) -> dict[str, Split]:
    """The split of each family. One that the table does not know is held out if it looks like one that is."""
    splits: dict[str, Split] = {}
    for font in fonts:
        splits.setdefault(font.family, split_of_family(font.family))
        if plain_name(font.family) not in table() and not font.bold and not font.italic:
            twin = resembled(font.path)
            splits[font.family] = splits[font.family] if twin is None else split_of_family(twin)
    return splits


def split_of_family(family: str) -> Split:
    """The split that a whole family belongs to: the one of its cluster of look-alikes, or by its name's hash.

    A design's widths go together: DejaVu Sans Mono stays with DejaVu Sans.
    """
    return table().get(plain_name(family)) or split_by_name(plain_name(family))


def split_by_name(name: str) -> Split:
    """The split in which the hash of a family's plain name falls."""
    return split_by_hash(_SALT, name, _TRAIN, _VALIDATION)


def find_fonts(*sources: str, bold: bool = True, italic: bool = True) -> FontLibrary:
    """Find the fonts that can draw every letter, one file for each family and style.

    Args:
        sources: `bundled` (the installed font packages and Matplotlib's own; the default), `system`,
            folders (searched with their subfolders), or font files.
        bold: keep fonts of semibold weight and heavier.
        italic: keep italic and oblique fonts.

    Raises:
        FontsError: a source that does not exist, a named file that cannot be used, or nothing found.
    """
    found: dict[tuple[str, str], Font] = {}
    skipped: list[Skipped] = []
    for source in sources or ("bundled",):
        for path in _files(source):
            font = _inspect(path)
            if isinstance(font, Font):
                reason = _unwanted(font, found, bold, italic)
                if reason is None:
                    found[font.family, font.style] = font
                    continue
                font = Skipped(path, reason)
            elif Path(source).is_file():
                raise FontsError(f"--fonts {source}: {font.reason}; name another font")
            skipped.append(font)
    if not found:
        left_out = (
            f" ({len(skipped)} left out: {skipped[0].path.name}: {skipped[0].reason})" if skipped else ""
        )
        raise FontsError(f"--fonts {' '.join(sources)}: no usable font found{left_out}; try --fonts bundled")
    fonts = sorted(found.values(), key=lambda font: (font.family, font.style))
    return FontLibrary(tuple(fonts), tuple(skipped))


def _unwanted(font: Font, found: dict[tuple[str, str], Font], bold: bool, italic: bool) -> str | None:
    if font.bold and not bold:
        return "bold"
    if font.italic and not italic:
        return "italic"
    twin = found.get((font.family, font.style))
    return f"the same family and style as {twin.path.name}" if twin and twin.path != font.path else None


def _files(source: str) -> list[Path]:
    if source == "bundled":
        return [*_packaged(), *_walk(_matplotlib_folder())]
    if source == "system":
        return [path for folder in _system_folders() for path in _walk(folder)]
    path = Path(source).expanduser()
    if path.is_file():
        return [path]
    if path.is_dir():
        return _walk(path)
    raise FontsError(f"--fonts {source}: no such file or folder, nor one of bundled, system")


def _packaged() -> list[Path]:
    """The files named by the font packages' entry points; TrueType first where a package has both."""
    paths: list[Path] = []
    for group in ("fonts_ttf", "fonts_otf"):
        for entry in sorted(entry_points(group=group), key=lambda entry: entry.name):
            paths += sorted(Path(file) for file in entry.load().values())
    return paths


def _matplotlib_folder() -> Path:
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or spec.origin is None:
        raise FontsError("Matplotlib, whose fonts we use, is not installed; run: pip install matplotlib")
    return Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf"


def _system_folders() -> list[Path]:
    home = Path.home()
    if sys.platform == "darwin":
        return [Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library/Fonts"]
    if sys.platform == "win32":
        return [Path(os.environ.get("WINDIR", r"C:\Windows")) / "Fonts"]
    return [
        Path("/usr/share/fonts"),
        Path("/usr/local/share/fonts"),
        home / ".local/share/fonts",
        home / ".fonts",
    ]


def _walk(folder: Path) -> list[Path]:
    """The font files below a folder, unreadable ones included; links to folders are followed once."""
    wanted = (*SUFFIXES, *UNREAD)
    seen: set[Path] = set()
    found: list[Path] = []
    for root, folders, names in os.walk(folder, followlinks=True):
        real = Path(root).resolve()
        if real in seen:  # a loop of links, or a second way to the same folder
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        found += (Path(root, name) for name in names if name.lower().endswith(wanted))
    return sorted(found)


@lru_cache(maxsize=8192)
def _inspect(path: Path) -> Font | Skipped:
    try:
        if not path.is_file():  # a pipe or a device would be read forever
            return Skipped(path, "no file")
        if path.stat().st_size > _MAX_FILE_BYTES:
            return Skipped(path, "larger than 32 MiB")
        if path.suffix.lower() in UNREAD:
            return Skipped(path, UNREAD[path.suffix.lower()])
        data = path.read_bytes()
        face = open_face(path)
    except (OSError, freetype.FT_Exception) as error:
        return Skipped(path, f"cannot be opened as a font ({error})")
    if not face.is_scalable:
        return Skipped(path, "has bitmaps only")
    reason = _defect(path, face)
    if reason:
        return Skipped(path, reason)
    family, style = _names(path, face)
    lower = style.lower()
    bold = bool(face.style_flags & freetype.FT_STYLE_FLAG_BOLD) or any(
        weight in lower for weight in ("bold", "black", "heavy")
    )
    italic = bool(face.style_flags & freetype.FT_STYLE_FLAG_ITALIC) or "italic" in lower or "oblique" in lower
    return Font(family, style, path, hashlib.sha256(data).hexdigest(), bold, italic)


def _defect(path: Path, face: Any) -> str | None:
    """Why a font cannot draw the letters, or None."""
    missing = [letter for letter in LETTERS if not face.get_char_index(letter)]
    if missing:
        return f"lacks {_some(missing)}"
    try:
        ink = measure_letters(path).ink[[ord(letter) for letter in LETTERS]]
        if np.isnan(ink).any():
            blank = [letter for letter, box in zip(LETTERS, ink, strict=True) if np.isnan(box).any()]
            return f"draws nothing for {_some(blank)}"
        if shared := _shared_shapes(face):
            return f"draws {shared} alike, so the answer could not be told"
        if not (measure_letters(path).advance[[ord(letter) for letter in LETTERS]] > 0).all():
            return "has letters without an advance, which would lie on top of each other"
        if _is_symbolic(path):
            return "has symbols in the letters' places (their heights do not agree)"
        if _is_unicase(path):
            return "draws small letters like capitals, so the answer could not be told"
    except (freetype.FT_Exception, RuntimeError) as error:
        return f"has a broken glyph ({error})"
    return None


def _some(letters: list[str]) -> str:
    return " ".join(letters[:8]) + (f" and {len(letters) - 8} more" if len(letters) > 8 else "")


def _shared_shapes(face: Any) -> str | None:
    """The first letters that have one and the same outline, `I and l`; None if each has its own."""
    seen: dict[object, str] = {}
    for letter in LETTERS:
        face.load_char(letter, freetype.FT_LOAD_NO_SCALE | freetype.FT_LOAD_NO_HINTING)
        outline = face.glyph.outline
        left = min(x for x, _ in outline.points)
        shape = tuple((x - left, y) for x, y in outline.points), tuple(outline.contours)
        if shape in seen:
            return f"{seen[shape]} and {letter}"
        seen[shape] = letter
    return None


def _is_symbolic(path: Path) -> bool:
    """Whether E, H, T or v, x, z differ in height or leave the baseline, as in no text font."""
    ink = measure_letters(path).ink
    for letters in ("EHT", "vxz"):
        bottom, top = ink[[ord(letter) for letter in letters]][:, [1, 3]].T
        if np.abs(bottom).max() > 0.1 or top.min() < 0.75 * top.max():
            return True
    return False


def _is_unicase(path: Path) -> bool:
    """Whether a, e, g and r look like A, E, G and R: their shapes agree once scaled to the same box."""
    shapes = {letter: _shape(path, letter) for letter in "aAeEgGrR"}
    likeness = [float(np.corrcoef(shapes[c].ravel(), shapes[c.upper()].ravel())[0, 1]) for c in "aegr"]
    return min(likeness) > 0.5  # ordinary fonts: below 0.3 for at least one of the four


def _shape(path: Path, letter: str) -> NDArray[np.float64]:
    """The letter's ink at 64 px per em, scaled to 16 x 16 by nearest neighbour."""
    mask = np.zeros((192, 192), np.uint8)
    draw_letters(mask, path, 64.0, letter, np.array([64.0]), 128.0)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        raise RuntimeError(f"{letter!r} has no ink")
    y = np.linspace(rows[0], rows[-1], 16).round().astype(int)
    x = np.linspace(columns[0], columns[-1], 16).round().astype(int)
    shape: NDArray[np.float64] = mask[np.ix_(y, x)].astype(np.float64)
    return shape


def _names(path: Path, face: Any) -> tuple[str, str]:
    """The typographic family and style (OpenType name ids 16 and 17), or else the plain ones (1 and 2)."""
    names: dict[int, str] = {}
    for i in range(face.sfnt_name_count):
        entry = face.get_sfnt_name(i)
        if entry.platform_id == 3 and entry.name_id in (16, 17) and entry.language_id == 0x409:
            names[entry.name_id] = entry.string.decode("utf-16-be", "replace").strip()
    family = names.get(16) or (face.family_name or b"").decode("utf-8", "replace").strip() or path.stem
    style = names.get(17) or (face.style_name or b"").decode("utf-8", "replace").strip() or "Regular"
    if _COMPUTER_MODERN.fullmatch(family):
        return "Computer Modern", family
    return family, style
