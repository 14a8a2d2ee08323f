"""Where data lies, and a checksummed cache of decoded images: decode once, then read.

One file holds a set: the pixels first (uint8, N x H x W x C, so that the file maps straight into
memory), then a JSON footer, its length and a magic word. The footer is last because the checksum
and the list of skipped files are known only when the last image is written. A set is written
beside its place and moved there in one step, so a reader sees a whole set or none. Of two
processes that want the same set, one builds it and the other waits.

Existing caches depend on the file format and on `identity`: a change makes them invalid.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import shutil
import site
import struct
import sysconfig
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from colorlab.files import locked

MAGIC = b"CLABPIX1"
TAIL = struct.Struct("<Q8s")  # length of the footer, magic word
CHUNK = 1 << 23  # bytes hashed at a time
STALE_SECONDS = 24 * 3600  # a part file untouched for a day belongs to a run that was killed


def checkout_data() -> Path | None:
    """The folder `data/` of the checkout that this package runs from, or None when installed."""
    root = Path(__file__).resolve().parents[2]
    return root / "data" if (root / "pyproject.toml").is_file() else None


def released_data() -> Path:
    """The folder of `checkpoints/` and `results/`: a checkout's `data/`, else where pip put it."""
    found = checkout_data()
    if found is not None:
        return found
    schemes = [sysconfig.get_path("data"), site.getuserbase()]
    places = [Path(scheme) / "share" / "colorlab" for scheme in schemes]
    return next((place for place in places if place.is_dir()), places[0])


def cache_dir() -> Path:
    """Folder for decoded and rendered images, made if absent.

    `COLORLAB_CACHE` wins, then `data/cache` of a checkout, then `~/.cache/colorlab`.

    Raises:
        OSError: the folder cannot be made.
    """
    data = checkout_data()
    if os.environ.get("COLORLAB_CACHE"):
        folder = Path(os.environ["COLORLAB_CACHE"]).expanduser()
    elif data is not None:
        folder = data / "cache"
    else:
        folder = Path.home() / ".cache" / "colorlab"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            f"cannot make the cache folder {folder} ({error.strerror}): "
            "set COLORLAB_CACHE to a folder you may write to"
        ) from error
    return folder


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Let one process at a time build `path`, a file or a folder; the others wait, with a warning.

    Raises:
        OSError: the cache folder is not writable.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(path.with_name(f".{path.name}.lock"), wait=True))
        except OSError as error:
            raise OSError(f"{error}, and name it with COLORLAB_CACHE") from error
        yield


class CorruptStoreError(ValueError):
    """The file is not a whole, unaltered set of images."""


class NoPicturesError(ValueError):
    """There was nothing to store."""


@dataclass(frozen=True)
class Stored:
    """A set of images as it lies on disk.

    Attributes:
        rgb: (N, H, W, C) uint8, read-only memory map.
        names: one name for each image.
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
    """`identity` of images that are in memory."""
    return identity(names, rgb.shape, hash_pixels(rgb))


def write(
    path: Path,
    key: str,
    pictures: Iterable[tuple[str, np.ndarray]],
    shape: tuple[int, int, int],
    expected: int,
    notes: Callable[[], dict[str, Any]] = dict,
) -> None:
    """Write a set of images, whole or not at all.

    Args:
        path: where the set is to lie; its folder must exist.
        key: what the set is built from.
        pictures: pairs of name and uint8 array; consumed as they are written.
        shape: of each array, (H, W, C).
        expected: how many images there are at most, for the disk-space check.
        notes: called after the last image; its result is kept in the footer.

    Raises:
        NoPicturesError: there is no image.
        ValueError: an image has another shape.
        OSError: the disk is full or not writable; nothing half-written is left.
    """
    for part in path.parent.glob(f".{path.name}.*.part"):
        with suppress(FileNotFoundError):  # another process may be faster
            if time.time() - part.stat().st_mtime > STALE_SECONDS:
                part.unlink()

    def disk_full() -> str:
        return (
            f"{path.parent} has {free / 1e6:.0f} MB free and the decoded pictures need "
            f"{need / 1e6:.0f} MB: free some space or set COLORLAB_CACHE to another disk"
        )

    need = expected * math.prod(shape)
    free = shutil.disk_usage(path.parent).free
    if free < need:
        raise OSError(disk_full())
    part = path.with_name(f".{path.name}.{os.getpid()}-{time.time_ns()}.part")
    try:
        with open(part, "xb") as file:
            _write_set(file, key, pictures, shape, notes)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            part.unlink(missing_ok=True)
            free = shutil.disk_usage(path.parent).free
            raise OSError(disk_full()) from error
        if isinstance(error, PermissionError) or error.errno == errno.EROFS:
            raise PermissionError(
                f"{path.parent} cannot be written: set COLORLAB_CACHE to a folder you may write to"
            ) from error
        raise
    finally:
        part.unlink(missing_ok=True)


def read(path: Path, key: str | None = None, check: bool = True) -> Stored | None:
    """Open a set of images.

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

    def built_meanwhile() -> Stored | None:
        with suppress(CorruptStoreError):  # the warning was given already
            return read(path, key)
        return None

    try:
        stored = read(path, key)
    except CorruptStoreError as error:
        warnings.warn(f"rebuilding a damaged picture cache: {error}", stacklevel=3)
        stored = None
    if stored is None:
        with alone(path):
            stored = built_meanwhile()
            if stored is None:
                try:
                    build()
                    stored = read(path, key)
                except PermissionError:
                    # Windows cannot replace a file that another process maps: on a disk without
                    # locks another process may have been faster.
                    stored = built_meanwhile()
                    if stored is None:
                        raise
    if stored is None:
        raise CorruptStoreError(f"{path}: replaced while it was read; run again")
    return stored


_verified: set[tuple[str, int, int, int]] = set()


def _write_set(file, key, pictures, shape, notes) -> None:
    names: list[str] = []
    digest = hashlib.sha256()
    for name, rgb in pictures:
        if rgb.shape != shape or rgb.dtype != np.uint8:
            raise ValueError(f"{name}: want uint8 of shape {shape}, got {rgb.dtype} {rgb.shape}")
        pixels = np.ascontiguousarray(rgb).data
        digest.update(pixels)
        file.write(pixels)
        names.append(name)
    if not names:
        raise NoPicturesError("there is no picture to store")
    whole = [len(names), *shape]
    footer = {
        "key": key,
        "shape": whole,
        "pixels_sha256": digest.hexdigest(),
        "sha256": identity(names, whole, digest.hexdigest()),
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
