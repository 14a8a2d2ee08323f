"""Photographs: a folder of images, or the few that scikit-image carries.

A folder is read once: each image becomes a `size` x `size` sRGB square in a memory map (see
`cache`), and the next call opens that map in milliseconds. Gray images teach a colorizer that gray
is right, and toned ones that everything is brown, so they are left out, and so is what cannot be
read. `open_folder` reports all of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from colorlab.color import from_uint8, rgb_to_lab
from colorlab.data import cache
from colorlab.data.cache import Pictures
from colorlab.data.reading import (
    TooSmallError,
    UnreadableImageError,
    in_threads,
    mean_chroma,
    read_rgb,
    square,
)
from colorlab.files import progress_bar, shown

SIZE = 256

GRAY_CHROMA = 2.0
"""An image of a folder with less mean chroma than this counts as gray, perhaps with JPEG noise."""

TONED_SCATTER = 1.5
"""An image of one hue whose *ab* differs by less than this, CIE units, where L is the same, is a
toned gray image (sepia, a duotone), perhaps with JPEG noise. None of the 4,282 photographs of the
released sets is one by this rule."""

FORMAT = 1
"""Raise it when the same files must give other pixels: old caches are then rebuilt."""

SPLITS = ("train", "val", "test")

SPELLINGS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""Names of a split's folder, in capitals or not; a year may follow, as in COCO's train2017."""

WRITTEN = frozenset(
    ".jpg .jpeg .jfif .jp2 .png .avif .webp .bmp .gif .tif .tiff .ppm .pgm".split()  # noqa: SIM905
)
SUFFIXES = WRITTEN | {".heic", ".heif", ".hif"}
"""Of files that count as pictures; those of HEIC need the package pillow-heif, and are not written
by `colorlab colorize`."""

SKIMAGE_PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")
"""The colour photographs of objects and people inside the scikit-image wheel."""


Notes = dict[str, Any]
"""What became of the files of a folder: how many are ``used``, how many of them ``enlarged``, at
most twice; and the names left out as ``gray`` (mean Lab chroma under `GRAY_CHROMA`), ``toned`` (see
`is_toned`), ``unreadable`` or ``small`` (short side under half of the size)."""


def summary(notes: Notes) -> str:
    """Notes in words: what is not simply used, the first five names of a kind."""
    parts = [f"{notes['used']} pictures"]
    if notes["enlarged"]:
        parts.append(f"{notes['enlarged']} of them enlarged")
    if notes["gray"]:
        parts.append(f"{len(notes['gray'])} gray ones skipped")
    for kind, what in {
        "toned": "of one hue",
        "unreadable": "unreadable",
        "small": "too small",
    }.items():
        if names := notes[kind]:
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            some = ", ".join(map(shown, names[:5]))
            parts.append(f"{len(names)} {what} skipped: {some}{more}")
    return "; ".join(parts)


def find_photos() -> Path | None:
    """The folder of photographs: `COLORLAB_PHOTOS`, else `data/photos` of a checkout, else None."""
    named = os.environ.get("COLORLAB_PHOTOS")
    if named:
        folder = Path(named).expanduser()
        if not folder.is_dir():
            raise FileNotFoundError(
                f"COLORLAB_PHOTOS names {shown(named)}, which is no folder; correct or unset it"
            )
        return folder
    data = cache.checkout_data()
    if data is not None and (data / "photos" / "train").is_dir():
        return data / "photos"
    return None


def require_photos() -> Path:
    """`find_photos`, or a FileNotFoundError that says how to get some."""
    folder = find_photos()
    if folder is None:
        raise FileNotFoundError(
            "no photographs found: set COLORLAB_PHOTOS to a folder with train, val and test "
            "below it, or run `colorlab download`"
        )
    return folder


def load_folder(
    root: str | os.PathLike, split: str, size: int = SIZE, colourless: bool = False
) -> Pictures:
    """Images of a folder; what was skipped is reported in one warning. See `open_folder`."""
    pictures, notes = open_folder(root, split, size, colourless)
    if any(map(notes.get, ("gray", "toned", "unreadable", "small"))):
        warnings.warn(f"{shown(Path(root) / split)}: {summary(notes)}", stacklevel=2)
    return pictures


def open_folder(
    root: str | os.PathLike, split: str, size: int = SIZE, colourless: bool = False
) -> tuple[Pictures, Notes]:
    """Images of a folder, and notes on what was skipped.

    Args:
        root: a folder with `train`, `val` and `test` below it, under any name of `SPELLINGS`, each
            searched in depth; or any folder of images, which `hash_split` then divides 80/10/10.
        split: "train", "val", "test", or "all" for everything below `root`.
        size: side in pixels. The centre square is resized; an image of this size is left untouched.
        colourless: keep gray and toned images too, see `without_colours`.

    Raises:
        FileNotFoundError: no such folder, no such split, or no usable image in it.
        ValueError: an unknown split, two folders for one split, or a size below 8.
        OSError: the disk is full or the cache folder cannot be written.
    """
    if split not in (*SPLITS, "all"):
        raise ValueError(f"split {split!r} is unknown; choose train, val, test or all")
    if size < 8:
        raise ValueError(f"size {size} is too small; choose 8 pixels or more")
    root = Path(root)
    folder, files = list_files(root, split)
    key = listing_key(folder, files, (FORMAT, size, GRAY_CHROMA, TONED_SCATTER))
    asked = f"{folder.resolve()}|{split}|{size}{'|colourless' * colourless}"
    place = hashlib.sha256(encoded(asked)).hexdigest()[:12]
    # The hash tells folders apart; the name is for people, short and harmless as a file name.
    called = re.sub(r"[^\w.-]", "_", root.resolve().name)[:40]
    path = cache.cache_dir() / f"{called}-{split}-{size}-{place}.pix"

    notes: Notes = {
        "used": 0,
        "enlarged": 0,
        "gray": [],
        "toned": [],
        "unreadable": [],
        "small": [],
    }

    def images() -> Iterator[tuple[str, np.ndarray]]:
        return _usable(folder, files, size, notes, colourless)

    try:
        with warnings.catch_warnings():
            # PIL warns of damage without naming the file; the report names it.
            warnings.filterwarnings("ignore", module=r"PIL\b")
            stored = cache.read_or_build(path, key, images, size, len(files), notes)
    except cache.NoPicturesError as error:
        raise FileNotFoundError(
            f"{shown(folder)}: no usable picture for split {split!r} ({summary(notes)})"
        ) from error
    pictures = Pictures(stored.rgb, stored.names, stored.sha256, source=f"photos:{split}")
    return pictures, stored.notes


def _usable(
    folder: Path, files: list[str], size: int, notes: Notes, colourless: bool
) -> Iterator[tuple[str, np.ndarray]]:
    """Names and squares of the usable images; counts them, and what is left out, in `notes`."""

    def decode(name: str) -> tuple[str, str | bool, np.ndarray | None]:
        try:
            whole = read_rgb(folder / name)
            rgb = square(whole, size, name)
        except (UnreadableImageError, FileNotFoundError, PermissionError):
            return name, "unreadable", None
        except TooSmallError:
            return name, "small", None
        if not colourless and (why := without_colours(rgb)):
            return name, why, None
        return name, min(whole.shape[:2]) < size, rgb

    show = len(files) >= 100
    bar = progress_bar(
        files, desc=f"decoding {shown(folder.resolve().name)}", unit="picture", show=show
    )
    with bar:
        for name, verdict, rgb in in_threads(decode, files):
            bar.update()
            if rgb is None:
                notes[verdict].append(name)
            else:
                notes["used"] += 1
                notes["enlarged"] += verdict
                yield name, rgb


def without_colours(rgb: np.ndarray) -> str:
    """``"gray"`` or ``"toned"`` for an image (S, S, 3) uint8 that is so, ``""`` for another."""
    if mean_chroma(rgb) < GRAY_CHROMA:
        return "gray"
    return "toned" if is_toned(rgb) else ""


def is_toned(rgb: np.ndarray) -> bool:
    """Whether an image (S, S, 3) uint8 is a gray one in one hue: sepia, a cyanotype, a duotone.

    Its colours lie on one side of gray along one direction of the *ab* plane, and L decides them:
    a photograph of one hue (a dune, a dandelion) has several colours of each L.
    """
    small = np.array(Image.fromarray(rgb).reduce(max(1, len(rgb) // 32)))  # against JPEG noise
    with torch.no_grad():
        lab = rgb_to_lab(from_uint8(small[None]))[0].flatten(1).double().numpy()  # (3, pixels)
    level, ab = (lab[0] / 2).astype(int), lab[1:]
    (across, along), directions = np.linalg.eigh(ab @ ab.T)
    side = directions[:, 1] @ ab > 0
    if across > 0.25**2 * along or not max(side.mean(), 1 - side.mean()) > 0.95:
        return False
    count = np.maximum(np.bincount(level), 1)
    mean = np.stack([np.bincount(level, values) / count for values in ab])
    return bool((((ab - mean[:, level]) ** 2).sum(axis=0)).mean() < TONED_SCATTER**2)


def is_picture_name(name: str) -> bool:
    """Whether a file of this name counts as an image; hidden ones (".a.jpg") do not."""
    return os.path.splitext(name)[1].lower() in SUFFIXES and not name.startswith(".")


def list_files(root: Path, split: str) -> tuple[Path, list[str]]:
    """Folder to read and the sorted names of the images in it, relative, with forward slashes.

    Links to files are listed; links to folders are not followed, since they may form a circle. A
    subfolder that may not be read is reported in a warning.
    """

    def tell(error: OSError) -> None:
        warnings.warn(
            f"{shown(error.filename)}: may not be listed ({error.strerror}), so its pictures are "
            "left out; check its permissions",
            stacklevel=3,
        )

    if not root.is_dir():
        raise FileNotFoundError(f"{shown(root)}: no such folder; name one that holds pictures")
    splits = {} if split == "all" else split_folders(root)
    if splits:
        if split not in splits:
            raise FileNotFoundError(
                f"{shown(root)} has no folder {split!r}, only {', '.join(splits.values())}; "
                "make it or choose another split"
            )
        folder, keep = root / splits[split], None
    else:
        folder, keep = root, None if split == "all" else split
    names = []
    for at, below, files in os.walk(folder, onerror=tell):
        below[:] = sorted(name for name in below if not name.startswith("."))
        inside = os.path.relpath(at, folder).replace(os.sep, "/")
        prefix = "" if inside == "." else f"{inside}/"
        names += [prefix + file for file in files if is_picture_name(file)]
    names = sorted(name for name in names if keep is None or hash_split(name) == keep)
    if not names:
        raise FileNotFoundError(f"{shown(folder)}: no picture for split {split!r}; add some")
    return folder, names


def split_folders(root: Path) -> dict[str, str]:
    """The subfolders of `root` that are a split: train, val or test -> the folder's name.

    Raises:
        ValueError: two folders for one split. Which of them is meant, nobody can know, and to take
            both might train on pictures that are kept for testing.
    """
    found: dict[str, str] = {}
    for name in sorted(os.listdir(root)):
        split = SPELLINGS.get(re.sub(r"[-_ ]?(19|20)\d\d$", "", name).lower())
        if split is None or not (root / name).is_dir():
            continue
        if split in found:
            raise ValueError(
                f"{shown(root)} has two folders for the split {split!r}, {shown(found[split])} and "
                f"{shown(name)}; rename or move one of them"
            )
        found[split] = name
    return found


def hashed_share(root: Path, split: str) -> tuple[int, int] | None:
    """How many pictures of `root` their names put into `split`, and of how many.

    None where nothing is divided by names: for the split "all", and where splits have folders.
    """
    if split == "all" or split_folders(root):
        return None
    return len(list_files(root, split)[1]), len(list_files(root, "all")[1])


def hash_split(name: str) -> str:
    """Split of a file in a folder without subfolders, fixed by its name alone.

    The first 32 bits of SHA-256 of the name, as a fraction: below 0.8 train, below 0.9 val, else
    test. So a file never changes its split when others come or go. (Copies under other names may
    fall into different splits: `colorlab.data.coco` finds such copies, this does not.)
    """
    fraction = int(hashlib.sha256(encoded(name)).hexdigest()[:8], 16) / 2**32
    return "train" if fraction < 0.8 else "val" if fraction < 0.9 else "test"


def encoded(name: str) -> bytes:
    """A file name in UTF-8; bytes that are not text are encoded as Python's string holds them."""
    return name.encode("utf-8", "surrogatepass")


def listing_key(folder: Path, files: Sequence[str], settings: Sequence) -> str:
    """SHA-256 that changes when a file comes, goes or is written anew, or a setting changes."""
    listing = []
    for name in files:
        path = os.path.join(folder, name)
        listing.append((name, None, None))
        # A change of permissions makes a file readable and changes neither its size nor its time.
        # A link that leads nowhere, or a file just removed, has none.
        if os.access(path, os.R_OK):
            with suppress(OSError):
                status = os.stat(path)
                listing[-1] = (name, status.st_size, status.st_mtime_ns)
    return hashlib.sha256(json.dumps([list(settings), listing]).encode()).hexdigest()


def skimage_photos(size: int = SIZE) -> Pictures:
    """The five colour photographs inside the scikit-image wheel: no network, always at hand.

    Returns:
        Their centre squares, (5, size, size, 3).

    Raises:
        TooSmallError: `size` is more than twice the shortest side (300 pixels).
    """
    import skimage.data

    # Opened as files: `skimage.data.astronaut()` and its sisters may ask the network.
    folder = Path(skimage.data.__file__).parent
    squares = [square(read_rgb(folder / name), size, name) for name in SKIMAGE_PHOTOS]
    rgb = np.stack(squares)
    names = tuple(Path(name).stem for name in SKIMAGE_PHOTOS)
    return Pictures(rgb, names, cache.fingerprint(rgb, names), source="skimage")
