"""What a publication needs, from what stands elsewhere: a citation file and a model card.

    python .ci/publication.py                 say whether CITATION.cff differs; exit status 1 if so
    python .ci/publication.py --write         put address, DOI and version into CITATION.cff
    python .ci/publication.py --card FILE     write the card of the weights for Hugging Face

Address and DOI stand in one place, `[project.urls]` in pyproject.toml, as `Repository` and `DOI`;
without them the texts say that they are not published yet. Names of authors stand in CITATION.cff.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tomllib
from pathlib import Path

from colorlab import __version__, checkpoints
from colorlab.files import write_text

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = {  # metric: title and digits
    "ssim": ("SSIM", 3),
    "lpips": ("LPIPS", 3),
    "de76": ("ΔE76", 1),
    "colorfulness": ("colourfulness", 1),
}
FILLED = re.compile(r"^(?:repository-code|doi|version):.*\n", re.M)
CARD = """\
---
license: other
license_name: research-and-teaching
library_name: colorlab
pipeline_tag: image-to-image
tags: [image-colorization, education, {models}]
---

# colorlab: weights of the colorization course

{description}. Repository: {repository}. DOI: {doi}.

Each file `NAME.safetensors` has a card `NAME.json` with its settings, training set, seed, time and
SHA-256. `colorlab` loads no weights without their card, and none whose hash differs.

## Intended use

{use}

## Limits and bias

{limits}

The networks of photographs were trained on up to {pictures:,} photographs of public research sets,
which are not distributed. Photographers, places and years of these sets are no sample of the world,
and a network predicts colours that were usual in them. Do not present the colours of a colorized
photograph as historical fact, and label it as colorized.

The code is Apache-2.0. The weights follow the terms of the photographs: research and teaching.

## Results

{count} test photographs at 256x256: mean with a 95 % bootstrap interval over photographs. Gray is
the input without colour; the truth's colourfulness is {truth:.1f}. All rows, with the command that
made them: `data/results/photos-test.json` in the repository.

| model | {columns} | file |
|---|{rule}---|
{rows}

## Use

```python
import colorlab
from colorlab.color import from_uint8, lightness
from colorlab.data.reading import read_rgb

L = lightness(from_uint8(read_rgb("old_photo.jpg"))[None])  # (1, 1, H, W), 0 to 100
rgb = colorlab.load("unet").colorize(L)  # (1, 3, H, W), 0 to 1
```
"""


def project() -> dict:
    """The table `[project]` of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def citation(text: str, urls: dict[str, str]) -> str:
    """CITATION.cff with the version of the package, and address and DOI where they are known."""
    found = {"version": __version__, "repository-code": urls.get("Repository")}
    found["doi"] = urls.get("DOI", "").removeprefix("https://doi.org/")
    lines = "".join(f"{name}: {value}\n" for name, value in found.items() if value)
    return FILLED.sub("", text) + lines


def model_card(urls: dict[str, str]) -> str:
    """The card of all released weights, in the form of Hugging Face.

    Rows are those of networks whose file the table of results was measured with.
    """
    cards = {stem: checkpoints.read_card(checkpoints.find(stem)) for stem in checkpoints.released()}
    encoder = json.loads((ROOT / "data/checkpoints/encoder-imagenet.json").read_text("utf-8"))
    kept = json.loads((ROOT / "data/results/photos-test.json").read_text("utf-8"))
    told = kept["provenance"]
    rows = []
    for row in kept["rows"]:
        stem = re.match(r"([\w-]+)\.safetensors, sha256 (\w+)$", told["rows"][row["model"]])
        if row["model"] != "gray" and (stem is None or cards[stem[1]]["sha256"] != stem[2]):
            continue
        values = (
            "{mean:.{0}f} [{low:.{0}f}, {high:.{0}f}]".format(digits, **row[metric])
            for metric, (_, digits) in COLUMNS.items()
        )
        rows.append(f"| {' | '.join([row['model'], *values, stem[1] if stem else ''])} |")
    every = [*cards.values(), encoder]
    return CARD.format(
        models=", ".join(sorted({card["model"] for card in cards.values()})),
        description=project()["description"],
        repository=urls.get("Repository", "not published yet"),
        doi=urls.get("DOI", "not published yet"),
        use="\n\n".join(dict.fromkeys(card["intended_use"] for card in every)),
        limits="\n\n".join(dict.fromkeys(c["limits"] for c in every if "limits" in c)),
        pictures=max(c["trained_on"]["pictures"] for c in cards.values() if c["world"] == "photos"),
        count=told["data"]["pictures"],
        truth=told["truth_colorfulness"],
        columns=" | ".join(title for title, _ in COLUMNS.values()),
        rule="---|" * len(COLUMNS),
        rows="\n".join(rows),
    )


def main() -> int:
    """Do what the module says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--write", action="store_true", help="change CITATION.cff")
    parser.add_argument("--card", type=Path, metavar="FILE", help="where to write the model card")
    options = parser.parse_args()
    urls = project().get("urls", {})
    if options.card:
        write_text(options.card, model_card(urls))
    file = ROOT / "CITATION.cff"
    before = file.read_text("utf-8")
    after = citation(before, urls)
    if after != before:
        print(f"CITATION.cff {'written' if options.write else 'differs'}")
        if options.write:
            write_text(file, after)
    return int(after != before and not options.write)


if __name__ == "__main__":
    sys.exit(main())
