"""The table of faults: how many were tried, how many were survived, how many were lost.

Tests under ``tests/faults`` count through the fixture ``fault``. The plugin here keeps the counts,
gathers those of pytest-xdist's workers, prints the table when all is over and, asked to by
``--write-faults``, puts it into ``tests/README.md``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

NAME = "fault-table"
README = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- faults -->", "<!-- end of faults -->"
HEADER = ("group", "kinds", "tried", "survived", "lost")
SENT = "faults"  # the key of a worker's counts


class FaultTable:
    """Counts by group and kind of fault, and the hooks of pytest that carry and show them."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.tried: Counter[tuple[str, str]] = Counter()
        self.survived: Counter[tuple[str, str]] = Counter()

    @contextmanager
    def fault(self, group: str, what: str) -> Iterator[None]:
        """Count one fault; it is survived if the body ends without an exception."""
        self.tried[group, what] += 1
        try:
            yield
        except pytest.skip.Exception:  # cannot be tried on this machine
            self.tried[group, what] -= 1
            raise
        self.survived[group, what] += 1

    def rows(self) -> list[tuple[str, int, int, int, int]]:
        """One row a group in the order of the alphabet, then all together."""
        tried = +self.tried  # without zeros
        rows = []
        for group in sorted({group for group, _ in tried}):
            kinds = [kind for kind in tried if kind[0] == group]
            total, good = sum(tried[k] for k in kinds), sum(self.survived[k] for k in kinds)
            rows.append((group, len(kinds), total, good, total - good))
        sums = (sum(column) for column in zip(*(row[1:] for row in rows), strict=True))
        return [*rows, ("all", *sums)] if rows else []

    def add(self, sent: str) -> None:
        """Add the counts of a worker, as :meth:`pytest_sessionfinish` sends them."""
        for group, what, tried, survived in json.loads(sent):
            self.tried[group, what] += tried
            self.survived[group, what] += survived

    def pytest_sessionfinish(self) -> None:
        """In a worker of pytest-xdist: hand the counts to the controller, as text."""
        if hasattr(self.config, "workeroutput"):
            counts = [(*kind, self.tried[kind], self.survived[kind]) for kind in self.tried]
            self.config.workeroutput[SENT] = json.dumps(counts)

    @pytest.hookimpl(optionalhook=True)  # unknown where pytest-xdist is not installed
    def pytest_testnodedown(self, node) -> None:
        """In the controller: a worker has ended. One that crashed sends nothing."""
        self.add(getattr(node, "workeroutput", {}).get(SENT, "[]"))

    def pytest_terminal_summary(self, terminalreporter) -> None:
        """Print the table, and write it where that was asked for."""
        rows = self.rows()
        if not rows:
            return
        terminalreporter.section("faults")
        for line in text_table([HEADER, *rows]):
            terminalreporter.write_line(line)
        lost = sorted(kind for kind in self.tried if self.tried[kind] > self.survived[kind])
        for group, what in lost:
            terminalreporter.write_line(f"lost: {group}, {what}")
        if self.config.getoption("--write-faults"):
            README.write_text(with_table(README.read_text("utf-8"), rows), "utf-8")
            terminalreporter.write_line(f"written to {README}")


def text_table(rows: list[tuple]) -> list[str]:
    """Lines of plain text: the first column to the left, numbers to the right."""
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            str(cell).rjust(width) if i else str(cell).ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def with_table(page: str, rows: list[tuple]) -> str:
    """The page with the table between its two marks replaced.

    Raises:
        ValueError: the page lacks the marks.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{README} must hold the lines {BEGIN} and {END}")
    lines = ["| " + " | ".join(HEADER) + " |", "|---" + "|--:" * (len(HEADER) - 1) + "|"]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    return "\n".join([f"{before}{begin}", *lines, f"{end}{after}"])


def read_table(page: str) -> Mapping[str, dict[str, int]]:
    """The table between the marks: group to its counts."""
    lines = page.partition(BEGIN)[2].partition(END)[0].strip().splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {group: dict(zip(HEADER[1:], map(int, counts), strict=True)) for group, *counts in cells}
