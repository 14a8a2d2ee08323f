"""What an exercise's check says, and what a reader sees who runs a cell before those above it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from colorlab.exercises import check, explain_missing_names

HELP = "Run All Above Selected Cell"


def in_ipython(*code: str) -> str:
    """What IPython prints for one cell."""
    words = (sys.executable, "-m", "IPython", "--no-banner", "--colors=NoColor", "-c")
    done = subprocess.run((*words, "\n".join(code)), capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


START = ("from colorlab.exercises import check, explain_missing_names", "explain_missing_names()")


def test_a_missing_name_says_which_menu_entry_helps():
    said = in_ipython(*START, "def f():", "    return balloon + 1", "f()")
    assert "NameError: name 'balloon' is not defined" in said, "the traceback stays"
    assert "balloon is not there" in said and HELP in said


def test_a_check_before_its_exercise_says_what_to_run():
    assert HELP in in_ipython(*START, "check((my_answer is not None, 'it is still None'))")


@pytest.mark.parametrize("line", ["1 / 0", "def f():\n    x += 1\nf()"])
def test_other_errors_are_shown_as_ever(line):
    said = in_ipython(*START, line)
    assert "Error" in said and HELP not in said


def test_a_condition_that_needs_a_missing_name_says_so(capsys):
    assert not check((lambda: not_made_yet > 0, "it must be positive"))  # noqa: F821
    said = capsys.readouterr().out
    assert said.startswith("Not yet: not_made_yet is not there.") and HELP in said


def test_a_local_variable_without_a_value_is_a_fault_of_the_answer(capsys):
    def answer():
        value += 1  # noqa: F821
        return value

    assert not check((lambda: answer() > 0, "it must be positive"))
    assert capsys.readouterr().out.startswith("Not yet: it must be positive (UnboundLocalError")


def test_outside_of_ipython_nothing_happens():
    explain_missing_names()


def test_check_tells_the_first_thing_that_is_wrong(capsys):
    assert check((True, "no"), (lambda: 1 + 1 == 2, "no"))
    assert capsys.readouterr().out == "Correct.\n"
    assert not check((True, "no"), (False, "it is too short"), (False, "later"))
    assert capsys.readouterr().out == "Not yet: it is too short.\n"
    assert not check((lambda: None + 1 > 0, "it is not a number"))
    assert "it is not a number (TypeError" in capsys.readouterr().out
