"""What the tests of the course share: where things are, and how a notebook is read."""

import functools
import importlib
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("[0-9][0-9]_*.ipynb"))
SOLUTIONS = sorted((FOLDER / "solutions").glob("*.ipynb"))
TEXTS = sorted([ROOT / "README.md", ROOT / "data" / "README.md", *FOLDER.glob("*.md")])

every_notebook = pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
every_executed = pytest.mark.parametrize(
    "file", [*NOTEBOOKS, *SOLUTIONS], ids=lambda file: f"{file.parent.name}/{file.stem}"
)
every_solution = pytest.mark.parametrize("file", SOLUTIONS, ids=lambda file: file.stem)


def tool(name: str) -> ModuleType:
    """A script of ``.ci``, which is no package; some import their neighbours."""
    if str(ROOT / ".ci") not in sys.path:
        sys.path.append(str(ROOT / ".ci"))
    return importlib.import_module(name)


@functools.cache
def read(file: Path) -> dict:
    """A notebook; whoever changes it takes a deep copy."""
    return json.loads(file.read_text("utf-8"))


def source(cell: dict) -> str:
    return "".join(cell["source"])


def cells(file: Path, kind: str) -> list[dict]:
    return [cell for cell in read(file)["cells"] if cell["cell_type"] == kind]


def prose(file: Path) -> str:
    """All Markdown of a notebook or a text, without fenced code."""
    if file.suffix == ".ipynb":
        text = "\n\n".join(source(cell) for cell in cells(file, "markdown"))
    else:
        text = file.read_text("utf-8")
    return re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)


def printed(cell: dict) -> str:
    return "".join("".join(output.get("text", "")) for output in cell["outputs"])
