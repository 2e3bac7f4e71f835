"""Images of unknown origin to plain RGB, and our own pixels to PNG."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from unblind.errors import DatasetError

MAX_PIXELS = 50_000_000  # more is a mistake or an attack: 50 megapixels are 150 MB as RGB
MAX_BYTES = 512 * 2**20  # 50 megapixels of 16-bit RGBA, unpacked, are 400 MB
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")  # those that start no other program
_PNG = b"\x89PNG\r\n\x1a\n"


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
    if isinstance(value, (str, Path)):
        value = _read(Path(value), source)
    if not isinstance(value, bytes) or not value:
        raise DatasetError(f"{source}: there is no image; remove it, or put PNG or JPEG bytes there")
    return _decode(value, source)


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
            raise DatasetError(f"{source}: no image file {path}; check the path")
        if path.stat().st_size > MAX_BYTES:
            raise DatasetError(f"{source}: {path} is larger than {MAX_BYTES // 2**20} MiB; make it smaller")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise DatasetError(f"{source}: {path} cannot be read ({error}); check the path") from None


def _decode(data: bytes, source: str) -> Image.Image:
    try:
        with warnings.catch_warnings():
            # Pillow only warns of a large or damaged picture
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=FORMATS)
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
