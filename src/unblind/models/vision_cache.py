"""What a frozen vision tower makes of images, kept on disk: later epochs and runs need no tower at all.

A folder `KEY/` holds `features.bin`, the tower's outputs one after the other, and `index.json`, which says
where each image's begin. KEY is a hash of the tower's weights, the image processor's settings, the library
versions and all images: whatever changes an output changes the folder too, and none is used for another.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets
import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

from unblind.errors import DatasetError, RecipeError
from unblind.models.adapters import base_of
from unblind.models.collate import image_of, name_of
from unblind.models.family import FixedGrid, with_fixed_grid
from unblind.models.loading import Loaded
from unblind.models.weights import hash_weights
from unblind.runtime.json_files import read_json_if_whole
from unblind.runtime.outputs import atomic, write_text
from unblind.runtime.progress import progress
from unblind.runtime.versions import versions

BATCH = 16


@dataclass(frozen=True)
class Features:
    """A finished folder of features; cheap to send to another process.

    Attributes:
        folder: of features.bin and index.json.
        shape: of one image's features: (image tokens, width of the tower).
        dtype: of the features, that of the tower.
        index: image digest -> (number in features.bin, CRC-32 of its bytes).
    """

    folder: Path
    shape: tuple[int, int]
    dtype: torch.dtype
    index: Mapping[str, tuple[int, int]] = field(repr=False)

    @property
    def bytes_each(self) -> int:
        return self.shape[0] * self.shape[1] * self.dtype.itemsize

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> Tensor:
        """The features of the rows' images: (B, *shape).

        Raises:
            DatasetError: an image that was not there when they were made, or damage on the disk.
        """
        with (self.folder / "features.bin").open("rb") as file:
            read = [self._read(file, row) for row in rows]
        return torch.frombuffer(bytearray(b"".join(read)), dtype=self.dtype).view(-1, *self.shape)

    def _read(self, file: Any, row: Mapping[str, Any]) -> bytes:
        number, checksum = self.index.get(_digest(row), (-1, 0))
        if number < 0:
            raise DatasetError(f"row {name_of(row)} has a new image; delete {self.folder}, and start again")
        file.seek(number * self.bytes_each)
        data: bytes = file.read(self.bytes_each)
        if zlib.crc32(data) != checksum:
            raise DatasetError(f"{self.folder}/features.bin is damaged; delete the folder, and start again")
        return data


def cached_features(loaded: Loaded, sets: Iterable[datasets.Dataset], folder: Path) -> Features:
    """The features of all images of some datasets, from `folder` if they are there, else made and kept.

    Args:
        loaded: the model; LoRA may be on it, but not in its vision tower.
        sets: with the column image, as `prepared` leaves it.
        folder: of caches; any number of models and datasets share it.

    Raises:
        RecipeError: something in the vision tower is trained, so that its outputs will change; or the model's
            images have no fixed grid.
        DatasetError: a broken image.
        OutputError: the folder cannot be written.
    """
    family = with_fixed_grid(loaded.family, "cache_features")
    tower = base_of(loaded.model).get_submodule(family.tower)
    trained = [name for name, parameter in tower.named_parameters() if parameter.requires_grad]
    if trained:
        raise RecipeError(
            f"cache_features needs a vision tower that stays as it is, but {trained[0]} is trained;"
            " set vision to frozen, or leave cache_features out"
        )
    rows = {_digest(row): (one, i) for one in sets for i, row in enumerate(_images(one))}
    home = folder.expanduser() / _key(loaded, tower, rows)
    return _read_index(home) or _make(loaded, family, rows, home)


@contextmanager
def without_tower(base: nn.Module, family: FixedGrid) -> Iterator[None]:
    """While the block runs, `pixel_values` are taken for what the tower would make of them.

    The projector goes on to work, so that it may be trained.

    Args:
        base: the model, without what peft wraps around it.
        family: of the model.
    """
    above, _, name = family.tower.rpartition(".")
    parent, tower = base.get_submodule(above), base.get_submodule(family.tower)
    setattr(parent, name, Ready())
    try:
        yield
    finally:
        setattr(parent, name, tower)


class Ready(nn.Module):
    """Stands in for the vision tower where its outputs come in the place of pixels."""

    def forward(self, pixel_values: Tensor, **_: Any) -> BaseModelOutputWithPooling:
        return BaseModelOutputWithPooling(last_hidden_state=pixel_values)


def _images(dataset: datasets.Dataset) -> datasets.Dataset:
    return dataset.select_columns(["image", *(["id"] if "id" in dataset.column_names else [])])


def _digest(row: Mapping[str, Any]) -> str:
    image = row["image"]
    data = image.get("bytes") if isinstance(image, Mapping) else None
    if data is None:
        data = image_of(row).tobytes()
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _key(loaded: Loaded, tower: nn.Module, digests: Iterable[str]) -> str:
    """A hash of all that decides the features. The weights themselves stand for name and revision."""
    key = hashlib.blake2b(digest_size=16)
    libraries = {
        name: number for name, number in versions().items() if name in ("torch", "transformers", "pillow")
    }
    about = [libraries, loaded.processor.image_processor.to_dict(), str(loaded.device.type)]
    key.update(json.dumps(about, sort_keys=True, default=str).encode())
    hash_weights(key, tower)
    for digest in sorted(digests):
        key.update(digest.encode())
    return key.hexdigest()


def _read_index(home: Path) -> Features | None:
    """The features in a folder; None if it is not there, or not whole."""
    try:
        about = read_json_if_whole(home / "index.json") or {}
        shape, dtype = (about["shape"][0], about["shape"][1]), getattr(torch, about["dtype"])
        index = {digest: (number, checksum) for digest, (number, checksum) in about["index"].items()}
        features = Features(home, shape, dtype, index)
        whole = (home / "features.bin").stat().st_size == len(index) * features.bytes_each
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        return None
    return features if whole else None


@torch.no_grad()
def _make(
    loaded: Loaded, family: FixedGrid, rows: Mapping[str, tuple[datasets.Dataset, int]], home: Path
) -> Features:
    tower = base_of(loaded.model).get_submodule(family.tower)
    dtype = next(parameter.dtype for parameter in tower.parameters() if parameter.is_floating_point())
    index: dict[str, tuple[int, int]] = {}
    digests, shape = list(rows), (0, 0)
    training = tower.training
    tower.eval()
    with (
        atomic(home / "features.bin") as path,
        path.open("wb") as file,
        progress("vision features", len(rows)) as advance,
    ):
        for start in range(0, len(digests), BATCH):
            batch = digests[start : start + BATCH]
            images = [image_of(dataset[i]) for dataset, i in (rows[digest] for digest in batch)]
            seen = tower(family.pixels(loaded.processor, images).to(loaded.device)).last_hidden_state
            shape = (seen.shape[1], seen.shape[2])
            for digest, one in zip(batch, seen.to("cpu", dtype), strict=True):
                data = one.contiguous().flatten().view(torch.uint8).numpy().tobytes()
                index[digest] = (len(index), zlib.crc32(data))
                file.write(data)
            advance(len(batch))
    tower.train(training)
    about = {"shape": shape, "dtype": str(dtype).removeprefix("torch."), "index": index}
    write_text(home / "index.json", json.dumps(about))
    return Features(home, shape, dtype, index)
