"""Which of two? Strengths from pairwise judgements, with intervals.

People say which of two images they prefer. The Bradley-Terry model gives each model a strength s,
and model i is preferred to model j with probability 1 / (1 + exp(s_j - s_i)). So the judgements
need not hold every pair equally often: each pair says something about all models that it connects.

Answers about one image are not independent, and neither are those of one person. Groups of
judgements, such as those of one person, may therefore be given; the intervals then allow any
dependence inside a group.

Sources: R. A. Bradley, M. E. Terry, "Rank analysis of incomplete block designs", Biometrika 39,
1952. When a finite estimate exists: L. R. Ford, "Solution of a ranking problem from binary
comparisons", American Mathematical Monthly 64, 1957. Groups: K.-Y. Liang, S. L. Zeger,
"Longitudinal data analysis using generalized linear models", Biometrika 73, 1986. Taught in
lesson 11.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse.csgraph import connected_components
from scipy.special import expit
from scipy.stats import norm, t

from colorlab.metrics.report import Interval

LEVEL = 0.95
_STEPS, _CLOSE = 100, 1e-10  # of Newton's method, which takes about six


@dataclass(frozen=True)
class Strengths:
    """Estimated strengths, their mean 0; a difference of 1 is a preference of 73 %.

    Attributes:
        names: of the models.
        values: (n,) their strengths, in logits.
        covariance: (n, n) of the estimates.
        reach: half an interval's width, in standard errors.
    """

    names: tuple[str, ...]
    values: np.ndarray
    covariance: np.ndarray
    reach: float

    def interval(self, name: str) -> Interval:
        """A model's strength above the mean of all models, with its 95 % interval."""
        return self._along(np.eye(len(self.names))[self.names.index(name)])

    def difference(self, a: str, b: str) -> Interval:
        """Strength of ``a`` less that of ``b``, with its 95 % interval."""
        unit = np.eye(len(self.names))
        return self._along(unit[self.names.index(a)] - unit[self.names.index(b)])

    def preferred(self, a: str, b: str) -> Interval:
        """Probability that ``a`` is preferred to ``b``, with its 95 % interval."""
        return Interval(*map(float, expit(self.difference(a, b))))

    def _along(self, weights: np.ndarray) -> Interval:
        mean = float(weights @ self.values)
        half = self.reach * float(np.sqrt(weights @ self.covariance @ weights))
        return Interval(mean, mean - half, mean + half)


def bradley_terry(
    judgements: Sequence[tuple[str, str, int, int]], groups: Sequence[Hashable] | None = None
) -> Strengths:
    """Maximum likelihood strengths of the Bradley-Terry model.

    Args:
        judgements: (model, other model, how often the first was preferred, how often the other).
        groups: of each judgement the person, or the image, whose judgements depend on each other;
            None if all judgements are independent. With few groups the intervals are uncertain:
            prefer ten or more. Fewer than there are models cannot tell how all of them vary.

    Raises:
        ValueError: no judgements or wrong counts; groups that do not fit, or fewer than there are
            models; or no finite estimate, because some models were never preferred to the others.
    """
    if not judgements or any(min(j[2:]) < 0 or not sum(j[2:]) for j in judgements):
        raise ValueError("want judgements, each with counts of at least 0 and not all 0")
    if any(a == b for a, b, *_ in judgements):
        raise ValueError("want judgements between two different models")
    names = tuple(dict.fromkeys(name for a, b, *_ in judgements for name in (a, b)))
    first, second = (np.array([names.index(j[k]) for j in judgements]) for k in (0, 1))
    won, lost = (np.array([j[k] for j in judgements], float) for k in (2, 3))
    beaten = np.zeros((len(names), len(names)))
    np.add.at(beaten, (first, second), won)
    np.add.at(beaten, (second, first), lost)
    parts, part_of = connected_components(beaten > 0, connection="strong")
    if parts > 1:
        some = ", ".join(name for name, k in zip(names, part_of, strict=True) if k == part_of[0])
        raise ValueError(
            f"no finite strengths: between {some} and the other models, one side was always "
            "preferred or was never asked about; collect more judgements, or leave these models out"
        )
    design = np.eye(len(names))[first] - np.eye(len(names))[second]  # (judgements, models)
    values, flat = np.zeros(len(names)), np.full((len(names), len(names)), 1 / len(names))
    for _ in range(_STEPS):
        p = expit(design @ values)
        scores = design * (won - (won + lost) * p)[:, None]
        information = (design * ((won + lost) * p * (1 - p))[:, None]).T @ design
        # Its pseudo-inverse: a constant added to all strengths changes no probability.
        covariance = np.linalg.inv(information + flat) - flat
        step = np.clip(covariance @ scores.sum(axis=0), -1, 1)
        values = values + step - step.mean()
        if np.abs(step).max() < _CLOSE:
            break
    if groups is None:
        return Strengths(names, values, covariance, float(norm.ppf((1 + LEVEL) / 2)))
    labels = {label: k for k, label in enumerate(dict.fromkeys(groups))}
    if len(groups) != len(judgements) or len(labels) < len(names):
        raise ValueError(
            f"want a group for each of {len(judgements)} judgements and at least as many groups as "
            f"there are models, {len(names)}; got {len(groups)} labels of {len(labels)} groups"
        )
    summed = np.zeros((len(labels), len(names)))
    np.add.at(summed, [labels[label] for label in groups], scores)
    spread = len(labels) / (len(labels) - 1) * summed.T @ summed
    reach = float(t.ppf((1 + LEVEL) / 2, len(labels) - 1))
    return Strengths(names, values, covariance @ spread @ covariance, reach)
