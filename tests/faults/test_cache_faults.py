"""Caches that two processes build, that a kill leaves half-built, that rot or cannot be written."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from colorlab import data
from colorlab.data import cache as store

GROUP = "caches"

# A process of its own that loads some pictures, waits at the first one if it is told to, and
# tells what it does.
LOADER = """
import sys, warnings
from colorlab import data
from colorlab.data import cache as store
source, wait = sys.argv[1:]
warnings.showwarning = lambda message, *_: print("warning:", message, flush=True)
write_set = store._write_set
def slowly(file, key, pictures, shape, notes):
    def one_by_one():
        for pair in pictures:
            print("building", flush=True)
            if wait == "wait":
                file.flush()
                sys.stdin.readline()
            yield pair
    write_set(file, key, one_by_one(), shape, notes)
store._write_set = slowly
count = 40 if source == "scenes" else None
print("got", data.load(source, "train", 32, count).sha256, flush=True)
"""


@pytest.fixture
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("COLORLAB_CACHE", str(folder))
    return folder


def loader(source, wait: str = "go") -> subprocess.Popen:
    """Start a process that loads; "wait" for a line before each picture, or "go"."""
    return subprocess.Popen(
        [sys.executable, "-c", LOADER, str(source), wait],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def answer(process: subprocess.Popen) -> tuple[str, int]:
    """What a loader got, and how many pictures it decoded for it since it was last heard."""
    lines = process.communicate("\n" * 20, timeout=300)[0].splitlines()
    assert process.returncode == 0
    return lines[-1].removeprefix("got "), lines.count("building")


def heard(process: subprocess.Popen, what: str) -> None:
    """Wait until a loader says so."""
    while not (line := process.stdout.readline()).startswith(what):
        assert line, "the process has ended"


def truth(source, monkeypatch, tmp_path) -> str:
    """The identity of the pictures, from a cache that nobody disturbs."""
    with monkeypatch.context() as patch:
        patch.setenv("COLORLAB_CACHE", str(tmp_path / "quiet"))
        return data.load(source, "train", 32, 40 if source == "scenes" else None).sha256


def test_of_two_processes_one_builds_and_the_other_waits(
    fault, tiny_photos, cache, monkeypatch, tmp_path
):
    want = truth(tiny_photos, monkeypatch, tmp_path)
    with fault(GROUP, "two processes build one set: photographs"):
        first = loader(tiny_photos, "wait")
        heard(first, "building")
        second = loader(tiny_photos)
        heard(second, f"warning: waiting for process {first.pid} on ")
        (one, built), (two, built_too) = answer(first), answer(second)
        assert one == two == want
        assert (built, built_too) == (7, 0), "the first of eight was heard above"
        assert [p.suffix for p in cache.iterdir()] == [".pix"]


def test_two_processes_that_want_the_same_scenes(fault, cache, monkeypatch, tmp_path):
    want = truth("scenes", monkeypatch, tmp_path)
    for _ in range(2):
        with fault(GROUP, "two processes build one set: scenes"):
            both = [loader("scenes"), loader("scenes")]
            assert [answer(process)[0] for process in both] == [want, want]
        for file in (cache / "scenes").glob("*/*"):
            file.unlink()  # the next two find a damaged set


def test_a_builder_that_is_killed_leaves_nothing_that_is_taken_for_a_set(
    fault, tiny_photos, cache, monkeypatch, tmp_path
):
    want = truth(tiny_photos, monkeypatch, tmp_path)
    for pictures in (0, 4, 7):
        with fault(GROUP, "a builder is killed"):
            process = loader(tiny_photos, "wait")
            heard(process, "building")
            for _ in range(pictures):
                process.stdin.write("\n")
                process.stdin.flush()
                heard(process, "building")
            process.kill()
            process.wait()
            assert not list(cache.glob("*.pix"))
            assert data.load(tiny_photos, "train", 32).sha256 == want
        for file in cache.glob("*.pix"):
            file.unlink()


def test_who_waits_for_a_builder_that_is_killed_builds(
    fault, tiny_photos, cache, monkeypatch, tmp_path
):
    want = truth(tiny_photos, monkeypatch, tmp_path)
    with fault(GROUP, "a builder is killed while another waits"):
        first = loader(tiny_photos, "wait")
        heard(first, "building")
        second = loader(tiny_photos)
        heard(second, "warning: waiting for")
        first.kill()
        first.wait()
        assert answer(second) == (want, 8)


def test_what_was_left_by_the_killed_goes_away(fault, cache, few_pictures):
    cache.mkdir()
    path = cache / "set.pix"
    old = cache / ".set.pix.1-1.part"
    with fault(GROUP, "parts of killed builders"):
        old.write_bytes(b"half")
        os.utime(old, (0, 0))
        (cache / ".set.pix.lock").write_text("process 1 on nowhere\n")
        stored = store.read_or_build(path, "k", lambda: write(path, few_pictures))
        assert len(stored.rgb) == 12
        assert os.listdir(cache) == ["set.pix"]


def write(path, pictures) -> None:
    store.write(path, "k", zip(pictures.names, pictures.rgb, strict=True), (32, 32, 3), 12)


def test_a_set_that_rots_is_built_again(fault, cache, few_pictures):
    """A bit flipped anywhere: the right pictures and names, and never others."""
    cache.mkdir()
    path = cache / "set.pix"
    write(path, few_pictures)
    whole = path.read_bytes()
    footer = len(whole) - store.TAIL.size - int.from_bytes(whole[-16:-8], "little")
    places_ = [*range(0, footer, 1999), *range(footer, len(whole), 7)]
    contents = [whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :] for at in places_]
    contents += [whole[: len(whole) * tenth // 10] for tenth in range(10)]
    built = 0
    for content in contents:
        path.write_bytes(content)
        store._verified.clear()  # as in a new process

        def build():
            nonlocal built
            built += 1
            write(path, few_pictures)

        with fault(GROUP, "a set rots"), pytest.MonkeyPatch.context() as patch:
            patch.setattr(store.warnings, "warn", lambda *_, **__: None)
            stored = store.read_or_build(path, "k", build)
            np.testing.assert_array_equal(stored.rgb, few_pictures.rgb)
            assert stored.names == few_pictures.names
    assert built > 0.9 * len(contents)


@pytest.mark.parametrize("shape", [[12, -32, -32, 3], [12, 32, 32], [], "x", None, [12.0] * 4])
def test_a_footer_that_lies_is_no_set(fault, cache, few_pictures, shape):
    cache.mkdir()
    path = cache / "set.pix"
    write(path, few_pictures)
    whole = path.read_bytes()
    size = int.from_bytes(whole[-16:-8], "little")
    fields = json.loads(whole[-16 - size : -16]) | {"shape": shape}
    text = json.dumps(fields).encode()
    with fault(GROUP, "a footer lies"):
        path.write_bytes(whole[: -16 - size] + text + store.TAIL.pack(len(text), store.MAGIC))
        with pytest.raises(store.CorruptStoreError, match="delete it"):
            store.read(path, "k")


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
def test_a_cache_that_cannot_be_written_is_told_and_one_that_is_there_is_used(
    fault, tiny_photos, cache, monkeypatch, code
):
    real = os.open

    def closed(path, flags, *mode, **more):
        if flags & os.O_CREAT and str(path).startswith(str(cache)):
            raise OSError(code, os.strerror(code), str(path))
        return real(path, flags, *mode, **more)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", closed)
        with (
            fault(GROUP, "a cache that cannot be written"),
            pytest.raises(OSError, match=r"cannot write .*may write to, and name it with COLORL"),
        ):
            data.load(tiny_photos, "train", 32)
    data.load(tiny_photos, "train", 32)
    monkeypatch.setattr(os, "open", closed)
    with fault(GROUP, "a cache that can only be read"):
        assert len(data.load(tiny_photos, "train", 32)) == 8


def test_a_set_that_another_process_maps_on_windows(fault, cache, few_pictures, monkeypatch):
    """There it cannot be replaced; then it is what was wanted, or the error is told."""
    cache.mkdir()
    path = cache / "set.pix"

    def build():
        write(path, few_pictures)
        raise PermissionError(f"{cache} cannot be written")

    with fault(GROUP, "a set in use cannot be replaced"):
        assert len(store.read_or_build(path, "k", build).rgb) == 12
    path.unlink()

    def fails():
        raise PermissionError(f"{cache} cannot be written")

    with (
        fault(GROUP, "a set in use cannot be replaced"),
        pytest.raises(PermissionError, match="cannot be written"),
    ):
        store.read_or_build(path, "k", fails)


def test_a_cache_below_a_file(fault, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("mine")
    monkeypatch.setenv("COLORLAB_CACHE", str(tmp_path / "file" / "cache"))
    with (
        fault(GROUP, "a cache below a file"),
        pytest.raises(OSError, match="set COLORLAB_CACHE to a folder you may write to"),
    ):
        store.cache_dir()
