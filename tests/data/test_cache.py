"""The memory map of decoded pictures: whole or absent, never wrong."""

import errno
import hashlib
import json
import multiprocessing
import os
import time

import numpy as np
import pytest

from colorlab.data import cache


def pictures(count=5, size=8, seed=0):
    rgb = np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    return [(f"p{i}.png", picture) for i, picture in enumerate(rgb)]


def write(path, key="k", seed=0, **options):
    cache.write(path, key, pictures(seed=seed), (8, 8, 3), 5, **options)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "set.pix"


def test_what_goes_in_comes_out(path):
    write(path, notes=lambda: {"gray": ["x.png"]})
    stored = cache.read(path, "k")
    assert stored.names == ("p0.png", "p1.png", "p2.png", "p3.png", "p4.png")
    np.testing.assert_array_equal(stored.rgb, [picture for _, picture in pictures()])
    assert stored.notes == {"gray": ["x.png"]}
    assert not stored.rgb.flags.writeable


def test_arrays_of_one_channel_are_stored_too(path):
    regions = [(name, picture[..., :1]) for name, picture in pictures()]
    cache.write(path, "k", regions, (8, 8, 1), 5)
    np.testing.assert_array_equal(cache.read(path, "k").rgb, [array for _, array in regions])


def test_identity_is_the_stated_hash_and_depends_on_names_and_pixels(path):
    write(path)
    stored = cache.read(path)
    pixels = hashlib.sha256(stored.rgb.tobytes()).hexdigest()
    text = json.dumps([[5, 8, 8, 3], list(stored.names), pixels])
    assert stored.sha256 == hashlib.sha256(text.encode()).hexdigest()
    rgb = np.array(stored.rgb)
    assert cache.fingerprint(rgb, stored.names) == stored.sha256
    assert cache.fingerprint(rgb, stored.names[::-1]) != stored.sha256
    rgb[0, 0, 0, 0] ^= 1
    assert cache.fingerprint(rgb, stored.names) != stored.sha256


def test_absent_or_outdated_is_none(path):
    assert cache.read(path, "k") is None
    write(path)
    assert cache.read(path, "another key") is None


def damage(path, how):
    content = bytearray(path.read_bytes())
    if how == "pixel":
        content[100] ^= 1
    elif how == "cut":
        del content[-40:]
    elif how == "head cut":
        del content[:10]
    elif how == "longer":
        content += b"x"
    elif how == "footer":
        start = bytes(content).index(b'"shape": [5')
        content[start + 10 : start + 11] = b"6"
    elif how == "json":
        start = bytes(content).index(b'{"key"')
        content[start : start + 1] = b"["
    elif how == "empty":
        content.clear()
    path.write_bytes(content)


@pytest.mark.parametrize("how", ["pixel", "cut", "head cut", "longer", "footer", "json", "empty"])
def test_a_damaged_set_is_rebuilt_with_a_warning(path, how):
    write(path)
    damage(path, how)
    with pytest.raises(cache.CorruptStoreError, match=r"set\.pix"):
        cache.read(path, "k")
    with pytest.warns(UserWarning, match="damaged picture cache"):
        stored = cache.read_or_build(path, "k", lambda: write(path))
    np.testing.assert_array_equal(stored.rgb, [picture for _, picture in pictures()])


def test_an_outdated_set_is_rebuilt_in_silence(path, recwarn):
    write(path, key="old", seed=1)
    stored = cache.read_or_build(path, "new", lambda: write(path, key="new"))
    np.testing.assert_array_equal(stored.rgb[0], pictures()[0][1])
    assert not recwarn.list


def test_a_whole_set_is_not_built_again(path):
    write(path)
    cache.read_or_build(path, "k", lambda: pytest.fail("built again"))


def test_a_failing_source_leaves_the_old_set_and_no_part(path):
    write(path, key="old")

    def broken():
        yield pictures()[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.write(path, "new", broken(), (8, 8, 3), 5)
    assert cache.read(path, "old") is not None
    assert [p.name for p in path.parent.iterdir()] == ["set.pix"]


def test_disk_full_before_and_while_writing(path, monkeypatch):
    with pytest.raises(OSError, match=r"free some space or set COLORLAB_CACHE"):
        cache.write(path, "k", pictures(), (8, 8, 3), expected=10**13)
    assert list(path.parent.iterdir()) == []

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(cache.os, "fsync", full)
    with pytest.raises(OSError, match=r"free some space or set COLORLAB_CACHE"):
        write(path)
    assert list(path.parent.iterdir()) == []


def test_wrong_pictures_are_refused(path):
    with pytest.raises(cache.NoPicturesError):
        cache.write(path, "k", [], (8, 8, 3), 0)
    with pytest.raises(ValueError, match=r"p0\.png.*\(16, 16, 3\)"):
        cache.write(path, "k", pictures(), (16, 16, 3), 5)
    assert list(path.parent.iterdir()) == []


def test_parts_of_killed_runs_go_and_fresh_ones_stay(path):
    old = path.with_name(f".{path.name}.1-1.part")
    new = path.with_name(f".{path.name}.2-2.part")
    for part in (old, new):
        part.write_bytes(b"half")
    long_ago = time.time() - 2 * cache.STALE_SECONDS
    os.utime(old, (long_ago, long_ago))
    write(path)
    assert not old.exists()
    assert new.exists()


def _build(path, start, seed):
    start.wait()
    for _ in range(20):
        write(path, seed=seed)


def test_two_processes_that_build_at_once_leave_a_whole_set(path):
    context = multiprocessing.get_context("spawn")
    start = context.Event()
    workers = [context.Process(target=_build, args=(path, start, seed)) for seed in (0, 1)]
    for worker in workers:
        worker.start()
    write(path)
    start.set()
    while any(worker.is_alive() for worker in workers):
        assert len(cache.read(path, "k").rgb) == 5  # raises when it is not whole
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    stored = cache.read(path, "k")
    either = [np.stack([p for _, p in pictures(seed=seed)]) for seed in (0, 1)]
    assert any(np.array_equal(stored.rgb, rgb) for rgb in either)
    assert [p.name for p in path.parent.iterdir()] == ["set.pix"]


def test_cache_dir_follows_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("COLORLAB_CACHE", str(tmp_path / "a" / "b"))
    assert cache.cache_dir() == tmp_path / "a" / "b"
    assert cache.cache_dir().is_dir()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COLORLAB_CACHE", str(tmp_path / "file" / "c"))
    with pytest.raises(OSError, match="set COLORLAB_CACHE"):
        cache.cache_dir()


def test_cache_dir_without_a_checkout_is_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("COLORLAB_CACHE", raising=False)
    monkeypatch.setattr(cache, "checkout_data", lambda: None)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.cache_dir() == tmp_path / ".cache" / "colorlab"
    monkeypatch.setattr(cache, "checkout_data", lambda: tmp_path / "data")
    assert cache.cache_dir() == tmp_path / "data" / "cache"
