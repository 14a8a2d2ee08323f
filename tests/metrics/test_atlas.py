"""The parts of a colour error, the masks, and the figure of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.color import deltaE_cie76, deltaE_ciede94

from colorlab.color import from_uint8, lab_to_rgb, rgb_to_lab
from colorlab.figures import error_atlas
from colorlab.metrics.atlas import REGIONS, atlas, difference_parts

# ColorChecker patches as 8-bit sRGB, as C. S. McCamy's chart is published for screens.
PATCHES = {
    "dark skin": ((115, 82, 68), ["skin"]),
    "light skin": ((194, 150, 130), ["skin"]),
    "blue sky": ((98, 122, 157), ["sky"]),
    "foliage": ((87, 108, 67), ["foliage"]),
    "blue flower": ((133, 128, 177), []),
    "bluish green": ((103, 189, 170), []),
    "red": ((175, 54, 60), []),
    "yellow": ((231, 199, 31), []),
    "neutral 5": ((122, 122, 121), []),
}


def lab(L, a, b):
    return torch.tensor([L, a, b], dtype=torch.float64).view(3, 1, 1)


def test_the_parts_are_those_of_cie76_and_cie94_in_scikit_image():
    # CIE94 is made of the same dL, dC and dH, with kL = 1 and weights of chroma and hue.
    random = np.random.default_rng(0)
    first, second = (torch.from_numpy(random.uniform(-60, 60, (3, 9, 9))) for _ in range(2))
    first[0], second[0] = first[0].abs(), second[0].abs()
    dL, dC, dH = difference_parts(first, second)
    C1 = torch.hypot(first[1], first[2])
    pair = first.movedim(0, -1).numpy(), second.movedim(0, -1).numpy()
    np.testing.assert_allclose((dL**2 + dC**2 + dH**2).sqrt(), deltaE_cie76(*pair), rtol=1e-9)
    ours = (dL**2 + (dC / (1 + 0.045 * C1)) ** 2 + (dH / (1 + 0.015 * C1)) ** 2).sqrt()
    np.testing.assert_allclose(ours, deltaE_ciede94(*pair), rtol=1e-9)


A, B = 20 * np.cos(np.deg2rad(170)), 20 * np.sin(np.deg2rad(170))


@pytest.mark.parametrize(
    ("first", "second", "wanted"),
    [
        ((50, 30, 0), (60, 30, 0), (10, 0, 0)),
        ((50, 30, 0), (50, 0, 30), (0, 0, 30 * 2**0.5)),
        ((50, 30, 0), (50, 0, 0), (0, -30, 0)),
        ((50, A, B), (50, A, -B), (0, 0, 2 * 20 * np.sin(np.deg2rad(10)))),  # 170 to 190 degrees
    ],
)
def test_a_change_of_one_kind_is_of_that_kind(first, second, wanted):
    parts = difference_parts(lab(*first), lab(*second))
    assert [p.item() for p in parts] == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("patch", PATCHES)
def test_a_region_holds_the_patch_named_after_it_and_no_other(patch):
    rgb, wanted = PATCHES[patch]
    colour = rgb_to_lab(from_uint8(np.array([[rgb]], np.uint8)).double())
    assert [name for name, region in REGIONS.items() if region.mask(colour).item()] == wanted


@pytest.fixture
def pair():
    """A picture in four quarters of known colours, and the same with chroma halved."""
    true = torch.zeros(1, 3, 8, 8, dtype=torch.float64)
    true[:, 0] = 50
    true[:, 0, :, 4:] = 100
    true[:, 1, :, :4] = 16.0
    true[:, 2, :, :4] = 12.0
    made = true.clone()
    made[:, 1:] /= 2
    return lab_to_rgb(true), lab_to_rgb(made)


def test_halved_chroma_is_a_chroma_error_and_a_bias(pair):
    shares = atlas(*pair)
    whole = shares["all"]
    assert (whole.lightness, whole.hue) == pytest.approx((0, 0), abs=1e-2)
    assert whole.chroma == pytest.approx(10 / 2**0.5, abs=1e-2), "10 on half of the pixels"
    assert whole.chroma_bias == pytest.approx(-5, abs=1e-2)
    assert whole.true_chroma == pytest.approx(10, abs=1e-2)
    assert whole.total**2 == pytest.approx(sum(v**2 for v in whole[:3]))
    band = shares["L 40-60"]
    assert band.pixels == 32 and band.chroma_bias == pytest.approx(-10, abs=1e-2)
    assert shares["L 80-100"].pixels == 32, "white belongs to the last band"
    assert shares["L 0-20"].pixels == 0 and np.isnan(shares["L 0-20"].total)
    assert shares["skin"].pixels == 32 and shares["sky"].pixels == 0
    bands = [share.pixels for name, share in shares.items() if name.startswith("L ")]
    assert sum(bands) == whole.pixels == 64
    white = atlas(torch.full_like(pair[0], 1.00005), pair[1])  # L is 100.004
    assert white["L 80-100"].pixels == 64
    assert white["skin"].pixels == 0, "masks are of the truth"


def test_the_figure_draws_the_parts_and_the_bias(pair):
    figure = error_atlas({"half": atlas(*pair), "truth": atlas(pair[0], pair[0])})
    left, right = figure.axes
    bars = {c.get_label(): [bar.get_width() for bar in c] for c in left.containers}
    assert bars["chroma"] == pytest.approx([50, 0], abs=0.2)
    assert bars["hue"] == pytest.approx([0, 0], abs=0.1)
    labels = [t.get_text().split("\n")[0] for t in right.get_yticklabels()]
    assert labels == ["L 40-60", "L 80-100", "skin"], "empty places are left out"
    half = next(line for line in right.lines if line.get_label() == "half")
    assert half.get_xdata() == pytest.approx([-10, 0, -10], abs=1e-2)
    with pytest.raises(ValueError, match="at least one model"):
        error_atlas({})
