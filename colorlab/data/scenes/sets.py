"""Many scenes: rendered once, cached on disk, verified when opened."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from colorlab.data import store
from colorlab.data.pictures import Pictures
from colorlab.data.scenes.layout import Thing
from colorlab.data.scenes.places import draw_layout
from colorlab.data.scenes.rendering import ab_fields
from colorlab.data.scenes.workers import WORTH_PROCESSES, refuse_while_starting, render_all

# Seeds of a split start here: splits share no seed as long as none is longer than the gap.
_FIRST_SEED = {"train": 0, "val": 100_000_000, "test": 200_000_000}
_LONGEST = 100_000_000
_STALE_SECONDS = 24 * 3600  # a part folder untouched for a day belongs to a killed run
_verified: set[Path] = set()
_SOURCES = ("palettes", "layout", "places", "canvas", "land", "objects", "home", "rendering")


@dataclass(frozen=True)
class SceneSet:
    """Rendered scenes of one split.

    Attributes:
        pictures: the (N, S, S, 3) pictures, memory-mapped.
        regions: (N, S, S) uint8, index into each scene's `things`, memory-mapped.
        things: for each scene, its things with the colours drawn.
        hours: for each scene, its hour.
        seeds: for each scene, its seed: `render(seeds[i], size)` is picture i.
    """

    pictures: Pictures
    regions: np.ndarray
    things: tuple[tuple[Thing, ...], ...]
    hours: tuple[str, ...]
    seeds: range

    def __len__(self) -> int:
        return len(self.seeds)

    @property
    def kinds(self) -> tuple[tuple[str, ...], ...]:
        """For each scene, the kind that each region index stands for."""
        return tuple(tuple(thing.kind for thing in things) for things in self.things)

    def optimal(self, loss: str = "l2", indices: Iterable[int] | None = None) -> np.ndarray:
        """Return the exact best ab (N, 2, S, S) under a loss; see `render.optimal`."""
        chosen = range(len(self)) if indices is None else indices
        size = self.pictures.size
        return np.stack([ab_fields(self.seeds[i], size, (loss,))[0] for i in chosen])


def split_seeds(n: int, split: str) -> range:
    """Return the n seeds of a split: consecutive from 0 (train), 10^8 (val), 2 10^8 (test).

    Raises:
        ValueError: for an unknown split or n out of range.
    """
    if split not in _FIRST_SEED:
        raise ValueError(f"split must be one of {', '.join(_FIRST_SEED)}, got {split!r}")
    if not 1 <= n <= _LONGEST:
        raise ValueError(f"want 1 to {_LONGEST:,} scenes, got {n}")
    return range(_FIRST_SEED[split], _FIRST_SEED[split] + n)


def _code_version() -> str:
    """Hash of the renderer's source: cached pictures of other code are not reused."""
    digest = hashlib.sha256()
    for name in _SOURCES:
        source = Path(__file__).with_name(f"{name}.py").read_bytes()
        digest.update(source.replace(b"\r\n", b"\n"))
    return digest.hexdigest()[:12]


def _copy_known(folder: Path, part: Path, seeds: range) -> int:
    """Copy from the cached set that shares the most scenes; return how many those are."""
    split, _, size, version = folder.name.split("-")
    sets = folder.parent.glob(f"{split}-*-{size}-{version}")
    lengths = (int(other.name.split("-")[1]) for other in sets)
    # Of those that share as many, the shortest: to open one is to hash it.
    for n in sorted(lengths, key=lambda n: (-min(n, len(seeds)), n)):
        longest = range(seeds.start, seeds.start + n)
        known = _open(folder.with_name(f"{split}-{n}-{size}-{version}"), longest)
        if known is None:  # damaged: perhaps another one is whole
            continue
        shared = min(n, len(seeds))
        for name, array in (("rgb", known.pictures.rgb), ("regions", known.regions)):
            np.load(part / f"{name}.npy", mmap_mode="r+")[:shared] = array[:shared]
        return shared
    return 0


def _create(folder: Path, seeds: range, size: int, processes: int) -> None:
    """Render into a temporary folder, then rename: readers see all of it or nothing."""
    part = Path(tempfile.mkdtemp(prefix="part-", dir=folder.parent))
    try:
        for name, shape in (("rgb", (size, size, 3)), ("regions", (size, size))):
            array = np.lib.format.open_memmap(
                part / f"{name}.npy", mode="w+", dtype=np.uint8, shape=(len(seeds), *shape)
            )
            del array  # closes the map
        render_all(part, seeds, _copy_known(folder, part, seeds), processes)
        layouts = [draw_layout(seed) for seed in seeds]
        card = {
            "pixels_sha256": store.hash_pixels(np.load(part / "rgb.npy", mmap_mode="r")),
            "regions_sha256": store.hash_pixels(np.load(part / "regions.npy", mmap_mode="r")),
            "hours": [layout.hour for layout in layouts],
            "things": [[(t.kind, t.choice) for t in layout.things] for layout in layouts],
        }
        (part / "card.json").write_text(json.dumps(card), encoding="utf-8")
        try:
            part.rename(folder)
        except OSError:
            # Another process may have finished the same set first: its bytes are the same.
            if not folder.exists():
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def scene_set(
    n: int, size: int = 128, split: str = "train", processes: int | None = None
) -> SceneSet:
    """Return n scenes of a split, rendered at the first call and then read from the cache.

    The pictures do not depend on the number of processes. The cache is
    `store.cache_dir() / "scenes"`; its key holds a hash of the renderer's source, so changed
    code renders anew. A set of other length lends the scenes that it shares. The lessons use
    3,600 or 9,600 train, 300 val and 512 test scenes at 128.

    Args:
        n: number of scenes; a longer set begins with the same scenes.
        size: 32 to 512 pixels.
        split: "train", "val" or "test": no seed in common, see `split_seeds`.
        processes: None takes up to 8 cores for a large set, one for a small one.

    Raises:
        ValueError: for an n, size or split out of range.
        RuntimeError: not cached, in a worker process that still runs its parent's script.
    """
    seeds = split_seeds(n, split)
    folder = store.cache_dir() / "scenes" / f"{split}-{n}-{size}-{_code_version()}"
    scenes = _open(folder, seeds)
    if scenes is None:
        refuse_while_starting()
        if processes is None:
            processes = min(os.cpu_count() or 1, 8) if n >= WORTH_PROCESSES else 1
        folder.parent.mkdir(parents=True, exist_ok=True)
        with store.alone(folder):  # who waited finds the set finished
            scenes = _open(folder, seeds)
            if scenes is None:
                _remove_old(folder)
                _create(folder, seeds, size, processes)
                scenes = _open(folder, seeds)
    if scenes is None:
        raise OSError(f"{folder} was damaged while it was read: run again")
    return scenes


def _open(folder: Path, seeds: range) -> SceneSet | None:
    """Open a cached set, or return None where it is absent or damaged.

    The bytes are hashed against the card once a process (about 1 GB/s).
    """
    if not folder.exists():
        return None
    try:
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        rgb = np.load(folder / "rgb.npy", mmap_mode="r")
        regions = np.load(folder / "regions.npy", mmap_mode="r")
        if folder not in _verified:
            for array, key in ((rgb, "pixels_sha256"), (regions, "regions_sha256")):
                if store.hash_pixels(array) != card[key]:
                    raise ValueError(f"{key} differs")
            _verified.add(folder)
    except (OSError, ValueError, KeyError) as error:
        warnings.warn(f"rendering anew: damaged scenes in {folder} ({error})", stacklevel=3)
        return None
    names = tuple(f"scene-{seed:09d}" for seed in seeds)
    sha256 = store.identity(names, rgb.shape, card["pixels_sha256"])
    source = f"scenes:{folder.name.split('-')[0]}"
    things = tuple(tuple(Thing(*pair) for pair in row) for row in card["things"])
    return SceneSet(
        Pictures(rgb, names, sha256, source), regions, things, tuple(card["hours"]), seeds
    )


def _remove_old(folder: Path) -> None:
    """Delete the same set where it is damaged or of other code, and what killed runs left."""
    for other in folder.parent.glob(f"{folder.name.rsplit('-', 1)[0]}-*"):
        shutil.rmtree(other, ignore_errors=True)
    for part in folder.parent.glob("part-*"):
        if time.time() - part.stat().st_mtime > _STALE_SECONDS:
            shutil.rmtree(part, ignore_errors=True)
