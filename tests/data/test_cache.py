"""The cache of images: whole or absent, never wrong, whoever builds it, is killed or waits."""

import errno
import hashlib
import json
import multiprocessing
import os
import warnings
from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from colorlab import data
from colorlab.data import cache

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
NAMES = tuple(f"p{i}.png" for i in range(5))


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "_verified", set())  # as in a new process
    return tmp_path / "set.pix"


def write(path, key="k", rgb=IMAGES, **options):
    options = {"size": 8, "expected": 5, "notes": {}, **options}
    cache.write(path, key, zip(NAMES, rgb, strict=True), **options)


def read_or_build(path, images=lambda: zip(NAMES, IMAGES, strict=True), key="k"):
    return cache.read_or_build(path, key, images, 8, 5, {})


def test_what_goes_in_comes_out(path):
    write(path, notes={"gray": ["x.png"]})
    stored = cache.read(path, "k")
    assert stored.names == NAMES and stored.notes == {"gray": ["x.png"]}
    np.testing.assert_array_equal(stored.rgb, IMAGES)
    assert stored.rgb.flags.c_contiguous and not stored.rgb.flags.writeable
    assert stored.regions is None
    cache.write(path, "k", zip(NAMES, IMAGES, IMAGES[..., 1], strict=True), 8, 5, {})
    stored = cache.read(path, "k")
    np.testing.assert_array_equal(stored.rgb, IMAGES)
    np.testing.assert_array_equal(stored.regions, IMAGES[..., 1])
    assert stored.sha256 == cache.fingerprint(IMAGES, NAMES), "the identity is that of the images"
    assert cache.read(path, "another key") is None
    assert cache.read(path.with_name("nowhere"), "k") is None


def test_identity_is_the_stated_hash_and_depends_on_names_and_pixels(path):
    write(path)
    text = json.dumps([[5, 8, 8, 3], list(NAMES), hashlib.sha256(IMAGES.tobytes()).hexdigest()])
    want = hashlib.sha256(text.encode()).hexdigest()
    assert cache.read(path, "k").sha256 == cache.fingerprint(IMAGES, NAMES) == want
    assert cache.fingerprint(IMAGES, NAMES[::-1]) != want
    assert cache.fingerprint(IMAGES ^ 1, NAMES) != want


@pytest.mark.parametrize("with_regions", [False, True])
def test_a_set_that_rots_anywhere_is_built_again(path, with_regions, monkeypatch):
    """A bit flipped, or an end cut off: the right images and names, and never others."""
    planes = (IMAGES, IMAGES[..., 0]) if with_regions else (IMAGES,)
    cache.write(path, "k", zip(NAMES, *planes, strict=True), 8, 5, {})
    whole = path.read_bytes()
    footer = len(whole) - cache.TAIL.size - int.from_bytes(whole[-16:-8], "little")
    places = [*range(0, footer, 97), *range(footer, len(whole), 5)]
    contents = [whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :] for at in places]
    contents += [whole[: len(whole) * tenth // 10] for tenth in range(10)] + [whole + b"x"]
    built, told = [], []
    monkeypatch.setattr(cache.warnings, "warn", lambda text, **_: told.append(text))

    def build():
        built.append(True)
        return zip(NAMES, *planes, strict=True)

    for content in contents:
        path.write_bytes(content)
        cache._verified.clear()
        stored = read_or_build(path, build)
        assert stored.names == NAMES
        for plane, want in zip((stored.rgb, stored.regions), planes, strict=False):
            np.testing.assert_array_equal(plane, want)
    assert len(built) > 0.9 * len(contents)
    # Elsewhere the key was hit, so that the set seems to be of another source.
    assert len(told) > 0.9 * len(built)
    assert told[0].startswith("rebuilding a damaged") and "set.pix" in told[0]


@pytest.mark.parametrize("shape", [[5, -8, -8, 3], [5, 8, 8], [], "x", None, [5, 8.0, 8, 3]])
def test_a_footer_that_lies_is_no_set(path, shape):
    write(path)
    whole = path.read_bytes()
    size = int.from_bytes(whole[-16:-8], "little")
    text = json.dumps(json.loads(whole[-16 - size : -16]) | {"shape": shape}).encode()
    path.write_bytes(whole[: -16 - size] + text + cache.TAIL.pack(len(text), cache.MAGIC))
    with pytest.raises(cache.CorruptStoreError, match="delete it"):
        cache.read(path, "k")


def test_a_whole_set_is_kept_and_an_outdated_one_replaced_in_silence(path, recwarn):
    write(path, key="old", rgb=IMAGES ^ 1)
    np.testing.assert_array_equal(read_or_build(path, key="new").rgb, IMAGES)
    read_or_build(path, lambda: pytest.fail("built again"), key="new")
    assert not recwarn.list
    assert os.listdir(path.parent) == ["set.pix"]


def test_a_failing_source_leaves_the_old_set_and_no_part(path):
    write(path, key="old")

    def broken():
        yield NAMES[0], IMAGES[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.write(path, "new", broken(), 8, 5, {})
    with pytest.raises(cache.NoPicturesError):
        cache.write(path, "new", [], 8, 0, {})
    with pytest.raises(ValueError, match=r"p0\.png.*\(16, 16, 3\)"):
        write(path, size=16)
    assert cache.read(path, "old") is not None
    assert os.listdir(path.parent) == ["set.pix"]


def test_disk_full_before_and_while_writing(path, monkeypatch):
    with pytest.raises(OSError, match=r"free some space or set COLORLAB_CACHE"):
        write(path, expected=10**13)

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(cache.os, "fsync", full)
    with pytest.raises(OSError, match=r"free some space or set COLORLAB_CACHE"):
        write(path)
    assert os.listdir(path.parent) == []


def test_what_killed_builders_left_goes_away(path):
    path.with_name(f"{path.name}.part").write_bytes(b"half")
    path.with_name(f".{path.name}.lock").write_text("process 1 on nowhere\n")
    assert len(read_or_build(path).rgb) == 5
    assert os.listdir(path.parent) == ["set.pix"]


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
def test_a_cache_that_cannot_be_written_is_told_and_one_that_is_there_is_used(
    path, monkeypatch, code
):
    real = os.open

    def closed(file, flags, *mode, **more):
        if flags & os.O_CREAT and str(file).startswith(str(path.parent)):
            raise OSError(code, os.strerror(code), str(file))
        return real(file, flags, *mode, **more)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", closed)
        with pytest.raises(OSError, match=r"cannot write .*: set COLORLAB_CACHE to"):
            read_or_build(path)
    read_or_build(path)
    monkeypatch.setattr(os, "open", closed)
    assert len(read_or_build(path).rgb) == 5


FORK = multiprocessing.get_context("fork")  # a fork has torch at once


class Loader:
    """A process that loads a set and tells of it; it waits at each image for one of `steps`."""

    def __init__(self, source, steps: int = 1000) -> None:
        self.told, tell = FORK.Pipe(duplex=False)
        self.steps = FORK.Semaphore(steps)
        self.process = FORK.Process(target=self.work, args=(source, tell))
        self.process.start()
        tell.close()

    def work(self, source, tell) -> None:
        write_set = cache._write_set

        def slowly(file, key, images, *more) -> None:
            def one_by_one() -> Iterator:
                for image in images:
                    tell.send("building")
                    file.flush()
                    self.steps.acquire()
                    yield image

            write_set(file, key, one_by_one(), *more)

        cache._write_set = slowly
        warnings.showwarning = lambda message, *_: tell.send(f"warning: {message}")
        tell.send(data.load(source, "train", 32, 8).sha256)

    def hear(self, what: str) -> None:
        while not self.told.recv().startswith(what):
            pass

    def answer(self) -> tuple[str, int]:
        """What it got, and how many images it made for it since it was last heard."""
        for _ in range(20):
            self.steps.release()
        told = []
        with suppress(EOFError):
            while True:
                told.append(self.told.recv())
        self.process.join()
        return told[-1], told.count("building")


@pytest.fixture(params=["photographs", "scenes"])
def source(request, path, monkeypatch):
    """What to load, and the identity of it; the cache is empty."""
    source = "scenes"
    if request.param == "photographs":
        source = path.parent / "photographs"
        (source / "train").mkdir(parents=True)
        for i in range(8):
            coarse = np.random.default_rng(i).integers(0, 256, (4, 4, 3), dtype=np.uint8)
            Image.fromarray(coarse).resize((32, 32)).save(source / "train" / f"{i}.png")
    monkeypatch.setenv("COLORLAB_CACHE", str(path.parent / "quiet"))
    want = data.load(source, "train", 32, 8).sha256
    monkeypatch.setenv("COLORLAB_CACHE", str(path.parent / "cache"))
    return source, want


def test_of_two_processes_one_builds_and_the_other_waits(source, tmp_path):
    source, want = source
    first = Loader(source, steps=0)
    first.hear("building")
    second = Loader(source)
    second.hear(f"warning: waiting for process {first.process.pid} on ")
    assert first.answer() == (want, 7), "the first image was heard"
    assert second.answer() == (want, 0)
    files = [file.suffix for file in (tmp_path / "cache").rglob("*.*")]
    assert files == [".pix"]


def test_who_waits_for_a_builder_that_is_killed_builds(source, tmp_path):
    source, want = source
    first = Loader(source, steps=4)
    for _ in range(5):
        first.hear("building")
    second = Loader(source)
    second.hear("warning: waiting for")
    assert not list((tmp_path / "cache").rglob("*.pix"))
    first.process.kill()
    assert second.answer() == (want, 8)


def test_cache_dir_follows_the_environment_then_the_checkout_then_home(tmp_path, monkeypatch):
    monkeypatch.setenv("COLORLAB_CACHE", str(tmp_path / "a" / "b"))
    assert cache.cache_dir() == tmp_path / "a" / "b"
    assert cache.cache_dir().is_dir()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COLORLAB_CACHE", str(tmp_path / "file" / "c"))
    with pytest.raises(OSError, match="set COLORLAB_CACHE"):
        cache.cache_dir()
    monkeypatch.delenv("COLORLAB_CACHE")
    monkeypatch.setattr(cache, "checkout_data", lambda: tmp_path / "data")
    assert cache.cache_dir() == tmp_path / "data" / "cache"
    monkeypatch.setattr(cache, "checkout_data", lambda: None)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.cache_dir() == tmp_path / ".cache" / "colorlab"
