"""Distances of sets: the estimator by its definition, a null that holds, and its power."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from colorlab.classical import Gray
from colorlab.data import Pictures
from colorlab.metrics import Evaluation, bootstrap, compare_sets, evaluate_sets, sets


def points(n: int, seed: int, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, 1, size=(n, 6))


def test_the_distance_is_its_definition():
    x, y = points(5, 0), points(7, 1, 0.5)

    def mean(a, b, same):
        values = [
            (float(p @ q) / 6 + 1) ** 3
            for i, p in enumerate(a)
            for j, q in enumerate(b)
            if not (same and i == j)
        ]
        return sum(values) / len(values)

    wanted = mean(x, x, True) + mean(y, y, True) - 2 * mean(x, y, False)
    assert compare_sets(x, y).distance == pytest.approx(1000 * wanted)
    assert compare_sets(y, x).distance == pytest.approx(1000 * wanted)


def test_sets_of_one_distribution_are_rejected_as_often_as_stated():
    found = [compare_sets(points(16, k), points(16, 1000 + k), seed=k) for k in range(200)]
    assert np.mean([test.p <= 0.1 for test in found]) == pytest.approx(0.1, abs=0.06)
    means = [test.distance for test in found]
    assert np.mean(means) == pytest.approx(0, abs=3 * np.std(means) / len(means) ** 0.5)


def test_another_distribution_shows_with_many_images_and_not_with_few():
    few = np.mean([compare_sets(points(8, k), points(8, 500 + k, 0.4)).p for k in range(30)])
    many = compare_sets(points(200, 0), points(200, 1, 0.4))
    assert many.p == pytest.approx(1 / 1000) and many.distance > many.null.max()
    assert few > 0.1


@pytest.mark.parametrize("shapes", [((1, 3), (5, 3)), ((5, 3), (5, 4)), ((5,), (5,))])
def test_what_is_no_set_is_refused(shapes):
    with pytest.raises(ValueError, match="two sets"):
        compare_sets(*(np.zeros(shape) for shape in shapes))


def test_a_table_has_the_truth_beside_the_models(monkeypatch, tmp_path):
    # The mean colour stands for the encoder's features, so that gray lies far from the truth.
    monkeypatch.setattr(sets, "set_features", lambda rgb: 9 * rgb.mean(dim=(2, 3)).numpy())
    rgb = np.random.default_rng(0).integers(0, 255, size=(26, 1, 1, 3), dtype=np.uint8)
    rgb[..., 0] = 250  # red
    rgb = rgb.repeat(16, axis=1).repeat(16, axis=2)
    pictures = Pictures(rgb, tuple(map(str, range(26))), sha256="f00d", source="random:test")
    table = evaluate_sets({"gray": Gray()}, pictures, 8, progress=False)
    assert table.models == ("truth", "gray") and len(table.names) == 3
    assert table.per_picture["gray"]["kid"].min() > table.per_picture["truth"]["kid"].max()
    assert table.details["all"]["gray"]["kid_p"] < 0.01 < table.details["all"]["truth"]["kid_p"]
    assert len(table.details["null"]["gray"]["set"]) == 200
    assert "3 sets of 8 pictures" in str(table) and "all 26 pictures" in str(table)
    assert "| gray | **▲" in table.to_markdown(ties=True), "the truth wins no column"
    table.to_json(tmp_path / "t.json")
    assert str(Evaluation.read(tmp_path / "t.json")) == str(table)
    more = {"seed": 3, "n_resamples": 40, "progress": False}
    other = evaluate_sets({"gray": Gray()}, pictures, 8, **more)
    wanted = bootstrap(other.per_picture["gray"]["kid"], 40, 3)
    assert other.interval("gray", "kid") == wanted != bootstrap(other.per_picture["gray"]["kid"])
    for n in (2, 7, 28):
        with pytest.raises(ValueError, match="even number of 4 to 26"):
            evaluate_sets({"gray": Gray()}, pictures, n)


def test_features_are_the_mean_of_the_encoders_last_map(monkeypatch):
    maps = (torch.zeros(2, 3, 8, 8), torch.arange(16.0).reshape(2, 2, 2, 2))
    seen = []
    encoder = SimpleNamespace(net=lambda x: seen.append(x) or maps)
    monkeypatch.setattr(sets.encoders, "load", lambda name: encoder)
    found = sets.set_features(torch.full((2, 3, 64, 64), 0.75))
    assert found.tolist() == [[1.5, 5.5], [9.5, 13.5]]
    assert (seen[0] == 0.5).all(), "values in [-1, 1], as in its training"
