"""What an evaluation leaves: rows, per-picture values, a table, and a file that says where from."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from colorlab.files import write_text
from colorlab.metrics import tables
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
        details: what an evaluation found besides numbers a picture; told by its function.
    """

    rows: list[dict[str, Any]]
    per_picture: dict[str, dict[str, np.ndarray]] = field(repr=False)
    names: tuple[str, ...] = field(repr=False)
    provenance: dict[str, Any] = field(repr=False)
    notes: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict, repr=False)

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
        return tables.as_text(self)

    def to_markdown(self, facts: tables.Facts | None = None, ties: bool = False) -> str:
        """The table in Markdown; see :func:`colorlab.metrics.tables.as_markdown`."""
        return tables.as_markdown(self, facts, ties)

    def to_csv(self, facts: tables.Facts | None = None) -> str:
        """The table as CSV, in full precision; see :func:`colorlab.metrics.tables.as_csv`."""
        return tables.as_csv(self, facts)

    def to_html(self, facts: tables.Facts | None = None, ties: bool = False) -> str:
        """The table as HTML; see :func:`colorlab.metrics.tables.as_html`."""
        return tables.as_html(self, facts, ties)

    def _repr_html_(self) -> str:
        return tables.as_html(self)

    def __str__(self) -> str:
        return self.table()

    __repr__ = __str__  # what a notebook and a console show

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
        if self.details:
            content["details"] = self.details
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
                details=content.get("details", {}),
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
