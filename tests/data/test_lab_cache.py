"""The quick conversion is the slow one, only faster."""

import numpy as np
import pytest
import torch
from skimage.color import rgb2lab

from colorlab.data.lab_cache import LabCache, quick_lab
from colorlab.data.pictures import Pictures


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
