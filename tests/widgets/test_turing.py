"""The colour Turing test: order, log, intervals, and the widget driven through its traits."""

import csv
from collections import Counter

import pytest
import torch

from colorlab.widgets import TuringTest
from colorlab.widgets.shared import picture_png
from colorlab.widgets.turing import Vote, append_vote, plan, wilson

NAME = "a, b.jpg"
VOTE = Vote(3, 1, "unet", NAME, True, 4, 9)


def logged(path):
    """The lines of a log, as dicts."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_wilson_is_that_of_the_published_example():
    # R. G. Newcombe, Statistics in Medicine 17, 1998, table I, method 3: 81 of 263, 15 of 148.
    assert wilson(81, 263)[1:] == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(15, 148)[1:] == pytest.approx((0.0624, 0.1605), abs=5e-5)
    # All of n: the lower end is n / (n + z^2).
    assert wilson(1, 1) == pytest.approx((1, 1 / (1 + 1.95996**2), 1), abs=5e-5)
    for successes, n in ((1, 0), (0, 0), (3, 2), (-1, 2)):
        with pytest.raises(ValueError, match="want"):
            wilson(successes, n)


# ---- the order of the trials


@pytest.mark.parametrize(("models", "pictures"), [(3, 5), (2, 4), (4, 6), (1, 3), (4, 3)])
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
    assert plan(names, pictures, 1, models * pictures) == trials
    assert plan(["a", "b"], 20, seed=1) != plan(["a", "b"], 20, seed=2), "the seed decides"


@pytest.mark.parametrize(
    ("models", "pictures", "count"), [([], 3, 1), (["a", "a"], 3, 1), (["a"], 3, 4), (["a"], 0, 0)]
)
def test_what_cannot_be_planned_is_refused(models, pictures, count):
    with pytest.raises(ValueError, match="want"):
        plan(models, pictures, 0, count)


# ---- the log


def test_votes_survive_the_log(tmp_path):
    path = tmp_path / "deep" / "log.csv"
    for vote in (VOTE, Vote(3, 2, "gan", 'a "b"\nc', False, 0, 1), VOTE):
        append_vote(path, vote)
    first, second, third = logged(path)
    assert first == third and list(first.values()) == ["3", "1", "unet", NAME, "1", "4", "9"]
    assert second["picture"] == 'a "b"\nc' and second["truth_first"] == "0"


def test_another_file_is_left_alone(tmp_path):
    other = tmp_path / "thesis.csv"
    other.write_text("precious,data\n1,2\n")
    with pytest.raises(ValueError, match=r"thesis.csv is no log"):
        append_vote(other, VOTE)
    assert other.read_text() == "precious,data\n1,2\n"


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
        test.answer = {"trial": number, "first": 2 * number, "second": 1}
    assert test.trial == test.total + 1 == 5
    lines = logged(tmp_path / "log.csv")
    assert [(v["model"], v["picture"]) for v in lines] == [
        (t.model, "abcd"[t.picture]) for t in trials
    ]
    # Who takes the first picture is fooled where it is the model's.
    fooled = Counter()
    for number, trial in enumerate(trials, start=1):
        fooled[trial.model] += 1 if trial.truth_first else 2 * number
    assert {row[0]: row[1] for row in test.rates} == fooled
    for _model, hits, asked, share, interval in test.rates:
        rate = wilson(hits, asked)
        assert share == f"{rate.mean:.0%}" and interval == f"{rate.low:.0%} to {rate.high:.0%}"


@pytest.mark.parametrize(
    "answer",
    [
        {"trial": 2, "first": 1, "second": 0},
        {"trial": 1, "first": 0, "second": 0},
        {"trial": 1, "first": -1, "second": 3},
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
