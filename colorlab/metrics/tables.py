"""The table of an evaluation as text, Markdown, CSV and HTML.

Markdown and HTML mark the best row of a column and its ties, and take more columns than were
measured, *facts*: what a model weighs, how long it trained. Signs, not colours, carry the marks.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

from colorlab.metrics.intervals import Interval
from colorlab.metrics.protocol import COLUMNS
from colorlab.metrics.ranking import standing
from colorlab.metrics.rows import sees_truth

if TYPE_CHECKING:
    from colorlab.metrics.report import Evaluation

Facts = Mapping[str, Mapping[str, object]]  # row -> heading -> value

BEST, TIED = "▲", "≈"
MARKS = (
    f"{BEST} best of the rows that do not see the truth; {TIED} ties with it: the 95 % interval "
    "of the paired difference holds 0"
)
_STYLE = (  # specific enough to win against the tables of a web site
    "<style>.colorlab-table {font-size: 15px; font-variant-numeric: tabular-nums}"
    "table.colorlab-table tr :is(td, th) {padding: 2px 4px; white-space: nowrap}"
    "table.colorlab-table tbody tr:first-child th {white-space: normal; vertical-align: bottom}"
    ".colorlab-table :is(td, th) {text-align: right} .colorlab-table th:first-child"
    " {text-align: left}</style>"
)


def as_text(evaluation: Evaluation) -> str:
    """Aligned text: mean and half the width of the 95 % interval."""
    cells = _cells(evaluation)
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0])]
            + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        )
        for row in cells
    ]
    lines.insert(1, "-" * len(lines[0]))
    return "\n".join([*lines, *_footer(evaluation)])


def as_markdown(evaluation: Evaluation, facts: Facts | None = None, ties: bool = False) -> str:
    """A Markdown table.

    Args:
        evaluation: what was measured.
        facts: more columns, row -> heading -> value; a row without one has an empty cell.
        ties: mark the best row of each column and those that tie with it; this needs
            per-picture values.

    Raises:
        KeyError: ``ties``, and no per-picture values.
    """
    marks = _marks(evaluation) if ties else {}
    cells = _cells(evaluation, facts, marks)
    for row, line in zip(evaluation.models, cells[1:], strict=True):
        for i, metric in enumerate(evaluation.metrics, start=1):
            if marks.get((row, metric)) == BEST:
                line[i] = f"**{line[i]}**"
    rule = ["---"] + ["---:"] * (len(cells[0]) - 1)
    lines = ["| " + " | ".join(_pipes(c) for c in row) + " |" for row in [cells[0], *cells[1:]]]
    lines.insert(1, "| " + " | ".join(rule) + " |")
    footer = [*_footer(evaluation), *([MARKS] if ties else [])]
    return "\n".join([*lines, "", *footer])


def as_csv(evaluation: Evaluation, facts: Facts | None = None) -> str:
    """CSV in full precision: mean, low and high of each metric, then facts; empty for n/a."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    ends, metrics, extra = Interval._fields, evaluation.metrics, _headings(facts)
    writer.writerow(["model"] + [f"{m}_{end}" for m in metrics for end in ends] + extra)
    for row in evaluation.rows:
        name = row["model"]
        cells = [(row[metric] or {}).get(end, "") for metric in metrics for end in ends]
        more = [(facts or {}).get(name, {}).get(heading, "") for heading in extra]
        writer.writerow([name, *cells, *more])
    return text.getvalue()


def as_html(evaluation: Evaluation, facts: Facts | None = None, ties: bool = False) -> str:
    """An HTML table for a notebook; all text is escaped.

    Arguments and errors as :func:`as_markdown`. With ``ties``, the best of a column is bold, and
    rows that see the truth are in italics: by elements, since a notebook that is not trusted
    takes styles away.
    """
    marks = _marks(evaluation) if ties else {}
    head, *body = _cells(evaluation, facts, marks)
    rows = ["<tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in head) + "</tr>"]
    keys = [*evaluation.metrics, *_headings(facts)]
    for name, line in zip(evaluation.models, body, strict=True):
        row = escape(line[0])
        parts = [f"<th><em>{row}</em></th>" if ties and sees_truth(name) else f"<th>{row}</th>"]
        for key, cell in zip(keys, map(escape, line[1:]), strict=True):
            best = marks.get((name, key)) == BEST
            parts.append(f"<td><b>{cell}</b></td>" if best else f"<td>{cell}</td>")
        rows.append(f"<tr>{''.join(parts)}</tr>")
    footer = "<br>".join(map(escape, [*_footer(evaluation), *([MARKS] if ties else [])]))
    opening = f'{_STYLE}<table class="colorlab-table">' if ties else "<table>"
    return f"{opening}{''.join(rows)}</table><p>{footer}</p>"


def _cells(
    evaluation: Evaluation,
    facts: Facts | None = None,
    marks: Mapping[tuple[str, str], str] | None = None,
) -> list[list[str]]:
    metrics, extra = evaluation.metrics, _headings(facts)
    cells = [["row", *(COLUMNS[metric].heading for metric in metrics), *extra]]
    for row in evaluation.rows:
        name = row["model"]
        line = [name]
        for metric in metrics:
            mark = (marks or {}).get((name, metric), "")
            line.append(f"{mark} {_cell(row[metric], COLUMNS[metric].digits)}".strip())
        cells.append(line + [str((facts or {}).get(name, {}).get(h, "")) for h in extra])
    return cells


def _marks(evaluation: Evaluation) -> dict[tuple[str, str], str]:
    marks = {}
    paired = set.intersection(*(set(values) for values in evaluation.per_picture.values()))
    for metric in evaluation.metrics:  # no pairs, no ties: then no mark
        stands = standing(evaluation, metric) if metric in paired else None
        if stands is not None:
            marks |= {(row, metric): TIED for row in stands.tied} | {(stands.best, metric): BEST}
    return marks


def _headings(facts: Facts | None) -> list[str]:
    """Headings of all rows' facts, in the order in which they first appear."""
    return list(dict.fromkeys(h for row in (facts or {}).values() for h in row))


def _footer(evaluation: Evaluation) -> list[str]:
    pictures = f"{len(evaluation.names)} pictures, mean ± half the 95 % bootstrap interval"
    truth = evaluation.provenance.get("truth_colorfulness")
    vivid = f"; the true pictures' colourfulness is {truth:.1f}" if truth is not None else ""
    return [f"{pictures}{vivid}", *evaluation.notes]


def _cell(value: Mapping[str, float] | None, digits: int) -> str:
    if value is None:
        return "n/a"
    if not math.isfinite(value["mean"]):
        return "∞"
    return f"{value['mean']:.{digits}f} ±{(value['high'] - value['low']) / 2:.{digits}f}"


def _pipes(cell: str) -> str:
    return cell.replace("|", "\\|")
