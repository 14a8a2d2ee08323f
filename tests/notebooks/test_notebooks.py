"""What every notebook of the series keeps: its parts, its order, its size, its links, its words."""

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
    every_executed,
    every_notebook,
    prose,
    read,
    source,
)

FRONT_MATTER = (
    "What you will learn",
    "Before you start",
    "Minutes to read",
    "Minutes to run",
    "Words and map",
)
TYPED = re.compile(r"\b(SSIM|LPIPS|PSNR)\b[^.\n]{0,20}?\b\d+\.\d+")
PROMPT = re.compile(r"\*before you (run|go on|move|look)", re.I)
TERM = re.compile(r"^\* \*\*(.+?)\*\*: (.+) \[(\d\d)\]\((\S+)\)$")
LINK = re.compile(r"\]\(<?([^)\s>]+)>?\)")
ADDRESS = re.compile(r"https?://[^\s)\]>\"`]+")
DOI = re.compile(r"10\.\d{4,9}/[-._;()/:A-Za-z0-9]+")


def test_the_series_is_there_and_on_the_web_site():
    stems = [file.stem for file in NOTEBOOKS]
    before = ("00_start_here", "01_color_and_data", "02_classical", "03_measuring_color")
    networks = ("04_resnet", "05_unet", "06_vae", "07_unet_vae", "08_gan", "09_unet_gan")
    assert stems == [*before, *networks, "10_diffusion", "11_comparison"]
    contents = yaml.safe_load((ROOT / "site" / "_toc.yml").read_text("utf-8"))
    chapters = [chapter for part in contents["parts"] for chapter in part["chapters"]]
    pages = [contents["root"], *(chapter["file"] for chapter in chapters if "file" in chapter)]
    assert pages == [*stems, *(file.stem for file in sorted(FOLDER.glob("*.md")))]
    assert {"glob": "solutions/*"} in chapters


@every_notebook
def test_parts_and_headings(file):
    first, second = cells(file, "markdown")[:2]
    opening, text = source(first) + source(second), prose(file)
    assert source(first).startswith(f"# {file.stem[:2]}")
    for part in FRONT_MATTER:
        assert f"**{part}" in opening, f"{file.name} does not say: {part}"
    assert "\n## Summary" in text
    numbers = [int(n) for n in re.findall(r"^## (\d+)\. ", text, re.M)]
    assert numbers == list(range(1, len(numbers) + 1))
    levels = [len(marks) for marks in re.findall(r"^(#+) ", text, re.M)]
    assert levels[0] == 1 and levels.count(1) == 1, "one title, and it comes first"
    for above, below in zip(levels, levels[1:], strict=False):
        assert below <= above + 1, f"{file.name} jumps from level {above} to {below}"
    least = 1 if file.stem == "00_start_here" else 2
    assert len(PROMPT.findall(text)) >= least, "predictions are asked for before results"


@every_executed
def test_executed_in_order_from_a_fresh_kernel_without_errors_and_noise(file):
    code = [cell for cell in cells(file, "code") if source(cell).strip()]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    for output in (output for cell in code for output in cell["outputs"]):
        assert output["output_type"] != "error"
        assert output.get("name") != "stderr"
        plain = "".join(output.get("data", {}).get("text/plain", ""))
        assert "0%|" not in plain, "a progress bar that is kept stands at nothing for ever"
    text = file.read_text("utf-8")
    assert not re.search(r"(?<![\w.~-])/(work|root|home|Users|tmp)/", text), "a path of a machine"
    assert len(text.encode()) < (3e4 if file in SOLUTIONS else 1.5e6)


@every_notebook
def test_every_figure_has_alt_text_and_none_is_svg(file):
    for output in (output for cell in cells(file, "code") for output in cell["outputs"]):
        data = output.get("data", {})
        assert "image/svg+xml" not in data
        for kind in {"image/png", "image/jpeg"} & set(data):
            alt = output["metadata"].get(kind, {}).get("alt", "")
            assert len(alt) > 20, f"a figure of {file.name} has the alt text {alt!r}"


@every_notebook
def test_measured_figures_are_computed_not_typed(file):
    for cell in cells(file, "markdown"):
        assert not TYPED.search(source(cell)), source(cell)[:200]


# ---- words


def test_each_term_is_sorted_in_and_leads_to_a_lesson_that_uses_it():
    text = (FOLDER / "glossary.md").read_text("utf-8")
    lines = text.split("## Terms")[1].split("## Notation")[0].strip().splitlines()
    terms = [TERM.match(line) for line in lines]
    assert all(terms), [line for line, match in zip(lines, terms, strict=True) if not match]
    names = [match[1].casefold() for match in terms]
    assert len(names) > 100 and names == sorted(set(names))
    # Some words are put in order here, and stand otherwise in the lesson.
    other = {"coverage of a palette", "chroma grid", "warm-up"}
    other |= {"euler's method", "k nearest neighbours", "l1 loss", "l2 loss"}
    other |= {"pixel unshuffle", "zero terminal snr"}
    said = {}
    for file in NOTEBOOKS:
        everything = " ".join(source(cell) for cell in read(file)["cells"])
        said[file.name] = re.sub(r"[*`\\\s]+", "", everything).casefold()
    for name, match in zip(names, terms, strict=True):
        assert match[4] in said and match[4].startswith(match[3]), name
        used = name in other or name.replace(" ", "") in said[match[4]]
        assert used, f"{match[4]} never says {name!r}"


# ---- links


@pytest.mark.parametrize("file", [*NOTEBOOKS, *SOLUTIONS, *TEXTS], ids=lambda file: file.stem)
def test_links_lead_to_files_and_addresses_are_well_formed(file):
    text = prose(file)
    for target in LINK.findall(text):
        parts = urlsplit(target)
        if not parts.scheme and parts.path:
            assert (file.parent / unquote(parts.path)).exists(), f"{file.name}: {target}"
    for address in ADDRESS.findall(text):
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
