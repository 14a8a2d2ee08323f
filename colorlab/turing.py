"""The colour Turing test: is this photograph real, or was it coloured by a model?

Two pictures are shown, the truth and a model's; people say which was the real one. A model whose
picture is taken for the real one half the time cannot be told apart. This module holds what needs
no screen: the order of the trials, the log, and the fooled rate with its interval.

Source of the test: R. Zhang, P. Isola, A. Efros, "Colorful image colorization", ECCV 2016, section
3.1, where Mechanical Turk workers saw each picture for one second. Taught in notebook 11.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from statistics import NormalDist

import numpy as np

from colorlab.metrics.report import Interval


@dataclass(frozen=True)
class Trial:
    """One question: a picture, the model that coloured it, and which of the two comes first."""

    model: str
    picture: int
    truth_first: bool


@dataclass(frozen=True)
class Vote:
    """What people said of one trial; a line of the log.

    Attributes:
        seed: of the trials.
        trial: its number, from 1.
        model: who coloured.
        picture: its name.
        truth_first: whether the real photograph was shown first.
        for_first: how many took the first picture for the real one.
        for_second: how many took the second.
    """

    seed: int
    trial: int
    model: str
    picture: str
    truth_first: bool
    for_first: int
    for_second: int

    @property
    def fooled(self) -> int:
        """How many took the model's picture for the real one."""
        return self.for_second if self.truth_first else self.for_first

    @property
    def asked(self) -> int:
        """How many answered."""
        return self.for_first + self.for_second


@dataclass(frozen=True)
class Fooled:
    """How often people took a model's pictures for real ones."""

    model: str
    fooled: int
    asked: int

    @property
    def rate(self) -> Interval:
        """Share fooled with its 95 % Wilson interval; 0.5 is a perfect colorizer."""
        return wilson(self.fooled, self.asked)


def plan(models: Sequence[str], pictures: int, seed: int, count: int | None = None) -> list[Trial]:
    """The trials in their order: the same arguments give the same test.

    Models take turns, so that none has more than one trial more than another. In half of the
    trials (rounded down) the truth comes first. A picture is shown again only when all have
    been, since who has seen the truth once knows it, and never again with the same model.

    Args:
        models: names of those that compete.
        pictures: how many pictures there are.
        seed: of the order.
        count: trials; as many as there are pictures unless told.

    Raises:
        ValueError: no models, a model named twice, no pictures, or more trials than pairs of a
            model and a picture.
    """
    count = pictures if count is None else count
    if not models or len(set(models)) != len(models):
        raise ValueError(f"want models with different names, got {list(models)}")
    if not 1 <= count <= pictures * len(models):
        raise ValueError(
            f"want 1 to {pictures * len(models)} trials of {len(models)} models and {pictures} "
            f"pictures, got {count}"
        )
    random = np.random.default_rng(seed)
    order, names = random.permutation(pictures), random.permutation(len(models))
    firsts = random.permutation(np.arange(count) < count // 2)
    # Each round of all pictures goes on one model further, so no pair comes twice. Where the
    # number of models divides that of pictures, the round itself must step aside.
    common = math.lcm(pictures, len(models))
    trials = []
    for i in range(count):
        turn = names[(i + i // common) % len(models)]
        trials.append(Trial(models[turn], int(order[i % pictures]), bool(firsts[i])))
    return trials


def wilson(successes: int, n: int, level: float = 0.95) -> Interval:
    """A share of n yes-or-no answers with its Wilson score interval.

    Unlike the plain interval of the normal distribution, it stays within [0, 1] and is honest
    where n is small or the share is near 0 or 1.

    Args:
        successes: 0 to n.
        n: answers, at least 1. They count as independent: many hands in one hall that see the
            same picture are less than that, and the interval is then too narrow.
        level: how often the interval should hold the true share.

    Raises:
        ValueError: successes outside 0 to n, no answers, or a level outside (0, 1).

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
    JASA 22, 1927; without continuity correction.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(
            f"want 0 to n successes of n answers, n at least 1; got {successes} of {n}"
        )
    if not 0 < level < 1:
        raise ValueError(f"level must lie in (0, 1), got {level}")
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = successes / n
    middle = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low, high = ((middle + side * half) / (1 + z * z / n) for side in (-1, 1))
    return Interval(share, max(low, 0.0), min(high, 1.0))


def fooled_rates(votes: Iterable[Vote]) -> list[Fooled]:
    """The tally of each model, in the order in which they first appear."""
    tally: dict[str, list[int]] = {}
    for vote in votes:
        mine = tally.setdefault(vote.model, [0, 0])
        mine[0] += vote.fooled
        mine[1] += vote.asked
    return [Fooled(model, fooled, asked) for model, (fooled, asked) in tally.items()]


_COLUMNS = [field.name for field in fields(Vote)]


def append_vote(path: str | Path, vote: Vote) -> None:
    """Add a line to the log ``path``; the first one writes the head too.

    Raises:
        ValueError: the file is there and is no such log; it is left as it was.
        OSError: it cannot be written.
    """
    path = Path(path)
    new = not path.exists() or path.stat().st_size == 0
    if not new:
        with path.open(encoding="utf-8", newline="") as file:
            _check_head(path, next(csv.reader(file), []))
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if new:
            writer.writerow(_COLUMNS)
        writer.writerow([int(v) if isinstance(v, bool) else v for v in astuple(vote)])


def read_votes(path: str | Path) -> list[Vote]:
    """The lines of a log that :func:`append_vote` wrote.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is no such log; the message names the line.
    """
    with Path(path).open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        _check_head(path, next(rows, []))
        votes = []
        for number, row in enumerate(rows, start=2):
            try:
                seed, trial, model, picture, first, one, two = row
                votes.append(
                    Vote(int(seed), int(trial), model, picture, first == "1", int(one), int(two))
                )
            except ValueError as error:
                raise ValueError(f"{path}, line {number}: no vote ({error})") from error
    return votes


def _check_head(path: str | Path, head: list[str]) -> None:
    if head != _COLUMNS:
        raise ValueError(
            f"{path} is no log of a colour Turing test (its head is {','.join(head)!r}); "
            "name another file"
        )
