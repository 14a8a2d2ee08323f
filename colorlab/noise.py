"""Noise with correlations: between near positions, or between positions of like lightness.

A flow may begin with any Gaussian. White noise differs at every position, so the colour of an
object depends on the mean of its noise: over 256 positions that mean has a standard deviation of
1/16, so the colour is decided within the first hundredths of the path, by a network that must add
up exactly the positions of the object. *ab* has correlations of about exp(-distance / reach), with
a reach of about 6 positions on maps of 32x32. Noise of the same
correlations has the same ratio of signal to noise at every scale, and an object's positions agree
from the start. The reach counts positions, not shares of the image: a network of convolutions that
was trained on crops meets the same noise in whole images. The samples of released weights depend on
this code, to the last digit.
"""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor

WAVES = 256  # of tonal noise; the correlation of two positions then errs by about 1 / sqrt(256)


def correlated_noise(
    shape: tuple[int, int, int, int],
    reach: float,
    generator: torch.Generator | None = None,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Gaussian noise (N, C, H, W) of mean 0 and variance 1, correlated within each map.

    Positions at distance d have correlation exp(-d / reach); channels and samples are independent.
    White noise is filtered on a torus that is four reaches wider than the part that is kept, so
    that its opposite borders do not meet.

    Args:
        shape: of the noise.
        reach: distance at which the correlation has fallen to 1/e, in positions; 0 for white noise.
        generator: of the random numbers; torch's own unless given.
        device: of the noise; random numbers come from the generator's own device.
    """
    if not 0 <= reach < math.inf:
        raise ValueError(f"reach must be a number of positions, 0 or more, got {reach}")
    source = generator.device if generator is not None else device
    n, c, h, w = shape
    if not reach:
        return torch.randn(shape, generator=generator, device=source).to(device)
    around = math.ceil(4 * reach)
    torus = (h + around, w + around)
    white = torch.randn(n, c, *torus, generator=generator, device=source).to(device)
    gain = _gain(*torus, reach).to(device)
    return torch.fft.irfft2(torch.fft.rfft2(white) * gain, s=torus)[..., :h, :w]


@cache
@torch.inference_mode(False)  # what a colorization makes first, training may use
def _gain(height: int, width: int, reach: float) -> Tensor:
    """Gain of each frequency of a torus, (H, W // 2 + 1): the root of its correlations' power."""
    down = torch.fft.fftfreq(height, 1 / height, dtype=torch.float64)
    across = torch.fft.fftfreq(width, 1 / width, dtype=torch.float64)
    distance = torch.hypot(down[:, None], across[None])  # to position (0, 0), round the torus
    correlation = (-distance / reach).exp()
    # On a torus a few frequencies may come out below zero. Leaving them out changes the variance
    # by less than a thousandth, which the division mends.
    power = torch.fft.fft2(correlation).real.clamp(min=0)
    power = power / power.mean()
    return power.sqrt()[:, : width // 2 + 1].float()


def tonal_noise(
    L: Tensor,
    channels: int,
    reach: float,
    tones: float,
    generator: torch.Generator | None = None,
    n: int = 1,
) -> Tensor:
    """Gaussian noise (n, N, channels, H, W) of mean 0 and variance 1 that follows the lightness.

    Two positions at distance d whose lightness differs by D have correlation
    exp(-d / reach - D / tones); channels and the n noises are independent. The error of a UNet's
    *ab* on photographs has such correlations, since it ends at the borders of objects. The noise is
    a mean of random waves over position and lightness, whose frequencies are sampled from the
    spectrum of these correlations (Rahimi and Recht 2007, "Random features for large-scale kernel
    machines", algorithm 1). The images of one call share their waves, not their noise. Noise i does
    not depend on n.

    Args:
        L: (N, 1, H, W) lightness in [0, 100].
        channels: of the noise.
        reach: distance at which the correlation has fallen to 1/e, in positions.
        tones: difference of lightness at which it has, in CIE units.
        generator: of the random numbers, of L's device; torch's own unless given.
        n: noises for each image.
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
