"""Photographs: a folder of pictures, or the few that scikit-image carries.

A folder is read once: each picture becomes a `size` x `size` sRGB square in a memory map (see
`store`), and the next call opens that map in milliseconds. Gray pictures teach a colorizer that
gray is right, so they are left out; so is what cannot be read. `open_folder` reports all of it.
"""

from __future__ import annotations

import hashlib
import os
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from colorlab.data import store
from colorlab.data.listing import SPLITS, encoded, list_files, listing_key
from colorlab.data.opening import shown
from colorlab.data.pictures import Pictures
from colorlab.data.reading import (
    TooSmallError,
    UnreadableImageError,
    in_threads,
    mean_chroma,
    read_rgb,
    square,
)
from colorlab.progress import progress_bar

SIZE = 256

GRAY_CHROMA = 2.0
"""A picture of a folder with less mean chroma than this is a gray one, perhaps with JPEG noise."""

FORMAT = 1
"""Raise it when the same files must give other pixels: old caches are then rebuilt."""

SKIMAGE_PHOTOS = (
    "astronaut.png",
    "chelsea.png",
    "coffee.png",
    "motorcycle_left.png",
    "rocket.jpg",
)
"""The colour photographs of things and people inside the scikit-image wheel."""


@dataclass(frozen=True)
class FolderReport:
    """What became of the files of a folder.

    Attributes:
        used: pictures taken.
        enlarged: how many of them were smaller than asked for (at most twice).
        gray: names left out since their mean Lab chroma is under `GRAY_CHROMA`.
        unreadable: names left out since they are cut short, damaged or no picture.
        small: names left out since their short side is under half of the size.
    """

    used: int = 0
    enlarged: int = 0
    gray: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    small: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [f"{self.used} pictures"]
        if self.enlarged:
            parts.append(f"{self.enlarged} of them enlarged")
        if self.gray:
            parts.append(f"{len(self.gray)} gray ones skipped")
        for what, names in (("unreadable", self.unreadable), ("too small", self.small)):
            if names:
                parts.append(f"{len(names)} {what} skipped: {_some(names)}")
        return "; ".join(parts)


def find_photos() -> Path | None:
    """The folder of photographs: `COLORLAB_PHOTOS`, else `data/photos` of a checkout, else None.

    Raises:
        FileNotFoundError: `COLORLAB_PHOTOS` names a folder that is not there.
    """
    named = os.environ.get("COLORLAB_PHOTOS")
    if named:
        folder = Path(named).expanduser()
        if not folder.is_dir():
            raise FileNotFoundError(
                f"COLORLAB_PHOTOS names {shown(named)}, which is no folder; correct or unset it"
            )
        return folder
    data = store.checkout_data()
    if data is not None and (data / "photos" / "train").is_dir():
        return data / "photos"
    return None


def require_photos() -> Path:
    """`find_photos`, or an error that says how to get some.

    Raises:
        FileNotFoundError: no photographs were found.
    """
    folder = find_photos()
    if folder is None:
        raise FileNotFoundError(
            "no photographs found: set COLORLAB_PHOTOS to a folder with train, val and test "
            "below it, or run `colorlab download`"
        )
    return folder


def load_folder(root: str | os.PathLike, split: str, size: int = SIZE) -> Pictures:
    """Pictures of a folder; what was skipped is told in one warning. See `open_folder`."""
    pictures, report = open_folder(root, split, size)
    if report.gray or report.unreadable or report.small:
        warnings.warn(f"{shown(Path(root) / split)}: {report}", stacklevel=2)
    return pictures


def open_folder(
    root: str | os.PathLike, split: str, size: int = SIZE
) -> tuple[Pictures, FolderReport]:
    """Pictures of a folder and a report on what was skipped.

    Args:
        root: a folder with `train`, `val` and `test` below it, each searched in depth; or any
            folder of pictures, which `listing.hash_split` then divides 80/10/10.
        split: "train", "val", "test", or "all" for everything below `root`.
        size: side in pixels; the centre square is resized, one of this size is left untouched.

    Raises:
        FileNotFoundError: no such folder, no such split, or no usable picture in it.
        ValueError: the split or the size is not one.
        OSError: the disk is full or the cache folder cannot be written.
    """
    if split not in (*SPLITS, "all"):
        raise ValueError(f"split {split!r} is unknown; choose train, val, test or all")
    if size < 8:
        raise ValueError(f"size {size} is too small; choose 8 pixels or more")
    root = Path(root)
    folder, files = list_files(root, split)
    key = listing_key(folder, files, (FORMAT, size, GRAY_CHROMA))
    place = hashlib.sha256(encoded(f"{folder.resolve()}|{split}|{size}")).hexdigest()[:12]
    # The hash tells folders apart; the name is for people, short and harmless as a file name.
    called = re.sub(r"[^\w.-]", "_", root.resolve().name)[:40]
    path = store.cache_dir() / f"{called}-{split}-{size}-{place}.pix"

    def build() -> None:
        tally = _Tally()
        decoded = tally.sift(_decode(folder, files, size))
        try:
            with warnings.catch_warnings():
                # PIL warns of damage without naming the file; the report names it.
                warnings.filterwarnings("ignore", module=r"PIL\b")
                store.write(
                    path, key, decoded, size, len(files), notes=lambda: asdict(tally.report())
                )
        except store.NoPicturesError as error:
            raise FileNotFoundError(
                f"{shown(folder)}: no usable picture for split {split!r} ({tally.report()})"
            ) from error

    stored = store.read_or_build(path, key, build)
    notes = {k: tuple(v) if isinstance(v, list) else v for k, v in stored.notes.items()}
    pictures = Pictures(stored.rgb, stored.names, stored.sha256, source=f"photos:{split}")
    return pictures, FolderReport(**notes)


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
    return Pictures(rgb, names, store.fingerprint(rgb, names), source="skimage")


@dataclass
class _Decoded:
    name: str
    rgb: np.ndarray | None
    fault: str = ""  # "", "gray", "unreadable" or "small"
    enlarged: bool = False


@dataclass
class _Tally:
    """Passes good pictures on and remembers what it held back."""

    used: int = 0
    enlarged: int = 0
    faults: dict[str, list[str]] = field(
        default_factory=lambda: {"gray": [], "unreadable": [], "small": []}
    )

    def sift(self, decoded: Iterable[_Decoded]) -> Iterator[tuple[str, np.ndarray]]:
        for picture in decoded:
            if picture.fault:
                self.faults[picture.fault].append(picture.name)
                continue
            self.used += 1
            self.enlarged += picture.enlarged
            yield picture.name, picture.rgb

    def report(self) -> FolderReport:
        faults = {fault: tuple(names) for fault, names in self.faults.items()}
        return FolderReport(self.used, self.enlarged, **faults)


def _decode(folder: Path, files: list[str], size: int) -> Iterator[_Decoded]:
    def decode(name: str) -> _Decoded:
        try:
            whole = read_rgb(folder / name)
            rgb = square(whole, size, name)
        except (UnreadableImageError, FileNotFoundError, PermissionError):
            return _Decoded(name, None, "unreadable")
        except TooSmallError:
            return _Decoded(name, None, "small")
        if mean_chroma(rgb) < GRAY_CHROMA:
            return _Decoded(name, None, "gray")
        return _Decoded(name, rgb, enlarged=min(whole.shape[:2]) < size)

    show = len(files) >= 100
    bar = progress_bar(files, desc=f"decoding {shown(folder.name)}", unit="picture", show=show)
    for picture in in_threads(decode, files):
        bar.update()
        yield picture
    bar.close()


def _some(names: tuple[str, ...], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(shown, names[:most])) + more
