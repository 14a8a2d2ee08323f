"""Every metric refuses what it would measure wrongly, and says what is wrong."""

from __future__ import annotations

import pytest
import torch

from colorlab.metrics import colorfulness, delta_e00, delta_e76, lpips, psnr, ssim

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
        (_with(float("nan")), ValueError, "NaN"),
        (GOOD[0], ValueError, r"\(3, 32, 32\)"),
        (GOOD[:, :1], ValueError, r"\(2, 1, 32, 32\)"),
        (GOOD[:0], ValueError, "empty"),
        (GOOD[:1], ValueError, "differ in shape"),
        ((GOOD * 255).byte(), TypeError, "uint8.*from_uint8"),
        (GOOD.numpy(), TypeError, "ndarray"),
    ],
    ids=["0..255", "negative", "nan", "no batch", "gray", "empty", "shapes", "uint8", "numpy"],
)
def test_bad_batches_are_refused(metric, bad, error, words):
    with pytest.raises(error, match=words):
        metric(GOOD, bad)


def test_colorfulness_refuses_0_to_255():
    with pytest.raises(ValueError, match=r"divide 0..255"):
        colorfulness(GOOD * 255)


@pytest.mark.parametrize("metric", [ssim, psnr, delta_e76, delta_e00], ids=lambda f: f.__name__)
def test_one_number_for_each_picture(metric):
    x = torch.rand(3, 3, 16, 20, generator=torch.Generator().manual_seed(0))
    y = torch.rand(3, 3, 16, 20, generator=torch.Generator().manual_seed(1))
    together = metric(x, y)
    assert together.shape == (3,)
    apart = torch.cat([metric(x[i : i + 1], y[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, apart)
