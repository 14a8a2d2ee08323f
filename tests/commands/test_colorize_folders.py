"""`colorlab colorize` on folders with anything in them: it goes on, and reports at the end."""

from __future__ import annotations

import io
import os
import sys
import warnings
from pathlib import Path

import bad_pictures
import odd_pictures
import pytest
from PIL import Image

from colorlab import checkpoints
from colorlab.__main__ import main
from colorlab.models import build


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> str:
    model = build("unet", size=32, widths=(8, 16, 16, 16))
    return str(checkpoints.save(model, "photos", {}, tmp_path_factory.mktemp("weights")))


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def colour(weights: str, folder: Path) -> int:
    out = folder.parent / "out"
    return main(["colorize", str(folder), "-o", str(out), "--model", weights])


def test_colorize_goes_on_past_every_bad_file(folder, weights, capsys):
    odd = list(odd_pictures.pictures().values())[::3]
    bad = [*bad_pictures.no_pictures().values(), *bad_pictures.bombs().values()][::3]
    for i, picture in enumerate(odd):
        (folder / f"odd {i}.jpg").write_bytes(picture.content)
    for i, (content, _) in enumerate(bad):
        (folder / f"bad\n{i}.png").write_bytes(content)
    os.mkfifo(folder / "pipe.png")
    (folder / "gone.png").symlink_to("nowhere")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # PIL's warnings do not name the file
        assert colour(weights, folder) == 1
    first, *told = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{len(odd)} of {len(odd) + len(bad) + 2} pictures coloured")
    failed = [line for line in told if line.startswith(f"failed    {folder}")]
    assert len(failed) == len(bad) + 2
    for line in failed:
        assert line.count(str(folder)) == 1
        assert "; " in line, "a remedy follows"
    written = list((folder.parent / "out").iterdir())
    assert len(written) == len(odd)
    for file in written:
        with Image.open(file) as image:
            image.load()


def test_a_terminal_that_knows_ascii_only(folder, weights, monkeypatch):
    (folder / "🦊.png").write_bytes(b"")
    out = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", out)
    assert colour(weights, folder) == 1
    out.flush()
    assert rb"\U0001f98a.png  an empty file" in out.buffer.getvalue()
