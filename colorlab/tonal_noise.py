"""Noise that follows the gray picture: places that are alike in lightness get like noise.

The error of a UNet's chroma is shared by the places of a thing and breaks off at its border. On
photographs its correlation falls with the difference of lightness faster than with distance
(notebook 10 measures it). Noise of the same correlations leaves a thing's places in agreement from
the start, and one colour does not run into its neighbour. No filter makes it: random waves over
position and lightness do, since the mean of many waves of random frequency has the correlations
whose spectrum the frequencies are drawn from (Rahimi and Recht 2007, "Random features for
large-scale kernel machines", algorithm 1).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

WAVES = 256  # of one noise; the correlation of two places then errs by about 1 / sqrt(256)


def tonal_noise(
    L: Tensor,
    channels: int,
    reach: float,
    tones: float,
    generator: torch.Generator | None = None,
    n: int = 1,
) -> Tensor:
    """Gaussian noise (n, N, channels, H, W) of mean 0 and variance 1 for maps of lightness.

    Two places at distance d whose lightness differs by D have correlation
    exp(-d / reach - D / tones); channels and the n noises are independent. Pictures of one
    call share their waves, not their noise. Noise i does not hang on n.

    Args:
        L: (N, 1, H, W) lightness in [0, 100].
        channels: of the noise.
        reach: distance at which the correlation has fallen to 1/e, in places.
        tones: difference of lightness at which it has, in CIE units.
        generator: of the random numbers, of L's device; torch's own unless given.
        n: noises for each picture.

    Raises:
        ValueError: reach or tones is not positive and finite.
    """
    for name, value in (("reach", reach), ("tones", tones)):
        if not 0 < value < math.inf:
            raise ValueError(f"{name} must be positive and finite, got {value}")
    source = generator.device if generator is not None else L.device

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, device=source).to(L.device)

    # exp(-distance) has the spectrum of a Cauchy distribution: a normal over another's size.
    place = normal(WAVES, 2) / normal(WAVES, 1).abs() / reach
    tone = normal(WAVES) / normal(WAVES).abs() / tones
    start = 2 * math.pi * torch.rand(WAVES, generator=generator, device=source).to(L.device)
    height, width = L.shape[-2:]
    y = torch.arange(height, device=L.device, dtype=torch.float32)[:, None]
    x = torch.arange(width, device=L.device, dtype=torch.float32)
    still = start[:, None, None] + place[:, :1, None] * y + place[:, 1:, None] * x  # (K, H, W)
    waves = torch.cos(torch.addcmul(still, tone[:, None, None], L.float()))  # (N, K, H, W)
    waves = waves / waves.square().sum(dim=1, keepdim=True).sqrt()
    noises = [
        torch.einsum("nck,nkhw->nchw", normal(len(L), channels, WAVES), waves) for _ in range(n)
    ]
    return torch.stack(noises)
