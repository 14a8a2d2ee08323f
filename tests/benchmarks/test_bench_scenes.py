"""How fast scenes are drawn: one picture, and a set (scenes/s reported)."""

import shutil

from colorlab.data.scenes import render, scene_set, sets


def test_one_scene(benchmark):
    seeds = iter(range(1_000_000))
    for seed in range(20):  # textures and tables are made once a process
        render(seed)
    benchmark.pedantic(lambda: render(next(seeds)), rounds=300)
    benchmark.extra_info["scenes_per_second"] = 1 / benchmark.stats["mean"]


def test_a_set(benchmark, tmp_path, monkeypatch):
    """The lessons' training set, hashing and writing included."""
    monkeypatch.setenv("COLORLAB_CACHE", str(tmp_path))
    monkeypatch.setattr(sets.cache, "_verified", set())
    n = 3600
    benchmark.pedantic(
        lambda: scene_set(n),
        setup=lambda: shutil.rmtree(tmp_path / "scenes", ignore_errors=True),
        rounds=1,
    )
    benchmark.extra_info["scenes_per_second"] = n / benchmark.stats["mean"]
