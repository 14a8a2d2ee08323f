"""Grays that are not L: what old film, a toned print and a faded one record of the same scene.

Every model here is trained on L and expects it. An old photograph has no L: film was blind to red
until about 1920, and prints yellow and fade. Each function takes sRGB (N, 3, H, W) in [0, 1] and
returns the L (N, 1, H, W) in [0, 100] that a program measures on that gray image. Taught in
lessons 01 and 11.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from colorlab.color import (
    WHITENED_FROM_RGB,
    join,
    lightness,
    linear_to_srgb,
    mix_channels,
    srgb_to_linear,
)

LUMINANCE: tuple[float, ...] = tuple(WHITENED_FROM_RGB[1].tolist())  # of sRGB; the sum is 1
SEPIA = (1.0, 0.85, 0.65)  # of the stored values of a gray print, as toned paper shows them
BLACK, WHITE = 25.0, 85.0  # L of a faded print's darkest and lightest gray


def recorded(rgb: Tensor, weights: Sequence[float]) -> Tensor:
    """L of a gray image that adds the channels in linear light; white stays 100."""
    share = torch.tensor([tuple(weights)]) / sum(weights)
    mixed = mix_channels(share.to(rgb), srgb_to_linear(rgb))
    return lightness(linear_to_srgb(mixed).clamp(0, 1).expand(-1, 3, -1, -1))


def orthochromatic(rgb: Tensor) -> Tensor:
    """On film that is blind to red: luminance without its red part. Gray stays as it is."""
    return recorded(rgb, (0.0, *LUMINANCE[1:]))


def green(rgb: Tensor) -> Tensor:
    """Through a green filter: the green channel alone."""
    return lightness(rgb[:, 1:2].expand(-1, 3, -1, -1))


def blue(rgb: Tensor) -> Tensor:
    """Through a blue filter, or on film that sees blue alone: the blue channel."""
    return lightness(rgb[:, 2:].expand(-1, 3, -1, -1))


def sepia(rgb: Tensor) -> Tensor:
    """L of the gray image after toning: the yellow paper has no white, so light grays darken."""
    L = lightness(rgb)
    gray = join(L, torch.zeros_like(L).expand(-1, 2, -1, -1))
    return lightness(gray * torch.tensor(SEPIA).to(gray).view(3, 1, 1))


def faded(rgb: Tensor) -> Tensor:
    """L squeezed into 25 to 85: neither black nor white is left."""
    return BLACK + (WHITE - BLACK) / 100 * lightness(rgb)


TRAINED_ON = "L"
FILMS: Mapping[str, Callable[[Tensor], Tensor]] = {
    TRAINED_ON: lightness,
    "ortho": orthochromatic,
    "green": green,
    "blue": blue,
    "sepia": sepia,
    "faded": faded,
}
