"""What every notebook of the series keeps: its parts, its order, its size, its alt text."""

from __future__ import annotations

import re

from course import NOTEBOOKS, cells, every_executed, every_notebook, every_solution, prose, source

FRONT_MATTER = (
    "What you will learn",
    "Before you start",
    "Minutes to read",
    "Minutes to run",
    "Words and map",
)
TYPED = re.compile(r"\b(SSIM|LPIPS|PSNR)\b[^.\n]{0,20}?\b\d+\.\d+")
PROMPT = re.compile(r"\*before you (run|go on|move|look)", re.I)


def test_the_series_is_there():
    stems = [file.stem for file in NOTEBOOKS]
    before = ("00_start_here", "01_color_and_data", "02_classical", "03_measuring_color")
    networks = ("04_resnet", "05_unet", "06_vae", "07_unet_vae", "08_gan", "09_unet_gan")
    assert stems == [*before, *networks, "10_diffusion", "11_comparison"]


@every_notebook
def test_front_matter(file):
    first, second = cells(file, "markdown")[:2]
    opening = source(first) + source(second)
    assert source(first).startswith(f"# {file.stem[:2]}")
    for part in FRONT_MATTER:
        assert f"**{part}" in opening, f"{file.name} does not say: {part}"


@every_executed
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


@every_executed
def test_no_error_and_no_noise_is_kept(file):
    for cell in cells(file, "code"):
        for output in cell["outputs"]:
            assert output["output_type"] != "error"
            assert output.get("name") != "stderr"
            plain = "".join(output.get("data", {}).get("text/plain", ""))
            assert "0%|" not in plain, "a progress bar that is kept stands at nothing for ever"


@every_executed
def test_no_path_of_a_machine(file):
    assert not re.search(r"(?<![\w.~-])/(work|root|home|Users|tmp)/", file.read_text("utf-8"))


@every_notebook
def test_measured_figures_are_computed_not_typed(file):
    for cell in cells(file, "markdown"):
        assert not TYPED.search(source(cell)), source(cell)[:200]


@every_notebook
def test_headings_go_down_one_level_at_a_time(file):
    levels = [len(marks) for marks in re.findall(r"^(#+) ", prose(file), re.M)]
    assert levels[0] == 1 and levels.count(1) == 1, "one title, and it comes first"
    for above, below in zip(levels, levels[1:], strict=False):
        assert below <= above + 1, f"{file.name} jumps from level {above} to {below}"


@every_notebook
def test_predictions_are_asked_for_before_results(file):
    least = 1 if file.stem == "00_start_here" else 2
    assert len(PROMPT.findall(prose(file))) >= least


@every_solution
def test_solutions_are_small(file):
    assert file.stat().st_size < 30_000


@every_notebook
def test_sections_are_numbered_without_gaps(file):
    numbers = [int(n) for n in re.findall(r"^## (\d+)\. ", prose(file), re.M)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert "\n## Summary" in prose(file)
