"""What a training run leaves behind: its history, and a folder from which it can go on."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

STATE_FILE = "state.pt"


@dataclass
class History:
    """What happened: one row a validation, and the sums of the row still open.

    Attributes:
        rows: dicts with ``step``, the mean of each loss term since the last row, and ``score``
            where there were validation pictures.
        best_score: lowest validation score, CIE units.
        best_step: the step it was reached at.
        precision: "float32" or "bfloat16", as chosen at the start.
        seconds: time spent, over all the stretches of a resumed run.
    """

    rows: list[dict[str, float]] = field(default_factory=list)
    best_score: float = math.inf
    best_step: int = 0
    precision: str = ""
    seconds: float = 0.0
    open_sums: dict[str, Tensor] = field(default_factory=dict)
    open_count: int = 0

    def add(self, terms: dict[str, Tensor]) -> None:
        """Add the loss terms of one step; nothing is read from the device."""
        for name, value in terms.items():
            self.open_sums[name] = self.open_sums.get(name, 0) + value
        self.open_count += 1

    def mean_terms(self) -> dict[str, float]:
        """Mean of each term since the last row."""
        return {k: float(v) / self.open_count for k, v in self.open_sums.items()}

    def close_row(self, step: int, score: float | None) -> bool:
        """End the open row; says whether ``score`` is the best so far."""
        row = {"step": step, **self.mean_terms()}
        if score is not None:
            row["score"] = score
        self.rows.append(row)
        self.open_sums, self.open_count = {}, 0
        better = score is not None and score < self.best_score
        if better:
            self.best_score, self.best_step = score, step
        return better

    def column(self, name: str) -> tuple[list[int], list[float]]:
        """Steps and values of one column, for a plot."""
        rows = [row for row in self.rows if name in row]
        return [row["step"] for row in rows], [row[name] for row in rows]

    def state(self) -> dict:
        """Plain values, to be saved."""
        return dict(vars(self))

    @classmethod
    def from_state(cls, state: dict) -> History:
        """Back from :meth:`state`."""
        return cls(**state)


class RunFolder:
    """A folder with one file, the state of a run, replaced whole or not at all."""

    def __init__(self, path: Path, identity: dict) -> None:
        self.path = path
        self.identity = identity

    def open(self, resume: bool) -> dict | None:
        """The saved state, or None for a fresh run.

        Raises:
            FileExistsError: there is a run and ``resume`` is false.
            ValueError: the run there was started with other settings, or its state cannot be
                read.
        """
        file = self.path / STATE_FILE
        self.path.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            return None
        if not resume:
            raise FileExistsError(
                f"{self.path} already holds a run; resume it, or choose another folder"
            )
        try:
            # weights_only: a state file from elsewhere must not be able to run code.
            state = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:
            raise ValueError(
                f"{file} cannot be read ({error}); delete it to start the run again"
            ) from error
        theirs = state.pop("identity")
        differing = sorted(k for k in self.identity if theirs.get(k) != self.identity[k])
        if differing:
            told = ", ".join(f"{k}={theirs.get(k)!r} not {self.identity[k]!r}" for k in differing)
            raise ValueError(f"{self.path} holds a run with {told}; use its settings to resume")
        return state

    def save(self, state: dict) -> None:
        """Write ``state`` beside the old file, then put it in its place in one move."""
        file = self.path / STATE_FILE
        part = file.with_suffix(".part")
        with part.open("wb") as stream:
            torch.save({**state, "identity": self.identity}, stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, file)
