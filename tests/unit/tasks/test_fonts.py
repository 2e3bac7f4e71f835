"""Fonts: what is found, what is left out and why, and splits by family."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from unblind.errors import FontsError
from unblind.tasks.fonts import FontLibrary, find_fonts, split_of_family
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
    assert parted["test"] == {"Hanken Grotesk", "Intuitive", "Source Serif Pro"}
    assert {"Caladea", "Computer Modern", "DejaVu Sans", "Lato", "Roboto", "Source Sans Pro"} <= parted[
        "train"
    ]
    assert not parted["train"] & (parted["validation"] | parted["test"])


def test_widths_of_a_design_stay_together_and_the_benchmarks_fonts_are_held_out() -> None:
    assert split_of_family("DejaVu Sans Mono") == split_of_family("DejaVu Sans")
    assert {split_of_family(name) for name in ("Open Sans", "Helvetica", "Liberation Sans")} == {"test"}


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
