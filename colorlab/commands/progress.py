"""`colorlab progress`: which checks passed in which notebook, as the notebooks themselves say."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from colorlab.commands import add_examples
from colorlab.files import shown
from colorlab.grading.worker import code_cells, pairs

PASSED, FAILED, OPEN = "passed", "not yet", "not run"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    add_examples(parser, "colorlab progress notebooks/")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="of notebooks, saved after use")


def run(args: argparse.Namespace) -> int:
    """Print a line for each notebook with exercises, and those whose check is not passed."""
    files = [args.folder] if args.folder.is_file() else sorted(args.folder.glob("*.ipynb"))
    if not files:
        raise FileNotFoundError(f"{args.folder} holds no notebook; name the folder of your lessons")
    failed = total = passed = 0
    for file in files:
        try:
            states = progress(json.loads(file.read_text("utf-8")))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            failed += 1
            print(f"{shown(file.stem):24} cannot be read: {shown(error)}")
            continue
        if not states:
            continue
        total, passed = total + len(states), passed + states.count(PASSED)
        marks = ", ".join(f"{n} {state}" for n, state in enumerate(states, 1) if state != PASSED)
        done = f"{states.count(PASSED)} of {len(states)} passed"
        print(f"{shown(file.stem):24} {done}{f'; exercise {marks}' if marks else ''}")
    print(f"{'together':24} {passed} of {total} passed")
    return int(failed > 0)


def progress(notebook: dict) -> list[str]:
    """For each exercise whether its check passed when it ran last, by its kept output."""
    states = []
    for _, check in pairs({"cells": code_cells(notebook)}):
        printed = "".join("".join(output.get("text", "")) for output in check["outputs"])
        ran = bool(check["outputs"]) or check.get("execution_count") is not None
        states.append(PASSED if printed == "Correct.\n" else FAILED if ran else OPEN)
    return states
