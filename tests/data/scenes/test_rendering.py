"""Scenes: known colours, lightness that is independent of them, any size, same bytes."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from scipy import stats
from scipy.ndimage import laplace
from skimage.color import lab2rgb, rgb2lab

from colorlab.data.scenes import (
    HOURS,
    PALETTES,
    SEVERAL_COLOURED,
    ab_fields,
    draw_layout,
    interior,
    optimal,
    painters,
    render,
)
from colorlab.data.scenes.canvas import Canvas, lab_to_linear, lab_to_uint8, lightness_range


def recovered_lab(rgb: np.ndarray) -> np.ndarray:
    return rgb2lab(rgb).transpose(2, 0, 1)


@pytest.mark.parametrize("size", [31, 513])
def test_a_size_out_of_range_is_refused(size):
    with pytest.raises(ValueError, match="32 to 512"):
        render(0, size)


def test_every_kind_has_room_inside_srgb_at_every_hour():
    for kind in PALETTES:
        for hour in HOURS:
            low, high = lightness_range(kind, hour)
            assert high - low > 25, (kind, hour)


@pytest.mark.parametrize("seed", range(3))
def test_what_lies_outside_the_canvas_paints_nothing(seed):
    layout = draw_layout(seed)
    canvas = Canvas(32, np.zeros((len(layout.things), 1, 2)), [1.0] * len(layout.things))
    for item in layout.items:
        for place in {"foot", "centre"} & set(item.where):
            for x, y in ((-3, 0.5), (3, 0.5), (0.5, -3), (0.5, 3)):
                where = item.where | {place: (x, y)}
                paint = getattr(painters, item.painter)
                paint(canvas, painters.Light(layout.hour, *layout.sun), item.things, **where)
    assert not canvas.planes.any() and not canvas.regions.any()


@pytest.mark.parametrize("size", [33, 512])
def test_any_size_has_the_same_layout(size):
    scene, reference = render(3, size), render(3, 128)
    assert scene.rgb.shape == (size, size, 3) and scene.rgb.dtype == np.uint8
    assert scene.regions.shape == (size, size) and scene.regions.max() < len(scene.things)
    assert scene.things == reference.things
    at = ((np.arange(32) + 0.5) / 32 * size).astype(int)
    ref = ((np.arange(32) + 0.5) / 32 * 128).astype(int)
    same = scene.regions[np.ix_(at, at)] == reference.regions[np.ix_(ref, ref)]
    assert same[interior(reference.regions)[np.ix_(ref, ref)]].mean() > 0.95


@pytest.mark.parametrize("seed", range(8))
def test_recovered_lab_is_the_stated_one(seed):
    scene = render(seed)
    lab = recovered_lab(scene.rgb)
    error = np.abs(lab - scene.lab)
    assert np.quantile(error[0], 0.999) < 0.1
    assert error[1:].mean() < 0.8  # the price of keeping L: about a level of red, two of blue
    inside = interior(scene.regions)
    for row in scene.palette_table():
        mask = inside & (scene.regions == row["region"])
        # Sky, horizon and cloud fade into each other; all else is one flat colour.
        if mask.sum() > 30 and row["kind"] not in ("sky", "horizon", "cloud"):
            stated = row["ab"][row["drawn"]]
            np.testing.assert_allclose(np.median(lab[1:, mask], axis=1), stated, atol=0.7)


def test_conversion_agrees_with_scikit_image():
    rng = np.random.default_rng(0)
    lab = np.stack([rng.uniform(30, 70, (64, 64)), *rng.uniform(-18, 18, (2, 64, 64))])
    ours = lab_to_uint8(lab.astype(np.float32)) / 255
    difference = np.abs(ours - lab2rgb(lab.transpose(1, 2, 0)))
    assert difference[..., 1].max() < 0.6 / 255  # green is rounded to the nearest level
    assert difference.mean() < 1.5 / 255


def test_lightness_is_the_same_bits_whatever_is_sampled():
    for seed in range(8):
        first = render(seed, 64, {kind: 0 for kind in SEVERAL_COLOURED})
        last = render(seed, 64, {kind: len(PALETTES[kind]) - 1 for kind in SEVERAL_COLOURED})
        assert first.lab[0].tobytes() == last.lab[0].tobytes()
        assert first.regions.tobytes() == last.regions.tobytes()
        if any(t.kind in SEVERAL_COLOURED for t in first.things):
            assert not np.array_equal(first.rgb, last.rgb)
        # After rounding to 8 bits too, to a twentieth of a step of 8-bit gray.
        shift = recovered_lab(first.rgb)[0] - recovered_lab(last.rgb)[0]
        assert np.abs(shift).mean() < 0.02


def lightness_features(L: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """What a classifier may use: level, contrast, histogram, texture, area of a region."""
    v, edge = L[mask], laplace(L)[mask]
    moments = [v.mean(), v.std(), len(v) ** 0.5, edge.std(), np.abs(edge).mean()]
    quantiles = np.quantile(v, [0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99])
    return np.concatenate([moments, quantiles, np.histogram(v, 20, (0, 100))[0] / len(v)])


def held_out_accuracy(x: np.ndarray, y: np.ndarray) -> tuple[int, int, float]:
    """Hits of a ridge classifier on the second half, its size, and the majority's share."""
    n = len(x) // 2
    x = (x - x[:n].mean(axis=0)) / (x[:n].std(axis=0) + 1e-6)
    x = np.hstack([x, np.ones((len(x), 1))])
    target = np.eye(y.max() + 1)[y[:n]]
    weights = np.linalg.solve(x[:n].T @ x[:n] + 10 * np.eye(x.shape[1]), x[:n].T @ target)
    hits = (x[n:] @ weights).argmax(axis=1) == y[n:]
    return int(hits.sum()), len(hits), float(np.bincount(y[n:]).max() / len(hits))


def test_lightness_does_not_reveal_the_colour_sampled():
    features, choices, leak = defaultdict(list), defaultdict(list), defaultdict(list)
    for seed in range(500):
        scene = render(seed, 96)
        lab = recovered_lab(scene.rgb)
        # A tenth of L is four times finer than 8-bit gray.
        L, inside = np.round(lab[0], 1), interior(scene.regions)
        for region, thing in enumerate(scene.things):
            mask = inside & (scene.regions == region)
            if thing.kind in SEVERAL_COLOURED and mask.sum() >= 30:
                features[thing.kind].append(lightness_features(L, mask))
                choices[thing.kind].append(thing.choice)
                leak[thing.kind].append([*features[thing.kind][-1], lab[1, mask].mean()])
    tested = [kind for kind in features if len(features[kind]) >= 120]
    assert len(tested) >= 4
    for kind in tested:
        y = np.array(choices[kind])
        hits, n, majority = held_out_accuracy(np.array(features[kind]), y)
        assert stats.binomtest(hits, n, majority, "greater").pvalue > 1e-4, kind
        # The same classifier finds the colour as soon as a leak is put in.
        hits, n, majority = held_out_accuracy(np.array(leak[kind]), y)
        assert hits / n > majority + 0.1, kind


def test_optimal_is_the_average_over_all_colours_at_each_pixel_borders_included():
    seed, n = 1, 100  # in the evening, with five things of several colours
    rng = np.random.default_rng(0)
    # Stratified samples: each entry exactly as often as stated, so no sampling error is left.
    columns = {}
    for i, thing in enumerate(draw_layout(seed).things):
        if thing.kind in SEVERAL_COLOURED:
            repeats = np.rint(PALETTES[thing.kind].prob * n).astype(int)
            columns[i] = rng.permutation(np.repeat(np.arange(len(repeats)), repeats)[:n])
    used = min(len(column) for column in columns.values())
    colours = [{i: int(c[k]) for i, c in columns.items()} for k in range(used)]
    average = np.mean([render(seed, 64, one).lab[1:] for one in colours], axis=0)
    np.testing.assert_allclose(optimal(render(seed, 64), "l2"), average, atol=0.4)


def test_ab_fields_give_several_predictions_at_once():
    fields = ab_fields(5, 64, ("truth", "l2", "l1"))
    scene = render(5, 64)
    np.testing.assert_array_equal(fields[0], scene.lab[1:])
    np.testing.assert_allclose(fields[2], optimal(scene, "l1"), atol=1e-5)


def test_interior_keeps_away_from_borders():
    regions = np.zeros((12, 12), dtype=np.uint8)
    regions[:, 6:] = 1
    want = np.zeros((12, 12), dtype=bool)
    want[2:-2, 2:4] = want[2:-2, 8:10] = True
    np.testing.assert_array_equal(interior(regions, radius=2), want)


def test_rounding_moves_lightness_as_the_module_says():
    squares, outside = [], []
    for seed in (*range(12), 90):
        scene = render(seed)
        error = recovered_lab(scene.rgb)[0] - scene.lab[0]
        linear = lab_to_linear(scene.lab)
        out = ((linear < -1e-3) | (linear > 1 + 1e-3)).any(axis=0)
        squares.append((error[~out] ** 2).mean())
        outside.append(out.mean())
        assert not out.any() or np.abs(error[out]).max() < 0.4
    assert np.mean(squares) ** 0.5 == pytest.approx(0.01, abs=0.003)
    assert 0 < np.mean(outside) < 2e-3
    assert outside[-1] > 0, "seed 90 has colours that are clipped"
