"""Bootstrap intervals, leaders and ties, and the table in each of its formats."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import numpy as np
import pytest

from colorlab.metrics import METRICS, Evaluation, bootstrap, paired_difference
from colorlab.metrics.report import standing

# --- intervals


def test_the_interval_is_that_of_the_normal_theory():
    # For many values the bootstrap's half width nears 1.96 standard errors.
    x = np.random.default_rng(0).normal(3, 2, size=400)
    mean, low, high = bootstrap(x)
    assert mean == pytest.approx(x.mean())
    assert (high - low) / 2 == pytest.approx(1.96 * x.std() / 20, rel=0.06)
    assert bootstrap(x) == (mean, low, high) != bootstrap(x, seed=1)
    np.testing.assert_allclose(bootstrap(x - 7), (mean - 7, low - 7, high - 7))


def test_pairing_sees_what_two_intervals_cannot():
    rng = np.random.default_rng(2)
    a = rng.normal(20, 5, size=64)
    b = a + 0.3 + rng.normal(0, 0.1, size=64)
    assert bootstrap(a).high > bootstrap(b).low  # they overlap
    difference = paired_difference(b, a)
    assert difference.low > 0
    assert difference.mean == pytest.approx(0.3, abs=0.05)


def test_identical_models_differ_by_nothing():
    x = [1.0, 5.0, float("inf")]
    assert paired_difference(x, x) == (0, 0, 0)
    assert bootstrap(x).mean == bootstrap(x).high == float("inf")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: bootstrap([]), "non-empty"),
        (lambda: bootstrap([[1.0]]), r"\(1, 1\)"),
        (lambda: bootstrap([1.0, float("nan")]), "1 of 2 values are NaN"),
        (lambda: bootstrap([1.0], n_resamples=0), "n_resamples"),
        (lambda: paired_difference([1.0], [1.0, 2.0]), "equal lengths"),
        (
            lambda: paired_difference([np.inf, 1, 2], [1, np.inf, 3]),
            "infinite values of both signs",
        ),
    ],
)
def test_bad_arguments_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


# --- leaders, ties and formats

N = 40


@pytest.fixture
def table():
    """Hard and easy pictures; ``b`` is always a little worse than ``a``, ``c`` at random."""
    random = np.random.default_rng(0)
    hard = random.uniform(5, 40, N)
    values = {
        "gray": hard + 6,
        "a": hard,
        "b": hard + 0.5 + random.normal(0, 0.2, N),
        "c": hard + random.normal(0, 3, N),
        "c:best8": hard - 4,
        "oracle64": hard / 10,
    }
    return Evaluation(
        rows=[
            {"model": m, "ssim": None, "de76": bootstrap(v)._asdict(), "colorfulness": None}
            for m, v in values.items()
        ],
        per_picture={m: {"de76": v} for m, v in values.items()},
        names=tuple(map(str, range(N))),
        provenance={},
    )


def test_a_tie_is_read_off_the_pairs_and_not_off_the_bars(table):
    best, tied = standing(table, "de76")
    a, b = (table.interval(m, "de76") for m in "ab")
    assert b.low < a.high, "the bars of a and b overlap nearly whole"
    assert (best, tied) in [("a", ("c",)), ("c", ("a",))], "and still b is behind on every picture"


def test_what_has_no_better_end_has_no_leader(table):
    assert standing(table, "colorfulness") is None
    assert standing(table, "ssim") is None, "not measured"
    with pytest.raises(KeyError, match="nonsense"):
        standing(table, "nonsense")


def test_higher_is_better_where_the_metric_says_so(table):
    flipped = Evaluation(
        rows=[{"model": row["model"], "psnr": row["de76"]} for row in table.rows],
        per_picture={m: {"psnr": v["de76"]} for m, v in table.per_picture.items()},
        names=table.names,
        provenance={},
    )
    assert METRICS["psnr"].better == "higher"
    assert standing(flipped, "psnr") == ("gray", ())


def test_marks_and_facts_in_markdown(table):
    facts = {"a": {"weights": 7, "made | of": "x"}, "b": {"weights": 9}}
    head, rule, *rows = table.to_markdown(facts, ties=True).splitlines()
    cells = {row.split(" | ")[0].strip("| "): row for row in rows if row.startswith("|")}
    assert head.endswith("| weights | made \\| of |")
    assert rule.count("---:") == 5
    assert sum("▲" in row for row in cells.values()) == 1
    best = next(name for name, row in cells.items() if "**▲" in row)
    other = {"a": "c", "c": "a"}[best]
    assert "≈" in cells[other] and "≈" not in cells["b"]
    assert cells["a"].endswith("| 7 | x |") and cells["b"].endswith("| 9 |  |")
    plain = table.to_markdown()
    assert "▲" not in plain and "≈" not in plain
    # A file may hold means alone; what has no pairs and overlaps has no marks.
    alone = replace(table, per_picture={})
    *without_marks, legend = alone.to_markdown(ties=True).splitlines()
    assert without_marks == plain.splitlines()
    assert legend.endswith("meets the best one: ΔE76")
    assert "meets" not in table.to_markdown(ties=True), "every column that is ranked has pairs"
    assert "▲" not in alone.to_html(ties=True).split("</table>")[0]


def test_without_pairs_the_best_rows_are_marked_where_their_intervals_stand_apart(table):
    def marked(**means):
        cells = {m: {"mean": v, "low": v - 0.5, "high": v + 0.5} for m, v in means.items()}
        rows = [{"model": m, "coverage": cells[m]} for m in means]
        lines = replace(table, rows=rows, per_picture={}).to_markdown(ties=True).splitlines()
        return [m for m, line in zip(means, lines[2:], strict=False) if "▲" in line]

    assert marked(gray=1, a=3, b=5) == ["b"]
    assert marked(gray=1, a=5, b=5) == ["a", "b"], "equal means lead together"
    assert marked(gray=1, a=4.5, b=5) == [], "4 to 5 and 4.5 to 5.5: not told apart without pairs"
    assert marked(gray=1, a=3, oracle64=9) == ["a"], "a row that sees the truth does not lead"


def test_csv_holds_every_digit_and_the_facts(table):
    facts = {"a": {"weights": 7, "device": 'a "GPU", big'}}
    rows = list(csv.DictReader(io.StringIO(table.to_csv(facts))))
    assert [row["model"] for row in rows] == list(table.models)
    for row in rows:
        assert float(row["de76_low"]) == table.interval(row["model"], "de76").low
        assert row["ssim_mean"] == ""
    assert rows[1]["weights"] == "7" and rows[0]["weights"] == ""
    assert rows[1]["device"] == 'a "GPU", big'


def test_html_escapes_what_it_is_given_and_marks_one_best(table):
    table = replace(table, notes=("<script>&",))
    html = table.to_html(ties=True)
    assert "<script>" not in html and "&lt;script&gt;&amp;" in html
    assert html.count("<td><b>▲") == html.count("<b>") == 1
    assert html.count("<th><em>") == html.count("<em>") == 2
    assert "class" not in table._repr_html_(), "the plain form has no marks"
