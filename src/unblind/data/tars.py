"""WebDataset tars: files of one sample side by side, told apart by their endings. No link is followed."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from unblind.data.images import MAX_BYTES, short
from unblind.errors import DatasetError

_PICTURES = ("png", "jpg", "jpeg", "webp", "gif", "bmp", "tif", "tiff", "avif", "heic", "img")
_TEXTS = ("txt", "text", "cls", "id")


def tar_samples(path: Path) -> Iterator[dict[str, Any]]:
    """The samples of a tar as rows, one after the other.

    A member's name is the sample's key up to its file name's first dot, and what it holds after that (the
    convention of WebDataset): of `0001.jpg`, `0001.json`, `0001.answer.txt` the key is `0001`. A picture is
    `image`, as bytes; an object in JSON is spread over columns; a text is a column by its ending (`txt`, or
    `answer`). The tar's name and the key are `id`, where no object says another.

    Raises:
        DatasetError: a member is a link, a device, sparse, absolute or outside, or too large; one sample
            has two pictures; text or JSON that is none.
        tarfile.TarError: no tar.
    """
    key, sample = None, dict[str, Any]()
    with tarfile.open(path, "r:") as tar:  # plain: what is packed could unpack to anything
        for member in tar:
            name = _name(member, path)
            if name is None:
                continue
            found, _, ending = name.name.partition(".")
            found = str(name.parent / found)
            if found != key and sample:
                yield sample
                sample = {}
            if not sample:
                key, sample = found, {"id": f"{path.stem}/{found}"}
            file = tar.extractfile(member)
            data = b"" if file is None else file.read(member.size)
            sample |= _held(ending.lower(), data, sample, f"{path}: {short(str(name))}")
    if sample:
        yield sample


def _name(member: tarfile.TarInfo, path: Path) -> PurePosixPath | None:
    """Where a member lies; None for a folder and for what systems hide. Raises DatasetError."""
    name = PurePosixPath(member.name)
    what = f"{path}: its member {short(member.name)}"
    if name.is_absolute() or ".." in name.parts:
        raise DatasetError(f"{what} leads outside; make the tar again, with names inside it")
    if member.isdir() or name.name.startswith("."):
        return None
    if not member.isreg() or member.issparse():
        raise DatasetError(f"{what} is a link, sparse, or no file; make the tar again of plain files")
    if member.size > MAX_BYTES:
        raise DatasetError(f"{what} is larger than {MAX_BYTES // 2**20} MiB; make it smaller")
    return name


def _held(ending: str, data: bytes, sample: dict[str, Any], source: str) -> dict[str, Any]:
    """What a member adds to its sample; what is neither picture nor text adds nothing."""
    if ending in _PICTURES:
        if "image" in sample:
            raise DatasetError(f"{source}: a second picture of its sample; one image a row is supported")
        return {"image": data}
    if ending == "json":
        try:
            held = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise DatasetError(f"{source}: not JSON ({str(error)[:100]}); mend it, or remove it") from None
        held = held if isinstance(held, dict) else {}
        return {name: value for name, value in held.items() if name not in ("image", *sample.keys() - {"id"})}
    column, _, text = ending.rpartition(".")
    if text not in _TEXTS:
        return {}
    try:
        return {column or text: data.decode().strip()}
    except UnicodeDecodeError:
        raise DatasetError(f"{source}: no text in UTF-8; mend it, or remove it") from None
