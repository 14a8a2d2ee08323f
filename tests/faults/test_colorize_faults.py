"""`colorlab colorize` stopped anywhere leaves whole pictures, and can be run again."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from coloring import RGB, check_whole, colour, save, small_weights

from colorlab import files
from colorlab.commands import colorize


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> str:
    return small_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


@pytest.mark.parametrize("step", ["write", "move"])
def test_a_run_that_is_stopped_leaves_no_half_picture(step, folder, weights, monkeypatch, fault):
    for name in "abc":
        save(folder / f"{name}.png")
    moves, move, sync = [], os.replace, os.fsync

    def stop(what, *args):
        moves.append(args)
        if len(moves) == 2:
            raise KeyboardInterrupt
        return what(*args)

    if step == "move":
        monkeypatch.setattr(files.os, "replace", lambda *args: stop(move, *args))
    else:
        monkeypatch.setattr(files.os, "fsync", lambda *args: stop(sync, *args))
    out = folder.parent / "out"
    with fault("folders", f"stopped before the {step}"):
        assert colour(weights, folder) == 130
        assert [file.name for file in out.glob("*.png")] == ["a.png"]
        monkeypatch.undo()
        assert colour(weights, folder, "--overwrite") == 0
        check_whole(out)  # what the stopped run had left is gone
        assert len(os.listdir(out)) == 3


def test_a_full_disk_ends_the_run(folder, weights, monkeypatch, capsys, fault):
    for name in "abcd":
        save(folder / f"{name}.png")
    synced = []

    def fill_up(descriptor):
        synced.append(descriptor)
        if len(synced) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", fill_up)
    with fault("folders", "a full disk"):
        assert colour(weights, folder) == 1
        done, rest, why = capsys.readouterr().out.splitlines()
        assert done.startswith("1 of 4 pictures coloured")
        assert rest.startswith("2 were not tried")
        assert "b.png" in why and "free some space" in why
        assert os.listdir(folder.parent / "out") == ["a.png"]


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("can't allocate memory"), RuntimeError("a bug")]
)
def test_a_picture_too_large_for_the_memory(error, folder, weights, monkeypatch, capsys, fault):
    save(folder / "large.png")

    def fail(*_):
        raise error

    monkeypatch.setattr(colorize, "lightness_of", fail)
    if "bug" in str(error):
        with pytest.raises(RuntimeError, match="a bug"):
            colour(weights, folder)
        return
    with fault("folders", f"no memory: {error!r:.12}"):
        assert colour(weights, folder) == 1
        assert "large.png: too large for the free memory" in capsys.readouterr().out


def test_a_killed_run_leaves_whole_pictures_only(folder, weights, fault):
    save(folder / "0000.png", RGB.repeat(8, 0).repeat(8, 1))
    for i in range(1, 2000):
        (folder / f"{i:04}.png").symlink_to("0000.png")
    out = folder.parent / "out"
    words = [sys.executable, "-m", "colorlab", "colorize", str(folder), "-o", str(out)]
    with fault("folders", "kill -9"):
        run = subprocess.Popen([*words, "--model", weights], stderr=subprocess.DEVNULL)
        while run.poll() is None and len(list(out.glob("*.png"))) < 5:
            time.sleep(0.01)
        run.send_signal(signal.SIGKILL)
        run.wait()
        written = list(out.glob("*.png"))
        assert 5 <= len(written) < 2000
        for part in out.glob("*.part"):
            part.unlink()  # the one in the making, which is not called .png
        check_whole(out)
