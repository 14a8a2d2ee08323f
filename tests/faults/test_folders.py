"""Folders with anything in them: a run goes on, reports at the end, and leaves only whole files."""

from __future__ import annotations

import errno
import io
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import bad_pictures
import odd_pictures
import pytest
from coloring import check_whole, colour, save, small_weights
from memory import forget_peak, peak

from colorlab.commands import colorize
from colorlab.data import photos

BROKEN = {**bad_pictures.no_pictures(), **bad_pictures.bombs()}


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> str:
    return small_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("COLORLAB_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def fill(folder: Path) -> tuple[int, int]:
    """All odd and all broken kinds, and what is no file; how many good, how many bad."""
    odd = [o for o in odd_pictures.pictures().values() if min(o.truth.shape[:2]) > 40]
    for i, picture in enumerate(odd):
        (folder / f"odd {i}.jpg").write_bytes(picture.content)
    for i, (content, _) in enumerate(BROKEN.values()):
        (folder / f"bad\n{i}.png").write_bytes(content)
    (folder / "folder.png").mkdir()
    os.mkfifo(folder / "pipe.png")
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "gone.png").symlink_to("nowhere")
    (folder / "zero.png").symlink_to("/dev/zero")
    return len(odd), len(BROKEN) + 5


def test_colorize_goes_on_past_every_bad_file(folder, weights, capsys, fault):
    good, bad = fill(folder)
    with fault("folders", "all kinds of files, coloured"), warnings.catch_warnings():
        warnings.simplefilter("error")  # PIL's warnings do not name the file
        assert colour(weights, folder) == 1
        first, *told = capsys.readouterr().out.splitlines()
        assert first.startswith(f"{good} of {good + bad} pictures coloured")
        assert len(told) == bad
        for line in told:
            assert line.startswith(f"colorlab: {folder}")
            assert line.count(str(folder)) == 1
            assert "; " in line
        check_whole(folder.parent / "out")
        assert len(os.listdir(folder.parent / "out")) == good


def test_load_folder_goes_on_past_every_bad_file(folder, fault):
    good, bad = fill(folder)
    with fault("folders", "all kinds of files, loaded"):
        with pytest.warns(UserWarning, match=r"unreadable skipped: bad\\n0\.png, ") as told:
            pictures = photos.load_folder(folder, "all", 32)
        (warning,) = [w for w in told if issubclass(w.category, UserWarning)]
        assert str(warning.message).isprintable()
        _, report = photos.open_folder(folder, "all", 32)
        assert len(pictures) == report.used == good - len(report.gray)
        # A folder that is called like a picture is no file, so it is not listed at all.
        assert len(report.unreadable) == bad - 1


@pytest.mark.parametrize(
    "name", ["a**b", "[x]", "line\nbreak", "🦊", b"\xff\xfe", "n" * 255, "100%"]
)
def test_folders_of_any_name(name, tmp_path, weights, capsys, fault):
    folder = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), os.fsencode(name))))
    with fault("folders", f"a folder called {name!r:.20}"):
        try:
            folder.mkdir()
        except OSError:
            pytest.skip("this disk takes no such name")
        for i in range(12):
            save(folder / os.fsdecode(b"\xe9 %d\n.png" % i))
        (folder / "bad.png").write_bytes(b"")
        with pytest.warns(UserWarning, match="1 unreadable"):
            assert len(photos.load_folder(folder, "train", 16)) > 4  # divided by names' hashes
        assert colour(weights, folder) == 1
        assert "12 of 13" in capsys.readouterr().out


def test_a_terminal_that_knows_ascii_only(folder, weights, monkeypatch, fault):
    (folder / "🦊.png").write_bytes(b"")
    out = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", out)
    with fault("folders", "a terminal of ASCII"):
        assert colour(weights, folder) == 1
        out.flush()
        assert rb"\U0001f98a.png: an empty file" in out.buffer.getvalue()


def test_files_that_vanish_after_they_are_listed(folder, monkeypatch, weights, capsys, fault):
    for name in "abc":
        save(folder / f"{name}.png")
    listed = photos.list_files(folder, "all")
    inputs = colorize.list_inputs([folder])
    (folder / "b.png").unlink()
    monkeypatch.setattr(photos, "list_files", lambda *_: listed)
    monkeypatch.setattr(colorize, "list_inputs", lambda _: inputs)
    with fault("folders", "a file that vanishes"):
        pictures, report = photos.open_folder(folder, "all", 16)
        assert pictures.names == ("a.png", "c.png")
        assert report.unreadable == ("b.png",)
        assert colour(weights, folder) == 1
        assert "b.png: no such picture file" in capsys.readouterr().out


def test_links_that_lead_round_in_circles(folder, fault):
    (folder / "deep").mkdir()
    save(folder / "deep" / "a.png")
    (folder / "deep" / "round").symlink_to(folder)
    (folder / "self").symlink_to("self")
    with fault("folders", "folders in a circle"):
        assert photos.list_files(folder, "all")[1] == ["deep/a.png"]
    with fault("folders", "a link that is called a folder"), pytest.raises(FileNotFoundError):
        photos.load_folder(folder / "self", "all", 16)


def test_a_folder_that_may_not_be_listed_is_told(folder, monkeypatch, fault):
    """Simulated, since who runs the tests as root may list everything."""
    save(folder / "a.png")
    (folder / "closed").mkdir()
    scan = os.scandir

    def refuse(path):
        if str(path).endswith("closed"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with fault("folders", "a closed folder below"):
        with pytest.warns(UserWarning, match="closed: may not be listed .+; check its permissions"):
            _, names = photos.list_files(folder, "all")
        assert names == ["a.png"]


def test_permissions_mended_later_are_noticed(folder, monkeypatch, fault):
    save(folder / "a.png")
    open_key = photos.listing_key(folder, ["a.png"], ())
    with fault("folders", "permissions that change"), monkeypatch.context() as patch:
        patch.setattr(photos.os, "access", lambda *_: False)
        assert photos.listing_key(folder, ["a.png"], ()) != open_key


@pytest.fixture
def many() -> Iterator[Path]:
    """A folder of 100,000 files, in memory where the system has such a disk."""
    disk = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=disk if disk.is_dir() else None) as folder:
        for i in range(100_000):
            open(f"{folder}/{i:06}.jpg", "xb").close()
        yield Path(folder)


def test_100_000_files(many, tmp_path, fault):
    with fault("folders", "100,000 files"):
        forget_peak()
        before = peak()
        at, names = photos.list_files(many, "all")
        photos.listing_key(at, names, ())
        inputs = colorize.list_inputs([many])
        outputs = colorize.name_outputs(inputs, tmp_path / "out", single=False)
        colorize.refuse_collisions(inputs, outputs, overwrite=False)
        assert peak() - before < 300e6  # 3 kB a file
        assert names == [file.name for file in inputs]
        assert len(names) == len(outputs) == 100_000
