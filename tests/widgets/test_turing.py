"""The tests with people: order, log, intervals, and the widgets driven through their traits."""

import csv
from collections import Counter
from itertools import combinations

import pytest
import torch

from colorlab.widgets import PreferenceTest, TuringTest
from colorlab.widgets.shared import picture_png
from colorlab.widgets.turing import (
    PHOTOGRAPH,
    Vote,
    append_vote,
    plan,
    read_votes,
    strengths,
    wilson,
)

NAME = "a, b.jpg"
VOTE = Vote(3, 1, PHOTOGRAPH, "unet", NAME, 4, 9)


def against(*models):
    """The pairs of a Turing test."""
    return [(PHOTOGRAPH, model) for model in models]


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
def test_no_pair_comes_twice_and_pairs_take_turns(models, pictures):
    pairs = against(*(f"m{i}" for i in range(models)))
    trials = plan(pairs, pictures, seed=1, count=models * pictures)
    made = [next(name for name in (t.first, t.second) if name != PHOTOGRAPH) for t in trials]
    assert len({(name, t.picture) for name, t in zip(made, trials, strict=True)}) == len(trials)
    for upto in range(1, len(trials) + 1):
        seen = Counter(made[:upto])
        assert max(seen.values()) - min(seen[name] for _, name in pairs) <= 1
        shown = Counter(t.picture for t in trials[:upto])
        assert max(shown.values()) - min(shown[i] for i in range(pictures)) <= 1
    assert sum(t.first == PHOTOGRAPH for t in trials) == len(trials) // 2
    assert plan(pairs, pictures, 1, models * pictures) == trials
    two = against("a", "b")
    assert plan(two, 20, seed=1) != plan(two, 20, seed=2), "the seed decides"


@pytest.mark.parametrize(
    ("pairs", "pictures", "count"),
    [
        ([], 3, 1),
        (against("a", "a"), 3, 1),
        ([("a", "b"), ("b", "a")], 3, 1),
        ([("a", "a")], 3, 1),
        (against("a"), 3, 4),
        (against("a"), 0, 0),
    ],
)
def test_what_cannot_be_planned_is_refused(pairs, pictures, count):
    with pytest.raises(ValueError, match="want"):
        plan(pairs, pictures, 0, count)


# ---- the log


def test_votes_survive_the_log(tmp_path):
    path = tmp_path / "deep" / "log.csv"
    other = Vote(3, 2, "gan", PHOTOGRAPH, 'a "b"\nc', 0, 1)
    for vote in (VOTE, other, VOTE):
        append_vote(path, vote)
    first, second, third = logged(path)
    values = ["3", "1", PHOTOGRAPH, "unet", NAME, "4", "9"]
    assert first == third and list(first.values()) == values
    assert second["picture"] == 'a "b"\nc' and second["second"] == PHOTOGRAPH
    assert read_votes([path]) == {"log": [VOTE, other, VOTE]}
    assert (VOTE.chosen("unet"), VOTE.chosen(PHOTOGRAPH), VOTE.chosen("gan")) == (9, 4, 0)


def test_another_file_is_left_alone(tmp_path):
    other = tmp_path / "thesis.csv"
    other.write_text("precious,data\n1,2\n")
    with pytest.raises(ValueError, match=r"thesis.csv is no log"):
        append_vote(other, VOTE)
    assert other.read_text() == "precious,data\n1,2\n"


@pytest.mark.parametrize("line", ["1,2,a", "x,1,a,b,c,1,0", "1,1,a,b,c,0,0", "1,1,a,b,c,-1,2"])
def test_a_broken_line_is_named(tmp_path, line):
    path = tmp_path / "ann.csv"
    append_vote(path, VOTE)
    with path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(ValueError, match=r"ann\.csv, line 3.*no vote"):
        read_votes([path])


def test_logs_of_several_people_are_read_together(tmp_path):
    # Both files are a class's: one in its own folder, one saved by a spreadsheet.
    ann, bob = tmp_path / "ann.csv", tmp_path / "bob.csv"
    append_vote(ann, VOTE)
    bob.write_bytes(b"\xef\xbb\xbf" + ann.read_bytes().replace(b"\n", b"\r\n"))
    assert read_votes(tmp_path.glob("*.csv")) == {"ann": [VOTE], "bob": [VOTE]}
    with pytest.raises(ValueError, match="two logs are called ann"):
        read_votes([ann, tmp_path / "." / "ann.csv"])
    with pytest.raises(ValueError, match="no logs"):
        read_votes([])
    (tmp_path / "notes.csv").write_text("a,b\n")
    with pytest.raises(ValueError, match=r"notes\.csv is no log"):
        read_votes(tmp_path.glob("*.csv"))


def test_strengths_are_of_all_people_and_grouped_as_told():
    def vote(picture, first, second, one, two):
        return Vote(0, 1, first, second, picture, one, two)

    people = {
        "ann": [vote("p", "unet", "gan", 1, 0), vote("q", "gan", "unet", 1, 0)],
        "bob": [vote("p", "gan", "unet", 0, 1), vote("q", "unet", "gan", 1, 0)],
    }
    # Three of four for the unet: the odds are 3.
    for by in ("person", "picture", None):
        found = strengths(people, by)
        assert found.preferred("unet", "gan").mean == pytest.approx(0.75)
    # A group is a picture: p agrees (2 of 2), q does not (1 of 2); a person: 1 of 2 and 2 of 2.
    residuals = {"person": (0.5, 0.5), "picture": (0.5, 0.5), None: (0.25, 0.75)}
    for by, (one, two) in residuals.items():
        if by is None:  # 1 / sqrt(n p (1 - p)), in logits
            wanted = (4 * 0.75 * 0.25) ** -0.5
        else:  # sqrt(2 / 1 * (one^2 + two^2)) / (n p (1 - p)): scores 2 - 1.5 and 1 - 1.5
            wanted = (2 * (one**2 + two**2)) ** 0.5 / (4 * 0.75 * 0.25)
        found = strengths(people, by)
        low, high = found.difference("unet", "gan")[1:]
        assert (high - low) / 2 / found.reach == pytest.approx(wanted)
    with pytest.raises(ValueError, match="by is"):
        strengths(people, "seed")


# ---- the widgets


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
    trials = plan(against("unet", "gan"), 4, seed=5)
    shown = {PHOTOGRAPH: truth, **answers}
    for number, trial in enumerate(trials, start=1):
        pair = (picture_png(shown[n][trial.picture][None]) for n in (trial.first, trial.second))
        assert (test.first, test.second) == tuple(pair)
        assert test.trial == number
        assert test.rates == [], "nobody learns before the end"
        test.answer = {"trial": number, "first": 2 * number, "second": 1}
    assert test.trial == test.total + 1 == 5
    lines = logged(tmp_path / "log.csv")
    assert [(v["first"], v["second"], v["picture"]) for v in lines] == [
        (t.first, t.second, "abcd"[t.picture]) for t in trials
    ]
    # Who takes the first picture is fooled where it is the model's.
    fooled = Counter()
    for number, trial in enumerate(trials, start=1):
        truth_first = trial.first == PHOTOGRAPH
        fooled[trial.second if truth_first else trial.first] += 1 if truth_first else 2 * number
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


def test_preferences_are_asked_of_all_pairs_and_logged(pictures, tmp_path):
    answers = {**pictures[1], "boost": pictures[0] * 0.9}
    log = tmp_path / "me.csv"
    test = PreferenceTest(answers, "abcd", log, seed=2, count=12, hall=True)
    assert test.side_by_side and not TuringTest(*pictures, "abcd", log).side_by_side
    trials = plan(list(combinations(answers, 2)), 4, seed=2, count=12)
    assert len({(frozenset((t.first, t.second)), t.picture) for t in trials}) == 12
    for number, trial in enumerate(trials, start=1):
        pair = (picture_png(answers[n][trial.picture][None]) for n in (trial.first, trial.second))
        assert (test.first, test.second) == tuple(pair)
        assert test.rates == []
        boost = [3 if name == "boost" else 1 for name in (trial.first, trial.second)]
        test.answer = {"trial": number, "first": boost[0], "second": boost[1]}
    chosen = {row[0]: (row[1], row[2]) for row in test.rates}
    assert chosen == {"unet": (8, 24), "gan": (8, 24), "boost": (24, 32)}
    people = read_votes([log])
    assert people == {"me": test.votes}
    found = strengths(people, by=None)
    assert found.preferred("boost", "gan").mean == pytest.approx(0.75)
    assert found.difference("unet", "gan").mean == pytest.approx(0, abs=1e-9)
    assert "more believable" in test._repr_mimebundle_()[1]["image/jpeg"]["alt"]
    assert repr(test) == "PreferenceTest(12 of 12 trials answered)"


def test_tests_without_two_versions_are_refused(pictures, tmp_path):
    truth, answers = pictures
    with pytest.raises(ValueError, match="at least two models"):
        PreferenceTest({"unet": answers["unet"]}, "abcd", tmp_path / "x.csv")
    with pytest.raises(ValueError, match="none called 'photograph'"):
        TuringTest(truth, {PHOTOGRAPH: truth}, "abcd", tmp_path / "x.csv")


def test_a_page_without_a_kernel_shows_the_first_pair(make):
    data, metadata = make()._repr_mimebundle_()
    assert data["image/jpeg"] and "Which is real" in metadata["image/jpeg"]["alt"]
    assert data["text/plain"] == "TuringTest(0 of 4 trials answered)"
