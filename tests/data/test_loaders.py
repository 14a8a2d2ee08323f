"""Batches: what a step sees is a pure function of (seed, step), and colours are right."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch
from skimage.color import rgb2lab

from colorlab.data import loaders
from colorlab.data.cache import Pictures
from colorlab.data.loaders import (
    Augmentation,
    LabCache,
    TrainingBatches,
    batch_from_rgb,
    batches_in_order,
    indices_at,
    make_batch,
    quick_lab,
)


def test_batches_in_order_hold_what_scikit_image_computes(few_pictures):
    batches = list(batches_in_order(few_pictures, 5))
    assert [len(batch.L) for batch in batches] == [5, 5, 2]
    whole = make_batch(few_pictures.rgb)
    for name in ("rgb", "L", "ab"):
        assert torch.equal(torch.cat([getattr(b, name) for b in batches]), getattr(whole, name))
    lab = rgb2lab(few_pictures.rgb)
    assert np.abs(whole.L[:, 0].numpy() - lab[..., 0]).max() < 1e-3
    coarse = lab[..., 1:].reshape(12, 8, 4, 8, 4, 2).mean(axis=(2, 4))
    assert np.abs(whole.ab.movedim(1, -1).numpy() - coarse).max() < 1e-3


@pytest.mark.parametrize("batch_size", [5, 30])
def test_every_picture_is_seen_equally_often(batch_size):
    count, steps = 12, 60
    seen = np.concatenate([indices_at(step, count, batch_size, seed=3) for step in range(steps)])
    often = np.bincount(seen, minlength=count)
    assert often.max() - often.min() <= 1
    assert sorted(seen[:count]) == list(range(count)), "the first epoch is a permutation"


def test_epochs_differ_and_so_do_seeds():
    first, second = (indices_at(step, 100, 100, seed=0) for step in (0, 1))
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, indices_at(0, 100, 100, seed=1))


@pytest.mark.parametrize("augment", get_args(Augmentation))
def test_a_step_is_a_pure_function(few_pictures, augment):
    once = TrainingBatches(few_pictures, 6, seed=1, augment=augment).at(7)
    torch.rand(10)  # the global generator must not matter
    again = TrainingBatches(few_pictures, 6, seed=1, augment=augment).at(7)
    assert torch.equal(once.rgb, again.rgb)
    assert torch.equal(once.L, again.L)
    assert torch.equal(once.ab, again.ab)


def test_flips_mirror_about_half_and_change_nothing_else(few_pictures):
    mirrored = 0
    plainly = TrainingBatches(few_pictures, 8, augment="none")
    flipping = TrainingBatches(few_pictures, 8, augment="flip")
    for step in range(30):
        plain, turned = plainly.at(step).rgb, flipping.at(step).rgb
        for before, after in zip(plain, turned, strict=True):
            same, flipped = torch.equal(after, before), torch.equal(after, before.flip(-1))
            assert same or flipped
            mirrored += flipped and not same
    # 240 fair coins: outside [90, 150] once in 10,000 runs, and the seed is fixed.
    assert 90 <= mirrored <= 150


@pytest.mark.parametrize("augment", ["none", "flip"])
def test_cached_lightness_and_chroma_are_those_of_the_picture(few_pictures, augment):
    batches = TrainingBatches(few_pictures, 12, augment=augment)
    for step in (0, 1):  # the second epoch comes from the cache
        batch = batches.at(step)
        want = batch_from_rgb(batch.rgb)
        assert (batch.L - want.L).abs().max() < 0.005
        assert (batch.ab - want.ab).abs().max() < 0.01


def test_crops_are_squares_inside_the_picture():
    """Red is the column and green the row, so a crop tells where it was cut."""
    at = np.arange(64, dtype=np.uint8)
    rgb = np.stack([*np.meshgrid(4 * at, 2 * at), np.full((64, 64), 99, np.uint8)], axis=-1)
    pictures = Pictures(rgb[None], ("a",), "0" * 64, "test")
    batch = TrainingBatches(pictures, 40, augment="crop", crop_size=32).at(0)
    assert batch.L.shape == (40, 1, 32, 32) and batch.ab.shape == (40, 2, 8, 8)
    red, green = 255 * batch.rgb[:, 0] / 4, 255 * batch.rgb[:, 1] / 2
    width = (red[:, 5, 28] - red[:, 5, 3]) * 32 / 25
    height = (green[:, 28, 5] - green[:, 3, 5]) * 32 / 25
    torch.testing.assert_close(height, width.abs(), atol=1.5, rtol=0)
    assert 31 < height.min() < 38 and 58 < height.max() < 65
    assert 10 < (width < 0).sum() < 30, "some are flipped"
    assert (255 * batch.rgb[:, 2] - 99).abs().max() < 0.01


def test_a_tone_curve_changes_the_input_alone(few_pictures):
    plain = TrainingBatches(few_pictures, 8, augment="crop", crop_size=64).at(3)
    toned = TrainingBatches(few_pictures, 8, augment="tone", crop_size=64).at(3)
    assert torch.equal(toned.ab, plain.ab)
    assert torch.equal(toned.rgb, plain.rgb)
    inner = (plain.L > 1) & (plain.L < 99)
    for before, after, here in zip(plain.L, toned.L, inner, strict=True):
        exponents = (after[here] / 100).log() / (before[here] / 100).log()
        assert exponents.std() < 1e-2 * exponents.mean(), "one curve a picture"
        assert 0.70 < exponents.mean() < 1.42
    means = (toned.L - plain.L).mean(dim=(1, 2, 3))
    assert (means > 1).any() and (means < -1).any()


def test_film_changes_the_input_alone_and_grays_of_gray_by_one_curve(few_pictures):
    plain, filmed = (
        TrainingBatches(few_pictures, 8, augment=augment, crop_size=64).at(3)
        for augment in ("tone", "film")
    )
    assert torch.equal(filmed.ab, plain.ab) and torch.equal(filmed.rgb, plain.rgb)
    assert filmed.L.min() >= 0 and filmed.L.max() <= 100
    moved = (filmed.L - plain.L).abs().amax(dim=(1, 2, 3))
    assert 0 < (moved < 0.01).sum() < 5, "some of eight keep L"
    # A coloured picture changes its order of grays, a gray one does not.
    ramp = np.arange(0, 256, 4, dtype=np.uint8)[None, None, :, None].repeat(64, 1)
    gray = Pictures(ramp.repeat(3, 3).repeat(12, 0), few_pictures.names, "0" * 64, "test:gray")
    L = TrainingBatches(gray, 8, augment="film", crop_size=64).at(3).L[:, 0, 32]
    steps = L.diff(dim=1)
    assert ((steps > -1e-3).all(dim=1) | (steps < 1e-3).all(dim=1)).all()


def test_a_mask_hides_half_of_the_input_cell_by_cell(few_pictures):
    plain = TrainingBatches(few_pictures, 8, augment="crop", crop_size=64).at(3)
    masked = TrainingBatches(few_pictures, 8, augment="mask", crop_size=64).at(3)
    assert torch.equal(masked.ab, plain.ab)
    hidden = (masked.L == 50).unflatten(-2, (8, 8)).unflatten(-1, (8, 8)).float().mean(dim=(3, 5))
    assert ((hidden == 1) | (hidden < 0.1)).all(), "a cell is hidden whole or not at all"
    assert 0.4 < (hidden == 1).float().mean() < 0.6
    seen = masked.L != 50
    assert torch.equal(masked.L[seen], plain.L[seen])


def test_wrong_input_is_named(few_pictures):
    for pictures, settings, message in (
        (few_pictures, {"augment": "jitter"}, "'jitter'"),
        (few_pictures.subset([]), {}, "empty"),
        (few_pictures, {"maps": object(), "augment": "crop"}, "a crop has other maps"),
    ):
        with pytest.raises(ValueError, match=message):
            TrainingBatches(pictures, **settings)


@pytest.mark.parametrize("augment", ["none", "flip", "crop"])
@pytest.mark.parametrize("share", [slice(None), slice(1, None, 2)])
def test_a_batch_is_the_one_that_the_host_makes(few_pictures, augment, share, monkeypatch):
    settings = {"batch_size": 8, "seed": 2, "augment": augment, "crop_size": 64, "share": share}
    host = TrainingBatches(few_pictures, **settings)
    monkeypatch.setattr(loaders, "_fits", lambda *_: True)
    monkeypatch.setattr(loaders, "CHUNK", 5 * few_pictures.rgb[0].nbytes)  # 12 pictures in 3 parts
    device = TrainingBatches(few_pictures, **settings)
    assert host.resident is None and device.resident is not None
    for step in range(4):
        want, got = host.at(step), device.at(step)
        # The host resizes bytes, and rounds once for each direction.
        tolerance = 1.5 / 255 + 1e-6 if augment == "crop" else 0
        torch.testing.assert_close(got.rgb, want.rgb, atol=tolerance, rtol=0)
        assert got.L.shape == want.L.shape and got.ab.shape == want.ab.shape


def test_only_a_gpu_with_room_keeps_the_set(few_pictures, monkeypatch):
    assert not loaders._fits(few_pictures, torch.device("cpu"))
    gpu = torch.device("cuda")
    for free, room in ((2 * few_pictures.rgb.nbytes, True), (few_pictures.rgb.nbytes, False)):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _, free=free: (free, free))
        assert loaders._fits(few_pictures, gpu) is room


def test_an_epoch_is_shuffled_once(monkeypatch):
    loaders._order.cache_clear()
    first = loaders.indices_at(0, 10_000, 16, seed=4)
    monkeypatch.setattr(np.random, "default_rng", None)  # a second shuffle would fail
    second = loaders.indices_at(1, 10_000, 16, seed=4)
    assert not set(first) & set(second)


# ---- L and ab kept on a CPU


def every_level():
    """Gray ramp, the pure colours at every level, and noise: (3, 16, 48, 3)."""
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    ramp = levels[..., None].repeat(3, axis=-1)
    pure = np.concatenate([ramp * np.eye(3, dtype=np.uint8)[c] for c in range(3)], axis=1)
    noise = np.random.default_rng(0).integers(0, 256, (16, 48, 3), dtype=np.uint8)
    return np.stack([np.tile(ramp, (1, 3, 1)), pure, noise])


def test_lightness_and_chroma_equal_scikit_image():
    eight = every_level()
    lab = rgb2lab(eight)
    L, ab = quick_lab(eight)
    np.testing.assert_allclose(L[:, 0], lab[..., 0], atol=1e-3)
    cells = lab[..., 1:].reshape(3, 4, 4, 12, 4, 2).mean(axis=(2, 4))  # area mean over 4x4
    np.testing.assert_allclose(ab, cells.transpose(0, 3, 1, 2), atol=3e-3)


@pytest.mark.parametrize("shape", [(1, 16, 18, 3), (1, 3, 16, 16), (16, 16, 3)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"want uint8|multiples of 4"):
        quick_lab(np.zeros(shape, dtype=np.uint8))


@pytest.fixture
def pictures():
    rgb = np.random.default_rng(1).integers(0, 256, (6, 16, 16, 3), dtype=np.uint8)
    rgb[0], rgb[1], rgb[2] = [255, 255, 255], [0, 0, 255], [0, 0, 0]  # the extremes of L and b
    return Pictures(rgb, tuple("abcdef"), "0" * 64, "test")


def test_the_cache_gives_the_same_the_first_and_the_second_time(pictures):
    cache = LabCache(pictures)
    indices = np.array([3, 0, 1, 3, 2])
    L, ab = quick_lab(pictures.rgb[indices])
    for _ in range(2):
        got_l, got_ab = cache.batch(indices)
        torch.testing.assert_close(got_l, L, atol=0.002, rtol=0)
        torch.testing.assert_close(got_ab, ab, atol=0.003, rtol=0)


def test_a_mirrored_picture_is_the_conversion_of_the_mirrored_bytes(pictures):
    cache = LabCache(pictures)
    mirrored = np.array([True, False])
    L, ab = cache.batch(np.array([4, 4]), mirrored)
    want_l, want_ab = quick_lab(np.stack([pictures.rgb[4, :, ::-1], pictures.rgb[4]]))
    torch.testing.assert_close(L, want_l, atol=0.002, rtol=0)
    torch.testing.assert_close(ab, want_ab, atol=0.003, rtol=0)
    assert (L[0] - L[1]).abs().max() > 1
