"""Strengths from pairwise judgements: a published example, and known strengths that are covered."""

from itertools import combinations

import numpy as np
import pytest
from scipy.special import expit

from colorlab.metrics import bradley_terry

TEAMS = ("Milwaukee", "Detroit", "Toronto", "New York", "Boston", "Cleveland", "Baltimore")
WON = (  # by the team of the row against that of the column; each pair played 13 games
    (0, 7, 9, 7, 7, 9, 11),
    (6, 0, 7, 5, 11, 9, 9),
    (4, 6, 0, 7, 7, 8, 12),
    (6, 8, 6, 0, 6, 7, 10),
    (6, 2, 6, 7, 0, 7, 12),
    (4, 4, 5, 6, 6, 0, 6),
    (2, 4, 1, 3, 1, 7, 0),
)
GAMES = [(TEAMS[i], TEAMS[j], WON[i][j], WON[j][i]) for i, j in combinations(range(7), 2)]


def test_strengths_are_those_of_the_published_example():
    # A. Agresti, Categorical Data Analysis, 2nd edition, 2002, section 10.6: baseball, 1987. Table
    # 10.11, column 3: estimates above Baltimore; the text: standard errors of about 0.3.
    found = bradley_terry(GAMES)
    published = (1.58, 1.44, 1.29, 1.25, 1.11, 0.68)
    for team, value in zip(TEAMS, published, strict=False):
        mean, low, high = found.difference(team, "Baltimore")
        assert mean == pytest.approx(value, abs=0.006)
        assert (high - low) / 2 / 1.96 == pytest.approx(0.3, abs=0.05)
    assert found.values.sum() == pytest.approx(0, abs=1e-9)
    assert found.preferred("Milwaukee", "Baltimore").mean == pytest.approx(expit(1.58), abs=0.002)


def test_the_likelihood_is_at_its_maximum_and_order_does_not_matter():
    found = bradley_terry(GAMES)
    for i, team in enumerate(TEAMS):  # expected wins equal those observed
        expected = sum(13 * found.preferred(team, other).mean for other in TEAMS if other != team)
        assert expected == pytest.approx(sum(WON[i]), abs=1e-6)
    turned = bradley_terry([(b, a, y, x) for a, b, x, y in reversed(GAMES)])
    for team in TEAMS:
        assert turned.interval(team) == pytest.approx(found.interval(team), abs=1e-8)
    one = [(a, b, *((1, 0) if k < x else (0, 1))) for a, b, x, y in GAMES for k in range(x + y)]
    assert bradley_terry(one).interval("Boston") == pytest.approx(found.interval("Boston"))


TRUE = np.array([0.9, 0.3, -0.2, -1.0])


def simulated(random, people: int, trials: int, own: float):
    """Judgements of people, each with own strengths that scatter by ``own`` around TRUE."""
    judgements, groups = [], []
    pairs = list(combinations(range(len(TRUE)), 2))
    for person in range(people):
        mine = TRUE + own * random.normal(size=len(TRUE))
        for k in range(trials):
            i, j = pairs[(person + k) % len(pairs)]
            first = bool(random.random() < expit(mine[i] - mine[j]))
            judgements.append((f"m{i}", f"m{j}", int(first), int(not first)))
            groups.append(person)
    return judgements, groups


def covered(runs: int, own: float, grouped: bool, true: np.ndarray) -> float:
    """Share of intervals that hold the true strength, over runs of 40 people with 18 trials."""
    random, hits = np.random.default_rng(0), []
    for _ in range(runs):
        judgements, groups = simulated(random, 40, 18, own)
        found = bradley_terry(judgements, groups if grouped else None)
        for name, value in zip(("m0", "m1", "m2", "m3"), true, strict=True):
            _, low, high = found.interval(name)
            hits.append(low <= value <= high)
    return float(np.mean(hits))


def test_intervals_cover_known_strengths_at_the_stated_rate():
    assert covered(250, 0.0, False, TRUE) == pytest.approx(0.95, abs=0.025)
    assert covered(150, 0.0, True, TRUE) == pytest.approx(0.95, abs=0.025)


def test_people_who_differ_need_their_group():
    # People's own strengths flatten the mean preference: the target is the fit to very many.
    judgements, _ = simulated(np.random.default_rng(1), 4000, 18, 0.8)
    many = bradley_terry(judgements)
    target = np.array([many.interval(f"m{i}").mean for i in range(4)])
    assert covered(150, 0.8, False, target) < 0.9
    assert covered(150, 0.8, True, target) == pytest.approx(0.95, abs=0.03)


@pytest.mark.parametrize(
    ("judgements", "groups", "words"),
    [
        ([], None, "want judgements"),
        ([("a", "b", 0, 0)], None, "want judgements"),
        ([("a", "b", -1, 2)], None, "want judgements"),
        ([("a", "a", 1, 2)], None, "two different models"),
        ([("a", "b", 3, 0)], None, "always preferred"),
        ([("a", "b", 1, 1), ("c", "d", 1, 1)], None, "never asked about"),
        (
            [("a", "b", 2, 1), ("a", "b", 1, 1)],
            ["x", "x"],
            "at least as many groups as there are models, 2; got 2 labels of 1",
        ),
        ([("a", "b", 2, 1), ("a", "b", 1, 1)], ["x"], "a group for each of 2"),
    ],
)
def test_what_has_no_estimate_is_told(judgements, groups, words):
    with pytest.raises(ValueError, match=words):
        bradley_terry(judgements, groups)
