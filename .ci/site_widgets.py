"""The lessons' widgets on the web site: their own scripts, moved without a kernel.

A page holds the state of each of its widgets, see widget_states.py, and `site/widgets.js` runs on
it the script that Jupyter runs. A widget without a state, such as one that needs a network, stays
the still that the lesson keeps, with a line that says so.
"""

from __future__ import annotations

import ast
import base64
import io
import json
from pathlib import Path

from PIL import Image, ImageSequence
from slides import WIDGET, still
from widget_states import KINDS, WIDGETS

ROOT = Path(__file__).resolve().parents[1]
STATIC = ROOT / "colorlab" / "widgets" / "static"
STAYS = '<p class="moves">(This runs in Jupyter only.)</p>'


def parts(attribute: str) -> dict[str, list[str]]:
    """The files of ``static/`` that each widget's class joins as its ``_esm`` or ``_css``."""
    found = {}
    for file in STATIC.parent.glob("*.py"):
        for thing in ast.parse(file.read_text("utf-8")).body:
            if not isinstance(thing, ast.ClassDef):
                continue
            for base in map(ast.unparse, thing.bases):  # of the same file, so it came before
                if base in found:
                    found[thing.name] = found[base]
            for line in thing.body:
                if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == attribute:
                    found[thing.name] = [ast.literal_eval(name) for name in line.value.args]
    return found


def script() -> str:
    """One script for all pages: ``widgets`` holds each kind's module, then site/widgets.js."""
    modules = []
    names = parts("_esm")
    for kind in KINDS:  # a kind without a script fails here, and not on the page
        text = "\n".join((STATIC / name).read_text("utf-8") for name in names[kind])
        text = text.replace("export default { render };", "return { render };")
        modules.append(f"widgets.{kind} = (() => {{\n{text}\n}})();\n")
    shim = (ROOT / "site" / "widgets.js").read_text("utf-8")
    return "".join(["(() => {\nconst widgets = {};\n", *modules, shim, "})();\n"])


def style() -> str:
    """All widgets' styles, each file once, and the site's colours for them."""
    names = dict.fromkeys(name for names in parts("_css").values() for name in names)
    files = [*(STATIC / name for name in names), ROOT / "site" / "widgets.css"]
    return "\n".join(file.read_text("utf-8") for file in files)


def frames(file: Path) -> list[str]:
    """Each frame of a sequence as an image that every browser decodes, in base64."""
    found = []
    if file.exists():
        with Image.open(file) as sequence:
            for frame in ImageSequence.Iterator(sequence):
                stream = io.BytesIO()
                how = {"quality": 75, "subsampling": "4:4:4", "speed": 8}
                frame.convert("RGB").save(stream, "AVIF", **how)
                found.append(base64.b64encode(stream.getvalue()).decode())
    return found


def mount(notebook: dict, folder: Path = WIDGETS) -> None:
    """Put the states of a lesson's widgets beside their stills, as HTML; in place."""
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            shown = still(output)
            if shown is None or WIDGET not in output["data"]:
                continue
            file = folder / f"{cell['id']}.json"
            if file.exists():
                record = json.loads(file.read_text("utf-8"))
                record["images"] = frames(file.with_suffix(".avif"))
                text = json.dumps(record).replace("<", "\\u003c")
                html = (
                    f'<div class="moved-widget" data-kind="{record["kind"]}">{shown}'
                    f'<script type="application/json">{text}</script></div>'
                )
            else:
                html = shown + STAYS
            output["data"], output["metadata"] = {"text/html": html}, {}
