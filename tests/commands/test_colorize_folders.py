"""`colorlab colorize` on folders with anything in them: it goes on, and reports at the end."""

from __future__ import annotations

import io
import os
import sys
import warnings
from pathlib import Path

import bad_pictures
import odd_pictures
from PIL import Image

from colorlab.__main__ import main


def colour(weights: str, place: Path) -> int:
    out = place.parent / "out"
    return main(["colorize", str(place), "-o", str(out), "--model", weights])


def test_colorize_goes_on_past_every_bad_file(place, weights, capsys):
    odd = list(odd_pictures.pictures().values())[::3]
    bad = [*bad_pictures.no_pictures().values(), *bad_pictures.bombs().values()][::3]
    for i, picture in enumerate(odd):
        (place / f"odd {i}.jpg").write_bytes(picture.content)
    for i, (content, _) in enumerate(bad):
        (place / f"bad\n{i}.png").write_bytes(content)
    os.mkfifo(place / "pipe.png")
    (place / "gone.png").symlink_to("nowhere")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # PIL's warnings do not name the file
        assert colour(weights, place) == 1
    first, *told = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{len(odd)} of {len(odd) + len(bad) + 2} pictures coloured")
    failed = [line for line in told if line.startswith(f"failed    {place}")]
    assert len(failed) == len(bad) + 2
    for line in failed:
        assert line.count(str(place)) == 1
        assert "; " in line, "a remedy follows"
    written = list((place.parent / "out").iterdir())
    assert len(written) == len(odd)
    for file in written:
        with Image.open(file) as image:
            image.load()


def test_a_terminal_that_knows_ascii_only(place, weights, monkeypatch):
    (place / "🦊.png").write_bytes(b"")
    out = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", out)
    assert colour(weights, place) == 1
    out.flush()
    assert rb"\U0001f98a.png  an empty file" in out.buffer.getvalue()
