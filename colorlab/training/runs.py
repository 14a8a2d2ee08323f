"""What a training run leaves behind: its history, and a folder from which it can be resumed."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from colorlab.files import locked, make_folder, write_whole

STATE_FILE = "state.pt"
LOCK_FILE = "in-use"


@dataclass
class History:
    """What happened: one row for each validation, and the sums of the row that is still open.

    Attributes:
        rows: dicts with ``step``, the mean of each loss term since the last row, and ``score``
            if there were validation images.
        best_score: lowest validation score, CIE units.
        best_step: the step at which it was reached.
        precision: "float32" or "bfloat16", as chosen at the start.
        seconds: training time, over all parts of a resumed run.
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
            self.open_sums[name] = self.open_sums.get(name, 0) + value  # not in place, see state
        self.open_count += 1

    def mean_terms(self) -> dict[str, float]:
        """Mean of each term since the last row."""
        return {k: float(v) / self.open_count for k, v in self.open_sums.items()}

    def close_row(self, step: int, score: float | None) -> bool:
        """End the open row; returns whether ``score`` is the best so far."""
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
        """Plain values, which later steps do not change; ``History(**state)`` is the inverse."""
        return {**vars(self), "rows": list(self.rows), "open_sums": dict(self.open_sums)}


class RunFolder:
    """A folder with the state of a run, replaced whole or not at all, for one process at a time."""

    def __init__(self, path: Path, identity: dict) -> None:
        self.path = path
        self.identity = identity

    @contextmanager
    def held(self) -> Iterator[None]:
        """Lock the folder while the body runs; a BlockingIOError names who holds it."""
        make_folder(self.path)
        with locked(self.path / LOCK_FILE):
            yield

    def open(self, resume: bool) -> dict | None:
        """The saved state, or None for a fresh run; refuses a run of other settings or data."""
        if not (self.path / STATE_FILE).exists():
            return None
        if not resume:
            raise FileExistsError(
                f"{self.path} already holds a run; resume it, or choose another folder"
            )
        state = read_state(self.path)
        theirs = state.pop("identity")
        differing = sorted(k for k in self.identity if theirs.get(k) != self.identity[k])
        if differing:
            told = ", ".join(f"{k}={theirs.get(k)!r} not {self.identity[k]!r}" for k in differing)
            raise ValueError(f"{self.path} holds a run with {told}; use its settings to resume")
        return state

    def save(self, state: dict) -> None:
        """Replace the saved state in one move; where that fails the old one is kept."""
        stream = io.BytesIO()
        torch.save({**state, "identity": self.identity}, stream)
        write_whole(self.path / STATE_FILE, stream.getvalue())


def read_state(folder: Path) -> dict:
    """The saved state of a run, with its ``identity``: its settings and data."""
    file = folder / STATE_FILE
    try:
        with zipfile.ZipFile(file) as records:  # torch writes checksums but does not check them
            if damaged := records.testzip():
                raise ValueError(f"{damaged} is damaged")
        # weights_only: a state file from elsewhere must not be able to run code.
        state = torch.load(file, map_location="cpu", weights_only=True)
        if not {"identity", "trainer", "history", "best"} <= set(state):
            raise ValueError("it holds no run")
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"{file} cannot be read ({reason}); delete it to start the run again"
        ) from error
    return state
