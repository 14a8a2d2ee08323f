"""Which row leads a column, and which rows tie with it.

Two overlapping bars say little: some pictures are hard for every model. So a tie is read off the
paired difference on the same pictures: its 95 % interval holds 0. Rows that see the truth
(oracles, the drawn world itself, the best of several draws, hints) lead by right, so they take
no part.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from colorlab.metrics.protocol import COLUMNS
from colorlab.metrics.rows import sees_truth

if TYPE_CHECKING:
    from colorlab.metrics.report import Evaluation


class Standing(NamedTuple):
    """The leader of a column, and the rows whose paired difference to it holds 0."""

    best: str
    tied: tuple[str, ...]


def standing(
    evaluation: Evaluation, metric: str, among: Iterable[str] | None = None
) -> Standing | None:
    """The leader of one column and its ties.

    Args:
        evaluation: the table, with per-picture values.
        metric: a column.
        among: rows that take part; None for all that do not see the truth.

    Returns:
        None where there is nothing to lead: a metric without a better end (colourfulness), one
        that was not measured, or no row that takes part.

    Raises:
        KeyError: an unknown row or column, or no per-picture values.
    """
    rows = [m for m in evaluation.models if not sees_truth(m)] if among is None else list(among)
    means = {row: evaluation.interval(row, metric) for row in rows}
    means = {row: cell.mean for row, cell in means.items() if cell is not None}
    better = COLUMNS[metric].better
    if not means or not better:
        return None
    best = (max if better == "higher" else min)(means, key=means.get)
    others = [row for row in means if row != best]
    pairs = {row: evaluation.paired(metric, row, best) for row in others}
    return Standing(best, tuple(row for row, (_, low, high) in pairs.items() if low <= 0 <= high))
