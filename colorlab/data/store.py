"""A checksummed memory map of decoded pictures: decode once, read for ever.

One file holds a set: the pixels first (uint8, N x H x W x 3, so that the file maps straight into
memory), then a JSON footer, its length and a magic word. The footer stands last because the
checksum and the list of skipped files are known only when the last picture is written. A set is
written beside its place and moved there in one step, so a reader sees a whole set or none. Of two
processes that want the same set, one builds it and the other waits.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import struct
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from colorlab.data.places import alone
from colorlab.data.places import cache_dir as cache_dir  # users of a store need them beside it
from colorlab.data.places import checkout_data as checkout_data

MAGIC = b"CLABPIX1"
TAIL = struct.Struct("<Q8s")  # length of the footer, magic word
CHUNK = 1 << 23
STALE_SECONDS = 24 * 3600  # a part file untouched for a day belongs to a run that was killed


class CorruptStoreError(ValueError):
    """The file is not a whole, unaltered set of pictures."""


class NoPicturesError(ValueError):
    """There was nothing to store."""


@dataclass(frozen=True)
class Stored:
    """A set of pictures as it lies on disk.

    Attributes:
        rgb: (N, H, W, 3) uint8, read-only memory map.
        names: one name a picture.
        sha256: identity of the set, see `identity`.
        key: what the set was built from; a different key means the source has changed.
        notes: what the builder wished to keep (JSON).
    """

    rgb: np.ndarray
    names: tuple[str, ...]
    sha256: str
    key: str
    notes: dict[str, Any]


def identity(names: Sequence[str], shape: Sequence[int], pixels_sha256: str) -> str:
    """SHA-256 that names a set: its shape, its names in order and its pixels."""
    text = json.dumps([list(shape), list(names), pixels_sha256], ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def hash_pixels(rgb: np.ndarray) -> str:
    """SHA-256 of the pixels in C order, a chunk at a time (about 1 GB/s)."""
    digest = hashlib.sha256()
    flat = memoryview(np.ascontiguousarray(rgb)).cast("B")
    for start in range(0, len(flat), CHUNK):
        digest.update(flat[start : start + CHUNK])
    return digest.hexdigest()


def fingerprint(rgb: np.ndarray, names: Sequence[str]) -> str:
    """`identity` of pictures that are in memory."""
    return identity(names, rgb.shape, hash_pixels(rgb))


def write(
    path: Path,
    key: str,
    pictures: Iterable[tuple[str, np.ndarray]],
    size: int,
    expected: int,
    notes: Callable[[], dict[str, Any]] = dict,
) -> None:
    """Write a set of pictures, whole or not at all.

    Args:
        path: where the set shall lie; its folder must exist.
        key: what the set is built from.
        pictures: pairs of name and (size, size, 3) uint8; consumed as they are written.
        size: side of the pictures, pixels.
        expected: how many pictures there are at most, for the disk-space check.
        notes: called after the last picture; its answer is kept in the footer.

    Raises:
        NoPicturesError: there is no picture.
        ValueError: a picture has another shape.
        OSError: the disk is full or not writable; nothing half-written is left.
    """
    _remove_stale_parts(path)
    need = expected * size * size * 3
    free = shutil.disk_usage(path.parent).free
    if free < need:
        raise OSError(_disk_full(path, need, free))
    part = path.with_name(f".{path.name}.{os.getpid()}-{time.time_ns()}.part")
    try:
        with open(part, "xb") as file:
            _write_set(file, key, pictures, size, notes)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            part.unlink(missing_ok=True)
            free = shutil.disk_usage(path.parent).free
            raise OSError(_disk_full(path, need, free)) from error
        if isinstance(error, PermissionError) or error.errno == errno.EROFS:
            raise PermissionError(
                f"{path.parent} cannot be written: set COLORLAB_CACHE to a folder you may write to"
            ) from error
        raise
    finally:
        part.unlink(missing_ok=True)


def read(path: Path, key: str | None = None, check: bool = True) -> Stored | None:
    """Open a set of pictures.

    Args:
        path: file written by `write`.
        key: what the set must have been built from; None accepts any.
        check: rehash the pixels, once a process for an unchanged file.

    Returns:
        The set, or None when there is none or its source has changed.

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
        footer = _read_footer(file, path, status.st_size)
        if key is not None and footer["key"] != key:
            return None
        rgb = np.memmap(file, dtype=np.uint8, mode="r", shape=tuple(footer["shape"]))
    token = (str(path), status.st_ino, status.st_size, status.st_mtime_ns)
    if check and token not in _verified:
        if hash_pixels(rgb) != footer["pixels_sha256"]:
            raise CorruptStoreError(f"{path}: the pixels do not match their checksum; delete it")
        _verified.add(token)
    names = tuple(footer["names"])
    sha256 = identity(names, rgb.shape, footer["pixels_sha256"])
    if footer.get("sha256", sha256) != sha256:  # sets written before 0.2 do not tell
        raise CorruptStoreError(f"{path}: the names do not match their checksum; delete it")
    return Stored(rgb, names, sha256, footer["key"], footer["notes"])


def read_or_build(path: Path, key: str, build: Callable[[], None]) -> Stored:
    """Open the set at `path`; where it is absent, outdated or corrupt, `build()` it first.

    A corrupt set is never used: it is rebuilt, with a warning.
    """
    try:
        stored = read(path, key)
    except CorruptStoreError as error:
        warnings.warn(f"rebuilding a damaged picture cache: {error}", stacklevel=3)
        stored = None
    if stored is None:
        with alone(path):
            stored = _built_meanwhile(path, key)
            if stored is None:
                stored = _built(path, key, build)
    if stored is None:
        raise CorruptStoreError(f"{path}: replaced while it was read; run again")
    return stored


def _built(path: Path, key: str, build: Callable[[], None]) -> Stored | None:
    try:
        build()
    except PermissionError:
        # Windows replaces no file that another process maps: one without locks was faster.
        if (stored := _built_meanwhile(path, key)) is None:
            raise
        return stored
    return read(path, key)


def _built_meanwhile(path: Path, key: str) -> Stored | None:
    try:
        return read(path, key)
    except CorruptStoreError:  # told already
        return None


_verified: set[tuple[str, int, int, int]] = set()


def _write_set(file, key, pictures, size, notes) -> None:
    names: list[str] = []
    digest = hashlib.sha256()
    for name, rgb in pictures:
        if rgb.shape != (size, size, 3) or rgb.dtype != np.uint8:
            raise ValueError(
                f"{name}: want uint8 of shape ({size}, {size}, 3), got {rgb.dtype} {rgb.shape}"
            )
        pixels = np.ascontiguousarray(rgb).data
        digest.update(pixels)
        file.write(pixels)
        names.append(name)
    if not names:
        raise NoPicturesError("there is no picture to store")
    shape = [len(names), size, size, 3]
    footer = {
        "key": key,
        "shape": shape,
        "pixels_sha256": digest.hexdigest(),
        "sha256": identity(names, shape, digest.hexdigest()),
        "names": names,
        "notes": notes(),
    }
    text = json.dumps(footer).encode()
    file.write(text + TAIL.pack(len(text), MAGIC))


def _read_footer(file: BinaryIO, path: Path, length: int) -> dict[str, Any]:
    broken = CorruptStoreError(f"{path}: not a whole set of pictures; delete it")
    if length < TAIL.size:
        raise broken
    file.seek(length - TAIL.size)
    size, magic = TAIL.unpack(file.read(TAIL.size))
    if magic != MAGIC or size > length - TAIL.size:
        raise broken
    file.seek(length - TAIL.size - size)
    text = file.read(size)
    try:
        footer = json.loads(text)
        if len(footer["shape"]) != 4 or not all(
            type(side) is int and side > 0 for side in footer["shape"]
        ):
            raise broken
        pixels = int(np.prod(footer["shape"], dtype=np.int64))
        whole = pixels + size + TAIL.size == length and len(footer["names"]) == footer["shape"][0]
        footer["key"], footer["pixels_sha256"], footer["notes"]
    except (ValueError, KeyError, TypeError) as error:
        raise broken from error
    if not whole:
        raise broken
    return footer


def _disk_full(path: Path, need: int, free: int) -> str:
    return (
        f"{path.parent} has {free / 1e6:.0f} MB free and the decoded pictures need "
        f"{need / 1e6:.0f} MB: free some space or set COLORLAB_CACHE to another disk"
    )


def _remove_stale_parts(path: Path) -> None:
    """Delete what killed runs left; the part file of a run that goes on is fresh."""
    for part in path.parent.glob(f".{path.name}.*.part"):
        try:
            if time.time() - part.stat().st_mtime > STALE_SECONDS:
                part.unlink()
        except FileNotFoundError:  # another process was faster
            continue
