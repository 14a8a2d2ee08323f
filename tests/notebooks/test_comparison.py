"""Notebook 11: no measured number is typed, and its pictures are not those of the private set."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from colorlab.metrics.protocol import COLUMNS

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "notebooks" / "11_comparison.ipynb"
NUMBER = re.compile(r"(?<![\w.])\d+\.\d+(?![\w.])")


def cells(kind: str) -> list[str]:
    everything = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in everything if cell["cell_type"] == kind]


def measured() -> set[str]:
    """Every mean of a kept table, as a person would type it."""
    found = set()
    for file in (ROOT / "data" / "results").glob("*.json"):
        for row in json.loads(file.read_text("utf-8"))["rows"]:
            for name, value in row.items():
                if isinstance(value, dict) and value.get("mean") is not None:
                    digits = COLUMNS[name].digits
                    found |= {f"{value['mean']:.{d}f}" for d in (digits - 1, digits, digits + 1)}
    return {number for number in found if "." in number}


def typed(text: str, numbers: set[str]) -> set[str]:
    """Numbers of ``text`` that ``numbers`` holds too; links and DOIs are none."""
    return set(NUMBER.findall(re.sub(r"DOI \S+|https?://\S+", "", text))) & numbers


def test_the_scan_finds_what_is_typed():
    some = next(iter(measured()))
    assert typed(f"The UNet has {some}, see DOI 10.1109/CVPR.2018.00068.", measured()) == {some}
    assert not typed("version 1.2.3 of x0.917y", {"1.2", "2.3", "0.917"})


@pytest.mark.parametrize("text", cells("markdown"), ids=lambda text: text[:40])
def test_no_number_of_a_results_file_is_typed(text):
    assert not typed(text, measured())


def test_its_widgets_and_figures_show_no_private_photographs():
    shown = [text for text in cells("code") if re.search(r"photos\b.*\.rgb|kept.*\.rgb", text)]
    assert not shown, shown
