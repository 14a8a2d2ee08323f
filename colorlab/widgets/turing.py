"""The colour Turing test: is this photograph real, or was it coloured by a model?

Each trial shows the photograph and a model's version of it; people say which one is real. If they
choose the model's version half the time, they cannot tell the two apart. First the part without a
screen (the order of the trials, the log, the fooled rate with its interval), then the widget.

Source of the test: R. Zhang, P. Isola, A. Efros, "Colorful image colorization", ECCV 2016, section
3.1, where Mechanical Turk workers saw each image for one second. Taught in notebook 11.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import torch
import traitlets
from scipy.stats import binomtest
from torch import Tensor

from colorlab.metrics.report import Interval
from colorlab.widgets.shared import as_picture, picture_png, static_text, with_still


@dataclass(frozen=True)
class Trial:
    """One question: an image (by index), a model, and whether the photograph comes first."""

    model: str
    picture: int
    truth_first: bool


@dataclass(frozen=True)
class Vote:
    """The answers to one trial; a line of the log."""

    seed: int  # of the order of the trials
    trial: int  # its number, from 1
    model: str  # that coloured the image
    picture: str  # name of the photograph
    truth_first: bool  # whether the real photograph was shown first
    for_first: int  # how many people said that the first image is real
    for_second: int  # how many said that the second is

    @property
    def fooled(self) -> int:
        """How many said that the model's image is the real one."""
        return self.for_second if self.truth_first else self.for_first

    @property
    def asked(self) -> int:
        """How many answered."""
        return self.for_first + self.for_second


def plan(models: Sequence[str], pictures: int, seed: int, count: int | None = None) -> list[Trial]:
    """The trials in their order; the same arguments give the same order.

    The models alternate, so their numbers of trials differ by at most one. The photograph comes
    first in half of the trials (rounded down). An image is repeated only after all images have
    been shown, because a viewer may remember the photograph; it never returns with the same model.

    Args:
        models: their names.
        pictures: number of images.
        seed: of the order.
        count: number of trials, at most one a pair of a model and an image; by default the
            number of images.
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
    # Pairs (i % pictures, i % models) repeat after `common` trials; then shift the models by one.
    common = math.lcm(pictures, len(models))
    trials = []
    for i in range(count):
        turn = names[(i + i // common) % len(models)]
        trials.append(Trial(models[turn], int(order[i % pictures]), bool(firsts[i])))
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
    path, columns = Path(path), [field.name for field in fields(Vote)]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if file.tell() == 0:
            writer.writerow(columns)
        else:
            file.seek(0)
            head = next(csv.reader(file), [])
            if head != columns:
                raise ValueError(
                    f"{path} is no log of a colour Turing test (its head is {','.join(head)!r}); "
                    "name another file"
                )
        writer.writerow([int(v) if isinstance(v, bool) else v for v in astuple(vote)])


class TuringTest(anywidget.AnyWidget):
    """The test on the page: which of two images is the real photograph?

    Each trial shows the photograph and a model's image, one after the other, and asks. The answers
    are written to a CSV file on this computer and sent nowhere. The fooled rates (0.5 for a perfect
    model) appear only after the last trial, so that they do not influence the answers.

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

    Attributes:
        trials: all of them, a list of :class:`Trial`.
        votes: of this test so far, a list of :class:`Vote`.
        rates: at the end, ``[model, fooled, asked, share, interval]`` of each model, as shown;
            the interval is that of :func:`wilson`.
    """

    _esm = static_text("parts.js", "turing.js")
    _css = static_text("theme.css", "panels.css")

    first = traitlets.Bytes(help="the picture shown first, PNG").tag(sync=True)
    second = traitlets.Bytes(help="PNG").tag(sync=True)
    picture_size = traitlets.List(help="[H, W]").tag(sync=True)
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
        for model, pictures in answers.items():
            if pictures.shape != truth.shape:
                raise ValueError(
                    f"{model}: pictures {tuple(pictures.shape)} do not fit the photographs "
                    f"{tuple(truth.shape)}"
                )
        if len(names) != len(truth):
            raise ValueError(f"want a name for each of {len(truth)} photographs, got {len(names)}")
        self._truth, self._answers, self._names = truth, dict(answers), tuple(names)
        self._log, self._seed = Path(log), seed
        self.trials = plan(list(answers), len(truth), seed, count)
        self.votes: list[Vote] = []
        first, second = self.pair(0)
        super().__init__(
            first=picture_png(first),
            second=picture_png(second),
            picture_size=list(truth.shape[-2:]),
            trial=1,
            total=len(self.trials),
            seconds=seconds,
            hall=hall,
            size=size,
            note=f"Answers are written to {self._log.name} on this computer, and go nowhere else.",
        )
        self.observe(lambda change: self._take(change["new"]), names="answer")

    def pair(self, index: int) -> tuple[Tensor, Tensor]:
        """The two images (1, 3, H, W) of a trial, counted from 0, as they appear."""
        trial = self.trials[index]
        pictures = (self._truth[trial.picture], self._answers[trial.model][trial.picture])
        first, second = (as_picture(p) for p in pictures)
        return (first, second) if trial.truth_first else (second, first)

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
        """A row a model, in the order in which the models first appeared."""
        rows = []
        for model in dict.fromkeys(vote.model for vote in self.votes):
            votes = [vote for vote in self.votes if vote.model == model]
            fooled, asked = sum(v.fooled for v in votes), sum(v.asked for v in votes)
            share, low, high = wilson(fooled, asked)
            rows.append([model, fooled, asked, f"{share:.0%}", f"{low:.0%} to {high:.0%}"])
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
        return Vote(self._seed, number, trial.model, name, trial.truth_first, first, second)

    def __repr__(self) -> str:
        return f"TuringTest({len(self.votes)} of {len(self.trials)} trials answered)"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict, dict]:
        """The live test, and the images of its first trial for pages without a kernel."""
        data, metadata = super()._repr_mimebundle_(**kwargs)
        alt = "Two versions of one picture, a photograph and a colouring by a model. Which is real?"
        return with_still(data, metadata, torch.cat(self.pair(0), dim=-1), alt)
