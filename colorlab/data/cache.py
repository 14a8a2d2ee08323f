"""Where data lies, and the checksummed cache of photographs and scenes: make once, then read.

One file holds a set: for each image its pixels and, of a scene, its regions (uint8, so that the
file maps straight into memory), then a JSON footer, its length and a magic word. The footer is last
because the checksums and the list of skipped files are known only when the last image is written.
A set is written beside its place and moved there in one step, so a reader sees a whole set or
none. Of two processes that want the same set, one builds it and the other waits.

Existing caches depend on the file format, and the model cards of released weights name sets by
`identity`: a change makes both invalid.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import site
import struct
import sysconfig
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from colorlab.files import DISK_FULL, locked, make_folder, part_of

MAGIC = b"CLABPIX1"
TAIL = struct.Struct("<Q8s")  # length of the footer, magic word
CHUNK = 1 << 23  # bytes hashed at a time


def checkout_data() -> Path | None:
    """The folder `data/` of the checkout that this package runs from, or None when installed."""
    root = Path(__file__).resolve().parents[2]
    return root / "data" if (root / "pyproject.toml").is_file() else None


def released_data() -> Path:
    """The folder of `checkpoints/` and `results/`: a checkout's `data/`, else where pip put it.

    The same from any working directory: `released_data() / "results" / "photos-test.json"`.
    """
    found = checkout_data()
    if found is not None:
        return found
    schemes = [sysconfig.get_path("data"), site.getuserbase()]
    places = [Path(scheme) / "share" / "colorlab" for scheme in schemes]
    return next((place for place in places if place.is_dir()), places[0])


def cache_dir() -> Path:
    """Folder for decoded and rendered images, made if absent.

    `COLORLAB_CACHE` wins, then `data/cache` of a checkout, then `~/.cache/colorlab`.
    """
    data = checkout_data()
    if os.environ.get("COLORLAB_CACHE"):
        folder = Path(os.environ["COLORLAB_CACHE"]).expanduser()
    elif data is not None:
        folder = data / "cache"
    else:
        folder = Path.home() / ".cache" / "colorlab"
    make_folder(folder, "set COLORLAB_CACHE to a folder that you may write to")
    return folder


# ---- what every source of data gives and every loop takes


@dataclass(frozen=True)
class Pictures:
    """Square 8-bit sRGB pictures, usually a memory map, so that opening costs nothing.

    Attributes:
        rgb: (N, S, S, 3) uint8.
        names: N names, file names or scene seeds.
        sha256: identity of the set (names and pixels), cited by cards and results.
        source: where it came from, for example ``"photos:train"``.
    """

    rgb: np.ndarray
    names: tuple[str, ...]
    sha256: str
    source: str

    def __post_init__(self) -> None:
        if self.rgb.ndim != 4 or self.rgb.shape[-1] != 3 or self.rgb.dtype != np.uint8:
            raise ValueError(f"want uint8 (N, S, S, 3), got {self.rgb.dtype} {self.rgb.shape}")
        if len(self.names) != len(self.rgb):
            raise ValueError(f"{len(self.names)} names for {len(self.rgb)} pictures")

    def __len__(self) -> int:
        return len(self.rgb)

    @property
    def size(self) -> int:
        """Side length S in pixels."""
        return self.rgb.shape[1]

    def subset(self, indices: Sequence[int] | np.ndarray) -> Pictures:
        """Pick pictures by index; the source says that it is a part."""
        chosen = np.asarray(indices, dtype=np.int64)
        return Pictures(
            rgb=self.rgb[chosen],
            names=tuple(self.names[i] for i in chosen),
            sha256=self.sha256,
            source=f"{self.source}[{len(chosen)} of {len(self)}]",
        )


# ---- a set on disk


class CorruptStoreError(ValueError):
    """The file is not a whole, unaltered set of images."""


class NoPicturesError(ValueError):
    """There was nothing to store."""


@dataclass(frozen=True)
class Stored:
    """A set of images as it lies on disk.

    Attributes:
        rgb: (N, S, S, 3) uint8, read-only memory map.
        regions: (N, S, S) uint8 of scenes, read-only memory map; None of photographs.
        names: one name for each image.
        sha256: identity of the images, see `identity`.
        notes: what the builder wished to keep (JSON).
    """

    rgb: np.ndarray
    regions: np.ndarray | None
    names: tuple[str, ...]
    sha256: str
    notes: dict[str, Any]


def identity(names: Sequence[str], shape: Sequence[int], pixels_sha256: str) -> str:
    """SHA-256 that names a set: its shape, its names in order and its pixels."""
    text = json.dumps([list(shape), list(names), pixels_sha256], ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def hash_pixels(images: np.ndarray) -> str:
    """SHA-256 of N images in C order, a few at a time (about 1 GB/s)."""
    digest = hashlib.sha256()
    step = max(1, CHUNK // images[0].nbytes)
    for start in range(0, len(images), step):
        digest.update(np.ascontiguousarray(images[start : start + step]))
    return digest.hexdigest()


def fingerprint(rgb: np.ndarray, names: Sequence[str]) -> str:
    """`identity` of images that are in memory."""
    return identity(names, rgb.shape, hash_pixels(rgb))


def read_or_build(
    path: Path,
    key: str,
    images: Callable[[], Iterable[tuple]],
    size: int,
    expected: int,
    notes: dict[str, Any],
) -> Stored:
    """Open the set at `path`; where it is absent, outdated or damaged, `write` it first.

    A damaged set is never used: it is built anew, with a warning. The arguments are those of
    `write`, but for `images`, a function, which is called only if it is needed.
    """

    def whole(tell: bool = False) -> Stored | None:
        try:
            return read(path, key)
        except CorruptStoreError as error:
            if tell:
                warnings.warn(f"rebuilding a damaged picture cache: {error}", stacklevel=4)
            return None

    stored = whole(tell=True)
    if stored is None:
        remedy = "set COLORLAB_CACHE to a folder that you may write to"
        with locked(path.with_name(f".{path.name}.lock"), wait=True, remedy=remedy):
            stored = whole()  # after a wait, another process has built it
            if stored is None:
                write(path, key, images(), size, expected, notes)
                stored = whole()
    if stored is None:
        raise CorruptStoreError(f"{path}: replaced while it was read; run again")
    return stored


def write(
    path: Path, key: str, images: Iterable[tuple], size: int, expected: int, notes: dict[str, Any]
) -> None:
    """Write a set of images, whole or not at all.

    Args:
        path: where the set is to lie; its folder must exist.
        key: what the set is built from; a different key means that the source has changed.
        images: for each image its name, its pixels (size, size, 3) and, of a scene, its regions
            (size, size), uint8; consumed as they are written.
        size: side of the images, pixels.
        expected: how many images there are at most, for the disk-space check.
        notes: kept in the footer; written after the last image, so `images` may fill it.

    Raises:
        NoPicturesError: there is no image.
        ValueError: an image has another shape.
        OSError: the disk is full or not writable; nothing half-written is left.
    """
    need = expected * size * size * 3
    if shutil.disk_usage(path.parent).free < need:
        raise OSError(_disk_full(path, need))
    part = part_of(path)  # one builder at a time, so what lies there was left by a killed one
    try:
        with open(part, "wb") as file:
            _write_set(file, key, images, size, notes)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        raise OSError(_disk_full(path, need)) from error
    finally:
        part.unlink(missing_ok=True)


def _disk_full(path: Path, need: int) -> str:
    return (
        f"{path.parent} has {shutil.disk_usage(path.parent).free / 1e6:.0f} MB free and the "
        f"pictures need {need / 1e6:.0f} MB: free some space or set COLORLAB_CACHE to another disk"
    )


def _write_set(file: BinaryIO, key: str, images: Iterable, size: int, notes: dict) -> None:
    shapes = ((size, size, 3), (size, size))
    names: list[str] = []
    digests = [hashlib.sha256(), hashlib.sha256()]
    arrays: list[np.ndarray] = []
    for name, *arrays in images:
        for array, shape, digest in zip(arrays, shapes, digests, strict=False):
            if array.shape != shape or array.dtype != np.uint8:
                raise ValueError(
                    f"{name}: want uint8 of shape {shape}, got {array.dtype} {array.shape}"
                )
            pixels = np.ascontiguousarray(array).data
            digest.update(pixels)
            file.write(pixels)
        names.append(name)
    if not names:
        raise NoPicturesError("there is no picture to store")
    whole = [len(names), size, size, 3]
    footer = {
        "key": key,
        "shape": whole,
        "pixels_sha256": digests[0].hexdigest(),
        "regions_sha256": digests[1].hexdigest() if len(arrays) == 2 else None,
        "sha256": identity(names, whole, digests[0].hexdigest()),
        "names": names,
        "notes": notes,
    }
    text = json.dumps(footer).encode()
    file.write(text + TAIL.pack(len(text), MAGIC))


def read(path: Path, key: str) -> Stored | None:
    """Open a set of images; the pixels are hashed once a process for an unchanged file.

    Returns:
        The set, or None when there is none or it was built from something else than `key`.

    Raises:
        CorruptStoreError: the file is cut, altered or no set at all.
    """
    try:
        file = open(path, "rb")  # noqa: SIM115 - closed below
    except FileNotFoundError:
        return None
    # Opened once: another process may put a new set in this place between footer and pixels.
    with file:
        status = os.fstat(file.fileno())
        footer, record = _read_footer(file, path, status.st_size)
        if footer["key"] != key:
            return None
        images = np.memmap(file, dtype=record, mode="r", shape=len(footer["names"]))
    token = (str(path), status.st_ino, status.st_size, status.st_mtime_ns)
    if token not in _verified:
        for name, wanted in (("rgb", "pixels_sha256"), ("regions", "regions_sha256")):
            if name in record.names and hash_pixels(images[name]) != footer[wanted]:
                raise CorruptStoreError(f"{path}: {name} does not match its checksum; delete it")
        _verified.add(token)
    rgb, names = images["rgb"], tuple(footer["names"])
    if footer["sha256"] != identity(names, rgb.shape, footer["pixels_sha256"]):
        raise CorruptStoreError(f"{path}: the names do not match their checksum; delete it")
    regions = images["regions"] if "regions" in record.names else None
    return Stored(rgb, regions, names, footer["sha256"], footer["notes"])


_verified: set[tuple[str, int, int, int]] = set()


def _read_footer(file: BinaryIO, path: Path, length: int) -> tuple[dict[str, Any], np.dtype]:
    """The footer, and the layout of one image in the file."""
    try:
        file.seek(length - TAIL.size)
        size, magic = TAIL.unpack(file.read(TAIL.size))
        file.seek(length - TAIL.size - size)
        footer = json.loads(file.read(size))
        count, *shape = footer["shape"]
        fields = [("rgb", np.uint8, tuple(shape))]
        if footer.get("regions_sha256"):
            fields.append(("regions", np.uint8, tuple(shape[:2])))
        record = np.dtype(fields)
        whole = magic == MAGIC and count == len(footer["names"]) and len(shape) == 3
        whole &= count * record.itemsize + size + TAIL.size == length
        footer["key"], footer["pixels_sha256"], footer["sha256"], footer["notes"]
    except (OSError, ValueError, KeyError, TypeError, struct.error, OverflowError) as error:
        raise CorruptStoreError(f"{path}: not a whole set of pictures; delete it") from error
    if not whole:
        raise CorruptStoreError(f"{path}: not a whole set of pictures; delete it")
    return footer, record
