"""Words are defined once and sorted; links lead somewhere; references can be found."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from course import (
    FOLDER,
    NOTEBOOKS,
    ROOT,
    SOLUTIONS,
    TEXTS,
    cells,
    every_notebook,
    prose,
    read,
    source,
)

TERM = re.compile(r"^\* \*\*(.+?)\*\*: (.+) \[(\d\d)\]\((\S+)\)$")
LINK = re.compile(r"\]\(<?([^)\s>]+)>?\)")
ADDRESS = re.compile(r"https?://[^\s)\]>\"`]+")
DOI = re.compile(r"10\.\d{4,9}/[-._;()/:A-Za-z0-9]+")


def terms() -> list[re.Match[str]]:
    text = (FOLDER / "glossary.md").read_text("utf-8")
    lines = text.split("## Terms")[1].split("## Notation")[0].strip().splitlines()
    found = [TERM.match(line) for line in lines]
    assert all(found), [line for line, match in zip(lines, found, strict=True) if not match]
    return found


def test_terms_are_sorted_and_none_is_there_twice():
    names = [match[1].casefold() for match in terms()]
    assert len(names) > 100 and names == sorted(set(names))


def test_each_term_leads_to_its_lesson():
    files = {file.name for file in NOTEBOOKS}
    for match in terms():
        assert match[4] in files and match[4].startswith(match[3]), match[1]


def test_a_term_is_used_in_the_lesson_that_teaches_it():
    # Some words are put in order here, and stand otherwise in the lesson.
    other = {"coverage of a palette", "coverage of a set", "chroma grid", "warm-up"}
    other |= {"euler's method", "k nearest neighbours", "l1 loss", "l2 loss"}
    other |= {"pixel unshuffle", "zero terminal snr"}
    text = {}
    for file in NOTEBOOKS:
        everything = " ".join(source(cell) for cell in read(file)["cells"])
        text[file.name] = re.sub(r"[*`\\\s]+", "", everything).casefold()
    for match in terms():
        if (name := match[1].casefold()) not in other:
            assert name.replace(" ", "") in text[match[4]], f"{match[4]} never says {name!r}"


@pytest.mark.parametrize("file", [*NOTEBOOKS, *SOLUTIONS, *TEXTS], ids=lambda file: file.stem)
def test_links_inside_the_project_lead_to_files(file):
    for target in LINK.findall(prose(file)):
        parts = urlsplit(target)
        if not parts.scheme and parts.path:
            assert (file.parent / unquote(parts.path)).exists(), f"{file.name}: {target}"


@pytest.mark.parametrize("file", [*NOTEBOOKS, *SOLUTIONS, *TEXTS], ids=lambda file: file.stem)
def test_addresses_are_well_formed(file):
    for address in ADDRESS.findall(prose(file)):
        parts = urlsplit(address.rstrip(".,;:"))
        assert re.fullmatch(r"[\w.-]+\.[a-z]{2,}(:\d+)?", parts.netloc), address
        if parts.netloc == "doi.org":
            assert DOI.fullmatch(parts.path[1:]), address


@every_notebook
def test_references_can_be_found(file):
    text = source(cells(file, "markdown")[-1])
    assert "Further reading" in text, "the last cell holds the references"
    entries = re.split(r"^\* ", text.split("Further reading")[1], flags=re.M)[1:]
    with_address = [entry for entry in entries if DOI.search(entry) or ADDRESS.search(entry)]
    assert len(with_address) >= 2 and len(with_address) >= len(entries) - 2


def test_the_web_site_has_every_page():
    contents = yaml.safe_load((ROOT / "site" / "_toc.yml").read_text("utf-8"))
    chapters = [chapter for part in contents["parts"] for chapter in part["chapters"]]
    pages = [contents["root"], *(chapter["file"] for chapter in chapters if "file" in chapter)]
    texts = [file.stem for file in sorted(FOLDER.glob("*.md"))]
    assert pages == [*(file.stem for file in NOTEBOOKS), *texts]
    assert {"glob": "solutions/*"} in chapters
