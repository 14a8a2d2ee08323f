"""Maps of a frozen encoder for a whole photo set: computed once, kept on disk in half precision.

A frozen encoder gives the same maps in every epoch, so they are computed once for each image and
its mirror image. Training on a CPU then pays for the small network alone. A file holds the maps of
64 images and ends in their SHA-256. It is written whole or not at all, so a killed run continues
with the next file.

Only whole images have maps here: a crop has others.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from pathlib import Path

import numpy as np
import torch

from colorlab.data.cache import Pictures, cache_dir
from colorlab.data.loaders import quick_lab
from colorlab.files import locked, progress_bar, write_whole
from colorlab.models import Colorizer, encoders

CHUNK = 64  # images in a file
BATCH = 16  # at a time through the encoder
SHARE = 0.5  # of the free disk, at most
_SUM = hashlib.sha256().digest_size


class EncoderMaps:
    """The maps of one encoder for one set of pictures.

    Args:
        pictures: the set; a side is a multiple of 32.
        encoder: its name, see :mod:`colorlab.models.encoders`.
        folder: of the files; the cache of decoded images unless told.
    """

    def __init__(self, pictures: Pictures, encoder: str, folder: Path | None = None) -> None:
        self.pictures, self.encoder = pictures, encoder
        self.net = encoders.load(encoder)
        side = pictures.size
        self.shapes = [
            (count, side // stride, side // stride)
            for count, stride in zip(self.net.channels, encoders.STRIDES, strict=True)
        ]
        self.numbers = sum(map(math.prod, self.shapes))  # of one picture, one orientation
        # A part of a set has the set's hash: its names tell which part.
        identity = [pictures.sha256, *pictures.names, encoder, self.net.sha256]
        key = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]
        self.folder = (folder or cache_dir()) / f"maps-{encoder}-{key}"
        self._open: dict[int, np.ndarray] = {}

    def missing(self) -> list[int]:
        """The files that are not on disk."""
        return [i for i in range(math.ceil(len(self.pictures) / CHUNK)) if not self._has(i)]

    def affordable(self) -> bool:
        """Whether half of the free disk holds all of them."""
        place = next(p for p in (self.folder, *self.folder.parents) if p.is_dir())
        size = len(self.pictures) * 2 * self.numbers * 2
        return size <= SHARE * shutil.disk_usage(place).free

    def prepare(self, progress: bool = True) -> None:
        """Compute what is missing; of two processes that want the same, one computes."""
        if not self.missing():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with locked(self.folder / ".lock", wait=True):
            for i in progress_bar(
                self.missing(), desc=f"maps of {self.encoder}", unit="file", show=progress
            ):
                data = self._compute(i).tobytes()
                write_whole(self._file(i), data + hashlib.sha256(data).digest())

    def batch(self, indices: np.ndarray, mirrored: np.ndarray | None = None) -> encoders.Maps:
        """The maps of some pictures, float32, finest first.

        Args:
            indices: (N,) which pictures.
            mirrored: (N,) bool, which of them are flipped left to right.
        """
        turned = np.zeros(len(indices), dtype=int) if mirrored is None else mirrored.astype(int)
        flat = np.stack(
            [self._chunk(i // CHUNK)[i % CHUNK, t] for i, t in zip(indices, turned, strict=True)]
        )
        parts = np.split(flat, np.cumsum([math.prod(shape) for shape in self.shapes])[:-1], axis=1)
        return tuple(
            torch.from_numpy(part.astype(np.float32)).view(-1, *shape)
            for part, shape in zip(parts, self.shapes, strict=True)
        )

    def _file(self, i: int) -> Path:
        return self.folder / f"{i:06d}.maps"

    def _has(self, i: int) -> bool:
        file = self._file(i)
        return file.is_file() and file.stat().st_size > 0  # a crash may leave an empty one

    def _chunk(self, i: int) -> np.ndarray:
        """(pictures, 2, numbers) float16, checked when first opened; computed again if damaged."""
        if i not in self._open:
            file = self._file(i)
            count = min(CHUNK, len(self.pictures) - i * CHUNK)
            whole = np.memmap(file, dtype=np.uint8, mode="r") if self._has(i) else np.empty(0)
            data, told = whole[:-_SUM], whole[-_SUM:].tobytes()
            if len(data) != count * 4 * self.numbers or hashlib.sha256(data).digest() != told:
                file.unlink(missing_ok=True)
                self.prepare(progress=False)
                return self._chunk(i)
            self._open[i] = data.view(np.float16).reshape(count, 2, self.numbers)
        return self._open[i]

    def _compute(self, i: int) -> np.ndarray:
        """The content of file i: (pictures, 2, numbers) float16."""
        rgb = self.pictures.rgb[i * CHUNK : (i + 1) * CHUNK]
        out = np.empty((len(rgb), 2, self.numbers), dtype=np.float16)
        for start in range(0, len(rgb), BATCH):
            L, _ = quick_lab(np.array(rgb[start : start + BATCH]))
            for turned, seen in enumerate((L, L.flip(3))):
                flat = torch.cat([m.flatten(1) for m in self.net(seen)], dim=1).half()
                out[start : start + len(L), turned] = flat.numpy()
        return out


def known_maps(
    model: Colorizer, pictures: Pictures, device: torch.device, shown: int
) -> EncoderMaps | None:
    """The maps of the model's pretrained encoder for a set, computed now if they are missing.

    None if the model has no such encoder, if the disk is too small, if a run that shows ``shown``
    images would need fewer maps than there are to compute, and on a GPU, which computes them faster
    than a disk reads them.
    """
    encoder = getattr(model.config, "encoder", encoders.SCRATCH)
    if encoder == encoders.SCRATCH or device.type != "cpu":
        return None
    maps = EncoderMaps(pictures, encoder)
    if maps.missing() and (shown < 2 * len(pictures) or not maps.affordable()):
        return None
    maps.prepare()
    return maps
