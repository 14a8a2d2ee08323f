"""SSIM and PSNR against scikit-image, and values that follow from the definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from colorlab.metrics import psnr, ssim


@pytest.fixture
def pair():
    g = torch.Generator().manual_seed(0)
    x = torch.rand(3, 3, 24, 32, generator=g)
    return x, (x + 0.2 * torch.rand(x.shape, generator=g)).clamp(0, 1)


def test_ssim_is_scikit_images_with_the_protocols_arguments(pair):
    x, y = pair
    expected = [
        structural_similarity(
            a.movedim(0, -1).numpy(),
            b.movedim(0, -1).numpy(),
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=1,
            channel_axis=-1,
        )
        for a, b in zip(x, y, strict=True)
    ]
    np.testing.assert_allclose(ssim(x, y), expected, atol=1e-7)


def test_ssim_of_two_flat_pictures_is_the_luminance_term():
    # No structure is left: (2 m1 m2 + c1) / (m1^2 + m2^2 + c1), with c1 = 0.01^2.
    x, y = torch.full((1, 3, 16, 16), 0.2), torch.full((1, 3, 16, 16), 0.6)
    expected = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
    assert ssim(x, y).item() == pytest.approx(expected, abs=1e-4)


def test_psnr_is_scikit_images_for_each_picture(pair):
    x, y = pair
    expected = [
        peak_signal_noise_ratio(a.numpy(), b.numpy(), data_range=1)
        for a, b in zip(x, y, strict=True)
    ]
    np.testing.assert_allclose(psnr(x, y), expected, atol=1e-4)


def test_psnr_of_a_tenth_off_is_20_db():
    x = torch.full((1, 3, 4, 4), 0.5, dtype=torch.float64)
    assert psnr(x, x + 0.1).item() == pytest.approx(20, abs=1e-9)
    assert psnr(x, x).item() == float("inf")


def test_equal_pictures_have_ssim_one(pair):
    torch.testing.assert_close(ssim(pair[0], pair[0]), torch.ones(3, dtype=torch.float64))


def test_ssim_refuses_pictures_below_its_window():
    with pytest.raises(ValueError, match=r"11x11"):
        ssim(torch.zeros(1, 3, 10, 20), torch.zeros(1, 3, 10, 20))
