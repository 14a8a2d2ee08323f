"""What every notebook of the series keeps: its parts, its order, its size, its alt text."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
FRONT_MATTER = ("What you will learn", "Before you start", "Minutes to read", "Minutes to run")
TYPED = re.compile(r"\b(SSIM|LPIPS|PSNR)\b[^.\n]{0,20}?\b\d+\.\d+")

every_notebook = pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)


def cells(file: Path, kind: str) -> list[dict]:
    everything = json.loads(file.read_text("utf-8"))["cells"]
    return [cell for cell in everything if cell["cell_type"] == kind]


def source(cell: dict) -> str:
    return "".join(cell["source"])


def test_the_series_is_there():
    stems = [file.stem for file in NOTEBOOKS]
    before = ("01_color_and_data", "02_classical", "03_measuring_color")
    networks = ("04_resnet", "05_unet", "06_vae", "07_unet_vae", "08_gan", "09_unet_gan")
    assert stems == [*before, *networks, "10_diffusion", "11_comparison"]


@every_notebook
def test_front_matter(file):
    first, second = cells(file, "markdown")[:2]
    opening = source(first) + source(second)
    assert source(first).startswith(f"# {file.stem[:2]}")
    for part in FRONT_MATTER:
        assert f"**{part}" in opening, f"{file.name} does not say: {part}"


@every_notebook
def test_executed_in_order_from_a_fresh_kernel(file):
    counts = [cell["execution_count"] for cell in cells(file, "code") if source(cell).strip()]
    assert counts == list(range(1, len(counts) + 1))


@every_notebook
def test_size(file):
    assert file.stat().st_size < 1.5e6


@every_notebook
def test_every_figure_has_alt_text_and_none_is_svg(file):
    for cell in cells(file, "code"):
        for output in cell["outputs"]:
            data = output.get("data", {})
            assert "image/svg+xml" not in data
            for kind in {"image/png", "image/jpeg"} & set(data):
                alt = output["metadata"].get(kind, {}).get("alt", "")
                assert len(alt) > 20, f"a figure of {file.name} has the alt text {alt!r}"


@every_notebook
def test_no_error_and_no_noise_is_kept(file):
    for cell in cells(file, "code"):
        for output in cell["outputs"]:
            assert output["output_type"] != "error"
            assert output.get("name") != "stderr"


@every_notebook
def test_no_path_of_a_machine(file):
    assert not re.search(r"(?<![\w.~-])/(work|root|home|Users|tmp)/", file.read_text("utf-8"))


@every_notebook
def test_measured_figures_are_computed_not_typed(file):
    for cell in cells(file, "markdown"):
        assert not TYPED.search(source(cell)), source(cell)[:200]


@every_notebook
def test_exercises_have_checks_hints_and_solutions(file):
    text = "\n".join(source(cell) for cell in cells(file, "markdown"))
    checks = [cell for cell in cells(file, "code") if "check(" in source(cell)]
    assert len(checks) >= 2
    assert text.count("<details>") >= 2
    for cell in checks:
        printed = "".join("".join(o.get("text", "")) for o in cell["outputs"])
        assert printed.startswith("Not yet"), "an unsolved exercise says what is missing"
