"""The library finds the picture itself, keeps no picture, and survives storage."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.feature import hog

from colorlab.classical.library import WelshLibrary, describe
from colorlab.classical.welsh import welsh
from colorlab.color import from_uint8, lightness
from colorlab.data import Pictures


@pytest.fixture
def library(few_pictures):
    return WelshLibrary.fit(few_pictures)


def test_tones_are_numpys_histogram():
    L = 100 * torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    for picture, described in zip(L, describe(L), strict=True):
        counts, _ = np.histogram(picture.numpy(), bins=16, range=(0, 100))
        np.testing.assert_allclose(described[:16], np.sqrt(counts / 1024), atol=1e-6)


def test_edges_fall_where_scikit_image_finds_them():
    y, x = np.mgrid[:32, :32] / 32.0
    L = 50 + 40 * np.sin(9 * x + 4 * y + 3 * x * y)
    ours = describe(torch.from_numpy(L)[None, None])[0, 80:].reshape(8, 4, 4).numpy()
    theirs = hog(L, 8, (8, 8), (1, 1), block_norm="L2", feature_vector=False)
    theirs = theirs.reshape(4, 4, 8)
    # scikit-image counts the angle of the gradient modulo pi, too, rows pointing down.
    same = (ours.argmax(axis=0) == theirs.argmax(axis=-1)).mean()
    assert same >= 0.75


def test_a_picture_of_the_library_chooses_itself(library, few_pictures):
    L = lightness(from_uint8(few_pictures.rgb))
    assert library.indices[library.choose(L)].tolist() == list(range(12))
    # Nearly the same under another exposure.
    assert library.choose(0.8 * L + 5).tolist() == list(range(12))


def test_the_answer_is_welshs_with_the_chosen_reference(library, few_pictures):
    rgb = from_uint8(few_pictures.rgb)
    L = lightness(rgb[3:5]) * 0.9
    for got, gray, chosen in zip(library.colorize(L), L, library.choose(L), strict=True):
        expected = welsh(gray[None], rgb[library.indices[chosen]])
        torch.testing.assert_close(got, expected[0], atol=1e-5, rtol=0)


def test_count_and_seed_decide_which_pictures_serve(few_pictures):
    some = WelshLibrary.fit(few_pictures, count=5, seed=1)
    assert len(some.references) == len(set(some.indices.tolist())) == 5
    assert some.indices.tolist() == WelshLibrary.fit(few_pictures, count=5, seed=1).indices.tolist()
    assert some.indices.tolist() != WelshLibrary.fit(few_pictures, count=5, seed=2).indices.tolist()


def test_storage_keeps_the_answers(library, few_pictures):
    again = WelshLibrary.from_tensors(library.tensors())
    L = lightness(from_uint8(few_pictures.rgb)) * 0.9
    assert torch.equal(again.choose(L), library.choose(L))
    changed = (again.colorize(L) - library.colorize(L)).abs().amax(dim=1) > 0.01
    assert changed.float().mean() < 0.05  # half precision exchanges a few equally good samples
    with pytest.raises(ValueError, match="'ab'"):
        WelshLibrary.from_tensors({"ab": torch.zeros(2)})


def test_a_large_library_fits_a_released_table(few_pictures):
    size = sum(
        t.numel() * t.element_size() for t in WelshLibrary.fit(few_pictures).tensors().values()
    )
    assert size / 12 * 1000 < 3 * 2**20


def test_nothing_to_choose_from_is_said(library, few_pictures):
    with pytest.raises(ValueError, match="no pictures in test:few"):
        WelshLibrary.fit(Pictures(few_pictures.rgb[:0], (), "0", "test:few"))
    with pytest.raises(ValueError, match="too small"):
        library.colorize(torch.zeros(1, 1, 4, 4))
