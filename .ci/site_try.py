"""Put together the page "Colour your photograph": ``python .ci/site_try.py FOLDER``.

It is a part of the web site, see site/README.md; .ci/site.py calls :func:`make`. The page, the
graphs and the runtime are copied; the large files are compressed once more, because a plain server
sends them as they lie there.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHECKPOINTS, OLD_PHOTOS = ROOT / "data" / "checkpoints", ROOT / "data" / "old-photos"
# The last whose WebAssembly leaves the first answer under 12 MB: the next adds 0.6 MB, compressed.
RUNTIME = "onnxruntime-web@1.23.2"
SCRIPT, BINARY = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"


def runtime(folder: Path) -> Path:
    """The folder of ONNX Runtime's scripts, which ``npm`` puts below ``folder`` once.

    Raises:
        subprocess.CalledProcessError: npm cannot reach its registry.
    """
    scripts = folder / "node_modules" / "onnxruntime-web" / "dist"
    if not scripts.exists():
        folder.mkdir(parents=True, exist_ok=True)
        options = ("--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1")
        subprocess.run(("npm", "install", *options, RUNTIME), cwd=folder, check=True)
    return scripts


def compress(data: bytes, halves: bool = False) -> bytes:
    """gzip; of weights in half precision, all first bytes before all second ones: 7 % less."""
    return gzip.compress(data[0::2] + data[1::2] if halves else data, 9, mtime=0)


def invite(notebook: dict) -> None:
    """Begin the first lesson, as the web site shows it, with a link to the page; in place."""
    link = '<a href="try/index.html"><strong>Colour your photograph</strong></a>'
    text = f"{link} in this browser, without installing anything; nothing is uploaded."
    cell = {"cell_type": "markdown", "id": "colour-your-photograph", "metadata": {}, "source": text}
    notebook["cells"].insert(1, cell)


def make(folder: Path, npm: Path) -> None:
    """Write the page into ``folder``; ``npm`` is a folder for what comes from its registry."""
    scripts = runtime(npm)
    shutil.copytree(ROOT / "site" / "try", folder)
    shutil.copyfile(scripts / SCRIPT, folder / SCRIPT)
    networks = ROOT / "site" / "networks"
    shutil.copyfile(networks / "networks.json", folder / "networks.json")
    told = json.loads((networks / "networks.json").read_text("utf-8"))
    large = {"ort.wasm": scripts / BINARY}
    for name, network in told["networks"].items():
        large[f"{name}.onnx"] = networks / f"{name}.onnx"
        large |= {file: CHECKPOINTS / file for file in network["weights"]}
    files = {}
    for name, file in large.items():
        halves = file.suffix == ".safetensors"
        data = compress(file.read_bytes(), halves)
        url = f"{name}.{hashlib.sha256(data).hexdigest()[:8]}.gz"
        (folder / url).write_bytes(data)
        files[name] = {"url": url, "bytes": len(data), "halves": halves}
    (folder / "files.json").write_text(json.dumps(files, indent=2) + "\n", "utf-8")
    with (OLD_PHOTOS / "CREDITS.csv").open(encoding="utf-8", newline="") as stream:
        photos = [row for row in csv.DictReader(stream) if row["kind"] == "photo"]
    samples = [
        {"file": row["file"], "title": row["title"].split(" / ")[-1], "year": row["year"]}
        for row in photos
    ]
    (folder / "samples.json").write_text(json.dumps(samples, indent=2) + "\n", "utf-8")
    for name in ("CREDITS.csv", *(row["file"] for row in photos)):
        shutil.copyfile(OLD_PHOTOS / name, folder / name)


if __name__ == "__main__":
    target = Path(sys.argv[1]).resolve()
    make(target / "try", target / "npm")
