"""What an exercise's check says, and what a reader sees who runs a cell before those above it."""

import json
import subprocess
import sys

from colorlab.exercises import check, explain_missing_names

HELP = "Run All Above Selected Cell"
NOTEBOOK = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance(colors="nocolor")
for cell in json.load(sys.stdin):
    shell.run_cell(cell)
    print("end of cell")
"""


def in_ipython(*cells: str) -> list[str]:
    """What IPython prints for each cell."""
    words = (sys.executable, "-c", NOTEBOOK)
    done = subprocess.run(words, input=json.dumps(cells), stdout=subprocess.PIPE, text=True)
    return done.stdout.split("end of cell\n")[: len(cells)]


def test_a_missing_name_says_which_menu_entry_helps_and_other_errors_are_shown_as_ever():
    quiet, missing, unmade, division, unbound = in_ipython(
        "from colorlab.exercises import check, explain_missing_names; explain_missing_names()",
        "def f():\n    return balloon + 1\nf()",
        "check((my_answer is not None, 'it is still None'))",
        "1 / 0",
        "def f():\n    x += 1\nf()",
    )
    assert quiet == ""
    assert "NameError: name 'balloon' is not defined" in missing, "the traceback stays"
    assert "balloon is not there" in missing and HELP in missing
    assert HELP in unmade
    for said in (division, unbound):
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


def test_check_tells_the_first_thing_that_is_wrong(capsys):
    explain_missing_names()  # outside of IPython nothing happens
    assert check((True, "no"), (lambda: 1 + 1 == 2, "no"))
    assert capsys.readouterr().out == "Correct.\n"
    assert not check((True, "no"), (False, "it is too short"), (False, "later"))
    assert capsys.readouterr().out == "Not yet: it is too short.\n"
    assert not check((lambda: None + 1 > 0, "it is not a number"))
    assert "it is not a number (TypeError" in capsys.readouterr().out
