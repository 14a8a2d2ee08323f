"""Hints taken from the truth, so that methods which need a hand can stand in a table.

A row with n hints knows the true colour of n pixels. It is no rival of a method that sees gray
alone; it says what a few right strokes are worth. Taught in notebook 02.
"""

from __future__ import annotations

import zlib

import numpy as np
import torch
from torch import Tensor

from colorlab.classical.kriging import levin_guided
from colorlab.classical.scribbles import levin
from colorlab.color import join, rgb_to_lab, to_uint8


def random_hints(rgb: Tensor, n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Draw pixels at random and tell their true colour.

    The draw depends on ``seed`` and on the picture, as 8 bit, alone: neither on its place in a
    batch nor on what came before. More hints include fewer: the first 10 of 50 are the 10.

    Args:
        rgb: (N, 3, H, W) sRGB in [0, 1], the truth.
        n: hints a picture, from 1 to H * W.
        seed: another one draws other pixels.

    Returns:
        ab (N, 2, H, W) in CIE units, 0 without a hint, and mask (N, 1, H, W) bool.

    Raises:
        TypeError: no floating-point tensor.
        ValueError: no batch of pictures, or n out of range.
    """
    chroma = rgb_to_lab(rgb)[..., 1:, :, :]
    if rgb.ndim != 4:
        raise ValueError(f"rgb must have shape (N, 3, H, W), got {tuple(rgb.shape)}")
    height, width = rgb.shape[-2:]
    if not 1 <= n <= height * width:
        raise ValueError(f"want 1 to {height * width} hints for {height}x{width} pixels, got {n}")
    mask = torch.zeros(len(rgb), 1, height * width, dtype=torch.bool)
    for one, picture in zip(mask[:, 0], to_uint8(rgb), strict=True):
        random = np.random.default_rng([seed, zlib.crc32(picture.tobytes())])
        one[torch.from_numpy(random.permutation(height * width)[:n])] = True
    mask = mask.unflatten(2, (height, width)).to(rgb.device)
    return torch.where(mask, chroma, 0), mask


class LevinHints:
    """Levin's method with n random hints from the truth, as a row of a table.

    It sees the truth, so it has no ``colorize``; :func:`colorlab.metrics.evaluate` calls
    :meth:`colorize_known`.

    Args:
        n: hints a picture.
        seed: of the pixels; see :func:`random_hints`.
        guided: with kriging's guess, :func:`colorlab.classical.kriging.levin_guided`.

    Raises:
        ValueError: n is below 1.
    """

    def __init__(self, n: int, seed: int = 0, guided: bool = False) -> None:
        if n < 1:
            raise ValueError(f"want at least one hint, got {n}")
        self.n, self.seed, self.guided = n, seed, guided

    def colorize_known(self, L: Tensor, rgb: Tensor) -> Tensor:
        """L (N, 1, H, W) and the true sRGB (N, 3, H, W) to sRGB (N, 3, H, W)."""
        solve = levin_guided if self.guided else levin
        return join(L, solve(L, *random_hints(rgb, self.n, self.seed)))
