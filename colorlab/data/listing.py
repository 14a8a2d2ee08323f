"""Which files of a folder are pictures, and to which split each belongs."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from colorlab.data.opening import shown

SPLITS = ("train", "val", "test")

SUFFIXES = frozenset(
    ".jpg .jpeg .jfif .jp2 .png .avif .webp .bmp .gif .tif .tiff .ppm .pgm".split()  # noqa: SIM905
)


def is_picture_name(name: str) -> bool:
    """Whether a file of this name is taken for a picture; hidden ones (".a.jpg") are not."""
    return os.path.splitext(name)[1].lower() in SUFFIXES and not name.startswith(".")


def list_files(root: Path, split: str) -> tuple[Path, list[str]]:
    """Folder to read and the sorted names in it, relative and with forward slashes.

    Links to files are listed, links to folders are not followed: they may lead round in circles.
    A folder below that may not be read is told in a warning.

    Raises:
        FileNotFoundError: no such folder, split or picture.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"{shown(root)}: no such folder; name one that holds pictures")
    has_splits = any((root / name).is_dir() for name in SPLITS)
    if has_splits and split != "all":
        folder, keep = root / split, None
        if not folder.is_dir():
            raise FileNotFoundError(
                f"{shown(root)} has no folder {split!r}; make it or choose another split"
            )
    else:
        folder, keep = root, None if split == "all" else split
    names = []
    for at, below, files in os.walk(folder, onerror=_tell):
        below[:] = sorted(name for name in below if not name.startswith("."))
        inside = os.path.relpath(at, folder).replace(os.sep, "/")
        prefix = "" if inside == "." else f"{inside}/"
        names += [prefix + file for file in files if is_picture_name(file)]
    names = sorted(name for name in names if keep is None or hash_split(name) == keep)
    if not names:
        raise FileNotFoundError(f"{shown(folder)}: no picture for split {split!r}; add some")
    return folder, names


def hash_split(name: str) -> str:
    """Split of a file in a folder without subfolders, fixed by its name alone.

    The first 32 bits of SHA-256 of the name, as a fraction: below 0.8 train, below 0.9 val, else
    test. So a file never changes sides when others come or go. (Copies under other names may
    land on both sides: `colorlab.data.splits` finds such, this does not.)
    """
    fraction = int(hashlib.sha256(encoded(name)).hexdigest()[:8], 16) / 2**32
    return "train" if fraction < 0.8 else "val" if fraction < 0.9 else "test"


def encoded(name: str) -> bytes:
    """A file name in UTF-8. Bytes of it that are no text count as they stand in Python's string."""
    return name.encode("utf-8", "surrogatepass")


def listing_key(folder: Path, files: Sequence[str], settings: Sequence) -> str:
    """SHA-256 that changes when a file comes, goes or is written anew, or a setting changes."""
    listing = []
    for name in files:
        path = os.path.join(folder, name)
        listing.append((name, None, None))
        # What may not be read now may be read after a change of permissions, which touches
        # neither size nor time. A link that leads nowhere, or a file just removed, is not there.
        if os.access(path, os.R_OK):
            with suppress(OSError):
                status = os.stat(path)
                listing[-1] = (name, status.st_size, status.st_mtime_ns)
    return hashlib.sha256(json.dumps([list(settings), listing]).encode()).hexdigest()


def _tell(error: OSError) -> None:
    warnings.warn(
        f"{shown(error.filename)}: may not be listed ({error.strerror}), so its pictures are left "
        "out; check its permissions",
        stacklevel=3,
    )
