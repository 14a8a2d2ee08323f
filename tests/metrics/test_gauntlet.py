"""The gauntlet's distortions do what they say, and ranks follow the metrics."""

from __future__ import annotations

import numpy as np
import torch

from colorlab.classical import Gray
from colorlab.color import join, rgb_to_lab
from colorlab.data.pictures import Pictures
from colorlab.metrics import evaluate
from colorlab.metrics.gauntlet import DISTORTIONS, Distortion, ranks, turn_hue


def _soft_picture(n: int = 2) -> torch.Tensor:
    """Pale colours well inside the gamut."""
    generator = torch.Generator().manual_seed(0)
    coarse = 0.4 + 0.2 * torch.rand(n, 3, 4, 4, generator=generator)
    return torch.nn.functional.interpolate(coarse, size=(32, 32), mode="bilinear")


def test_a_turned_hue_keeps_strength_and_lightness():
    rgb = _soft_picture()
    L, ab = rgb_to_lab(rgb)[:, :1], rgb_to_lab(rgb)[:, 1:]
    turned = rgb_to_lab(DISTORTIONS["hue + 60"].colorize_known(L, rgb))
    torch.testing.assert_close(turned[:, :1], L, atol=0.05, rtol=0)
    torch.testing.assert_close(turned[:, 1:].norm(dim=1), ab.norm(dim=1), atol=0.05, rtol=0)
    quarter = turn_hue(torch.tensor([3.0, 0.0]).view(1, 2, 1, 1), 90).flatten()
    torch.testing.assert_close(quarter, torch.tensor([0.0, 3.0]))


def test_strength_shift_blur_and_exchange():
    rgb = _soft_picture()
    L, ab = rgb_to_lab(rgb)[:, :1], rgb_to_lab(rgb)[:, 1:]
    spoiled = {name: row.colorize_known(L, rgb) for name, row in DISTORTIONS.items()}
    torch.testing.assert_close(spoiled["ab x 0.5"], join(L, ab / 2))
    torch.testing.assert_close(spoiled["other ab"], join(L, ab.flip(0)))
    assert torch.equal(spoiled["shift"][..., 3:, 3:], rgb[..., :-3, :-3])
    assert spoiled["blur"].var() < rgb.var()


def test_ranks_count_from_the_best_row_of_each_metric():
    pixels = (255 * _soft_picture(3)).round().byte().movedim(1, -1).numpy()
    pictures = Pictures(pixels, ("a", "b", "c"), "0", "soft:test")
    rows = {"worst": Distortion(lambda L, ab, rgb: 1 - rgb), "gray": Gray()}
    rows["best"] = Distortion(lambda L, ab, rgb: rgb)
    table = evaluate(rows, pictures, metrics=("ssim", "de76", "colorfulness"), progress=False)
    found = ranks(table)
    assert set(found) == {"ssim", "de76"}
    for order in found.values():
        np.testing.assert_array_equal(order, [3, 2, 1])
