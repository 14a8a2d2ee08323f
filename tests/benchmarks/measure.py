"""How long pieces of work take beside one another, and how much memory one takes."""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Callable, Sequence

import pytest
from memory import forget_peak, peak

Work = Callable[[], object]


def in_turns(
    *works: Work, rounds: int, of: Callable[[Sequence[float]], float] = statistics.median
) -> list[float]:
    """Seconds of each, the median unless told; in turns, so that a disturbance disturbs all."""
    taken: list[list[float]] = [[] for _ in works]
    for turn in range(rounds + 1):
        for work, seconds in zip(works, taken, strict=True):
            start = time.perf_counter()
            work()
            if turn:  # in the first, kernels are built and caches filled
                seconds.append(time.perf_counter() - start)
    return [of(seconds) for seconds in taken]


def megabytes(build: Callable[..., Work], *args: object) -> int | None:
    """What ``build(*args)()`` adds to what the process held when it was built; None off Linux.

    A fresh process, since one that has worked before keeps memory for later; where it can be, a
    fork of one that has imported all and done nothing. ``build`` stands at the top of a module.
    """
    forks = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if forks else "spawn")
    if forks:
        context.set_forkserver_preload([build.__module__])
    with context.Pool(1) as pool:
        return pool.apply(_added, (build, args))


def _added(build: Callable[..., Work], args: tuple) -> int | None:
    work = build(*args)
    try:
        forget_peak()
    except pytest.skip.Exception:
        return None
    before = peak()
    work()
    return round((peak() - before) / 2**20)
