"""How much memory a piece of work takes, in a process of its own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable

import pytest
from memory import forget_peak, peak


def megabytes(build: Callable[..., Callable[[], object]], *args: object) -> int | None:
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


def _added(build: Callable[..., Callable[[], object]], args: tuple) -> int | None:
    work = build(*args)
    try:
        forget_peak()
    except pytest.skip.Exception:
        return None
    before = peak()
    work()
    return round((peak() - before) / 2**20)
