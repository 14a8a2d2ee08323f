"""What holds for any picture, any stroke and any bytes, with cases drawn by hypothesis."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from fuzz import corpus, targets
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from colorlab import color, metrics
from colorlab.classical.hints import random_hints
from colorlab.data.reading import read_rgb, square
from colorlab.widgets import strokes

# The same cases at each run, so that nothing fails by chance.
CASES = settings(
    derandomize=True,
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

SIDES = st.integers(1, 24)


@st.composite
def pictures(draw, least=1):
    """8-bit pictures (H, W, 3), flat ones and noise."""
    height, width = draw(st.integers(least, 24)), draw(st.integers(least, 24))
    seed = draw(st.integers(0, 10**6))
    top = draw(st.sampled_from([0, 1, 255]))
    offset = draw(st.integers(0, 255 - top))
    noise = np.random.default_rng(seed).integers(0, top + 1, (height, width, 3))
    return (noise + offset).astype(np.uint8)


def tensor(picture: np.ndarray) -> torch.Tensor:
    return color.from_uint8(picture)[None]


@given(pictures())
@CASES
def test_eight_bits_come_back_from_lab(picture):
    lab = color.rgb_to_lab(tensor(picture))
    assert lab.shape == (1, 3, *picture.shape[:2])
    assert lab[:, 0].min() >= -1e-3 and lab[:, 0].max() <= 100.001
    np.testing.assert_array_equal(color.to_uint8(color.lab_to_rgb(lab))[0], picture)
    np.testing.assert_array_equal(color.to_uint8(color.join(lab[:, :1], lab[:, 1:]))[0], picture)


@given(pictures())
@CASES
def test_curves_come_back_and_keep_the_type(picture):
    for kind in (torch.float32, torch.float64):
        rgb = tensor(picture).to(kind)
        linear = color.srgb_to_linear(rgb)
        assert linear.dtype == kind
        assert linear.min() >= -1e-8 and linear.max() <= 1 + 1e-6
        torch.testing.assert_close(color.linear_to_srgb(linear), rgb, atol=1e-6, rtol=0)


@given(
    arrays.arrays(
        np.float32,
        st.tuples(st.just(3), SIDES, SIDES),
        elements=st.floats(-200, 200, width=32),
    )
)
@CASES
def test_any_lab_becomes_a_picture(lab):
    rgb = color.lab_to_rgb(torch.from_numpy(lab))
    assert rgb.isfinite().all()
    assert rgb.min() >= 0 and rgb.max() <= 1


@given(st.lists(st.integers(0, 5), max_size=5).map(tuple))
@CASES
def test_wrong_shapes_are_refused_in_words(shape):
    x = torch.zeros(shape)
    for convert, channels in (
        (color.rgb_to_lab, 3),
        (color.lab_to_rgb, 3),
        (color.to_uint8, 3),
        (color.downsample_chroma, 2),
    ):
        if len(shape) < 3 or shape[-3] != channels:
            with pytest.raises(ValueError, match=r"must have shape \(\.\.\., \d, H, W\), got \("):
                convert(x)
    for metric in (metrics.ssim, metrics.psnr, metrics.delta_e00, metrics.colorfulness):
        if len(shape) != 4 or shape[1] != 3 or 0 in shape:
            arguments = (x,) if metric is metrics.colorfulness else (x, x)
            with pytest.raises(ValueError, match=r"must have shape|is empty"):
                metric(*arguments)


@given(pictures(least=11), st.integers(0, 10**6))
@CASES
def test_metrics_of_pairs(picture, seed):
    x = tensor(picture).double()
    other = np.random.default_rng(seed).integers(0, 256, picture.shape, dtype=np.uint8)
    y = tensor(other).double()
    # CIE76, SSIM and PSNR take no side; nor does CIEDE2000, but for rounding.
    for metric in (metrics.ssim, metrics.psnr, metrics.delta_e76, metrics.delta_e00):
        torch.testing.assert_close(metric(x, y), metric(y, x))
    assert metrics.ssim(x, x).item() == pytest.approx(1)
    assert metrics.psnr(x, x).item() == float("inf")
    assert metrics.delta_e76(x, x).item() == metrics.delta_e00(x, x).item() == 0
    assert -1 <= metrics.ssim(x, y).item() < 1
    # The two farthest colours of sRGB, green and blue, are 258.7 apart (Lindbloom's tables).
    assert 0 < metrics.delta_e76(x, y).item() < 259
    assert 0 < metrics.delta_e00(x, y).item() < 259
    assert 0 <= metrics.psnr(x, y).item() < 60
    assert metrics.colorfulness(x).isfinite().all()


@given(pictures())
@CASES
def test_gray_has_no_chroma_and_no_colourfulness(picture):
    gray = tensor(picture)[:, :1].expand(-1, 3, -1, -1)
    # The white point is known to four digits, so the grays are not neutral to the last one.
    assert color.rgb_to_lab(gray)[:, 1:].abs().max() < 0.01
    assert metrics.colorfulness(gray).item() == pytest.approx(0, abs=1e-4)


NUMBERS = st.floats(-1e5, 1e5) | st.floats(-5, 25)
STROKES = st.fixed_dictionaries(
    {
        "points": st.lists(st.tuples(NUMBERS, NUMBERS).map(list), min_size=1, max_size=5),
        "radius": st.floats(1e-3, 1e4),
        "ab": st.none() | st.tuples(st.floats(-128, 128), st.floats(-128, 128)).map(list),
    }
)


@given(st.lists(STROKES, max_size=4), SIDES, SIDES)
@CASES
def test_any_stroke_can_be_painted(drawn, height, width):
    ab, mask = strokes.paint(drawn, (height, width))
    assert ab.shape == (1, 2, height, width) and mask.shape == (1, 1, height, width)
    assert mask.dtype == torch.bool
    assert ab.isfinite().all()
    assert not (ab * ~mask).any()  # chroma only where something is painted
    for stroke in drawn[-1:]:  # the last one covers the pixel of each of its points
        for x, y in stroke["points"]:
            if 0 <= x < width and 0 <= y < height:
                assert mask[0, 0, int(y), int(x)].item() == (stroke["ab"] is not None)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=6,
)


@given(JSON, st.sampled_from(["points", "radius", "ab"]))
@CASES
def test_what_is_no_stroke_is_refused_in_words(value, field):
    stroke = {"points": [[1, 1]], "radius": 2, "ab": None, field: value}
    for wrong in ([value], [stroke]):
        text = complaint(wrong)
        assert not text or text.startswith("stroke 0"), text


def complaint(drawn: list) -> str:
    """What `paint` says of strokes; nothing if it paints them. Any other error passes through."""
    try:
        strokes.paint(drawn, (8, 8))
    except ValueError as error:
        return str(error)
    return ""


@given(pictures(), st.data())
@CASES
def test_hints_are_the_truth_at_so_many_pixels(picture, data):
    rgb = tensor(picture)
    n = data.draw(st.integers(1, rgb[0, 0].numel()))
    ab, mask = random_hints(rgb, n, seed=data.draw(st.integers(0, 9)))
    assert mask.sum() == n
    truth = color.rgb_to_lab(rgb)[:, 1:]
    torch.testing.assert_close(ab, torch.where(mask, truth, torch.zeros(())), atol=0, rtol=0)


@given(
    st.binary(max_size=400),
    st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"BM", b"II*\0"]),
)
@settings(CASES, max_examples=300)
@pytest.mark.filterwarnings("ignore")
def test_any_bytes_are_a_picture_or_refused_in_words(data, beginning):
    targets.picture(beginning + data)


VALID = list(corpus.pictures().values())


@given(st.sampled_from(VALID), st.integers(0, 5000), st.binary(min_size=1, max_size=8))
@settings(CASES, max_examples=300)
@pytest.mark.filterwarnings("ignore")
def test_a_picture_written_over_anywhere(content, at, patch):
    at %= len(content)
    targets.picture(content[:at] + patch + content[at + len(patch) :])


@given(pictures(), st.sampled_from(["PNG", "BMP", "TIFF", "PPM"]))
@CASES
def test_a_picture_saved_without_loss_comes_back(picture, kind):
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, kind)
    np.testing.assert_array_equal(read_rgb(buffer), picture)


@given(pictures(least=8), st.integers(8, 16))
@CASES
def test_squares_stay_within_the_range_of_the_picture(picture, size):
    got = square(picture, size)
    assert got.shape == (size, size, 3) and got.dtype == np.uint8
    if picture.min() == picture.max():
        assert (got == picture.min()).all()
