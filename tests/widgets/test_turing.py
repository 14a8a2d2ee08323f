"""The colour Turing test: order, log, intervals, and the widget driven through its traits."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from colorlab.widgets import TuringTest
from colorlab.widgets.shared import picture_png
from colorlab.widgets.turing import (
    Fooled,
    Vote,
    append_vote,
    fooled_rates,
    plan,
    read_votes,
    wilson,
)

VOTE = Vote(3, 1, "unet", "a, b.jpg", True, 4, 9)


# ---- intervals


def test_wilson_is_that_of_the_published_example():
    # R. G. Newcombe, Statistics in Medicine 17, 1998, table I, method 3: 81 of 263, 15 of 148.
    assert wilson(81, 263)[1:] == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(15, 148)[1:] == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson(0, 20)[1:] == pytest.approx((0, 0.1611), abs=5e-5)
    # No successes: the upper end is z^2 / (n + z^2), here with the z of 99 %.
    assert wilson(0, 20, 0.99).high == pytest.approx(2.5758**2 / (20 + 2.5758**2), abs=5e-5)
    assert wilson(1, 1) == pytest.approx((1, 1 / (1 + 1.95996**2), 1), abs=5e-5)


@pytest.mark.parametrize(("successes", "n", "level"), [(1, 0, 0.9), (3, 2, 0.9), (1, 2, 1.0)])
def test_wilson_refuses_what_is_no_share(successes, n, level):
    with pytest.raises(ValueError, match=r"want|level"):
        wilson(successes, n, level)


# ---- the order of the trials


@pytest.mark.parametrize(("models", "pictures"), [(3, 5), (2, 4), (4, 6), (1, 3), (5, 5), (4, 3)])
def test_no_pair_comes_twice_and_models_take_turns(models, pictures):
    names = [f"m{i}" for i in range(models)]
    trials = plan(names, pictures, seed=1, count=models * pictures)
    assert len({(t.model, t.picture) for t in trials}) == models * pictures
    for upto in range(1, len(trials) + 1):
        seen = Counter(t.model for t in trials[:upto])
        assert max(seen.values()) - min(seen[name] for name in names) <= 1
        shown = Counter(t.picture for t in trials[:upto])
        assert max(shown.values()) - min(shown[i] for i in range(pictures)) <= 1
    assert sum(t.truth_first for t in trials) == len(trials) // 2


def test_the_seed_decides_the_order():
    assert plan(["a", "b"], 20, seed=7) == plan(["a", "b"], 20, seed=7)
    orders = {tuple(plan(["a", "b"], 20, seed=seed)) for seed in range(5)}
    assert len(orders) == 5
    assert len(plan(["a", "b"], 20, seed=7)) == 20, "nobody sees a photograph twice"


@pytest.mark.parametrize(
    ("models", "pictures", "count"), [([], 3, 1), (["a", "a"], 3, 1), (["a"], 3, 4), (["a"], 0, 0)]
)
def test_what_cannot_be_planned_is_refused(models, pictures, count):
    with pytest.raises(ValueError, match="want"):
        plan(models, pictures, 0, count)


# ---- the log


def test_votes_survive_the_log(tmp_path):
    path = tmp_path / "deep" / "log.csv"
    votes = [VOTE, Vote(3, 2, "gan", 'a "b"\nc', False, 0, 1)]
    for vote in votes:
        append_vote(path, vote)
    assert read_votes(path) == votes
    append_vote(path, votes[0])
    assert len(read_votes(path)) == 3, "a later test adds to what is there"


def test_fooled_counts_votes_for_the_models_picture():
    votes = [VOTE, Vote(3, 2, "unet", "c", False, 5, 2), Vote(3, 3, "gan", "d", False, 0, 1)]
    assert fooled_rates(votes) == [Fooled("unet", 14, 20), Fooled("gan", 0, 1)]
    assert fooled_rates(votes)[0].rate == wilson(14, 20)


def test_another_file_is_left_alone(tmp_path):
    other = tmp_path / "thesis.csv"
    other.write_text("precious,data\n1,2\n")
    with pytest.raises(ValueError, match=r"thesis.csv is no log"):
        append_vote(other, VOTE)
    assert other.read_text() == "precious,data\n1,2\n"
    with pytest.raises(ValueError, match=r"thesis.csv is no log"):
        read_votes(other)


def test_a_damaged_line_is_named(tmp_path):
    path = tmp_path / "log.csv"
    append_vote(path, VOTE)
    with path.open("a") as file:
        file.write("3,2,unet\n")
    with pytest.raises(ValueError, match="line 3"):
        read_votes(path)


# ---- the widget


@pytest.fixture
def pictures():
    truth = torch.linspace(0, 1, 4)[:, None, None, None].expand(-1, 3, 8, 12).contiguous()
    return truth, {"unet": truth * 0.5, "gan": 1 - truth * 0.5}


@pytest.fixture
def make(pictures, tmp_path):
    truth, answers = pictures
    return lambda **options: TuringTest(truth, answers, "abcd", tmp_path / "log.csv", **options)


def test_it_shows_the_planned_pictures_and_logs_the_answers(make, pictures, tmp_path):
    truth, answers = pictures
    test = make(seed=5)
    trials = plan(["unet", "gan"], 4, seed=5)
    for number, trial in enumerate(trials, start=1):
        true, made = (picture_png(p[trial.picture][None]) for p in (truth, answers[trial.model]))
        assert (test.first, test.second) == ((true, made) if trial.truth_first else (made, true))
        assert test.trial == number
        assert test.rates == [], "nobody learns before the end"
        test.answer = {"trial": number, "first": 1, "second": 0}
    assert test.trial == test.total + 1 == 5
    logged = read_votes(tmp_path / "log.csv")
    assert logged == test.votes
    assert [v.picture for v in logged] == ["abcd"[t.picture] for t in trials]
    fooled = Counter(t.model for t in trials if not t.truth_first)
    assert {row[0]: row[1] for row in test.rates} == {m: fooled[m] for m in answers}
    for _model, hits, asked, share, interval in test.rates:
        rate = wilson(hits, asked)
        assert share == f"{rate.mean:.0%}" and interval == f"{rate.low:.0%} to {rate.high:.0%}"


@pytest.mark.parametrize(
    "answer",
    [
        {"trial": 2, "first": 1, "second": 0},
        {"trial": 1, "first": 0, "second": 0},
        {"trial": 1, "first": -1, "second": 3},
        {"trial": 1, "first": 1.5, "second": 0},
        {"trial": 1, "first": True, "second": 0},
        {"trial": 1},
    ],
)
def test_what_is_no_answer_is_told_and_not_logged(make, tmp_path, answer):
    test = make(hall=True)
    test.answer = answer
    assert test.failure.startswith("Not taken") and test.turn == 1
    assert test.trial == 1 and not (tmp_path / "log.csv").exists()
    test.answer = {"trial": 1, "first": 12, "second": 30}
    assert test.failure == "" and test.trial == 2 and test.votes[0].asked == 42


def test_a_log_that_cannot_be_written_is_told(make, tmp_path):
    (tmp_path / "log.csv").write_text("something else")
    test = make()
    test.answer = {"trial": 1, "first": 1, "second": 0}
    assert "no log" in test.failure and test.trial == 1 and test.votes == []


def test_pictures_that_do_not_fit_are_refused(pictures, tmp_path):
    truth, answers = pictures
    with pytest.raises(ValueError, match="gan: pictures"):
        TuringTest(truth, {"gan": answers["gan"][:2]}, "abcd", tmp_path / "x.csv")
    with pytest.raises(ValueError, match="a name for each of 4"):
        TuringTest(truth, answers, "abc", tmp_path / "x.csv")


def test_a_page_without_a_kernel_shows_the_first_pair(make):
    data, metadata = make()._repr_mimebundle_()
    assert data["image/jpeg"] and "Which is real" in metadata["image/jpeg"]["alt"]
    assert data["text/plain"] == "TuringTest(0 of 4 trials answered)"
