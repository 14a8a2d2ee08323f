"""The set-up cell of the lessons, and their links to Colab and Binder.

    python .ci/badges.py              say which lessons differ; exit status 1 if any
    python .ci/badges.py --write      put both into the lessons
    python .ci/badges.py --write 05   into lesson 05 only

The links need the address of the repository: `Repository` under `[project.urls]` in
pyproject.toml, on GitHub, from where Colab and Binder take notebooks. Without it the lessons have
no links, and the set-up cell cannot fetch the project by itself.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from urllib.parse import quote

import lessons
from lessons import source

ROOT = Path(__file__).resolve().parents[1]
ROW = "| **Run it elsewhere** |"
LAST = "explain_missing_names()"  # how the set-up cell ends
FOLDED = {"jupyter": {"source_hidden": True}, "tags": ["hide-input"]}  # in JupyterLab; on the site
FETCH = """\
!git clone --quiet --depth 1 {repository}
        %cd -q {name}/notebooks"""
ASK = """\
raise ModuleNotFoundError(
            "colorlab is not installed, and its repository is not around this notebook: "
            "clone it, and open the notebook from its folder notebooks"
        )"""
SET_UP = """\
import sys
from importlib.util import find_spec
from pathlib import Path

if find_spec("colorlab") is None:  # as on Colab; where colorlab is installed, nothing happens
    if not Path("../pyproject.toml").is_file():
        {fetch}
    %pip install --quiet --editable ..
    sys.path.append(str(Path("..").resolve()))  # a running kernel does not see it otherwise

from colorlab.exercises import explain_missing_names

explain_missing_names()"""


def repository() -> str:
    """The address that pyproject.toml gives, or nothing."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return project.get("urls", {}).get("Repository", "")


def set_up(address: str) -> str:
    """The source of the set-up cell."""
    name = address.rstrip("/").rpartition("/")[2].removesuffix(".git")
    fetch = FETCH.format(repository=address, name=name) if address else ASK
    return SET_UP.format(fetch=fetch)


def row(address: str, stem: str) -> str:
    """The line of the front matter that opens a lesson elsewhere, or nothing.

    Raises:
        ValueError: the address is not that of a GitHub repository.
    """
    if not address:
        return ""
    match = re.fullmatch(r"https://github\.com/([\w.-]+/[\w.-]+?)(\.git)?/?", address)
    if match is None:
        raise ValueError(
            f"Repository = {address!r} is not of the form https://github.com/NAME/NAME"
        )
    place = f"notebooks/{stem}.ipynb"
    colab = f"https://colab.research.google.com/github/{match[1]}/blob/main/{place}"
    binder = f"https://mybinder.org/v2/gh/{match[1]}/main?labpath={quote(place, safe='')}"
    return f"{ROW} [open in Colab]({colab}), [open in Binder]({binder}) |"


def put(notebook: dict, stem: str, address: str) -> None:
    """Give a lesson its set-up cell and its links, in place; counts go on without a gap."""
    cells = notebook["cells"]
    about = [cell for cell in cells if cell["cell_type"] == "markdown"][1]  # the front matter
    front = [line for line in source(about).split("\n") if not line.startswith(ROW)]
    front = "\n".join([*front, *filter(None, [row(address, stem)])])
    about["source"] = front.splitlines(keepends=True)
    first = next(i for i, cell in enumerate(cells) if cell["cell_type"] == "code")
    if not source(cells[first]).endswith(LAST):
        cell = {"cell_type": "code", "execution_count": None, "id": f"{stem[:2]}-set-up"}
        cells.insert(first, {**cell, "metadata": {}, "outputs": [], "source": []})
    cells[first]["source"] = set_up(address).splitlines(keepends=True)
    cells[first]["metadata"] |= FOLDED
    code = [cell for cell in cells if cell["cell_type"] == "code" and source(cell).strip()]
    for count, cell in enumerate(code, 1):
        cell["execution_count"] = count
        for output in cell["outputs"]:
            if "execution_count" in output:
                output["execution_count"] = count


def main() -> int:
    """Do what the module says."""
    options = lessons.arguments(__doc__, "change the lessons").parse_args()
    address = repository()
    return lessons.rewrite(
        lessons.chosen(options.names),
        lambda notebook, stem: put(notebook, stem, address),
        options.write,
        "set-up",
    )


if __name__ == "__main__":
    sys.exit(main())
