"""Noise whose neighbours vary together, as those of chroma do.

A flow may begin at any Gaussian. White noise says something else at each place, and the colour of
a thing then hangs on the mean of its noise: in a thing of 256 places that mean has a standard
deviation of 1/16, so the colour is decided within the first hundredths of the way, by a network
that must add up exactly the places of the thing. Chroma has correlations of about
exp(-distance / reach), with a reach of about 6 places on maps of 32x32, as notebook 10 measures.
Noise of the same correlations has the same ratio of signal to noise at every scale, and a thing's
places agree from the start. The reach counts places, not shares of the picture: a network of
convolutions that learned it on crops meets the same noise in whole pictures. Taught in notebook 10.
"""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor


def correlated_noise(
    shape: tuple[int, int, int, int],
    reach: float,
    generator: torch.Generator | None = None,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Gaussian noise (N, C, H, W) of mean 0 and variance 1, correlated within each map.

    Places at distance d have correlation exp(-d / reach); channels and samples are independent.
    White noise is filtered on a torus that is four reaches wider than the part that is kept, so
    that its opposite borders do not meet.

    Args:
        shape: of the noise.
        reach: distance at which the correlation has fallen to 1/e, in places; 0 for white noise.
        generator: of the random numbers; torch's own unless given.
        device: of the noise; what a generator draws comes from its own device.

    Raises:
        ValueError: reach below 0, or not finite.
    """
    if not 0 <= reach < math.inf:
        raise ValueError(f"reach must be a number of places, 0 or more, got {reach}")
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
    distance = torch.hypot(down[:, None], across[None])  # to place (0, 0), round the torus
    correlation = (-distance / reach).exp()
    # On a torus a few frequencies may come out below zero; leaving them out moves the variance
    # by less than a thousandth, which the division mends.
    power = torch.fft.fft2(correlation).real.clamp(min=0)
    power = power / power.mean()
    return power.sqrt()[:, : width // 2 + 1].float()
