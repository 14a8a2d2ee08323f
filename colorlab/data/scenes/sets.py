"""Many scenes: rendered once, by several processes, and kept in the cache.

The model cards of released weights name scene sets by the hash of their bytes.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from colorlab.data import cache
from colorlab.data.cache import Pictures
from colorlab.data.scenes.layout import Thing
from colorlab.data.scenes.rendering import ab_fields, render
from colorlab.files import progress_bar

# Seeds of a split start here: splits share no seed as long as none is longer than the gap.
_FIRST_SEED = {"train": 0, "val": 100_000_000, "test": 200_000_000}
_LONGEST = 100_000_000
# Another number gives other scenes to another class: `.ci/student_repository.py --variant`.
VARIANT = 0
_WORTH_PROCESSES = 400  # below this many scenes, starting processes costs more than it saves
_CHUNK = 20  # scenes a task: short enough for a smooth progress bar
_NOT_DRAWING = ("__init__.py", "sets.py")


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
    """Return the n seeds of a split: consecutive from 0 (train), 10^8 (val), 2 10^8 (test).

    Each variant of the course begins 3 10^8 later.
    """
    if split not in _FIRST_SEED:
        raise ValueError(f"split must be one of {', '.join(_FIRST_SEED)}, got {split!r}")
    if not 1 <= n <= _LONGEST:
        raise ValueError(f"want 1 to {_LONGEST:,} scenes, got {n}")
    first = _FIRST_SEED[split] + VARIANT * len(_FIRST_SEED) * _LONGEST
    return range(first, first + n)


def scene_set(
    n: int, size: int = 128, split: str = "train", processes: int | None = None
) -> SceneSet:
    """Return n scenes of a split, rendered at the first call and then read from the cache.

    The pictures do not depend on the number of processes. The cache's key is a hash of the
    renderer's source, so changed code renders anew. The lessons use 3,600 train, 300 val and 512
    test scenes at 128.

    Args:
        n: number of scenes; a longer set begins with the same scenes.
        size: 32 to 512 pixels.
        split: "train", "val" or "test": no seed in common, see `split_seeds`.
        processes: None takes up to 8 cores for a large set, one for a small one.

    Raises:
        RuntimeError: not cached, in a worker process that still runs its parent's script.
    """
    seeds = split_seeds(n, split)
    if processes is None:
        processes = min(os.cpu_count() or 1, 8) if n >= _WORTH_PROCESSES else 1
    folder = cache.cache_dir() / "scenes"
    folder.mkdir(exist_ok=True)
    path = folder / f"{split}-{n}-{size}.pix"
    key = _code_version() + (f"-{VARIANT}" if VARIANT else "")
    notes: dict[str, list] = {"hours": [], "things": []}

    def images() -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        drawn = _drawn(seeds, size, processes)
        for seed, (rgb, regions, hour, things) in zip(seeds, drawn, strict=True):
            notes["hours"].append(hour)
            notes["things"].append(things)
            yield f"scene-{seed:09d}", rgb, regions

    stored = cache.read_or_build(path, key, images, size, n, notes)
    pictures = Pictures(stored.rgb, stored.names, stored.sha256, f"scenes:{split}")
    things = tuple(tuple(Thing(*pair) for pair in row) for row in stored.notes["things"])
    return SceneSet(pictures, stored.regions, things, tuple(stored.notes["hours"]), seeds)


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


def _drawn(
    seeds: range, size: int, processes: int
) -> Iterator[tuple[np.ndarray, np.ndarray, str, list]]:
    """For each seed its pixels, regions, hour and things.

    Where worker processes cannot start, this process renders, with a warning.
    """
    show = len(seeds) >= _WORTH_PROCESSES
    with progress_bar(total=len(seeds), desc="scenes", unit="scene", show=show) as bar:
        done = 0
        if processes > 1:
            tasks = [seeds[start : start + _CHUNK] for start in range(0, len(seeds), _CHUNK)]
            try:
                # Spawn is the one start method that works everywhere, also beside torch's threads.
                with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
                    for scenes in pool.map(_render_some, tasks, repeat(size)):
                        yield from scenes
                        done += len(scenes)
                        bar.update(len(scenes))
            except BrokenProcessPool:
                warnings.warn(
                    "worker processes could not start (a script needs "
                    "`if __name__ == '__main__':` around its work); rendering in this one",
                    RuntimeWarning,
                    stacklevel=2,
                )
        for seed in seeds[done:]:
            yield from _render_some([seed], size)
            bar.update()


def _render_some(seeds: Iterable[int], size: int) -> list[tuple[np.ndarray, np.ndarray, str, list]]:
    """Render some scenes (runs in a worker process)."""
    scenes = (render(seed, size) for seed in seeds)
    return [(s.rgb, s.regions, s.hour, [(t.kind, t.choice) for t in s.things]) for s in scenes]
