"""Many scenes: rendered once and kept in the cache.

The model cards of released weights name scene sets by the hash of their bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
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
_WORTH_SHOWING = 400  # scenes, from which on a bar tells the progress
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


def scene_set(n: int, size: int = 128, split: str = "train") -> SceneSet:
    """Return n scenes of a split, rendered at the first call and then read from the cache.

    The cache's key is a hash of the renderer's source, so changed code renders anew. The lessons
    use 3,600 train, 300 val and 512 test scenes at 128; a core renders about 200 of them a second.

    Args:
        n: number of scenes; a longer set begins with the same scenes.
        size: 32 to 512 pixels.
        split: "train", "val" or "test": no seed in common, see `split_seeds`.
    """
    seeds = split_seeds(n, split)
    folder = cache.cache_dir() / "scenes"
    folder.mkdir(exist_ok=True)
    path = folder / f"{split}-{n}-{size}.pix"
    key = _code_version() + (f"-{VARIANT}" if VARIANT else "")
    notes: dict[str, list] = {"hours": [], "things": []}

    def images() -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        for seed in progress_bar(seeds, desc="scenes", unit="scene", show=n >= _WORTH_SHOWING):
            scene = render(seed, size)
            notes["hours"].append(scene.hour)
            notes["things"].append([(thing.kind, thing.choice) for thing in scene.things])
            yield f"scene-{seed:09d}", scene.rgb, scene.regions

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
