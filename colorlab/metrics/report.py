"""What an evaluation leaves: rows, per-picture values, a table, and a file that says where from."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from colorlab.metrics.intervals import N_RESAMPLES, SEED, Interval, paired_difference
from colorlab.metrics.protocol import COLUMNS

_PER_PICTURE_DIGITS = 6  # finer than any metric's meaning, and a sixth of the file


@dataclass(frozen=True, repr=False)
class Evaluation:
    """The table of one evaluation.

    Attributes:
        rows: one dict a model: ``{"model": name, "ssim": {"mean", "low", "high"}, ...}``; a metric
            that could not be measured is None.
        per_picture: model -> metric -> (N,) array, without the metrics that are None.
        names: the N pictures.
        provenance: data, versions, bootstrap, date: what it takes to repeat the table.
        notes: one line for each thing the reader should know, such as why a column says n/a.
    """

    rows: list[dict[str, Any]]
    per_picture: dict[str, dict[str, np.ndarray]] = field(repr=False)
    names: tuple[str, ...] = field(repr=False)
    provenance: dict[str, Any] = field(repr=False)
    notes: tuple[str, ...] = ()

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
        """Mean of ``a - b`` over the pictures, with the interval of the paired difference.

        Raises:
            KeyError: no per-picture values of that metric and model.
        """
        for model in (a, b):
            if metric not in self.per_picture.get(model, {}):
                raise KeyError(f"no per-picture {metric!r} of {model!r}")
        settings = self.provenance.get("bootstrap", {})
        return paired_difference(
            self.per_picture[a][metric],
            self.per_picture[b][metric],
            n_resamples=settings.get("n_resamples", N_RESAMPLES),
            seed=settings.get("seed", SEED),
        )

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

    def to_markdown(self) -> str:
        """The table in Markdown."""
        cells = self._cells()
        rule = ["---"] + ["---:"] * (len(cells[0]) - 1)
        lines = ["| " + " | ".join(row) + " |" for row in [cells[0], rule, *cells[1:]]]
        return "\n".join([*lines, "", *self._footer()])

    def to_csv(self) -> str:
        """The table as CSV, in full precision: mean, low and high of each metric; empty for n/a."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        ends = Interval._fields
        writer.writerow(["model"] + [f"{metric}_{end}" for metric in self.metrics for end in ends])
        for row in self.rows:
            cells = [(row[metric] or {}).get(end, "") for metric in self.metrics for end in ends]
            writer.writerow([row["model"], *cells])
        return text.getvalue()

    def _repr_html_(self) -> str:
        head, *body = self._cells()
        rows = ["<tr>" + "".join(f"<th>{escape(c)}</th>" for c in head) + "</tr>"]
        rows += [
            f"<tr><th>{escape(row[0])}</th>"
            + "".join(f"<td>{escape(c)}</td>" for c in row[1:])
            + "</tr>"
            for row in body
        ]
        footer = "<br>".join(map(escape, self._footer()))
        return f"<table>{''.join(rows)}</table><p>{footer}</p>"

    def __str__(self) -> str:
        return self.table()

    __repr__ = __str__  # what a notebook and a console show

    def _cells(self) -> list[list[str]]:
        head = ["row", *(COLUMNS[metric].heading for metric in self.metrics)]
        return [head] + [
            [row["model"], *(_cell(row[metric], COLUMNS[metric].digits) for metric in self.metrics)]
            for row in self.rows
        ]

    def _footer(self) -> list[str]:
        pictures = f"{len(self.names)} pictures, mean ± half the 95 % bootstrap interval"
        truth = self.provenance.get("truth_colorfulness")
        vivid = f"; the true pictures' colourfulness is {truth:.1f}" if truth is not None else ""
        return [f"{pictures}{vivid}", *self.notes]

    def to_json(self, path: str | Path) -> None:
        """Write rows, provenance and per-picture values (6 digits) to ``path``, all or nothing.

        JSON knows no infinity: an infinite value (PSNR of equal pictures) becomes null.
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
        # Indented where a person reads, one line where only a program does.
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
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        # A name of its own, then a rename: a reader never sees half a file.
        draft = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            draft.write_text(text + "\n", encoding="utf-8")
            os.replace(draft, target)
        finally:
            draft.unlink(missing_ok=True)

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
                    model: {
                        metric: np.array(
                            [math.inf if v is None else v for v in values], dtype=float
                        )
                        for metric, values in metrics.items()
                    }
                    for model, metrics in content.get("per_picture", {}).items()
                },
                names=tuple(content.get("names", ())),
                provenance=content["provenance"],
                notes=tuple(content.get("notes", ())),
            )
        except (
            KeyError,
            TypeError,
            AttributeError,
            UnicodeDecodeError,
            json.JSONDecodeError,
        ) as error:
            raise ValueError(
                f"{path} is not an evaluation's JSON ({type(error).__name__}: {error})"
            ) from error


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
    """Undo :func:`_finite` in one cell; a cell that is None altogether was never measured."""
    if isinstance(value, dict):
        return {key: math.inf if v is None else v for key, v in value.items()}
    return value
