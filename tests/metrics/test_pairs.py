"""Metrics of pairs against published tables, scikit-image and hand-worked values; bad input."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.color import deltaE_cie76, deltaE_ciede2000, rgb2lab
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from colorlab.metrics import (
    cie76,
    ciede2000,
    colorfulness,
    delta_e00,
    delta_e76,
    delta_e_map,
    lpips,
    psnr,
    ssim,
)

# --- what every metric asks of its input

PAIRS = [ssim, psnr, delta_e76, delta_e00, lpips]
GOOD = torch.full((2, 3, 32, 32), 0.5)


def _with(value: float) -> torch.Tensor:
    x = GOOD.clone()
    x[0, 0, 0, 0] = value
    return x


@pytest.mark.parametrize("metric", PAIRS, ids=lambda f: f.__name__)
@pytest.mark.parametrize(
    ("bad", "error", "words"),
    [
        (GOOD * 255, ValueError, "127.5.*divide 0..255 pictures by 255"),
        (_with(-0.5), ValueError, r"\[-0.5, 0.5\].*clip"),
        (_with(float("nan")), ValueError, "nan"),
        (GOOD[0], ValueError, r"\(3, 32, 32\)"),
        (GOOD[:, :1], ValueError, r"\(2, 1, 32, 32\)"),
        (GOOD[:0], ValueError, "empty"),
        (GOOD[:1], ValueError, "differ in shape"),
        ((GOOD * 255).byte(), TypeError, "uint8.*from_uint8"),
        (GOOD.half(), TypeError, r"must be float32 or float64.*\.float\(\)"),
        (GOOD.bfloat16(), TypeError, r"must be float32 or float64.*\.float\(\)"),
        (GOOD.numpy(), TypeError, "ndarray"),
    ],
    ids=lambda v: None if callable(v) else "",
)
def test_bad_batches_are_refused(metric, bad, error, words):
    with pytest.raises(error, match=words):
        metric(GOOD, bad)


@pytest.mark.parametrize("metric", [ssim, psnr, delta_e76, delta_e00], ids=lambda f: f.__name__)
def test_one_number_for_each_picture(metric):
    x, y = torch.rand(2, 3, 3, 16, 20, generator=torch.Generator().manual_seed(0))
    apart = torch.cat([metric(x[i : i + 1], y[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(metric(x, y), apart)


# --- colour difference

# G. Sharma, W. Wu, E. N. Dalal, Color Research and Application 30(1), 2005, table 1:
# L1 a1 b1, L2 a2 b2, CIEDE2000.
SHARMA_2005 = """
50.0000   2.6772 -79.7751  50.0000   0.0000 -82.7485  2.0425
50.0000   3.1571 -77.2803  50.0000   0.0000 -82.7485  2.8615
50.0000   2.8361 -74.0200  50.0000   0.0000 -82.7485  3.4412
50.0000  -1.3802 -84.2814  50.0000   0.0000 -82.7485  1.0000
50.0000  -1.1848 -84.8006  50.0000   0.0000 -82.7485  1.0000
50.0000  -0.9009 -85.5211  50.0000   0.0000 -82.7485  1.0000
50.0000   0.0000   0.0000  50.0000  -1.0000   2.0000  2.3669
50.0000  -1.0000   2.0000  50.0000   0.0000   0.0000  2.3669
50.0000   2.4900  -0.0010  50.0000  -2.4900   0.0009  7.1792
50.0000   2.4900  -0.0010  50.0000  -2.4900   0.0010  7.1792
50.0000   2.4900  -0.0010  50.0000  -2.4900   0.0011  7.2195
50.0000   2.4900  -0.0010  50.0000  -2.4900   0.0012  7.2195
50.0000  -0.0010   2.4900  50.0000   0.0009  -2.4900  4.8045
50.0000  -0.0010   2.4900  50.0000   0.0010  -2.4900  4.8045
50.0000  -0.0010   2.4900  50.0000   0.0011  -2.4900  4.7461
50.0000   2.5000   0.0000  50.0000   0.0000  -2.5000  4.3065
50.0000   2.5000   0.0000  73.0000  25.0000 -18.0000 27.1492
50.0000   2.5000   0.0000  61.0000  -5.0000  29.0000 22.8977
50.0000   2.5000   0.0000  56.0000 -27.0000  -3.0000 31.9030
50.0000   2.5000   0.0000  58.0000  24.0000  15.0000 19.4535
50.0000   2.5000   0.0000  50.0000   3.1736   0.5854  1.0000
50.0000   2.5000   0.0000  50.0000   3.2972   0.0000  1.0000
50.0000   2.5000   0.0000  50.0000   1.8634   0.5757  1.0000
50.0000   2.5000   0.0000  50.0000   3.2592   0.3350  1.0000
60.2574 -34.0099  36.2677  60.4626 -34.1751  39.4387  1.2644
63.0109 -31.0961  -5.8663  62.8187 -29.7946  -4.0864  1.2630
61.2901   3.7196  -5.3901  61.4292   2.2480  -4.9620  1.8731
35.0831 -44.1164   3.7933  35.0232 -40.0716   1.5901  1.8645
22.7233  20.0904 -46.6940  23.0331  14.9730 -42.5619  2.0373
36.4612  47.8580  18.3852  36.2715  50.5065  21.2231  1.4146
90.8027  -2.0831   1.4410  91.1528  -1.6435   0.0447  1.4441
90.9257  -0.5406  -0.9208  88.6381  -0.8985  -0.7239  1.5381
 6.7747  -0.2908  -2.4247   5.8714  -0.0985  -2.2286  0.6377
 2.0776   0.0795  -1.1350   0.9033  -0.0636  -0.5514  0.9082
"""
TABLE = torch.tensor(
    [[float(v) for v in line.split()] for line in SHARMA_2005.split("\n") if line],
    dtype=torch.float64,
)


def _pixels(lab: torch.Tensor) -> torch.Tensor:
    return lab[:, :, None, None]  # (N, 3) to (N, 3, 1, 1)


def test_ciede2000_equals_the_published_table():
    assert len(TABLE) == 34
    one, other = _pixels(TABLE[:, :3]), _pixels(TABLE[:, 3:6])
    got = ciede2000(one, other)
    torch.testing.assert_close(got.flatten(), TABLE[:, 6], atol=5.1e-5, rtol=0)
    torch.testing.assert_close(ciede2000(other, one), got, atol=1e-9, rtol=0)


@pytest.mark.parametrize(
    ("formula", "reference", "ours", "mean"),
    [("76", deltaE_cie76, cie76, delta_e76), ("00", deltaE_ciede2000, ciede2000, delta_e00)],
)
def test_random_colours_equal_scikit_image(formula, reference, ours, mean):
    g = torch.Generator().manual_seed(1)
    x, y = torch.rand(2, 2, 3, 40, 30, generator=g, dtype=torch.float64)
    lab1, lab2 = (rgb2lab(v.movedim(1, -1).numpy()) for v in (x, y))
    expected = reference(lab1, lab2)
    got = ours(torch.from_numpy(lab1).movedim(-1, 1), torch.from_numpy(lab2).movedim(-1, 1))
    np.testing.assert_allclose(got, expected, atol=1e-9)
    # From sRGB on, and in the pictures' own precision.
    np.testing.assert_allclose(delta_e_map(x, y, formula), expected, atol=1e-3)
    np.testing.assert_allclose(mean(x.float(), y.float()), expected.mean((1, 2)), rtol=1e-4)
    with pytest.raises(ValueError, match=r"'94'.*76, 00"):
        delta_e_map(x, y, "94")


def test_the_slope_at_equal_colours_is_zero_and_nan_stays_nan():
    lab = torch.tensor([50.0, 3.0, 4.0]).view(3, 1, 1).requires_grad_()
    (slope,) = torch.autograd.grad(cie76(lab, lab.detach()).sum(), lab)
    assert not slope.any()
    (slope,) = torch.autograd.grad(cie76(lab, torch.tensor([50.0, 0, 0]).view(3, 1, 1)).sum(), lab)
    torch.testing.assert_close(slope.flatten(), torch.tensor([0.0, 0.6, 0.8]))
    assert cie76(lab, torch.full_like(lab, float("nan"))).isnan().all()


rgb_colour = st.tuples(*[st.integers(0, 255)] * 3)


@settings(max_examples=100, deadline=None)
@given(rgb_colour, rgb_colour)
def test_difference_is_zero_only_for_equal_colours(one, other):
    x, y = (torch.tensor(c, dtype=torch.float64).reshape(1, 3, 1, 1) / 255 for c in (one, other))
    for measure in (delta_e76, delta_e00):
        assert measure(x, x).item() == 0
        assert (measure(x, y).item() > 0) == (one != other)


# --- structure and signal


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
    assert (ssim(x, x) == 1).all()


def test_psnr_is_scikit_images_for_each_picture(pair):
    x, y = pair
    expected = [
        peak_signal_noise_ratio(a.numpy(), b.numpy(), data_range=1)
        for a, b in zip(x, y, strict=True)
    ]
    np.testing.assert_allclose(psnr(x, y), expected, atol=1e-4)
    assert psnr(x, x).isinf().all()


def test_ssim_refuses_pictures_below_its_window():
    with pytest.raises(ValueError, match=r"11x11"):
        ssim(torch.zeros(1, 3, 10, 20), torch.zeros(1, 3, 10, 20))


# --- colourfulness


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        # One colour: only the mean counts. Red: rg = 255, yb = 127.5.
        ([(1, 0, 0)], 0.3 * math.hypot(255, 127.5)),
        # Blue: rg = 0, yb = -255.
        ([(0, 0, 1)], 0.3 * 255),
        # Red and green: rg = +-255 (spread 255, mean 0), yb = 127.5 twice. Absolute values
        # of rg would have no spread at all: this case tells the signed definition.
        ([(1, 0, 0), (0, 1, 0)], 255 + 0.3 * 127.5),
        # Yellow and blue: rg = 0, yb = 255 and -255.
        ([(1, 1, 0), (0, 0, 1)], 255),
        ([(0.2, 0.2, 0.2), (0.9, 0.9, 0.9)], 0),
    ],
)
def test_hand_worked_values(pixels, expected):
    picture = torch.tensor(pixels, dtype=torch.float64).T.reshape(1, 3, 1, -1)
    assert colorfulness(picture).item() == pytest.approx(expected, abs=1e-9)
    with pytest.raises(ValueError, match=r"divide 0..255"):
        colorfulness(255 * picture + 255)
