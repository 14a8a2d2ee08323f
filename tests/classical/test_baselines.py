"""Baselines: exact statistics of known pictures, and the upper bound of coarse ab."""

import numpy as np
import pytest
import torch
from skimage.color import rgb2lab

from colorlab.classical import Gray, LookupTable, MeanChroma, Oracle, count_colors
from colorlab.color import lightness, rgb_to_lab
from colorlab.data import Pictures


def _pictures(rgb) -> Pictures:
    rgb = np.asarray(rgb, dtype=np.uint8)
    return Pictures(rgb, tuple(map(str, range(len(rgb)))), "0", "made:train")


@pytest.fixture
def pictures():
    return _pictures(np.random.default_rng(0).integers(40, 220, size=(70, 12, 12, 3)))


def test_counts_and_mean_are_those_of_every_pixel(pictures):
    colors = count_colors(pictures)
    unique, counts = np.unique(pictures.rgb.reshape(-1, 3), axis=0, return_counts=True)
    np.testing.assert_array_equal(colors.counts, counts)
    np.testing.assert_allclose(colors.lab, rgb2lab(unique / 255), atol=2e-3)
    ab = rgb2lab(pictures.rgb / 255)[..., 1:].reshape(-1, 2)
    np.testing.assert_allclose(MeanChroma.fit(colors).ab, ab.mean(axis=0), atol=1e-3)


def test_table_is_the_median_of_each_lightness(pictures):
    lab = rgb2lab(pictures.rgb / 255).reshape(-1, 3)
    level = np.rint(lab[:, 0]).astype(int)
    table = LookupTable.fit(pictures).ab.numpy()
    for L in range(40, 60):
        for channel in range(2):
            values = np.sort(lab[level == L, 1 + channel])
            # An even number of pixels has two middle values; the table takes one of them.
            middle = values[(len(values) - 1) // 2], values[len(values) // 2]
            assert middle[0] - 0.01 <= table[L, channel] <= middle[1] + 0.01


def test_levels_without_pixels_are_filled_from_their_neighbours():
    # Two colours only: the table runs straight from one to the other, and is flat outside.
    dark, light = (60, 20, 20), (200, 220, 180)
    table = LookupTable.fit(_pictures([[[dark, light]] * 2])).ab.numpy()
    lab = rgb2lab(np.array([[dark, light]]) / 255)[0]
    low, high = np.rint(lab[:, 0]).astype(int)
    np.testing.assert_allclose(table[[0, low, high, 100]], lab[[0, 0, 1, 1], 1:], atol=1e-2)
    assert table[50, 1] == pytest.approx(np.interp(50, [low, high], lab[:, 2]), abs=1e-2)


def test_table_is_read_linearly_between_levels():
    ab = torch.zeros(101, 2)
    ab[:, 0] = torch.linspace(0, 10, 101)  # a = L / 10
    L = torch.tensor([[[[50.0, 50.25, 61.7]]]])
    got = rgb_to_lab(LookupTable(ab).colorize(L))
    torch.testing.assert_close(got[0, 1], L[0, 0] / 10, atol=5e-3, rtol=0)
    assert LookupTable(ab).colorize(torch.tensor([[[[0.0, 100.0]]]])).isfinite().all()


@pytest.mark.parametrize("row", [Gray(), MeanChroma(torch.tensor([3.0, -4.0]))])
def test_one_colour_everywhere_and_lightness_kept(row):
    L = torch.full((2, 1, 4, 6), 55.0)
    ab = getattr(row, "ab", torch.zeros(2))[None, :, None, None].expand(2, 2, 4, 6)
    torch.testing.assert_close(
        rgb_to_lab(row.colorize(L)), torch.cat([L, ab], 1), atol=1e-2, rtol=0
    )


def test_oracle_is_exact_where_colour_is_coarse_and_halves_on_request():
    coarse = torch.rand(1, 3, 1, 1, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.25
    rgb = coarse.expand(1, 3, 8, 8)
    L = lightness(rgb)
    torch.testing.assert_close(Oracle().colorize_known(L, rgb), rgb, atol=1e-4, rtol=0)
    half = rgb_to_lab(Oracle(stride=1, strength=0.5).colorize_known(L, rgb))
    torch.testing.assert_close(half[:, 1:], rgb_to_lab(rgb)[:, 1:] / 2, atol=1e-2, rtol=0)


def test_fitted_rows_survive_storage_and_refuse_what_is_not_theirs(pictures):
    for kind in (MeanChroma, LookupTable):
        row = kind.fit(pictures)
        assert torch.equal(kind.from_tensors(row.tensors()).ab, row.ab)
    with pytest.raises(ValueError, match=r"\(101, 2\)"):
        LookupTable.from_tensors(MeanChroma.fit(pictures).tensors())
    with pytest.raises(ValueError, match=r"'ab'.*'weight'"):
        MeanChroma.from_tensors({"weight": torch.zeros(2)})
    with pytest.raises(ValueError, match=r"no pictures in made:train"):
        MeanChroma.fit(_pictures(np.zeros((0, 4, 4, 3))))
