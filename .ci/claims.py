"""List the sentences of lessons that state a number or a comparison, each with its cell.

    python .ci/claims.py 05              each such sentence of lesson 05, and the cell under it
    python .ci/claims.py --missing 05    those alone in whose section no cell has an output

The cell is the nearest one above with an output in the same section, otherwise the nearest below;
of a caption it is the cell of the figure. That a cell is there does not mean that it bears the
sentence out: this is the list for whoever reads them side by side.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator

from lessons import arguments, chosen, source

REFERENCES = "doi:10."
LEFT_OUT = re.compile(
    r"^#+ .*(references|exercise|glossary|new words|summary|before you|where to)", re.I
)
WORDS = re.compile(
    r"\d|\b(more|less|fewer|most|least|than|half|twice|always|never|only|equally|\w+(?:er|est) than"
    r"|better|best|worse|worst|larger|largest|smaller|smallest|higher|highest|lower|lowest|nearer"
    r"|nearest|ahead|behind|beats?|reversed?|differs?|costs?)\b",
    re.I,
)
NOT_PROSE = re.compile(
    r"```.*?```|\$\$.*?\$\$|^\|[^\n]*|^#+ [^\n]*|!?\[([^\]]*)\]\([^)]*\)", re.S | re.M
)
END = re.compile(r"(?<=[.!?:])\s+(?=[A-Z*`$])")


def sentences(text: str) -> list[str]:
    """Those with a number or a comparison, without tables, headings, code and formulas."""
    prose = NOT_PROSE.sub(lambda m: m[1] or " ", text)
    parts = (" ".join(part.split()) for part in END.split(prose))
    return [
        part for part in parts if WORDS.search(re.sub(r"(?i)lessons? \d+|section \d+\w?", "", part))
    ]


def claims(notebook: dict) -> Iterator[tuple[str, str, str]]:
    """The cell of each sentence, the sentence, and the cell that it stands on ("" if none)."""
    cells, sections, section, wanted = notebook["cells"], [], 0, True
    for cell in cells:
        heading = re.match(r"## .*", source(cell)) if cell["cell_type"] == "markdown" else None
        section += heading is not None
        wanted = wanted if heading is None else not LEFT_OUT.match(heading[0])
        sections.append(section if wanted else None)
    shown = [i for i, cell in enumerate(cells) if cell.get("outputs")]
    for i, cell in enumerate(cells):
        if sections[i] is None or REFERENCES in source(cell):
            continue
        if cell["cell_type"] == "markdown":
            here = [k for k in shown if sections[k] == sections[i]]
            near = [k for k in here if k < i][-1:] or here[:1]
            texts = [source(cell)]
        else:
            near = [i]
            data = (output.get("data", {}) for output in cell["outputs"])
            texts = ["".join(d["text/markdown"]) for d in data if "text/markdown" in d]
        for text in texts:
            for sentence in sentences(text):
                yield cell["id"], sentence, cells[near[0]]["id"] if near else ""


def main() -> int:
    """Do what the module says."""
    parser = arguments(__doc__)
    parser.add_argument("--missing", action="store_true", help="only those without a cell")
    args = parser.parse_args()
    for file in chosen(args.names):
        listed = list(claims(json.loads(file.read_text("utf-8"))))
        without = [row for row in listed if not row[2]]
        for cell, sentence, under in without if args.missing else listed:
            print(f"{file.stem[:2]} {cell:>14s} -> {under or 'none':14s} {sentence}")
        print(
            f"{file.stem}: {len(listed)} sentences, {len(without)} without a cell in their section"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
