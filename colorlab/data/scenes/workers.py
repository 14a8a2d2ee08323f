"""Render the scenes of a set into its files, by several processes or by this one."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import current_process, get_context
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from colorlab.data.scenes.rendering import render
from colorlab.progress import progress_bar

WORTH_PROCESSES = 400  # below this many scenes, starting processes costs more than it saves
_CHUNK = 50  # scenes a task: short enough for a smooth progress bar


def refuse_while_starting() -> None:
    """Raise RuntimeError in a worker process that still runs its parent's script.

    There to render, or to wait for a set that is being rendered, would be to wait for itself.
    """
    if getattr(current_process(), "_inheriting", False):  # as multiprocessing itself asks
        raise RuntimeError("a script that renders scenes needs `if __name__ == '__main__':`")


def _render_into(folder: str, first: int, start: int, stop: int) -> int:
    """Render scenes start..stop into the arrays of a folder (runs in a worker process)."""
    rgb = np.load(Path(folder) / "rgb.npy", mmap_mode="r+")
    regions = np.load(Path(folder) / "regions.npy", mmap_mode="r+")
    for i in range(start, stop):
        scene = render(first + i, rgb.shape[1])
        rgb[i], regions[i] = scene.rgb, scene.regions
    return stop - start


def render_all(folder: Path, seeds: range, known: int, processes: int) -> None:
    """Render all scenes of a folder but the first `known`, which are there.

    Args:
        folder: holds rgb.npy (N, S, S, 3) and regions.npy (N, S, S), uint8.
        seeds: the N seeds, consecutive.
        known: number of scenes to leave out.
        processes: 1 for this one. Where workers cannot start, this one does it, with a warning.
    """
    tasks = [
        (str(folder), seeds.start, start, min(start + _CHUNK, len(seeds)))
        for start in range(known, len(seeds), _CHUNK)
    ]
    missing = len(seeds) - known
    show = missing >= WORTH_PROCESSES
    bar = progress_bar(total=missing, desc="scenes", unit="scene", show=show)
    with bar:
        if processes > 1:
            # Spawn is the one start method that works everywhere, also beside torch's threads.
            context = get_context("spawn")
            try:
                with ProcessPoolExecutor(processes, mp_context=context) as pool:
                    _collect(pool, tasks, bar)
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


def _collect(pool: Executor, tasks: Sequence[tuple], bar: tqdm) -> None:
    for done in pool.map(_render_into, *zip(*tasks, strict=True)):
        bar.update(done)
