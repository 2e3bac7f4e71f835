"""Fonts: what is found, what is left out and why, and splits by family."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont

from unblind.errors import FontsError
from unblind.tasks.font_likeness import THRESHOLD, likeness, outlines
from unblind.tasks.fonts import Font, FontLibrary, family_splits, find_fonts, split_of_family
from unblind.tasks.glyphs import measure_letters
from unblind.tasks.words import LETTERS


def test_a_plain_install_has_at_least_ten_families(fonts: FontLibrary) -> None:
    assert len(fonts.families) >= 10
    for font in fonts.fonts:
        ink = measure_letters(font.path).ink[[ord(letter) for letter in LETTERS]]
        assert (ink[:, 2] > ink[:, 0]).all() and (ink[:, 3] > ink[:, 1]).all()


def test_families_are_parted_as_the_embedded_base_was_trained(fonts: FontLibrary) -> None:
    parted = {s: {font.family for font in fonts.of_split(s)} for s in ("train", "validation", "test")}
    assert parted["validation"] == {"Manrope", "STIXGeneral"}
    held_out = {"Fjalla One", "Hanken Grotesk", "Intuitive", "Red Hat Display", "Source Serif Pro"}
    assert parted["test"] == held_out
    assert {"Caladea", "Computer Modern", "DejaVu Sans", "Lato", "Roboto", "Source Sans Pro"} <= parted[
        "train"
    ]
    assert not parted["train"] & (parted["validation"] | parted["test"])


def test_widths_of_a_design_stay_together_and_the_benchmarks_fonts_are_held_out() -> None:
    assert split_of_family("DejaVu Sans Mono") == split_of_family("DejaVu Sans")
    assert {split_of_family(name) for name in ("Open Sans", "Helvetica", "Liberation Sans")} == {"test"}


@pytest.mark.parametrize(
    ("split", "families"),
    [
        ("test", ["Arial", "Liberation Sans", "Arimo", "FreeSans", "Nimbus Sans", "Helvetica Neue"]),
        ("test", ["Noto Sans", "Droid Sans", "Open Sans", "Noto Sans Display"]),
        ("test", ["Source Serif Pro", "Source Serif 4"]),
        ("validation", ["STIXGeneral", "Times New Roman", "Nimbus Roman", "Tinos", "FreeSerif"]),
        ("train", ["DejaVu Sans", "Verana Sans"]),
        ("train", ["Source Sans Pro", "Source Sans 3"]),
    ],
)
def test_families_that_look_alike_are_on_one_side(split: str, families: list[str]) -> None:
    assert {split_of_family(family) for family in families} == {split}


def test_likeness_is_one_for_the_same_shapes_and_low_for_other_designs(fonts: FontLibrary) -> None:
    regular = {font.family: outlines(font.path) for font in fonts.fonts if font.style == "Regular"}
    assert likeness(regular["Roboto"], regular["Roboto"]) == 1.0
    families = sorted(regular)
    pairs = [(a, b) for i, a in enumerate(families) for b in families[:i]]
    likest = max(pairs, key=lambda pair: likeness(regular[pair[0]], regular[pair[1]]))
    assert likeness(regular[likest[0]], regular[likest[1]]) < THRESHOLD, likest
    assert likeness(regular["Lato"], regular["Caladea"]) < 0.6


def renamed(font: Font, path: Path, family: str, change: Callable[[TTFont], None] = lambda _: None) -> Path:
    """The same font file under another family name, changed in some way."""
    face = TTFont(font.path)
    for name_id in (1, 4, 6, 16):
        for record in face["name"].names:
            if record.nameID == name_id:
                record.string = family
    change(face)
    face.save(path)
    return path


def regular_of(fonts: FontLibrary, family: str) -> Font:
    return next(font for font in fonts.fonts if (font.family, font.style) == (family, "Regular"))


def test_a_twin_under_another_name_is_never_trained_on(fonts: FontLibrary, tmp_path: Path) -> None:
    renamed(regular_of(fonts, "Source Serif Pro"), tmp_path / "twin.ttf", "Quite Another")
    renamed(regular_of(fonts, "Lato"), tmp_path / "harmless.ttf", "Something Else")
    library = find_fonts(str(tmp_path))
    splits = family_splits(library.fonts)
    assert splits["Quite Another"] == "test"
    assert splits["Something Else"] == split_of_family("Something Else")


def share_a_glyph(face: TTFont) -> None:
    for table in face["cmap"].tables:
        if table.isUnicode():
            table.cmap[ord("l")] = table.cmap[ord("I")]


def lose_an_advance(face: TTFont) -> None:
    glyph = face.getBestCmap()[ord("m")]
    face["hmtx"][glyph] = (0, face["hmtx"][glyph][1])


@pytest.mark.parametrize(
    ("change", "reason"), [(share_a_glyph, "draws I and l alike"), (lose_an_advance, "without an advance")]
)
def test_letters_that_cannot_be_told_apart_are_left_out(
    fonts: FontLibrary, tmp_path: Path, change: Callable[[TTFont], None], reason: str
) -> None:
    shutil.copy(fonts.fonts[0].path, tmp_path / "good.ttf")
    renamed(regular_of(fonts, "Roboto"), tmp_path / "bad.ttf", "Bad", change)
    library = find_fonts(str(tmp_path))
    assert [(skipped.path.name, reason in skipped.reason) for skipped in library.skipped] == [
        ("bad.ttf", True)
    ]


def test_woff_is_read_and_what_cannot_be_is_listed(fonts: FontLibrary, tmp_path: Path) -> None:
    face = TTFont(regular_of(fonts, "Roboto").path)
    face.flavor = "woff"
    (tmp_path / "real").mkdir()
    face.save(tmp_path / "real" / "web.woff")
    (tmp_path / "real" / "several.ttc").write_bytes(b"ttcf")
    (tmp_path / "real" / "packed.woff2").write_bytes(b"wOF2")
    (tmp_path / "fonts").mkdir()
    (tmp_path / "fonts" / "linked").symlink_to(tmp_path / "real", target_is_directory=True)
    library = find_fonts(str(tmp_path / "fonts"))
    assert library.families == ("Roboto",)
    reasons = {skipped.path.name: skipped.reason for skipped in library.skipped}
    assert "collection" in reasons["several.ttc"] and "WOFF2" in reasons["packed.woff2"]


def test_what_cannot_draw_the_letters_is_left_out_with_a_reason(fonts: FontLibrary) -> None:
    reasons = {skipped.path.name: skipped.reason for skipped in fonts.skipped}
    assert "lacks A" in reasons["STIXSizOneSymReg.ttf"]
    assert "symbols" in reasons["cmsy10.ttf"]
    assert "capitals" in reasons["AmaticSC-Regular.ttf"]
    assert "same family and style" in reasons["SourceSansPro-Bold.otf"]


def test_bold_and_italic_can_be_left_out(fonts: FontLibrary) -> None:
    upright = find_fonts(bold=False, italic=False)
    assert not any(font.bold or font.italic for font in upright.fonts)
    assert {"Roboto", "Lato"} <= set(upright.families)
    assert 0 < len(upright.fonts) < len(fonts.fonts)
    assert "bold" in {skipped.reason for skipped in upright.skipped}


def test_a_folder_is_searched_and_its_bad_files_are_listed(fonts: FontLibrary, tmp_path: Path) -> None:
    good = fonts.fonts[0]
    (tmp_path / "deep").mkdir()
    shutil.copy(good.path, tmp_path / "deep" / "good.ttf")
    (tmp_path / "bad.ttf").write_bytes(b"no font at all")
    (tmp_path / "cut.otf").write_bytes(good.path.read_bytes()[:500])
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "self.ttf").symlink_to(tmp_path / "self.ttf")
    library = find_fonts(str(tmp_path))
    assert [font.digest for font in library.fonts] == [good.digest]
    assert {skipped.path.name for skipped in library.skipped} == {"bad.ttf", "cut.otf", "self.ttf"}


def test_a_named_file_that_is_no_font_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.ttf"
    path.write_bytes(b"no font at all")
    with pytest.raises(FontsError, match=r"bad\.ttf.*cannot be opened"):
        find_fonts(str(path))
    with pytest.raises(FontsError, match="no usable font"):
        find_fonts(str(tmp_path))
    with pytest.raises(FontsError, match="no such file or folder"):
        find_fonts(str(tmp_path / "absent"))


def test_a_font_is_found_by_its_digest(fonts: FontLibrary) -> None:
    font = fonts.fonts[3]
    assert fonts.get(font.digest) is font
    with pytest.raises(FontsError, match="0000"):
        fonts.get("0" * 64)


def test_a_library_without_a_family_for_a_split_says_so(fonts: FontLibrary) -> None:
    roboto = FontLibrary(tuple(font for font in fonts.fonts if font.family == "Roboto"))
    with pytest.raises(FontsError, match="test split"):
        roboto.of_split("test")
