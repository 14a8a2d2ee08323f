"""Sets of scenes: cached, verified, the same for any number of processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from colorlab.data.scenes import render, scene_set, sets, split_seeds


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("COLORLAB_CACHE", str(tmp_path))
    monkeypatch.setattr(sets, "_verified", set())
    return tmp_path / "scenes"


def test_a_set_holds_the_rendered_scenes():
    scenes = scene_set(3, 48, "val")
    assert len(scenes) == 3 and scenes.pictures.size == 48
    assert scenes.pictures.source == "scenes:val"
    for i, seed in enumerate(scenes.seeds):
        scene = render(seed, 48)
        np.testing.assert_array_equal(scenes.pictures.rgb[i], scene.rgb)
        np.testing.assert_array_equal(scenes.regions[i], scene.regions)
        assert scenes.things[i] == scene.things and scenes.hours[i] == scene.hour


def test_processes_do_not_change_a_byte(cache):
    one = scene_set(60, 32, "train", processes=1)
    identity, regions = one.pictures.sha256, np.array(one.regions)
    del one
    (folder,) = cache.iterdir()
    folder.rename(cache / "elsewhere")
    two = scene_set(60, 32, "train", processes=2)
    assert two.pictures.sha256 == identity
    np.testing.assert_array_equal(two.regions, regions)


def run_script(folder, text: str) -> subprocess.CompletedProcess:
    script = folder / "script.py"
    script.write_text("from colorlab.data.scenes import scene_set\n" + text)
    env = os.environ | {"COLORLAB_CACHE": str(folder / "cache")}
    words = [sys.executable, script]
    return subprocess.run(words, env=env, capture_output=True, text=True, timeout=300)


def test_any_change_to_a_file_that_draws_changes_the_key(tmp_path, monkeypatch):
    folder = tmp_path / "code"
    shutil.copytree(Path(sets.__file__).parent, folder)
    now = sets._code_version()
    monkeypatch.setattr(sets, "__file__", str(folder / "sets.py"))
    assert sets._code_version() == now
    (folder / "scores.py").write_text("# draws nothing")
    assert sets._code_version() == now
    versions = {now}
    for name in ("palettes", "layout", "canvas", "painters", "rendering", "a_new_file"):
        (folder / f"{name}.py").write_text("# changed")
        versions.add(sets._code_version())
    assert len(versions) == 7


def test_a_script_without_a_main_guard_ends(tmp_path):
    """Its workers run the script again; none may wait for the set that it is asked to draw."""
    run = run_script(tmp_path, "print(len(scene_set(60, 32, processes=2)), 'scenes')\n")
    assert run.stdout == "60 scenes\n", run.stderr
    assert "rendering in this one" in run.stderr


def test_a_starting_worker_may_open_a_cached_set(tmp_path):
    """As those of a DataLoader do, where scenes stand above the guard."""
    run = run_script(
        tmp_path,
        """
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
scenes = scene_set(2, 32, processes=1)
if __name__ == "__main__":
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        print(pool.submit(len, "ab").result())
""",
    )
    assert run.stdout == "2\n", run.stderr


def test_the_second_call_renders_nothing(monkeypatch):
    first = scene_set(2, 32)
    monkeypatch.setattr(sets, "_create", lambda *args: pytest.fail("rendered again"))
    assert scene_set(2, 32).pictures.sha256 == first.pictures.sha256


@pytest.mark.parametrize("lengths", [(4, 9, 6), (9, 4)])
def test_sets_of_other_length_lend_their_scenes(cache, monkeypatch, lengths):
    rendered = []
    into = sets._render_into
    monkeypatch.setattr(sets, "_render_into", lambda *task: rendered.append(task) or into(*task))
    lent = [scene_set(n, 32) for n in lengths]
    assert sum(stop - start for *_, start, stop in rendered) == max(lengths)
    for scenes in lent:
        assert len(scenes.pictures.rgb) == len(scenes.things) == len(scenes)
        for i in range(len(scenes)):
            np.testing.assert_array_equal(scenes.pictures.rgb[i], render(i, 32).rgb)
            np.testing.assert_array_equal(scenes.regions[i], render(i, 32).regions)


def test_a_damaged_set_lends_nothing(cache):
    scene_set(4, 32)
    (folder,) = cache.iterdir()
    pixels = np.load(folder / "rgb.npy", mmap_mode="r+")
    pixels[1] ^= 1
    pixels.flush()
    sets._verified.clear()
    with pytest.warns(UserWarning, match="damaged scenes"):
        scenes = scene_set(6, 32)
    np.testing.assert_array_equal(scenes.pictures.rgb[1], render(1, 32).rgb)


def test_other_code_and_damage_render_anew(cache, monkeypatch):
    good = scene_set(2, 32).pictures
    identity = good.sha256
    (folder,) = cache.iterdir()
    damaged = np.load(folder / "rgb.npy")
    damaged[0, 0, 0] += 1
    del good
    np.save(folder / "rgb.npy", damaged)
    monkeypatch.setattr(sets, "_verified", set())
    with pytest.warns(UserWarning, match="damaged"):
        assert scene_set(2, 32).pictures.sha256 == identity
    monkeypatch.setattr(sets, "_code_version", lambda: "othercode")
    scene_set(2, 32)
    assert [path.name for path in cache.iterdir()] == ["train-2-32-othercode"]


def test_a_failed_rendering_leaves_nothing(cache, monkeypatch):
    def fail(*args):
        raise RuntimeError("interrupted")

    monkeypatch.setattr(sets, "_render_all", fail)
    with pytest.raises(RuntimeError):
        scene_set(2, 32)
    assert list(cache.iterdir()) == []


def test_losing_the_race_takes_the_winners_set(cache, monkeypatch):
    monkeypatch.setattr(sets.cache, "alone", nullcontext)  # a disk that knows no locks
    render_all, raced = sets._render_all, []

    def slow(*args):
        render_all(*args)
        if not raced:
            raced.append(True)
            scene_set(2, 32)  # another process comes in between and finishes first

    monkeypatch.setattr(sets, "_render_all", slow)
    scenes = scene_set(2, 32)
    np.testing.assert_array_equal(scenes.pictures.rgb[0], render(0, 32).rgb)
    assert len(list(cache.iterdir())) == 1


def test_splits_share_no_seed():
    ranges = [split_seeds(100_000_000, split) for split in ("train", "val", "test")]
    assert all(a.stop <= b.start for a, b in pairwise(ranges))
    with pytest.raises(ValueError, match="split must be"):
        split_seeds(3, "holdout")
    with pytest.raises(ValueError, match="want 1 to"):
        scene_set(0)
