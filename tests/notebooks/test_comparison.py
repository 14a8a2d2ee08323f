"""Lesson 11: no measured number is typed, its tables are those of the released weights, and its
pictures are not those of the private set."""

import ast
import json
import re

import pytest
from course import FOLDER, ROOT, cells, read, source, tool
from IPython.core.inputtransformer2 import TransformerManager

from colorlab.metrics.rows import COLUMNS

NOTEBOOK = FOLDER / "11_comparison.ipynb"
TEXTS, CODE = ([source(cell) for cell in cells(NOTEBOOK, kind)] for kind in ("markdown", "code"))
RESULTS = sorted((ROOT / "data" / "results").glob("*.json"))
NUMBER = re.compile(r"(?<![\w.])\d+\.\d+(?![\w.])")


def measured() -> set[str]:
    """Every mean of a kept table, as a person would type it."""
    found = set()
    for file in RESULTS:
        for row in json.loads(file.read_text("utf-8"))["rows"]:
            for name, value in row.items():
                if isinstance(value, dict) and value.get("mean") is not None:
                    digits = COLUMNS[name].digits
                    found |= {f"{value['mean']:.{d}f}" for d in (digits - 1, digits, digits + 1)}
    return {number for number in found if "." in number}


def typed(text: str, numbers: set[str]) -> set[str]:
    """Numbers of ``text`` that ``numbers`` holds too; links and DOIs are none."""
    return set(NUMBER.findall(re.sub(r"DOI \S+|https?://\S+", "", text))) & numbers


def written(code: str) -> list[str]:
    """Words in a cell of code that a reader sees: its strings, with room for what is computed."""
    python = TransformerManager().transform_cell(code)  # %pip and the like become calls
    strings = [node for node in ast.walk(ast.parse(python)) if isinstance(node, ast.Constant)]
    return [node.value for node in strings if isinstance(node.value, str)]


def test_no_number_of_a_results_file_is_typed_in_text_or_in_what_the_code_writes():
    numbers, texts = measured(), [*TEXTS, *(text for code in CODE for text in written(code))]
    assert not {number: text for text in texts for number in typed(text, numbers)}


@pytest.mark.parametrize("file", RESULTS, ids=lambda file: file.stem)
def test_a_kept_table_tells_where_it_is_from_and_is_of_the_released_weights(file):
    provenance = json.loads(file.read_text("utf-8"))["provenance"]
    assert provenance["command"].startswith(("colorlab evaluate ", "colorlab ablate "))
    assert len(provenance["data"]["sha256"]) == 64
    for origin in provenance["rows"].values():
        found = re.search(r"([\w-]+)\.safetensors, sha256 (\w{64})", origin)
        card = ROOT / "data" / "checkpoints" / f"{found[1]}.json" if found else None
        if card is not None and card.exists():
            assert json.loads(card.read_text("utf-8"))["sha256"] == found[2], origin


def test_every_network_of_the_scenes_table_tells_how_it_was_trained():
    content = json.loads((ROOT / "data" / "results" / "scenes-test.json").read_text("utf-8"))
    training = content["provenance"]["training"]
    assert {"resnet", "unet", "vae", "unet_vae", "gan", "unet_gan", "diffusion"} <= set(training)
    for runs in training.values():
        assert all(run["steps"] and run["seconds"] and run["device"] for run in runs)
        assert all(len(run["trained_on"]["sha256"]) == 64 for run in runs)
    assert len(content["names"]) == 512
    for values in content["per_picture"].values():
        assert all(len(column) == 512 for column in values.values())


def test_its_widgets_and_figures_show_no_private_photographs():
    shown = [text for text in CODE if re.search(r"photos\b.*\.rgb|kept.*\.rgb", text)]
    assert not shown, shown


EXERCISES = tool("exercises")
WRONG = (
    (0, "de76", "lpips", "this is the skill in LPIPS"),
    (0, "de76", "de00", "is not its share of the way in mean ΔE76"),
    (1, "> gray", "< gray", "count where the UNet's Delta-E is larger"),
    (2, "de00", "de76", "this is the share in ΔE76"),
    (2, "de00", "lpips", "count the photographs on which the Delta-E 2000"),
    (3, '"ssim", "lpips", "de76"', '"psnr", "lpips", "de76"', "these are not the ranks"),
    (3, '"ssim", "lpips", "de76"', '"ssim", "lpips", "de00"', "these are not the ranks"),
    (3, '== "higher" else', '== "lower" else', "the oracle is first everywhere"),
)


@pytest.mark.parametrize(("number", "right", "wrong", "told"), WRONG)
def test_an_exercise_refuses_another_metric(number, right, wrong, told, capsys, monkeypatch):
    monkeypatch.chdir(FOLDER / "solutions")
    solutions = read(FOLDER / "solutions" / NOTEBOOK.name)
    names: dict = {}
    for cell in [cell for cell in solutions["cells"] if cell["cell_type"] == "code"][:2]:
        exec(source(cell), names)
    solved, check = map(source, EXERCISES.pairs(solutions)[number])
    assert right in solved
    for code, expected in ((solved, "Correct."), (solved.replace(right, wrong), told)):
        exec(code, names)
        exec(check, names)
        assert expected in capsys.readouterr().out
