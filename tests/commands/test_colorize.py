"""`colorlab colorize`: files in, coloured files out, nothing lost."""

from __future__ import annotations

import errno
import io
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.color import rgb2lab
from tiny import tinted

from colorlab import checkpoints, files
from colorlab.__main__ import main
from colorlab.commands import colorize


@pytest.fixture
def gray(tmp_path):
    ramp = np.linspace(60, 180, 70 * 90).reshape(70, 90).astype(np.uint8)
    file = tmp_path / "in" / "a name with spaces.png"
    file.parent.mkdir()
    Image.fromarray(ramp).save(file)
    return file


def test_one_file_is_colored_at_its_own_size_and_lightness(gray, weights, tmp_path):
    out = tmp_path / "out.png"
    assert main(["colorize", str(gray), "-o", str(out), "--model", weights]) == 0
    colored = np.asarray(Image.open(out))
    assert colored.shape == (70, 90, 3)
    before = rgb2lab(np.stack([np.asarray(Image.open(gray))] * 3, axis=-1))
    after = rgb2lab(colored)
    assert np.abs(after[..., 0] - before[..., 0]).max() < 1
    assert np.hypot(*after[..., 1:].mean((0, 1))) > 5


def test_nothing_is_overwritten(gray, weights, tmp_path, capsys):
    arguments = ["colorize", str(gray), "--model", weights, "-o"]
    (tmp_path / "link").symlink_to(gray.parent)
    for same in (gray, tmp_path / "link" / gray.name):
        assert main([*arguments, str(same), "--overwrite"]) == 2
        assert "is an input" in capsys.readouterr().err
    out = tmp_path / "out.png"
    out.write_bytes(b"mine")
    assert main([*arguments, str(out)]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert out.read_bytes() == b"mine"
    assert main([*arguments, str(out), "--overwrite"]) == 0
    assert out.read_bytes() != b"mine"


def test_equal_names_become_distinct_answers(gray, weights, tmp_path):  # C5
    twin = tmp_path / "other" / gray.name
    twin.parent.mkdir()
    twin.write_bytes(gray.read_bytes())
    Image.open(gray).save(gray.with_name("A name with spaces.bmp"))
    files = [str(gray), str(twin), str(gray.parent)]  # the first is also in the folder
    assert main(["colorize", *files, "-o", str(tmp_path / "out"), "--model", weights]) == 0
    assert sorted(os.listdir(tmp_path / "out")) == [
        "A name with spaces.bmp.png",
        "a name with spaces.png-2.png",
        "a name with spaces.png.png",
    ]


def test_an_output_that_cannot_be_is_refused_before_any_work(gray, weights, tmp_path, capsys):
    arguments = ["colorize", str(gray), "--model", weights, "-o"]
    assert main([*arguments, str(tmp_path / "out.xyz")]) == 2
    assert "out.xyz ends in no known kind of picture; try .png" in capsys.readouterr().err
    (tmp_path / "file").write_bytes(b"mine")
    assert main([*arguments, str(tmp_path / "file")]) == 2
    assert "file is no folder" in capsys.readouterr().err
    assert (tmp_path / "file").read_bytes() == b"mine"


def test_without_a_place_the_answer_lies_beside_the_input(gray, weights, capsys):
    assert main(["colorize", str(gray), "--model", weights]) == 0
    beside = gray.with_name("a name with spaces-colored.png")
    assert beside.is_file()
    assert beside.name in capsys.readouterr().out
    assert main(["colorize", str(gray), "--model", weights]) == 2, "nor is that overwritten"
    assert "add --resume to go on, or --overwrite" in capsys.readouterr().err


def test_saturation_is_a_factor_on_the_colours(gray, weights, tmp_path, capsys):
    chroma = []
    for factor in ("0", "1", "2"):
        out = tmp_path / f"{factor}.png"
        words = ["colorize", str(gray), "-o", str(out), "--model", weights, "--saturation", factor]
        assert main(words) == 0
        chroma.append(np.hypot(*rgb2lab(np.asarray(Image.open(out)))[..., 1:].mean((0, 1))))
    assert chroma[0] < 0.1
    assert chroma[2] == pytest.approx(2 * chroma[1], rel=0.1)
    for wrong in ("-1", "nan", "inf"):
        assert main(["colorize", str(gray), "--model", weights, "--saturation", wrong]) == 2
        assert "--saturation must be 0 or more" in capsys.readouterr().err
    assert main(["colorize", str(gray), "--model", "lut", "--saturation", "2"]) == 2
    assert "for networks that predict ab, not for lut" in capsys.readouterr().err


def test_without_a_model_the_safest_is_turned_up_by_its_cards_factor(gray, tmp_path, monkeypatch):
    file = checkpoints.save(tinted(), "photos", {"boost": {"vivid": 2.0}}, tmp_path)
    assert file.stem.startswith(checkpoints.SAFEST)
    monkeypatch.setattr(checkpoints, "FOLDER", tmp_path)
    vivid, safest, asked = (tmp_path / f"{name}.png" for name in ("vivid", "safest", "asked"))
    assert main(["colorize", str(gray), "-o", str(vivid)]) == 0
    words = ["colorize", str(gray), "--model", checkpoints.SAFEST]
    assert main([*words, "-o", str(safest)]) == 0
    assert main([*words, "-o", str(asked), "--saturation", "2"]) == 0
    assert vivid.read_bytes() == asked.read_bytes() != safest.read_bytes()


def test_a_terminal_that_knows_ascii_only(place, weights, monkeypatch):
    (place / "🦊.png").write_bytes(b"")
    out = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", out)
    assert colour(weights, place) == 1
    out.flush()
    assert rb"\U0001f98a.png  an empty file" in out.buffer.getvalue()


# ---- runs that are stopped


@pytest.fixture
def folder(gray) -> Path:
    """Three copies of the gray picture."""
    for name in "abc":
        (gray.parent / f"{name}.png").write_bytes(gray.read_bytes())
    gray.unlink()
    return gray.parent


def colour(weights: str, folder: Path, *more: str) -> int:
    out = str(folder.parent / "out")
    return main(["colorize", str(folder), "-o", out, "--model", weights, *more])


def check_whole(folder: Path) -> None:
    """Only whole pictures lie there."""
    for file in folder.iterdir():
        assert file.suffix == ".png", file
        with Image.open(file) as image:
            image.load()


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_run_that_is_stopped_leaves_no_half_picture(step, folder, weights, monkeypatch):
    calls, real = [], getattr(os, step)

    def stop(*args):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(files.os, step, stop)
    out = folder.parent / "out"
    assert colour(weights, folder) == 130
    assert [file.name for file in out.glob("*.png")] == ["a.png"]
    monkeypatch.undo()
    assert colour(weights, folder, "--overwrite") == 0
    check_whole(out)  # what the stopped run had left is gone
    assert len(os.listdir(out)) == 3


def test_a_full_disk_ends_the_run(folder, weights, monkeypatch, capsys):
    synced = []

    def fill_up(descriptor):
        synced.append(descriptor)
        if len(synced) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", fill_up)
    assert colour(weights, folder) == 1
    done, rest, why = capsys.readouterr().out.splitlines()
    assert done.startswith("1 of 3 pictures coloured")
    assert rest.startswith("1 were not tried")
    assert "b.png" in why and "free some space" in why
    assert os.listdir(folder.parent / "out") == ["a.png"]


def test_a_picture_too_large_for_the_memory(folder, weights, monkeypatch, capsys):
    errors = [MemoryError(), RuntimeError("can't allocate memory"), RuntimeError("a bug")]

    def fail(*_):
        raise errors.pop(0)

    monkeypatch.setattr(colorize, "lightness_of", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        colour(weights, folder)
    errors += [MemoryError()] * 3
    assert colour(weights, folder) == 1
    assert "c.png  too large for the free memory" in capsys.readouterr().out
