"""The colour Turing test on the page: see :mod:`colorlab.turing`. Taught in notebook 11."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anywidget
import torch
import traitlets
from torch import Tensor

from colorlab.panels import as_picture, picture_png, static_text, with_still
from colorlab.turing import Vote, append_vote, fooled_rates, plan


class TuringTest(anywidget.AnyWidget):
    """Which of two pictures is the real photograph?

    Each trial shows the truth and a model's picture, one after the other, and asks. The answers
    go to a CSV file on this computer and nowhere else. The fooled rates appear when all trials
    are done, not before, so that nobody learns from them.

    Args:
        truth: the photographs, sRGB (N, 3, H, W) in [0, 1].
        answers: model name -> its pictures, of the shape of ``truth``.
        names: of the N photographs, for the log.
        log: the CSV file; lines are added to what is there.
        count: trials; N unless told, so that nobody sees a photograph twice.
        seed: of the order, see :func:`colorlab.turing.plan`.
        seconds: that each picture is shown.
        hall: for a lecture hall: large letters, and the lecturer enters how many hands went up.
        size: width of the pictures on the page, in CSS pixels.

    Attributes:
        votes: of this test so far, a list of :class:`colorlab.turing.Vote`.
        rates: once done, ``[model, fooled, asked, share, interval]`` of each model, as shown.

    Raises:
        ValueError: pictures of another shape or range, not one name a photograph, or a count
            that cannot be.
    """

    _esm = static_text(("parts.js", "turing.js"))
    _css = static_text(("theme.css", "panels.css"))

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
        self._plan = plan(list(answers), len(truth), seed, count)
        self.votes: list[Vote] = []
        first, second = self._pair(0)
        super().__init__(
            first=picture_png(first),
            second=picture_png(second),
            picture_size=list(truth.shape[-2:]),
            trial=1,
            total=len(self._plan),
            seconds=seconds,
            hall=hall,
            size=size,
            note=f"Answers are written to {self._log.name} on this computer, and go nowhere else.",
        )
        self.observe(lambda change: self._take(change["new"]), names="answer")

    def _pair(self, index: int) -> tuple[Tensor, Tensor]:
        trial = self._plan[index]
        pictures = (self._truth[trial.picture], self._answers[trial.model][trial.picture])
        first, second = (as_picture(p) for p in pictures)
        return (first, second) if trial.truth_first else (second, first)

    def _take(self, answer: dict[str, Any]) -> None:
        """Log one answer and go on, or say why not."""
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
            if done < len(self._plan):
                first, second = self._pair(done)
                self.first, self.second = picture_png(first), picture_png(second)
            else:
                self.rates = [
                    [r.model, r.fooled, r.asked, f"{share:.0%}", f"{low:.0%} to {high:.0%}"]
                    for r in fooled_rates(self.votes)
                    for share, low, high in [r.rate]
                ]
            self.trial = done + 1
            self.turn += 1

    def _vote(self, answer: dict[str, Any]) -> Vote:
        number, first, second = (answer.get(key) for key in ("trial", "first", "second"))
        counts = (first, second)
        if number != len(self.votes) + 1 or number > len(self._plan):
            raise ValueError(f"trial {number!r} is not the one that is asked")
        if any(type(n) is not int or n < 0 for n in counts) or not sum(counts):
            raise ValueError(
                f"want whole numbers of votes, at least one, got {first!r}, {second!r}"
            )
        trial = self._plan[number - 1]
        name = self._names[trial.picture]
        return Vote(self._seed, number, trial.model, name, trial.truth_first, first, second)

    def __repr__(self) -> str:
        return f"TuringTest({len(self.votes)} of {len(self._plan)} trials answered)"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict, dict]:
        """The live test, and for pages without a kernel the pictures of its first trial."""
        data, metadata = super()._repr_mimebundle_(**kwargs)
        alt = "Two versions of one picture, a photograph and a colouring by a model. Which is real?"
        return with_still(data, metadata, torch.cat(self._pair(0), dim=-1), alt)
