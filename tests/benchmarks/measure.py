"""How long pieces of work take beside one another."""

import statistics
import time
from collections.abc import Callable, Sequence


def in_turns(
    *works: Callable[[], object],
    rounds: int,
    of: Callable[[Sequence[float]], float] = statistics.median,
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
