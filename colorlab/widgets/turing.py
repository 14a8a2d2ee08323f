"""Two tests with people: which of two images is real, and which of two is more believable?

*The colour Turing test.* Each trial shows a photograph and a model's version of it, one after the
other; people say which one is real. If they choose the model's version half the time, they cannot
tell the two apart.

*Preference.* Each trial shows two models' versions of one gray image side by side; people say which
one is more believable. Nobody has seen the true colours. :func:`strengths` makes one order of all
models from the answers of one or several people.

First the part without a screen (the order of the trials, the log, rates and strengths with their
intervals), then the widgets.

Source of the Turing test: R. Zhang, P. Isola, A. Efros, "Colorful image colorization", ECCV 2016,
section 3.1, where Mechanical Turk workers saw each image for one second. Taught in lesson 11.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from itertools import combinations
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import torch
import traitlets
from scipy.stats import binomtest
from torch import Tensor

from colorlab.metrics.preference import Strengths, bradley_terry
from colorlab.metrics.report import Interval
from colorlab.widgets.shared import as_picture, picture_png, static_text, with_still

PHOTOGRAPH = "photograph"  # what the log calls the real image


@dataclass(frozen=True)
class Trial:
    """One question: which version of an image (by index) comes first, and which second."""

    first: str
    second: str
    picture: int


@dataclass(frozen=True)
class Vote:
    """The answers to one trial; a line of the log."""

    seed: int  # of the order of the trials
    trial: int  # its number, from 1
    first: str  # the model that made the first image, or PHOTOGRAPH
    second: str
    picture: str  # name of the image
    for_first: int  # how many people chose the first
    for_second: int

    @property
    def asked(self) -> int:
        """How many answered."""
        return self.for_first + self.for_second

    def chosen(self, name: str) -> int:
        """How many chose the version of ``name``, a model or PHOTOGRAPH."""
        return self.for_first * (name == self.first) + self.for_second * (name == self.second)


def plan(
    pairs: Sequence[tuple[str, str]], pictures: int, seed: int, count: int | None = None
) -> list[Trial]:
    """The trials in their order; the same arguments give the same order.

    The pairs alternate, so their numbers of trials differ by at most one. Of half of the trials
    (rounded down) the pair is shown in its own order, of the others in the opposite one. An image
    is repeated only after all images have been shown, because a viewer may remember it; it never
    returns with the same pair.

    Args:
        pairs: of versions to compare, such as (PHOTOGRAPH, "unet").
        pictures: number of images.
        seed: of the order.
        count: number of trials, at most one for each pair and image; by default the number of
            images.
    """
    count = pictures if count is None else count
    if not pairs or len({frozenset(pair) for pair in pairs}) < len(pairs):
        raise ValueError(f"want pairs that differ, got {list(pairs)}")
    if any(a == b for a, b in pairs):
        raise ValueError(f"want pairs of two different names, got {list(pairs)}")
    if not 1 <= count <= pictures * len(pairs):
        raise ValueError(
            f"want 1 to {pictures * len(pairs)} trials of {len(pairs)} pairs and {pictures} "
            f"pictures, got {count}"
        )
    random = np.random.default_rng(seed)
    order, turns = random.permutation(pictures), random.permutation(len(pairs))
    own_order = random.permutation(np.arange(count) < count // 2)
    # Image i % pictures and pair i % len(pairs) repeat after `common` trials; then shift by one.
    common = math.lcm(pictures, len(pairs))
    trials = []
    for i in range(count):
        a, b = pairs[turns[(i + i // common) % len(pairs)]]
        trials.append(Trial(*((a, b) if own_order[i] else (b, a)), int(order[i % pictures])))
    return trials


def wilson(successes: int, n: int) -> Interval:
    """A share of n yes-or-no answers with its 95 % Wilson score interval.

    Unlike the interval of the normal approximation, it stays within [0, 1] and keeps its level
    approximately if n is small or the share is near 0 or 1.

    Args:
        successes: 0 to n.
        n: number of answers, at least 1. They are treated as independent. The answers of one
            audience to the same image are not, and the interval is then too narrow.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
    JASA 22, 1927; without continuity correction.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(
            f"want 0 to n successes of n answers, n at least 1; got {successes} of {n}"
        )
    low, high = binomtest(successes, n).proportion_ci(method="wilson")
    return Interval(successes / n, float(low), float(high))


def append_vote(path: str | Path, vote: Vote) -> None:
    """Add a line to the log ``path``, a CSV file; a new log starts with a header line.

    Raises:
        ValueError: the file exists but is not such a log; it is left unchanged.
        OSError: it cannot be written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if file.tell() == 0:
            writer.writerow(_COLUMNS)
        else:
            file.seek(0)
            _check_head(path, next(csv.reader(file), []))
        writer.writerow(astuple(vote))


_COLUMNS = [field.name for field in fields(Vote)]


def _check_head(path: Path, head: list[str]) -> None:
    if head != _COLUMNS:
        raise ValueError(
            f"{path} is no log of these tests (its head is {','.join(head)!r}); name another file"
        )


def read_votes(paths: Iterable[str | Path]) -> dict[str, list[Vote]]:
    """Read the logs of several people: one CSV file a person, who is called as the file.

    Raises:
        ValueError: a file is no such log, or a line of it is broken; two files have one name; or
            there are no files.
    """
    people: dict[str, list[Vote]] = {}
    for path in map(Path, paths):
        if path.stem in people:
            raise ValueError(f"two logs are called {path.stem}; give each person's file its name")
        with path.open(encoding="utf-8-sig", newline="") as file:  # a spreadsheet may add a mark
            reader = csv.reader(file)
            _check_head(path, next(reader, []))
            people[path.stem] = [_read_vote(path, reader.line_num, line) for line in reader]
    if not people:
        raise ValueError("no logs to read: name at least one CSV file")
    return people


def _read_vote(path: Path, number: int, line: list[str]) -> Vote:
    try:
        seed, trial, first, second, picture, *counts = line
        vote = Vote(int(seed), int(trial), first, second, picture, *map(int, counts))
    except (ValueError, TypeError):
        vote = None
    if vote is None or min(vote.for_first, vote.for_second) < 0 or not vote.asked:
        raise ValueError(f"{path}, line {number}: {','.join(line)!r} is no vote; mend or delete it")
    return vote


def strengths(people: Mapping[str, Sequence[Vote]], by: str | None = "person") -> Strengths:
    """Bradley-Terry strengths of all models from the preferences of several people.

    Args:
        people: of :func:`read_votes`.
        by: whose answers depend on each other, for the intervals: those of one ``"person"``, those
            to one ``"picture"``, or None for no such dependence. A lecture hall is one log, so
            group it by picture.

    Raises:
        ValueError: see :func:`colorlab.metrics.bradley_terry`; another ``by``.
    """
    if by not in ("person", "picture", None):
        raise ValueError(f'by is "person", "picture" or None, got {by!r}')
    votes = [(person, vote) for person, own in people.items() for vote in own]
    groups = [person if by == "person" else vote.picture for person, vote in votes]
    judgements = [(v.first, v.second, v.for_first, v.for_second) for _, v in votes]
    return bradley_terry(judgements, groups if by else None)


class PreferenceTest(anywidget.AnyWidget):
    """The test on the page: which of two colourings of a gray image is more believable?

    Each trial shows the images of two models side by side, and asks. The answers are written to a
    CSV file on this computer and sent nowhere; :func:`read_votes` and :func:`strengths` put those
    of several people together. How often each model was chosen appears only after the last trial,
    so that it does not influence the answers.

    Args:
        answers: model name -> its images, sRGB (N, 3, H, W) in [0, 1], all of one shape. To know
            how the truth fares, give it as a model.
        names: of the N images, for the log.
        log: the CSV file; lines are added to an existing one.
        count: number of trials; by default N, so that nobody sees an image twice.
        seed: of the order, see :func:`plan`.
        hall: for a lecture hall: large letters, and the lecturer enters the counts of hands.
        size: width of the images on the page, in CSS pixels.

    Attributes:
        trials: all of them, a list of :class:`Trial`.
        votes: of this test so far, a list of :class:`Vote`.
        rates: at the end, ``[model, chosen, asked, share, interval]`` of each model, as shown;
            the interval is that of :func:`wilson`.
    """

    _esm = static_text("parts.js", "turing.js")
    _css = static_text("theme.css", "panels.css")
    _alt = "Two colourings of one gray picture, by two models. Which is more believable?"
    _real: str | None = None  # the version that is no model

    first = traitlets.Bytes(help="the first picture, PNG").tag(sync=True)
    second = traitlets.Bytes(help="PNG").tag(sync=True)
    picture_size = traitlets.List(help="[H, W]").tag(sync=True)
    side_by_side = traitlets.Bool(help="whether both are shown at once").tag(sync=True)
    trial = traitlets.Int(help="number of the trial, from 1; total + 1 when done").tag(sync=True)
    total = traitlets.Int(help="how many trials there are").tag(sync=True)
    seconds = traitlets.Float(1.0, min=0.01, help="that a picture is shown").tag(sync=True)
    hall = traitlets.Bool(help="whether hands are counted").tag(sync=True)
    size = traitlets.Int(480, min=64, help="width on the page, CSS pixels").tag(sync=True)
    answer = traitlets.Dict(help="trial, and how many took the first and the second").tag(sync=True)
    turn = traitlets.Int(help="counts what Python answered").tag(sync=True)
    rates = traitlets.List(help="rows of the result").tag(sync=True)
    note = traitlets.Unicode(help="where the answers go").tag(sync=True)
    failure = traitlets.Unicode(help="why the last answer was not taken").tag(sync=True)

    def __init__(
        self,
        answers: Mapping[str, Tensor],
        names: Sequence[str],
        log: str | Path,
        *,
        count: int | None = None,
        seed: int = 0,
        hall: bool = False,
        size: int = 720,
    ):
        if len(answers) < 2:
            raise ValueError(f"want the images of at least two models, got {list(answers)}")
        pairs = list(combinations(answers, 2))
        self._begin(answers, pairs, names, log, count, seed)
        self._show(side_by_side=True, hall=hall, size=size)

    def _begin(
        self,
        versions: Mapping[str, Tensor],
        pairs: Sequence[tuple[str, str]],
        names: Sequence[str],
        log: str | Path,
        count: int | None,
        seed: int,
    ) -> None:
        """Keep what the trials need, and plan them."""
        reference, truth = next(iter(versions.items()))
        for model, pictures in versions.items():
            if pictures.shape != truth.shape:
                raise ValueError(
                    f"{model}: pictures {tuple(pictures.shape)} do not fit those of {reference}, "
                    f"{tuple(truth.shape)}"
                )
        if len(names) != len(truth):
            raise ValueError(f"want a name for each of {len(truth)} photographs, got {len(names)}")
        self._versions, self._names = dict(versions), tuple(names)
        self._log, self._seed = Path(log), seed
        self.trials = plan(pairs, len(truth), seed, count)
        self.votes: list[Vote] = []

    def _show(self, **traits: Any) -> None:
        """Make the widget, with the first trial."""
        first, second = self.pair(0)
        super().__init__(
            first=picture_png(first),
            second=picture_png(second),
            picture_size=list(first.shape[-2:]),
            trial=1,
            total=len(self.trials),
            note=f"Answers are written to {self._log.name} on this computer, and go nowhere else.",
            **traits,
        )
        self.observe(lambda change: self._take(change["new"]), names="answer")

    def pair(self, index: int) -> tuple[Tensor, Tensor]:
        """The two images (1, 3, H, W) of a trial, counted from 0, as they appear."""
        trial = self.trials[index]
        first, second = (
            as_picture(self._versions[name][trial.picture]) for name in (trial.first, trial.second)
        )
        return first, second

    def _take(self, answer: dict[str, Any]) -> None:
        """Log one answer and show the next trial, or report why the answer is not accepted."""
        try:
            vote = self._vote(answer)
            append_vote(self._log, vote)
        except (ValueError, OSError) as error:
            with self.hold_sync():
                self.failure = f"Not taken: {error}"
                self.turn += 1
            return
        self.votes.append(vote)
        done = len(self.votes)
        with self.hold_sync():
            self.failure = ""
            if done < len(self.trials):
                first, second = self.pair(done)
                self.first, self.second = picture_png(first), picture_png(second)
            else:
                self.rates = self._rates()
            self.trial = done + 1
            self.turn += 1

    def _rates(self) -> list[list[Any]]:
        """A row a model that was shown."""
        rows = []
        for model in self._versions:
            votes = [vote for vote in self.votes if model in (vote.first, vote.second)]
            chosen, asked = sum(v.chosen(model) for v in votes), sum(v.asked for v in votes)
            if asked and model != self._real:
                share, low, high = wilson(chosen, asked)
                rows.append([model, chosen, asked, f"{share:.0%}", f"{low:.0%} to {high:.0%}"])
        return rows

    def _vote(self, answer: dict[str, Any]) -> Vote:
        number, first, second = (answer.get(key) for key in ("trial", "first", "second"))
        counts = (first, second)
        if number != len(self.votes) + 1 or number > len(self.trials):
            raise ValueError(f"trial {number!r} is not the one that is asked")
        if any(type(n) is not int or n < 0 for n in counts) or not sum(counts):
            raise ValueError(
                f"want whole numbers of votes, at least one, got {first!r}, {second!r}"
            )
        trial = self.trials[number - 1]
        name = self._names[trial.picture]
        return Vote(self._seed, number, trial.first, trial.second, name, first, second)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.votes)} of {len(self.trials)} trials answered)"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict, dict]:
        """The live test, and the images of its first trial for pages without a kernel."""
        data, metadata = super()._repr_mimebundle_(**kwargs)
        return with_still(data, metadata, torch.cat(self.pair(0), dim=-1), self._alt)


class TuringTest(PreferenceTest):
    """The test on the page: which of two images is the real photograph?

    Each trial shows the photograph and a model's image, one after the other, and asks. The log, the
    order and the end are those of :class:`PreferenceTest`; ``rates`` holds how often each model's
    image was taken for the real one: 0.5 for a perfect model.

    Args:
        truth: the photographs, sRGB (N, 3, H, W) in [0, 1].
        answers: model name -> its images, of the same shape as ``truth``.
        names: of the N photographs, for the log.
        log: the CSV file; lines are added to an existing one.
        count: number of trials; by default N, so that nobody sees a photograph twice.
        seed: of the order, see :func:`plan`.
        seconds: how long each image is shown.
        hall: for a lecture hall: large letters, and the lecturer enters the counts of hands.
        size: width of the images on the page, in CSS pixels.
    """

    _alt = "Two versions of one image, the true one and a colouring by a model. Which is real?"
    _real = PHOTOGRAPH

    def __init__(
        self,
        truth: Tensor,
        answers: Mapping[str, Tensor],
        names: Sequence[str],
        log: str | Path,
        *,
        count: int | None = None,
        seed: int = 0,
        seconds: float = 1.0,
        hall: bool = False,
        size: int = 480,
    ):
        if not answers or PHOTOGRAPH in answers:
            raise ValueError(f"want models, none called {PHOTOGRAPH!r}, got {list(answers)}")
        pairs = [(PHOTOGRAPH, model) for model in answers]
        self._begin({PHOTOGRAPH: truth, **answers}, pairs, names, log, count, seed)
        self._show(seconds=seconds, hall=hall, size=size)
