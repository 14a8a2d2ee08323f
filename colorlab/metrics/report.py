"""What an evaluation reports: means with intervals, rankings, and tables in every format.

*Intervals.* 64 images vary far more than two models do. A bootstrap interval says how much another
sample of images could move the mean. A paired difference removes what two models share, the image,
and so tells apart models whose intervals overlap.

*Ranking.* A tie is read off the paired difference: its 95 % interval holds 0. Rows that see the
truth (oracles, the drawn world itself, the true photographs, the best of several samples, hints)
are left out.

*Tables.* Text, Markdown, CSV, HTML and JSON. Markdown and HTML mark the best row of a column and
its ties with signs, not colours, and take more columns than were measured, *facts*: how large a
model is, how long it was trained. Taught in lesson 03.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from colorlab.files import write_text
from colorlab.metrics.rows import COLUMNS, sees_truth

N_RESAMPLES = 5000  # moves an interval's end by about 1 % of its width from seed to seed
SEED = 0
_PER_PICTURE_DIGITS = 6  # finer than any metric's meaning, and a sixth of the file

Facts = Mapping[str, Mapping[str, object]]  # row -> heading -> value

BEST, TIED = "▲", "≈"
MARKS = (
    f"{BEST} best of the rows that do not see the truth; {TIED} ties with it: the 95 % interval "
    "of the paired difference holds 0"
)
APART = (
    f"; without values of each image {BEST} stands only where no other interval meets the best "
    "one: "
)
_STYLE = (  # specific enough to win against the tables of a web site
    "<style>.colorlab-table {font-size: 15px; font-variant-numeric: tabular-nums}"
    "table.colorlab-table tr :is(td, th) {padding: 2px 4px; white-space: nowrap}"
    "table.colorlab-table tbody tr:first-child th {white-space: normal; vertical-align: bottom}"
    ".colorlab-table :is(td, th) {text-align: right} .colorlab-table th:first-child"
    " {text-align: left}</style>"
)


class Interval(NamedTuple):
    """A mean over images, or another estimate, and its 95 % interval."""

    mean: float
    low: float
    high: float


def bootstrap(values: ArrayLike, n_resamples: int = N_RESAMPLES, seed: int = SEED) -> Interval:
    """Mean of ``values`` with its 95 % percentile bootstrap interval.

    Resamples the N values with replacement ``n_resamples`` times; the interval's ends are
    quantiles of the resampled means. The same arguments give the same digits.

    Args:
        values: (N,) one number an image; infinities of one sign are allowed (PSNR of equal
            images), NaN not.
        n_resamples: how often to resample.
        seed: of the resampling.

    Source: B. Efron, R. Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3.
    """
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or x.size == 0:
        raise ValueError(f"want a non-empty list of numbers, got shape {x.shape}")
    if np.isnan(x).any():
        raise ValueError(f"{int(np.isnan(x).sum())} of {x.size} values are NaN")
    if np.isposinf(x).any() and np.isneginf(x).any():
        raise ValueError("infinite values of both signs have no mean; leave these images out")
    if n_resamples < 1:
        raise ValueError(f"n_resamples must be at least 1, got {n_resamples}")
    chosen = np.random.default_rng(seed).integers(x.size, size=(n_resamples, x.size))
    means = x[chosen].mean(axis=1)
    # "nearest" takes a mean that occurred, so an infinite one cannot turn into NaN.
    low, high = np.quantile(means, [0.025, 0.975], method="nearest")
    return Interval(float(x.mean()), float(low), float(high))


def paired_difference(
    a: ArrayLike, b: ArrayLike, n_resamples: int = N_RESAMPLES, seed: int = SEED
) -> Interval:
    """Mean of ``a - b`` over the same images, with its bootstrap interval.

    If the interval leaves out 0, the two differ by more than the choice of images explains.

    Args:
        a: (N,) values of one model.
        b: (N,) values of another on the same images, in the same order.
        n_resamples: as of :func:`bootstrap`, as is ``seed``.
        seed: of the resampling.
    """
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.shape != second.shape:
        raise ValueError(f"pairs need equal lengths, got {first.shape} and {second.shape}")
    with np.errstate(invalid="ignore"):
        difference = np.where(first == second, 0.0, first - second)  # inf - inf is no difference
    return bootstrap(difference, n_resamples, seed)


class Standing(NamedTuple):
    """The leader of a column, and the rows whose paired difference to it holds 0."""

    best: str
    tied: tuple[str, ...]


@dataclass(frozen=True, repr=False)
class Evaluation:
    """The table of one evaluation.

    Attributes:
        rows: one dict a model: ``{"model": name, "ssim": {"mean", "low", "high"}, ...}``; a metric
            that could not be measured is None.
        per_picture: model -> metric -> (N,) array, without the metrics that are None.
        names: of the N images.
        provenance: data, versions, bootstrap, date: what is needed to repeat the table.
        notes: lines for the reader, such as why a column says n/a.
        details: results besides one number an image; the function that measured describes them.
    """

    rows: list[dict[str, Any]]
    per_picture: dict[str, dict[str, np.ndarray]]
    names: tuple[str, ...]
    provenance: dict[str, Any]
    notes: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the rows, in order."""
        return tuple(row["model"] for row in self.rows)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(name for name in COLUMNS if name in self.rows[0])

    def interval(self, model: str, metric: str) -> Interval | None:
        """One cell: mean and 95 % interval, or None where the metric could not be measured.

        Raises:
            KeyError: no such row or column.
        """
        row = next((row for row in self.rows if row["model"] == model), None)
        if row is None or metric not in row:
            have = f"rows {', '.join(self.models)}; columns {', '.join(self.metrics)}"
            raise KeyError(f"no cell {model!r}, {metric!r}; {have}")
        return None if row[metric] is None else Interval(**row[metric])

    def paired(self, metric: str, a: str, b: str) -> Interval:
        """Mean of ``a - b`` over the images, with the interval of the paired difference.

        Raises:
            KeyError: no per-picture values of that metric and model.
        """
        for model in (a, b):
            if metric not in self.per_picture.get(model, {}):
                raise KeyError(f"no per-picture {metric!r} of {model!r}")
        first, second = (self.per_picture[model][metric] for model in (a, b))
        settings = {"n_resamples": N_RESAMPLES, "seed": SEED}
        settings |= self.provenance.get("bootstrap", {})
        return paired_difference(first, second, settings["n_resamples"], settings["seed"])

    def table(self) -> str:
        """The table as aligned text: mean and half the width of the 95 % interval."""
        cells = self._cells()
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = [
            "  ".join(
                [row[0].ljust(widths[0])]
                + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
            )
            for row in cells
        ]
        lines.insert(1, "-" * len(lines[0]))
        return "\n".join([*lines, *self._footer()])

    __str__ = __repr__ = table  # what a notebook and a console show

    def to_markdown(self, facts: Facts | None = None, ties: bool = False) -> str:
        """The table in Markdown.

        Args:
            facts: more columns, row -> heading -> value; a row without one has an empty cell.
            ties: mark the best row of each column and those that tie with it; this needs
                per-picture values.
        """
        cells = [
            [f"**{cell}**" if cell.startswith(BEST) else cell.replace("|", "\\|") for cell in row]
            for row in self._cells(facts, ties)
        ]
        lines = ["| " + " | ".join(row) + " |" for row in cells]
        lines.insert(1, "| --- |" + " ---: |" * (len(cells[0]) - 1))
        return "\n".join([*lines, "", *self._footer(ties)])

    def to_csv(self, facts: Facts | None = None) -> str:
        """The table as CSV in full precision: mean, low and high, then facts; empty for n/a."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        ends, extra = Interval._fields, _headings(facts)
        writer.writerow(["model"] + [f"{m}_{end}" for m in self.metrics for end in ends] + extra)
        for row in self.rows:
            cells = [(row[metric] or {}).get(end, "") for metric in self.metrics for end in ends]
            writer.writerow([row["model"], *cells, *_fact_cells(row["model"], facts)])
        return text.getvalue()

    def to_html(self, ties: bool = False) -> str:
        """The table in HTML for a notebook; all text is escaped.

        With ``ties``, marked as in Markdown, the best of a column is bold and rows that see the
        truth are in italics, by elements: a notebook that is not trusted loses its styles.
        """
        head, *body = self._cells(ties=ties)
        rows = ["<tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in head) + "</tr>"]
        for name, line in zip(self.models, body, strict=True):
            row, *cells = map(escape, line)
            row = f"<em>{row}</em>" if ties and sees_truth(name) else row
            cells = [f"<b>{cell}</b>" if cell.startswith(BEST) else cell for cell in cells]
            rows.append(f"<tr><th>{row}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
        footer = "<br>".join(map(escape, self._footer(ties)))
        opening = f'{_STYLE}<table class="colorlab-table">' if ties else "<table>"
        return f"{opening}{''.join(rows)}</table><p>{footer}</p>"

    def _repr_html_(self) -> str:
        return self.to_html()

    def to_json(self, path: str | Path) -> None:
        """Write rows, provenance and per-picture values (6 digits) to ``path``, all or nothing.

        JSON has no infinity: an infinite value (PSNR of equal images) becomes null.
        """
        content = {
            "rows": self.rows,
            "provenance": self.provenance,
            "notes": list(self.notes),
            "names": list(self.names),
            "per_picture": {
                model: {
                    metric: [round(v, _PER_PICTURE_DIGITS) for v in values.tolist()]
                    for metric, values in metrics.items()
                }
                for model, metrics in self.per_picture.items()
            },
        }
        if self.details:
            content["details"] = self.details
        # Indented where a person reads it, one line where only a program does.
        parts = {
            key: json.dumps(
                _finite(value),
                indent=1 if key in ("rows", "provenance") else None,
                ensure_ascii=False,
                allow_nan=False,
            )
            for key, value in content.items()
        }
        text = "{" + ",".join(f'\n"{key}": {part}' for key, part in parts.items()) + "\n}"
        write_text(Path(path), text + "\n")

    @classmethod
    def read(cls, path: str | Path) -> Evaluation:
        """Read what :meth:`to_json` wrote.

        Raises:
            FileNotFoundError: no such file.
            ValueError: not an evaluation's JSON.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            return cls(
                rows=[{k: _infinite(v) for k, v in row.items()} for row in content["rows"]],
                per_picture={
                    model: {m: np.array(_infinite(values), float) for m, values in metrics.items()}
                    for model, metrics in content.get("per_picture", {}).items()
                },
                names=tuple(content.get("names", ())),
                provenance=content["provenance"],
                notes=tuple(content.get("notes", ())),
                details=content.get("details", {}),
            )
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(
                f"{path} is not an evaluation's JSON ({type(error).__name__}: {error})"
            ) from error

    def _cells(self, facts: Facts | None = None, ties: bool = False) -> list[list[str]]:
        """Heading and rows as text; a mark stands before the number of its cell."""
        marks = self._marks() if ties else {}
        cells = [["row", *(COLUMNS[m].heading for m in self.metrics), *_headings(facts)]]
        for row in self.rows:
            name = row["model"]
            line = [
                f"{marks.get((name, m), '')} {_cell(row[m], COLUMNS[m].digits)}".strip()
                for m in self.metrics
            ]
            cells.append([name, *line, *map(str, _fact_cells(name, facts))])
        return cells

    def _marks(self) -> dict[tuple[str, str], str]:
        marks = {}
        for metric in self.metrics:
            if not self._has_pairs(metric):
                marks |= dict.fromkeys(((row, metric) for row in _apart(self, metric)), BEST)
            elif (stands := standing(self, metric)) is not None:
                marks |= dict.fromkeys(((row, metric) for row in stands.tied), TIED)
                marks[stands.best, metric] = BEST
        return marks

    def _has_pairs(self, metric: str) -> bool:
        return all(metric in self.per_picture.get(model, ()) for model in self.models)

    def _footer(self, ties: bool = False) -> list[str]:
        unit = self.provenance.get("unit", "pictures")
        line = f"{len(self.names)} {unit}, mean ± half the 95 % bootstrap interval"
        truth = self.provenance.get("truth_colorfulness")
        if truth is not None:
            line += f"; the true pictures' colourfulness is {truth:.1f}"
        if not ties:
            return [line, *self.notes]
        ranked = [m for m in self.metrics if _leaders(self, m)[0]]
        apart = [COLUMNS[m].label for m in ranked if not self._has_pairs(m)]
        return [line, *self.notes, MARKS + (APART + ", ".join(apart) if apart else "")]


def standing(evaluation: Evaluation, metric: str) -> Standing | None:
    """The leader of one column among the rows that do not see the truth, and its ties.

    None for a metric without a better end (colourfulness), one that was not measured, or if all
    rows see the truth. A column without per-picture values is a KeyError.
    """
    leaders, others = _leaders(evaluation, metric)
    if not leaders:
        return None
    best, *equal = leaders
    pairs = {row: evaluation.paired(metric, row, best) for row in (*equal, *others)}
    return Standing(best, tuple(row for row, (_, low, high) in pairs.items() if low <= 0 <= high))


def _leaders(evaluation: Evaluation, metric: str) -> tuple[list[str], list[str]]:
    """Rows with the best mean, and the others: of those measured that do not see the truth.

    Both are empty for a metric without a better end.
    """
    rows = [model for model in evaluation.models if not sees_truth(model)]
    means = {row: cell.mean for row in rows if (cell := evaluation.interval(row, metric))}
    better = COLUMNS[metric].better
    if not means or not better:
        return [], []
    best = (max if better == "higher" else min)(means.values())
    return [r for r in means if means[r] == best], [r for r in means if means[r] != best]


def _apart(evaluation: Evaluation, metric: str) -> list[str]:
    """The best rows of a column without pairs, if no other row's interval meets one of theirs."""
    leaders, others = _leaders(evaluation, metric)
    ours, theirs = ([evaluation.interval(r, metric) for r in rows] for rows in (leaders, others))
    meet = any(a.low <= b.high and b.low <= a.high for a in ours for b in theirs)
    return [] if meet else leaders


def _headings(facts: Facts | None) -> list[str]:
    """Headings of all rows' facts, in the order in which they first appear."""
    return list(dict.fromkeys(h for row in (facts or {}).values() for h in row))


def _fact_cells(row: str, facts: Facts | None) -> list[object]:
    return [(facts or {}).get(row, {}).get(heading, "") for heading in _headings(facts)]


def _cell(value: Mapping[str, float] | None, digits: int) -> str:
    if value is None:
        return "n/a"
    if not math.isfinite(value["mean"]):
        return "∞"
    return f"{value['mean']:.{digits}f} ±{(value['high'] - value['low']) / 2:.{digits}f}"


def _finite(value: Any) -> Any:
    """Copy ``value`` with each infinite number replaced by None."""
    if isinstance(value, dict):
        return {key: _finite(v) for key, v in value.items()}
    if isinstance(value, list):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and math.isinf(value) else value


def _infinite(value: Any) -> Any:
    """Undo :func:`_finite` in one cell or list; a cell that is None itself was never measured."""
    if isinstance(value, dict):
        return {key: math.inf if v is None else v for key, v in value.items()}
    if isinstance(value, list):
        return [math.inf if v is None else v for v in value]
    return value
