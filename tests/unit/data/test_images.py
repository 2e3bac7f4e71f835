"""Images of unknown origin."""

import base64
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unblind.data.images import MAX_PIXELS, decode_image, embedded, encode_png
from unblind.errors import DatasetError

RED = np.full((6, 9, 3), (255, 0, 0), np.uint8)


def packed(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims to be huge."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def test_every_kind_of_value_is_taken(tmp_path: Path):
    data = encode_png(RED)
    path = tmp_path / "a.png"
    path.write_bytes(data)
    values = [
        data,
        str(path),
        path,
        Image.fromarray(RED),
        {"bytes": data, "path": "gone"},
        {"path": str(path)},
    ]
    for value in values:
        image = decode_image(value, "here")
        assert image.mode == "RGB"
        assert (np.asarray(image) == RED).all()


@pytest.mark.parametrize(
    ("mode", "color", "expected"),
    [
        ("1", 1, (255, 255, 255)),
        ("L", 100, (100, 100, 100)),
        ("LA", (0, 0), (255, 255, 255)),
        ("RGBA", (255, 0, 0, 0), (255, 255, 255)),
        ("RGBA", (255, 0, 0, 255), (255, 0, 0)),
        ("I;16", 65535, (255, 255, 255)),
        ("I;16", 257 * 100, (100, 100, 100)),
    ],
)
def test_png_modes(mode: str, color: object, expected: tuple[int, int, int]):
    image = decode_image(packed(Image.new(mode, (4, 3), color)), "here")
    assert image.getpixel((1, 1)) == expected


def test_palette_with_transparency():
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 255, 0, 0])
    data = packed(image, transparency=1)
    assert decode_image(data, "here").getpixel((0, 0)) == (255, 255, 255)
    assert decode_image(packed(image), "here").getpixel((0, 0)) == (255, 0, 0)


def test_cmyk_float_and_32_bits():
    cmyk = decode_image(packed(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG"), "here")
    red, green, blue = cmyk.getpixel((4, 4))
    assert red > 240
    assert green < 15
    assert blue < 15
    half = Image.fromarray(np.full((4, 4), 0.5, np.float32))
    assert decode_image(packed(half, "TIFF"), "here").getpixel((0, 0)) == (128, 128, 128)
    nothing = Image.fromarray(np.full((4, 4), np.nan, np.float32))
    assert decode_image(packed(nothing, "TIFF"), "here").getpixel((0, 0)) == (0, 0, 0)
    high = Image.fromarray(np.array([[0, 2_000_000]], np.int32))
    assert decode_image(packed(high, "TIFF"), "here").getpixel((1, 0)) == (255, 255, 255)


def test_the_first_frame_of_an_animation():
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "blue")]
    for kind in ("GIF", "PNG"):
        data = packed(frames[0], kind, save_all=True, append_images=frames[1:])
        assert decode_image(data, "here").getpixel((0, 0)) == (255, 0, 0)


def test_a_photo_is_turned_as_exif_says():
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    assert decode_image(packed(Image.new("RGB", (8, 4)), "JPEG", exif=exif), "here").size == (4, 8)


BROKEN: dict[str, object] = {
    "nothing": None,
    "empty": b"",
    "text": b"not an image",
    "nulls": {"bytes": None, "path": None},
    "no keys": {},
    "number": 17,
    "no file": "no/such.png",
    "null byte": "bad\0name",
    "device": "/dev/zero",
    "folder": ".",
    "cut PNG": packed(Image.new("RGB", (64, 64), "red"))[:-30],
    "cut JPEG": packed(Image.new("RGB", (64, 64), "red"), "JPEG")[:-200],
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    "SVG": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
}


@pytest.mark.parametrize("value", BROKEN.values(), ids=BROKEN)
def test_a_broken_image_says_where(value: object):
    with pytest.raises(DatasetError, match=r"^data\.parquet, row 17: ") as caught:
        decode_image(value, "data.parquet, row 17")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [(MAX_PIXELS, 2), (20_000, 5_000), (65_000, 65_000)])
def test_a_bomb_is_refused_before_it_is_unpacked(size: tuple[int, int]):
    with pytest.raises(DatasetError, match="more than 50 million pixels"):
        decode_image(bomb(*size), "here")


def test_base64_and_data_addresses_are_images():
    data = packed(Image.new("RGB", (9, 6), "red"))
    plain = base64.b64encode(data).decode()
    lines = "\n".join(plain[i : i + 76] for i in range(0, len(plain), 76))
    jpeg = base64.b64encode(packed(Image.new("RGB", (9, 6), "red"), "JPEG")).decode()
    assert jpeg.startswith("/9j/"), "looks like an absolute path"
    for text in (plain, plain.rstrip("="), lines, jpeg, f"data:image/png;base64,{plain}"):
        assert decode_image(text, "here").size == (9, 6)
    assert embedded("images/0000.png") is None
    assert embedded("a" * 300 + "/b.png") is None


def test_a_bad_value_is_not_printed_whole():
    for text in ("x" * 100_000, "data:image/png;base64," + "?" * 5000, "a/" * 4000 + "b.png"):
        with pytest.raises(DatasetError) as caught:
            decode_image(text, "here")
        assert len(str(caught.value)) < 200 or text.endswith("b.png")


@pytest.mark.parametrize("kind", ["AVIF", "MPO"])
def test_formats_of_phones(kind: str):
    red = Image.new("RGB", (16, 16), "red")
    more = {"save_all": True, "append_images": [Image.new("RGB", (16, 16), "blue")]} if kind == "MPO" else {}
    image = decode_image(packed(red, kind, **more), "here")
    assert image.getpixel((3, 3))[0] > 240
    assert image.getpixel((3, 3))[2] < 15


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull"),
        (b"\0\0\0\x18ftypheic" + bytes(40), "pillow-heif`, or save it as JPEG|cannot be decoded"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "it is SVG"),
        (b"<!DOCTYPE html><html>", "it is HTML"),
        (b"%PDF-1.7", "it is PDF"),
    ],
)
def test_other_kinds_of_file_are_named(data: bytes, says: str):
    with pytest.raises(DatasetError, match=says):
        decode_image(data, "here")
