"""Colour conversion against scikit-image and published values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage import color as reference

from colorlab import color
from colorlab.color import linear_to_srgb


def cube(steps: int) -> torch.Tensor:
    """The sRGB cube as one picture (1, 3, steps, steps * steps)."""
    axis = torch.linspace(0, 1, steps)
    return torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij")).reshape(1, 3, steps, -1)


def channels_last(x: torch.Tensor) -> np.ndarray:
    return x.movedim(-3, -1).numpy()


def test_published_primaries():
    # Lindbloom's colour calculator, sRGB, D65, no adaptation.
    published = {
        (1, 0, 0): (53.24, 80.09, 67.20),
        (0, 1, 0): (87.73, -86.18, 83.18),
        (0, 0, 1): (32.30, 79.19, -107.86),
        (1, 1, 1): (100.0, 0.0, 0.0),
        (0, 0, 0): (0.0, 0.0, 0.0),
    }
    for rgb, lab in published.items():
        got = color.rgb_to_lab(torch.tensor(rgb, dtype=torch.float32)[:, None, None])
        assert got.flatten().tolist() == pytest.approx(lab, abs=0.02)


def test_equals_scikit_image_over_the_cube():
    rgb = cube(64)
    want = reference.rgb2lab(channels_last(rgb).astype(np.float64))
    assert np.abs(channels_last(color.rgb_to_lab(rgb)) - want).max() < 1e-3


def test_all_8_bit_grays_have_no_chroma():
    gray = (torch.arange(256) / 255).expand(3, 1, 256)
    assert color.rgb_to_lab(gray)[1:].abs().max() < 0.01


def test_inverse_equals_scikit_image():
    random = np.random.default_rng(1)
    lab = color.rgb_to_lab(torch.from_numpy(random.random((2, 3, 32, 32))))
    want = reference.lab2rgb(channels_last(lab))
    assert np.abs(channels_last(color.lab_to_rgb(lab)) - want).max() < 1e-4


def test_round_trip():
    rgb = cube(64)
    assert (color.lab_to_rgb(color.rgb_to_lab(rgb)) - rgb).abs().max() < 1e-4


def test_lightness_is_the_first_channel():
    rgb = torch.rand(3, 3, 16, 16)
    assert torch.allclose(color.lightness(rgb), color.rgb_to_lab(rgb)[:, :1], atol=1e-4)


def test_a_batch_equals_its_pictures_and_gradients_change_nothing():
    rgb = torch.rand(3, 3, 16, 16)
    alone = torch.stack([color.rgb_to_lab(picture) for picture in rgb])
    assert torch.equal(color.rgb_to_lab(rgb), alone)
    assert torch.allclose(color.rgb_to_lab(rgb.requires_grad_()), alone, atol=1e-5)


def test_gradcheck():
    torch.manual_seed(0)
    # Away from the two thresholds, where the curves' pieces meet and a difference is no slope.
    rgb = (0.1 + 0.8 * torch.rand(1, 3, 2, 3, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(color.rgb_to_lab, rgb)
    lab = color.rgb_to_lab(rgb).detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: color.lab_to_rgb(x, clip=False), lab)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_gradients_are_finite_at_black_and_white(value):
    rgb = torch.full((1, 3, 2, 2), value, requires_grad=True)
    lab = color.rgb_to_lab(rgb)
    color.lab_to_rgb(lab).sum().backward()
    assert torch.isfinite(rgb.grad).all()


def test_gamut_bounds_of_srgb():
    # The range of a and b within sRGB, computed with scikit-image over the cube's faces.
    a, b = reference.rgb2lab(channels_last(cube(64)))[..., 1:].reshape(-1, 2).T
    lab = color.rgb_to_lab(cube(64))
    assert lab[:, 1].min().item() == pytest.approx(a.min(), abs=1e-3)
    assert lab[:, 2].max().item() == pytest.approx(b.max(), abs=1e-3)
    assert color.in_gamut(lab).all()
    outside = torch.tensor([50.0, 0.0, -110.0])[:, None, None]
    assert not color.in_gamut(outside).any()


def test_clipping_report_tells_what_moved():
    inside = color.rgb_to_lab(torch.rand(2, 3, 8, 8))
    report = color.clipping_report(inside)
    assert report.share_clipped == 0
    assert report.max_lightness_shift < 1e-2
    strong = torch.tensor([50.0, 120.0, 0.0])[:, None, None].expand(1, 3, 4, 4)
    report = color.clipping_report(strong)
    assert report.share_clipped == 1
    clipped = reference.rgb2lab(np.clip(reference.lab2rgb(channels_last(strong)), 0, 1))
    assert report.mean_lightness_shift == pytest.approx(abs(clipped[..., 0].mean() - 50), abs=0.05)


def test_join_keeps_lightness_where_the_gamut_allows():
    lab = color.rgb_to_lab(0.25 + 0.5 * torch.rand(2, 3, 16, 16))
    joined = color.join(lab[:, :1], 0.3 * color.downsample_chroma(lab[:, 1:]))
    assert (color.lightness(joined) - lab[:, :1]).abs().max() < 1e-2


def test_chroma_down_and_up():
    flat = torch.tensor([10.0, -20.0])[None, :, None, None].expand(1, 2, 16, 16)
    small = color.downsample_chroma(flat)
    assert small.shape == (1, 2, 4, 4)
    assert torch.allclose(color.upsample_chroma(small, (16, 16)), flat)
    cells = torch.arange(64.0).reshape(1, 1, 8, 8).expand(1, 2, 8, 8)
    assert color.downsample_chroma(cells)[0, 0, 0, 0] == cells[0, 0, :4, :4].mean()


def test_eight_bit_round_trip():
    picture = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), dtype=np.uint8)
    assert np.array_equal(color.to_uint8(color.from_uint8(picture)), picture)


@pytest.mark.parametrize(
    ("call", "error", "tells"),
    [
        (lambda: color.rgb_to_lab(torch.rand(1, 4, 8, 8)), ValueError, r"\(1, 4, 8, 8\)"),
        (
            lambda: color.rgb_to_lab(torch.zeros(3, 8, 8, dtype=torch.uint8)),
            TypeError,
            "from_uint8",
        ),
        (lambda: color.rgb_to_lab(np.zeros((3, 8, 8))), TypeError, "ndarray"),
        (lambda: color.downsample_chroma(torch.rand(1, 2, 10, 8)), ValueError, "10x8"),
        (lambda: color.from_uint8(np.zeros((8, 8, 3))), TypeError, "float64"),
        (lambda: color.from_uint8(np.zeros((8, 8, 4), np.uint8)), ValueError, r"\(8, 8, 4\)"),
    ],
)
def test_wrong_input_is_named(call, error, tells):
    with pytest.raises(error, match=tells):
        call()


def test_the_transfer_curve_ends_at_exactly_zero_and_one():
    # Half a rounding step above 1 is enough for matplotlib to refuse a colour.
    encoded = linear_to_srgb(torch.linspace(0, 1, 4097))
    assert (encoded[0].item(), encoded[-1].item()) == (0.0, 1.0)
    assert encoded.min() >= 0 and encoded.max() <= 1
