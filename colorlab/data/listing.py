"""Which files of a folder are pictures, and to which split each belongs."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

SPLITS = ("train", "val", "test")

SUFFIXES = frozenset(
    ".jpg .jpeg .jfif .jp2 .png .avif .webp .bmp .gif .tif .tiff .ppm .pgm".split()  # noqa: SIM905
)


def list_files(root: Path, split: str) -> tuple[Path, list[str]]:
    """Folder to read and the sorted names in it, relative and with forward slashes.

    Raises:
        FileNotFoundError: no such folder, split or picture.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder; name one that holds pictures")
    has_splits = any((root / name).is_dir() for name in SPLITS)
    if has_splits and split != "all":
        folder, keep = root / split, None
        if not folder.is_dir():
            raise FileNotFoundError(
                f"{root} has no folder {split!r}; make it or choose another split"
            )
    else:
        folder, keep = root, None if split == "all" else split
    names = []
    for at, below, files in os.walk(folder):
        below[:] = sorted(name for name in below if not name.startswith("."))
        for file in files:
            if Path(file).suffix.lower() in SUFFIXES and not file.startswith("."):
                names.append((Path(at) / file).relative_to(folder).as_posix())
    names = sorted(name for name in names if keep is None or hash_split(name) == keep)
    if not names:
        raise FileNotFoundError(f"{folder}: no picture for split {split!r}; add some")
    return folder, names


def hash_split(name: str) -> str:
    """Split of a file in a folder without subfolders, fixed by its name alone.

    The first 32 bits of SHA-256 of the name, as a fraction: below 0.8 train, below 0.9 val, else
    test. So a file never changes sides when others come or go. (Copies under other names may
    land on both sides: `colorlab.data.splits` finds such, this does not.)
    """
    fraction = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 2**32
    return "train" if fraction < 0.8 else "val" if fraction < 0.9 else "test"


def listing_key(folder: Path, files: Sequence[str], settings: Sequence) -> str:
    """SHA-256 that changes when a file comes, goes or is written anew, or a setting changes."""
    listing = []
    for name in files:
        status = (folder / name).stat()
        listing.append((name, status.st_size, status.st_mtime_ns))
    return hashlib.sha256(json.dumps([list(settings), listing]).encode()).hexdigest()
