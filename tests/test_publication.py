"""What is published beside the code says what the project says, with measured numbers."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest
import yaml

from colorlab import __version__, checkpoints
from colorlab.data.scenes import PALETTES
from colorlab.grading.worker import pairs

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / ".ci"))
PUBLICATION = importlib.import_module("publication")
URLS = {"Repository": "https://github.com/a/b", "DOI": "https://doi.org/10.5281/zenodo.1"}
CITATION = (ROOT / "CITATION.cff").read_text("utf-8")


def test_the_citation_file_is_that_of_the_project_and_takes_address_and_doi():
    project = PUBLICATION.project()
    assert PUBLICATION.citation(CITATION, project.get("urls", {})) == CITATION
    filled = PUBLICATION.citation(CITATION, URLS)
    assert PUBLICATION.citation(filled, URLS) == filled
    told = yaml.safe_load(filled)
    assert (told["repository-code"], told["doi"]) == ("https://github.com/a/b", "10.5281/zenodo.1")
    assert str(told["version"]) == __version__


def test_zenodo_is_told_what_the_citation_file_says():
    told, cited = json.loads((ROOT / ".zenodo.json").read_text("utf-8")), yaml.safe_load(CITATION)
    for name in ("title", "license", "keywords"):
        assert told[name] == cited[name]
    assert [who["name"] for who in told["creators"]] == [who["name"] for who in cited["authors"]]
    assert told["description"] == PUBLICATION.project()["description"]


def test_the_model_card_holds_what_each_card_says_and_what_was_measured():
    text = PUBLICATION.model_card(URLS)
    front = yaml.safe_load(text.split("---\n")[1])
    assert front["license"] == "other" and "unet" in front["tags"]
    assert URLS["Repository"] in text and URLS["DOI"] in text
    assert "not published yet" in PUBLICATION.model_card({})
    for stem in checkpoints.released():
        card = checkpoints.read_card(checkpoints.find(stem))
        assert card["intended_use"] in text and card.get("limits", "") in text
    rows = {line.split(" | ")[0][2:]: line for line in text.splitlines() if line.startswith("| ")}
    kept = json.loads((ROOT / "data/results/photos-test.json").read_text("utf-8"))["rows"]
    unet = next(row for row in kept if row["model"] == "unet")
    assert f"{unet['lpips']['mean']:.3f} [{unet['lpips']['low']:.3f}," in rows["unet"]
    assert rows["unet"].endswith("unet-ab-photos |") and "unet:boost1.5" not in rows


def test_the_paper_states_numbers_of_the_course_and_cites_what_it_lists():
    text = (ROOT / "paper/paper.md").read_text("utf-8")
    body, listed = text.split("---\n", 2)[2], (ROOT / "paper/paper.bib").read_text("utf-8")
    assert 700 <= len(body.split()) <= 1000
    cited = set(re.findall(r"@(\w+)", body))
    assert cited == set(re.findall(r"^@\w+\{(\w+),", listed, re.M))
    kept = json.loads((ROOT / "data/results/photos-test.json").read_text("utf-8"))
    row = {row["model"]: row for row in kept["rows"]}
    lessons = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    exercises = sum(len(pairs(json.loads(file.read_text("utf-8")))) for file in lessons)
    best = min(row[name]["de76"]["mean"] for name in row if re.fullmatch(r"unet(-\w+)?", name))
    flat = " ".join(body.split())
    assert len(lessons) == 12 and "twelve Jupyter notebooks" in flat
    for claim in (
        f"on our {kept['provenance']['data']['pictures']} test photographs",
        f"a structural similarity of {row['gray']['ssim']['mean']:.3f}",
        f"is {row['gray']['de76']['mean']:.1f} for gray and {best:.1f} for the best U-Net",
        f"The {exercises} exercises",
        "red with probability {:.0%}, blue {:.0%} and green {:.0%}".format(
            *PALETTES["balloon"].prob
        ).replace("%", " %"),
    ):
        assert claim in flat, claim


def test_the_paper_counts_the_graders_submissions():
    file = ROOT / "tests/commands/test_grade.py"
    spec = importlib.util.spec_from_file_location("grade_tests", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text = " ".join((ROOT / "paper/paper.md").read_text("utf-8").split())
    assert f"contain {len(module.TABLE)} submissions" in text


@pytest.mark.parametrize("name", ["paper/paper.md", ".zenodo.json", "CITATION.cff"])
def test_no_address_is_made_up(name):
    text = (ROOT / name).read_text("utf-8")
    assert not re.search(r"github\.com/(?!NAME)|zenodo\.\d", text) or PUBLICATION.project()["urls"]
