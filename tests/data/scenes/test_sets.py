"""Sets of scenes, keyed by the code that draws them.

What cutting, rotting and killing do to a cached set: see tests/data/test_cache.py.
"""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from colorlab.data import cache as store
from colorlab.data.scenes import render, scene_set, sets, split_seeds


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("COLORLAB_CACHE", str(tmp_path))
    monkeypatch.setattr(store, "_verified", set())
    return tmp_path / "scenes"


def check(scenes) -> None:
    for i, seed in enumerate(scenes.seeds):
        scene = render(seed, scenes.pictures.size)
        np.testing.assert_array_equal(scenes.pictures.rgb[i], scene.rgb)
        np.testing.assert_array_equal(scenes.regions[i], scene.regions)
        assert scenes.things[i] == scene.things and scenes.hours[i] == scene.hour


def test_a_set_holds_the_rendered_scenes():
    scenes = scene_set(3, 48, "val")
    assert len(scenes) == len(scenes.pictures) == 3 and scenes.pictures.size == 48
    assert scenes.pictures.source == "scenes:val"
    assert scenes.pictures.names[1] == "scene-100000001"
    check(scenes)


def test_any_change_to_a_file_that_draws_renders_anew(cache, tmp_path, monkeypatch):
    first = scene_set(2, 32)
    monkeypatch.setattr(sets, "render", lambda *_: pytest.fail("rendered again"))
    assert scene_set(2, 32).pictures.sha256 == first.pictures.sha256
    folder = tmp_path / "code"
    shutil.copytree(Path(sets.__file__).parent, folder)
    now = sets._code_version()
    monkeypatch.undo()
    monkeypatch.setenv("COLORLAB_CACHE", str(tmp_path))
    monkeypatch.setattr(sets, "__file__", str(folder / "sets.py"))
    (folder / "sets.py").write_text("# draws nothing")
    assert sets._code_version() == now
    versions = {now}
    for source in sorted(set(folder.glob("*.py")) - {folder / name for name in sets._NOT_DRAWING}):
        source.write_text("# changed")
        versions.add(sets._code_version())
    (folder / "a_new_file.py").write_text("# added")
    versions.add(sets._code_version())
    assert len(versions) >= 7
    file = cache / "train-2-32.pix"
    before = file.stat().st_mtime_ns
    scene_set(2, 32)
    assert file.stat().st_mtime_ns > before
    assert [path.name for path in cache.iterdir()] == ["train-2-32.pix"]


def test_splits_share_no_seed():
    ranges = [split_seeds(100_000_000, split) for split in ("train", "val", "test")]
    assert all(a.stop <= b.start for a, b in pairwise(ranges))
    with pytest.raises(ValueError, match="split must be"):
        split_seeds(3, "holdout")
    with pytest.raises(ValueError, match="want 1 to"):
        scene_set(0)
