"""Colour conversion against scikit-image and published values."""

import numpy as np
import pytest
import torch
from skimage import color as reference

from colorlab import color


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
    lab = color.rgb_to_lab(rgb)
    want = reference.rgb2lab(channels_last(rgb).astype(np.float64))
    assert np.abs(channels_last(lab) - want).max() < 1e-3
    assert color.in_gamut(lab).all()
    assert (color.lightness(rgb) - lab[:, :1]).abs().max() < 1e-4
    assert (color.lab_to_rgb(lab) - rgb).abs().max() < 1e-4
    inside = lab.double()[..., ::7]
    want = reference.lab2rgb(channels_last(inside))
    assert np.abs(channels_last(color.lab_to_rgb(inside)) - want).max() < 1e-4


def test_all_8_bit_grays_have_no_chroma():
    gray = (torch.arange(256) / 255).expand(3, 1, 256)
    assert color.rgb_to_lab(gray)[1:].abs().max() < 0.01


def test_8_bit_colours_come_back_from_lab():
    levels = np.arange(0, 256, 5, dtype=np.uint8)
    eight = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(52, -1, 3)
    rgb = color.from_uint8(eight)
    assert np.array_equal(color.to_uint8(rgb), eight)
    lab = color.rgb_to_lab(rgb)[None]
    assert np.array_equal(color.to_uint8(color.join(lab[:, :1], lab[:, 1:]))[0], eight)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_curves_come_back_keep_the_type_and_end_at_exactly_zero_and_one(kind):
    encoded = torch.linspace(0, 1, 4097, dtype=kind)
    linear = color.srgb_to_linear(encoded)
    back = color.linear_to_srgb(linear)
    assert linear.dtype == back.dtype == kind
    torch.testing.assert_close(back, encoded, atol=1e-6, rtol=0)
    # Half a rounding step above 1 is enough for matplotlib to refuse a colour.
    ends = color.linear_to_srgb(torch.linspace(0, 1, 4097, dtype=kind))
    assert (ends[0].item(), ends[-1].item()) == (0.0, 1.0)
    assert ends.min() >= 0 and ends.max() <= 1


def test_any_lab_becomes_a_picture():
    lab = 400 * torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) - 200
    rgb = color.lab_to_rgb(lab)
    assert rgb.isfinite().all() and rgb.min() >= 0 and rgb.max() <= 1


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
    color.lab_to_rgb(color.rgb_to_lab(rgb)).sum().backward()
    assert torch.isfinite(rgb.grad).all()


def test_clipping_report_states_what_moved():
    report = color.clipping_report(color.rgb_to_lab(torch.rand(2, 3, 8, 8)))
    assert report.share_clipped == 0
    assert report.max_lightness_shift < 1e-2
    strong = torch.tensor([50.0, 120.0, 0.0])[:, None, None].expand(1, 3, 4, 4)
    report = color.clipping_report(strong)
    assert report.share_clipped == 1
    clipped = reference.rgb2lab(np.clip(reference.lab2rgb(channels_last(strong)), 0, 1))[0, 0, 0]
    assert report.mean_lightness_shift == pytest.approx(abs(clipped[0] - 50), abs=0.05)
    shift = np.hypot(clipped[1] - 120, clipped[2])
    assert report.mean_chroma_shift == pytest.approx(shift, abs=0.05)


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
    # Bilinear between centres, the border repeated: a quarter of the way at each step.
    row = color.upsample_chroma(torch.tensor([0.0, 8.0]).expand(1, 2, 1, 2), (1, 4))[0, 0, 0]
    assert row.tolist() == [0, 2, 6, 8]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: color.rgb_to_lab(torch.rand(1, 4, 8, 8)), ValueError, r"\(1, 4, 8, 8\)"),
        (lambda: color.lab_to_rgb(torch.rand(8, 8)), ValueError, r"\(8, 8\)"),
        (lambda: color.to_uint8(torch.rand(8, 8)), ValueError, r"\(8, 8\)"),
        (lambda: color.rgb_to_lab(torch.zeros(3, 8, 8).byte()), TypeError, "from_uint8"),
        (lambda: color.rgb_to_lab(np.zeros((3, 8, 8))), TypeError, "ndarray"),
        (lambda: color.downsample_chroma(torch.rand(1, 2, 10, 8)), ValueError, "10x8"),
        (lambda: color.from_uint8(np.zeros((8, 8, 3))), TypeError, "float64"),
        (lambda: color.from_uint8(np.zeros((8, 8, 4), np.uint8)), ValueError, r"\(8, 8, 4\)"),
    ],
)
def test_wrong_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_colours_are_in_float32_under_autocast():
    rgb = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    want = color.rgb_to_lab(rgb)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(color.rgb_to_lab(rgb), want)
        torch.testing.assert_close(color.lab_to_rgb(want), rgb, atol=1e-4, rtol=0)
