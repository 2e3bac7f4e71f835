"""Images of unknown origin to plain RGB, and our own pixels to PNG."""

from __future__ import annotations

import base64
import io
import re
import struct
import warnings
import zlib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from unblind.errors import DatasetError

MAX_PIXELS = 50_000_000  # more is a mistake or an attack: 50 megapixels are 150 MB as RGB
MAX_BYTES = 512 * 2**20  # 50 megapixels of 16-bit RGBA, unpacked, are 400 MB
# Those that start no other program. HEIF is Pillow's where pillow-heif is installed.
FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "HEIF")
LFS = b"version https://git-lfs.github.com/spec/"  # how a pointer file of Git LFS starts
_PNG = b"\x89PNG\r\n\x1a\n"
_DATA_URI = re.compile(r"data:[^,]{0,100};base64,\s*")
_BASE64 = re.compile(r"[A-Za-z0-9+/_\-\s]{40}")
# What our formats and HEIC start with.
_STARTS = re.compile(rb"\x89PNG|\xff\xd8\xff|GIF8|RIFF....WEBP|BM|II\*\0|MM\0\*|P[1-6]\s|....ftyp", re.DOTALL)
_OTHERS = {
    "JPEG XL": rb"\xff\x0a|\0\0\0\x0cJXL ",
    "JPEG 2000": rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51",
    "PDF": rb"%PDF",
    "PostScript": rb"%!PS",
    "SVG": rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)?<svg",
    "HTML": rb"\s*<(?:!doctype html|html)",
    "Photoshop": rb"8BPS",
    "icon": rb"\0\0\x01\0",
    "video": rb"....ftyp(?:isom|mp4|M4V|qt)|\x1aE\xdf\xa3",
}
_HEIC = re.compile(rb"....ftyp(?:heic|heix|heim|heis|hevc|hevx|mif1|msf1)", re.DOTALL)


def decode_image(value: Any, source: str) -> Image.Image:
    """Any image value as an RGB picture.

    The first frame of an animation, turned as its EXIF orientation says; transparent pixels on white; 16 and
    32 bits scaled to 8.

    Args:
        value: a PIL image, PNG/JPEG/... bytes, a path, or a mapping with `bytes` or else `path`, as an
            undecoded `datasets.Image` column holds.
        source: what an error names, such as "data/test.parquet, row 17".

    Raises:
        DatasetError: missing, truncated, no image, or more than MAX_PIXELS pixels.
    """
    if isinstance(value, Mapping):
        value = value.get("bytes") if value.get("bytes") is not None else value.get("path")
    if isinstance(value, Image.Image):
        return _rgb(value)
    if isinstance(value, str):
        value = embedded(value) or Path(value)
    if isinstance(value, Path):
        value = _read(value, source)
    if not isinstance(value, bytes) or not value:
        raise DatasetError(f"{source}: there is no image; remove it, or put PNG or JPEG bytes there")
    return _decode(value, source)


def embedded(text: str) -> bytes | None:
    """The bytes of an image that is written as base64, alone or as a `data:` address, else None."""
    prefix = _DATA_URI.match(text)
    if prefix is None and not _BASE64.match(text):
        return None
    written = "".join(text[prefix.end() if prefix else 0 :].split()).translate(str.maketrans("-_", "+/"))
    try:
        if prefix is None and not _STARTS.match(base64.b64decode(written[:40], validate=True)):
            return None
        return base64.b64decode(written + "=" * (-len(written) % 4), validate=True)
    except ValueError:
        return None


def short(value: object) -> str:
    """A value of someone's file for a message, in at most 80 characters."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:76]}...{text[-1]}"


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """(H, W, 3) uint8 pixels as PNG; the same pixels always give the same bytes.

    Pillow tries five filters on every row, which takes most of its time. Flat drawings need none: without
    filters, and with zlib's run-length strategy, files are no larger and are made 2.5 times as fast.
    """
    height, width, _ = pixels.shape
    rows = np.zeros((height, 1 + 3 * width), np.uint8)  # each row starts with its filter, 0: none
    rows[:, 1:] = pixels.reshape(height, 3 * width)
    packer = zlib.compressobj(1, strategy=zlib.Z_RLE)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits, RGB
    data = packer.compress(rows.data) + packer.flush()
    return _PNG + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _read(path: Path, source: str) -> bytes:
    try:
        if not path.is_file():  # nor a pipe or a device, which would block
            raise DatasetError(f"{source}: no image file {_name(path)}; check the path")
        if path.stat().st_size > MAX_BYTES:
            raise DatasetError(
                f"{source}: {_name(path)} is larger than {MAX_BYTES // 2**20} MiB; make it smaller"
            )
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DatasetError(f"{source}: {_name(path)} cannot be read ({reason}); check the path") from None


def _name(path: Path) -> str:
    """A path as it is, or the beginning of what can be none."""
    return str(path) if len(path.name) < 256 else short(str(path))


def _decode(data: bytes, source: str) -> Image.Image:
    _refuse_kind(data, source)
    try:
        with warnings.catch_warnings():
            # Pillow only warns of a large or damaged picture
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=_known_formats())
            if image.width * image.height > MAX_PIXELS:
                raise Image.DecompressionBombWarning
            image.load()
            return _rgb(image)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise DatasetError(
            f"{source}: the image has more than {MAX_PIXELS // 1_000_000} million pixels; make it smaller"
        ) from None
    except Exception as error:  # Pillow's readers raise whatever a damaged file leads them to
        reason = str(error).split("<")[0].strip() or type(error).__name__
        raise DatasetError(
            f"{source}: the image cannot be decoded ({reason}); replace or remove it"
        ) from None


def _refuse_kind(data: bytes, source: str) -> None:
    """Raise DatasetError for what is known to be no image that can be read, by its name."""
    if data.startswith(LFS):
        raise DatasetError(f"{source}: a Git LFS pointer, not the image itself; run `git lfs pull`")
    if _HEIC.match(data) and not _heif_is_read():
        raise DatasetError(f"{source}: a HEIC photo; `pip install pillow-heif`, or save it as JPEG")
    for name, start in _OTHERS.items():
        if re.match(start, data[:1000], re.DOTALL | re.IGNORECASE):
            raise DatasetError(
                f"{source}: the image cannot be decoded (it is {name}); save it as PNG or JPEG, or remove it"
            )


@cache
def _known_formats() -> tuple[str, ...]:
    """Those of FORMATS that are there on this machine."""
    Image.init()
    _heif_is_read()
    return tuple(name for name in FORMATS if name in Image.OPEN)


@cache
def _heif_is_read() -> bool:
    try:
        import pillow_heif
    except ImportError:
        return False
    pillow_heif.register_heif_opener()
    return True


def _rgb(image: Image.Image) -> Image.Image:
    image = ImageOps.exif_transpose(image)
    if image.mode[0] in "IF":
        return Image.fromarray(_eight_bit(np.asarray(image))).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def _eight_bit(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Grey levels of 16 or 32 bits, or of floats in [0, 1] or [0, 255], as bytes."""
    highest = max((_finite(rows).max() for rows in _strips(values)), default=0.0)
    if highest > 65535:
        full = float(highest)
    elif highest > 255:
        full = 65535.0
    else:
        full = 255.0 if highest > 1 else 1.0
    scaled = np.empty(values.shape, np.uint8)
    for rows, into in zip(_strips(values), _strips(scaled), strict=True):
        into[:] = np.clip(np.rint(_finite(rows) / full * 255), 0, 255)
    return scaled


def _strips(values: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """64 rows at a time: in float64 a whole picture of MAX_PIXELS would take gigabytes."""
    return (values[start : start + 64] for start in range(0, len(values), 64))


def _finite(values: NDArray[Any]) -> NDArray[np.float64]:
    return np.nan_to_num(values.astype(np.float64), posinf=0.0, neginf=0.0)
