"""Change lessons in place, or say which would change: what scripts that do so share."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

__all__ = ["NOTEBOOKS", "arguments", "chosen", "rewrite", "source"]

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


def source(cell: dict) -> str:
    """The text of a cell, which nbformat keeps as a list of lines.

    As in colorlab.grading.worker, which the web site's environment does not hold.
    """
    return "".join(cell["source"])


def arguments(about: str | None, write: str = "") -> argparse.ArgumentParser:
    """The options that all have: lessons by number and, where ``write`` explains it, --write.

    Of ``about``, the script's docstring, --help shows the first line.
    """
    parser = argparse.ArgumentParser(description=(about or "").split("\n", 1)[0])
    if write:
        parser.add_argument("--write", action="store_true", help=write)
    parser.add_argument("names", nargs="*", help="for example 05; all lessons unless told")
    return parser


def chosen(names: list[str]) -> list[Path]:
    """The lessons of these numbers, or all."""
    files = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
    return [file for file in files if not names or file.stem[:2] in names]


def rewrite(files: list[Path], change: Callable[[dict, str], None], write: bool, what: str) -> int:
    """Let ``change`` alter each notebook, given with its name; keep it if ``write``.

    Returns:
        How many differ from what they should be and were not written: an exit status.
    """
    differ = 0
    for file in files:
        before = file.read_text("utf-8")
        notebook = json.loads(before)
        change(notebook, file.stem)
        after = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
        if after != before:
            differ += 1
            print(f"{file.name}: {what} {'written' if write else 'differs'}")
            if write:
                file.write_text(after, "utf-8")
    return int(differ > 0 and not write)
