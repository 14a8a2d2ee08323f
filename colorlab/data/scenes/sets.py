"""Many scenes: rendered once, by several processes, cached on disk, verified when opened."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import current_process, get_context
from pathlib import Path

import numpy as np

from colorlab.data import cache
from colorlab.data.pictures import Pictures
from colorlab.data.scenes.layout import Thing, draw_layout
from colorlab.data.scenes.rendering import ab_fields, render
from colorlab.files import progress_bar

# Seeds of a split start here: splits share no seed as long as none is longer than the gap.
_FIRST_SEED = {"train": 0, "val": 100_000_000, "test": 200_000_000}
_LONGEST = 100_000_000
_WORTH_PROCESSES = 400  # below this many scenes, starting processes costs more than it saves
_CHUNK = 50  # scenes a task: short enough for a smooth progress bar
_NOT_DRAWING = ("__init__.py", "sets.py", "scores.py")
_verified: set[Path] = set()


@dataclass(frozen=True)
class SceneSet:
    """Rendered scenes of one split.

    Attributes:
        pictures: the (N, S, S, 3) pictures, memory-mapped.
        regions: (N, S, S) uint8, index into each scene's `things`, memory-mapped.
        things: for each scene, its things with the colours sampled.
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
        """Return the exact best ab (N, 2, S, S) under a loss; see `rendering.optimal`."""
        chosen = range(len(self)) if indices is None else indices
        size = self.pictures.size
        return np.stack([ab_fields(self.seeds[i], size, (loss,))[0] for i in chosen])


def split_seeds(n: int, split: str) -> range:
    """Return the n seeds of a split: consecutive from 0 (train), 10^8 (val), 2 10^8 (test)."""
    if split not in _FIRST_SEED:
        raise ValueError(f"split must be one of {', '.join(_FIRST_SEED)}, got {split!r}")
    if not 1 <= n <= _LONGEST:
        raise ValueError(f"want 1 to {_LONGEST:,} scenes, got {n}")
    return range(_FIRST_SEED[split], _FIRST_SEED[split] + n)


def scene_set(
    n: int, size: int = 128, split: str = "train", processes: int | None = None
) -> SceneSet:
    """Return n scenes of a split, rendered at the first call and then read from the cache.

    The pictures do not depend on the number of processes. The cache is
    `cache.cache_dir() / "scenes"`; its key holds a hash of the renderer's source, so changed
    code renders anew. Scenes that are in a cached set of another length are copied from it. The
    lessons use 3,600 or 9,600 train, 300 val and 512 test scenes at 128.

    Args:
        n: number of scenes; a longer set begins with the same scenes.
        size: 32 to 512 pixels.
        split: "train", "val" or "test": no seed in common, see `split_seeds`.
        processes: None takes up to 8 cores for a large set, one for a small one.

    Raises:
        RuntimeError: not cached, in a worker process that still runs its parent's script.
    """
    seeds = split_seeds(n, split)
    folder = cache.cache_dir() / "scenes" / f"{split}-{n}-{size}-{_code_version()}"
    scenes = _open(folder, seeds)
    if scenes is not None:
        return scenes
    # A starting worker that renders here, or waits for the set, would wait for itself.
    if getattr(current_process(), "_inheriting", False):  # as multiprocessing itself asks
        raise RuntimeError("a script that renders scenes needs `if __name__ == '__main__':`")
    if processes is None:
        processes = min(os.cpu_count() or 1, 8) if n >= _WORTH_PROCESSES else 1
    folder.parent.mkdir(parents=True, exist_ok=True)
    with cache.alone(folder):
        scenes = _open(folder, seeds)  # after a wait, another process has finished it
        if scenes is None:
            _create(folder, seeds, size, processes)
            scenes = _open(folder, seeds)
    if scenes is None:
        raise OSError(f"{folder} was damaged while it was read: run again")
    return scenes


def _code_version() -> str:
    """Hash of the renderer's source: cached pictures of other code are not reused.

    Every file of this folder counts unless it is known not to draw: a file that is added later
    changes the hash, while a list of the files that draw would silently miss it.
    """
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        if source.name not in _NOT_DRAWING:
            digest.update(source.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()[:12]


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
                if cache.hash_pixels(array) != card[key]:
                    raise ValueError(f"{key} differs")
            _verified.add(folder)
    except (OSError, ValueError, KeyError) as error:
        warnings.warn(f"rendering anew: damaged scenes in {folder} ({error})", stacklevel=3)
        return None
    names = tuple(f"scene-{seed:09d}" for seed in seeds)
    sha256 = cache.identity(names, rgb.shape, card["pixels_sha256"])
    pictures = Pictures(rgb, names, sha256, f"scenes:{folder.name.split('-')[0]}")
    things = tuple(tuple(Thing(*pair) for pair in row) for row in card["things"])
    return SceneSet(pictures, regions, things, tuple(card["hours"]), seeds)


def _create(folder: Path, seeds: range, size: int, processes: int) -> None:
    """Render into a temporary folder, then rename: readers see all of it or nothing."""
    for other in folder.parent.glob(f"{folder.name.rsplit('-', 1)[0]}-*"):
        shutil.rmtree(other, ignore_errors=True)  # damaged, or drawn by other code
    for part in folder.parent.glob("part-*"):
        if time.time() - part.stat().st_mtime > cache.STALE_SECONDS:  # left by a killed run
            shutil.rmtree(part, ignore_errors=True)
    part = Path(tempfile.mkdtemp(prefix="part-", dir=folder.parent))
    try:
        for name, shape in (("rgb", (size, size, 3)), ("regions", (size, size))):
            np.lib.format.open_memmap(
                part / f"{name}.npy", mode="w+", dtype=np.uint8, shape=(len(seeds), *shape)
            )
        _render_all(part, seeds, _copy_known(folder, part, seeds), processes)
        layouts = [draw_layout(seed) for seed in seeds]
        card = {
            "pixels_sha256": cache.hash_pixels(np.load(part / "rgb.npy", mmap_mode="r")),
            "regions_sha256": cache.hash_pixels(np.load(part / "regions.npy", mmap_mode="r")),
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


def _render_all(folder: Path, seeds: range, known: int, processes: int) -> None:
    """Render all scenes of a folder but the first `known`, which are there.

    Where worker processes cannot start, this process renders, with a warning.
    """
    tasks = [
        (str(folder), seeds.start, start, min(start + _CHUNK, len(seeds)))
        for start in range(known, len(seeds), _CHUNK)
    ]
    missing = len(seeds) - known
    show = missing >= _WORTH_PROCESSES
    with progress_bar(total=missing, desc="scenes", unit="scene", show=show) as bar:
        if processes > 1:
            # Spawn is the one start method that works everywhere, also beside torch's threads.
            context = get_context("spawn")
            try:
                with ProcessPoolExecutor(processes, mp_context=context) as pool:
                    for done in pool.map(_render_into, *zip(*tasks, strict=True)):
                        bar.update(done)
                return
            except BrokenProcessPool:
                warnings.warn(
                    "worker processes could not start (a script needs "
                    "`if __name__ == '__main__':` around its work); rendering in this one",
                    RuntimeWarning,
                    stacklevel=2,
                )
                bar.reset()
        for task in tasks:
            bar.update(_render_into(*task))


def _render_into(folder: str, first: int, start: int, stop: int) -> int:
    """Render scenes start..stop into the arrays of a folder (runs in a worker process)."""
    rgb = np.load(Path(folder) / "rgb.npy", mmap_mode="r+")
    regions = np.load(Path(folder) / "regions.npy", mmap_mode="r+")
    for i in range(start, stop):
        scene = render(first + i, rgb.shape[1])
        rgb[i], regions[i] = scene.rgb, scene.regions
    return stop - start
