"""Welsh's transfer against an exhaustive search, and the library that chooses references."""

import numpy as np
import pytest
import torch
from scipy.ndimage import generic_filter
from skimage.color import rgb2lab
from skimage.feature import hog

from colorlab.classical.welsh import (
    Rectangle,
    SwatchPair,
    WelshLibrary,
    describe,
    local_deviation,
    take_samples,
    welsh,
    welsh_chroma,
    welsh_swatches,
)
from colorlab.color import from_uint8, lightness, rgb_to_lab
from colorlab.data import Pictures


def _picture(seed: int, height: int = 14, width: int = 12) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.2 + 0.6 * torch.rand(3, height, width, generator=generator)


def test_deviation_is_that_of_scipys_plain_window():
    L = 100 * np.random.default_rng(0).random((11, 9))
    naive = generic_filter(L, np.std, size=5, mode="reflect")
    np.testing.assert_allclose(local_deviation(L), naive, atol=1e-8)
    # A flat sky far from zero must not become texture by rounding.
    assert local_deviation(np.full((8, 8), 99.9)).max() < 1e-6


def test_matches_are_those_of_a_brute_search():
    reference, L = _picture(1), lightness(_picture(2)[None])
    got = welsh_chroma(L, take_samples(reference, count=14 * 12))  # every pixel is a sample

    lab = rgb2lab(reference.numpy(), channel_axis=0).reshape(3, -1)
    gray = L[0, 0].double().numpy()
    gain = gray.std() / lab[0].std()
    remapped = (lab[0] - lab[0].mean()) * gain + gray.mean()
    texture = generic_filter(remapped.reshape(14, 12), np.std, size=5, mode="reflect").ravel()
    own = generic_filter(gray, np.std, size=5, mode="reflect").ravel()
    distance = 0.5 * abs(gray.ravel()[:, None] - remapped) + 0.5 * abs(own[:, None] - texture)
    expected = lab[1:, distance.argmin(axis=1)].reshape(2, 14, 12)
    np.testing.assert_allclose(got[0], expected, atol=5e-3)


def test_the_grid_takes_one_sample_from_every_cell():
    reference = torch.zeros(3, 32, 48)
    reference[0] = torch.linspace(0, 1, 32)[:, None]  # the row shows in red
    reference[2] = torch.linspace(0, 1, 48)  # the column in blue
    samples = take_samples(reference, count=6)  # 2 rows of 3 cells, 16x16 pixels each
    known = rgb_to_lab(reference[None])[0].flatten(1).T.double()
    index = torch.cdist(torch.from_numpy(samples.pixels[:, [0, 2, 3]]), known).argmin(dim=1)
    cells = {(int(i) // 48 // 16, int(i) % 48 // 16) for i in index}
    assert cells == {(y, x) for y in range(2) for x in range(3)}


def test_its_own_colours_come_back_and_only_colours_of_the_reference():
    rgb = _picture(6)
    torch.testing.assert_close(
        welsh(lightness(rgb[None]), rgb, samples=14 * 12)[0], rgb, atol=1e-3, rtol=0
    )
    L = lightness(torch.stack([_picture(4), _picture(5)]))
    ab = welsh_chroma(L, take_samples(rgb, count=20)).transpose(0, 1).flatten(1).T.double()
    known = rgb_to_lab(rgb[None].double())[0, 1:].flatten(1).T  # (168, 2)
    assert torch.cdist(ab, known).amin(dim=1).max() < 1e-4
    assert len(ab.unique(dim=0)) <= 20


def test_a_swatch_over_the_whole_picture_is_plain_welsh_and_the_later_one_wins():
    rgb, L = _picture(11), lightness(_picture(12)[None])
    whole = Rectangle(0, 0, 14, 12)
    pairs = [SwatchPair(Rectangle(2, 3, 6, 6), Rectangle(0, 0, 5, 5)), SwatchPair(whole, whole)]
    by_swatch = welsh_swatches(L, rgb, pairs, samples=40)
    torch.testing.assert_close(by_swatch, welsh(L, rgb, samples=40), atol=1e-5, rtol=0)


def test_spread_colours_are_those_of_the_nearest_patch():
    rgb, L = _picture(13), lightness(_picture(14)[None])
    pair = SwatchPair(Rectangle(3, 2, 6, 7), Rectangle(0, 0, 14, 12))
    got = rgb_to_lab(welsh_swatches(L, rgb, [pair], samples=14 * 12))[0, 1:].numpy()
    padded = np.pad(L[0, 0].numpy(), 2, mode="symmetric")
    y, x = 12, 10  # outside the swatch
    patch = padded[y : y + 5, x : x + 5]
    errors = {
        (i, j): ((padded[i : i + 5, j : j + 5] - patch) ** 2).sum()
        for i in range(3, 9)
        for j in range(2, 9)
    }
    i, j = min(errors, key=errors.get)
    np.testing.assert_allclose(got[:, y, x], got[:, i, j], atol=0.5)


GRAY, RGB = torch.rand(1, 1, 8, 8) * 100, torch.rand(3, 8, 8)
GOOD, BAD = Rectangle(0, 0, 6, 6), Rectangle(4, 4, 6, 6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: welsh(GRAY[..., :4, :], RGB), "L is 4x8, too small; 5x5"),
        (lambda: welsh(GRAY, RGB[..., :3]), "reference is 8x3, too small"),
        (lambda: welsh(GRAY, RGB[None, :1]), "one picture"),
        (lambda: welsh(GRAY, RGB * torch.nan), "nan"),
        (lambda: welsh(GRAY * 2.55 + 60, RGB), r"\[0, 100\]"),
        (lambda: welsh_swatches(GRAY, RGB, [SwatchPair(BAD, GOOD)]), r"\(4, 4, 6, 6\).*8x8"),
        (lambda: welsh_swatches(GRAY, RGB, [SwatchPair(GOOD, BAD)]), "reference swatch"),
        (lambda: welsh_swatches(GRAY, RGB, []), "got 1 and 0"),
        (lambda: WelshLibrary.from_tensors({"ab": torch.zeros(2)}), "'ab'"),
    ],
)
def test_what_cannot_be_coloured_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_tones_are_numpys_histogram():
    L = 100 * torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    for picture, described in zip(L, describe(L), strict=True):
        counts, _ = np.histogram(picture.numpy(), bins=16, range=(0, 100))
        np.testing.assert_allclose(described[:16], np.sqrt(counts / 1024), atol=1e-6)


def test_edges_fall_where_scikit_image_finds_them():
    y, x = np.mgrid[:32, :32] / 32.0
    L = 50 + 40 * np.sin(9 * x + 4 * y + 3 * x * y)
    ours = describe(torch.from_numpy(L)[None, None])[0, 80:].reshape(8, 4, 4).numpy()
    theirs = hog(L, 8, (8, 8), (1, 1), block_norm="L2", feature_vector=False).reshape(4, 4, 8)
    # scikit-image counts the angle of the gradient modulo pi, too, rows pointing down.
    assert (ours.argmax(axis=0) == theirs.argmax(axis=-1)).mean() >= 0.75


def test_a_library_chooses_the_most_similar_and_colours_from_it(few_pictures):
    library = WelshLibrary.fit(few_pictures)
    rgb = from_uint8(few_pictures.rgb)
    L = lightness(rgb)
    assert library.indices[library.choose(L)].tolist() == list(range(12))
    dim = 0.8 * L + 5  # nearly the same under another exposure
    assert library.choose(dim).tolist() == list(range(12))
    expected = torch.cat([welsh(dim[i : i + 1], rgb[i]) for i in range(12)])
    torch.testing.assert_close(library.colorize(dim), expected, atol=1e-5, rtol=0)
    stored = WelshLibrary.from_tensors(library.tensors())
    assert torch.equal(stored.choose(dim), library.choose(dim))
    changed = (stored.colorize(dim) - expected).abs().amax(dim=1) > 0.01
    assert changed.float().mean() < 0.05  # half precision exchanges a few equally good samples
    one, two, other = (WelshLibrary.fit(few_pictures, count=5, seed=s).indices for s in (1, 1, 2))
    assert len(set(one.tolist())) == 5 and torch.equal(one, two) and not torch.equal(one, other)
    with pytest.raises(ValueError, match="no pictures in test:few"):
        WelshLibrary.fit(Pictures(few_pictures.rgb[:0], (), "0", "test:few"))
