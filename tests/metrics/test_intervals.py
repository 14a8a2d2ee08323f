"""The bootstrap: repeatable, covering, and blind to what it should be blind to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colorlab.metrics import bootstrap, paired_difference

values = st.lists(st.floats(-100, 100), min_size=1, max_size=30)


def test_same_arguments_give_the_same_digits():
    x = np.random.default_rng(5).normal(size=64)
    assert bootstrap(x) == bootstrap(x)
    assert bootstrap(x, seed=1) != bootstrap(x, seed=2)


def test_the_interval_is_that_of_the_normal_theory():
    # For many values the bootstrap's half width nears 1.96 standard errors.
    x = np.random.default_rng(0).normal(3, 2, size=400)
    mean, low, high = bootstrap(x)
    assert mean == pytest.approx(x.mean())
    assert (high - low) / 2 == pytest.approx(1.96 * x.std() / 20, rel=0.06)


def test_about_95_of_100_intervals_cover_the_truth():
    rng = np.random.default_rng(1)
    intervals = [bootstrap(rng.normal(0, 1, size=64), n_resamples=400) for _ in range(300)]
    share = np.mean([i.low <= 0 <= i.high for i in intervals])
    assert 0.90 <= share <= 0.985  # three standard errors around 0.945


@settings(max_examples=60, deadline=None)
@given(values, st.floats(-50, 50))
def test_interval_contains_the_mean_and_moves_with_the_values(x, shift):
    mean, low, high = bootstrap(x, n_resamples=500)
    assert low - 1e-9 <= mean <= high + 1e-9
    moved = bootstrap(np.add(x, shift), n_resamples=500)
    np.testing.assert_allclose(moved, np.add((mean, low, high), shift), atol=1e-9)


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


def test_an_infinite_value_stays_infinite():
    mean, _, high = bootstrap([20.0, 30.0, float("inf")])
    assert mean == high == float("inf")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: bootstrap([]), "non-empty"),
        (lambda: bootstrap([[1.0]]), r"\(1, 1\)"),
        (lambda: bootstrap([1.0, float("nan")]), "1 of 2 values are NaN"),
        (lambda: bootstrap([1.0], n_resamples=0), "n_resamples"),
        (lambda: bootstrap([1.0], level=1.0), "level"),
        (lambda: paired_difference([1.0], [1.0, 2.0]), "equal lengths"),
    ],
)
def test_bad_arguments_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
