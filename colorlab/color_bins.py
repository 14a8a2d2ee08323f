"""Bins of colour, for models that predict a distribution over colours and not their mean.

The ab plane is cut into squares of 10 units; those that sRGB reaches are the bins. A position's
target is a distribution over its nearest bins, colours that are rare in photographs weigh more,
and the prediction is an annealed mean: between the mean of the bins, which is pale, and the most
probable bin, which is patchy. Released classifiers hold weights for these bins in this order.
Source: Zhang, Isola and Efros 2016, "Colorful Image Colorization", sections 2.2 and 2.3.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from colorlab.color import rgb_to_lab

WIDTH = 10.0  # of a bin, CIE units


@cache
def bin_centres() -> Tensor:
    """Centres (Q, 2) of the bins that hold a colour of sRGB, in CIE units.

    Q is 261. Zhang et al. have 313, since they count squares around the gamut too.
    """
    side = torch.linspace(0, 1, 101)
    cube = torch.stack(torch.meshgrid(side, side, side, indexing="ij")).flatten(1)  # (3, 101^3)
    ab = rgb_to_lab(cube[..., None])[1:, :, 0]
    return torch.unique((ab / WIDTH).round(), dim=1).T * WIDTH


def soft_bins(ab: Tensor, neighbours: int = 5, sigma: float = 5.0) -> tuple[Tensor, Tensor]:
    """The nearest bins of each position and their shares, by a Gaussian of the distance.

    Args:
        ab: (N, 2, h, w) in CIE units.
        neighbours: how many bins share a position.
        sigma: of the Gaussian, CIE units.

    Returns:
        Indices (N, neighbours, h, w), nearest first, and shares of the same shape that sum to 1.
    """
    flat = ab.movedim(1, -1).reshape(-1, 2).float()
    distance = torch.cdist(flat, bin_centres().to(flat))  # (N h w, Q)
    near, index = distance.topk(neighbours, largest=False)
    share = (-near.square() / (2 * sigma**2)).softmax(dim=1)
    n, _, height, width = ab.shape
    shape = (n, height, width, neighbours)
    return index.reshape(shape).movedim(-1, 1), share.reshape(shape).movedim(-1, 1)


def rarity(frequency: Tensor, mix: float = 0.5, sigma: float = 5.0) -> Tensor:
    """Weight (Q,) of each bin: the rarer its colour, the more it counts (equation 4).

    Args:
        frequency: (Q,) shares of the bins in training images, summing to 1.
        mix: in (0, 1]. With 1 all bins weigh the same; near 0 each by the inverse of its
            frequency. At 0, a bin that was never seen would weigh infinitely.
        sigma: of the Gaussian that smooths the frequencies over the ab plane first.

    Returns:
        Weights whose mean over positions, that is over ``frequency``, is 1.
    """
    if not 0 < mix <= 1:
        raise ValueError(f"mix must be in (0, 1], got {mix}")
    centres = bin_centres().to(frequency)
    kernel = (-torch.cdist(centres, centres).square() / (2 * sigma**2)).exp()
    with torch.autocast(frequency.device.type, enabled=False):
        smooth = (kernel / kernel.sum(dim=0)) @ frequency
    weight = 1 / ((1 - mix) * smooth + mix / len(centres))
    return weight / (weight * frequency).sum()


def annealed_mean(
    logits: Tensor, temperature: float = 0.38, centres: Tensor | None = None
) -> Tensor:
    """One colour for each position's distribution over bins (equation 5).

    Args:
        logits: (N, Q, h, w), or log probabilities; -inf where a bin is impossible.
        temperature: above 0. 1 gives the mean; towards 0 the most probable bin.
        centres: (Q, 2) of the bins, CIE units; None for :func:`bin_centres`.

    Returns:
        (N, 2, h, w) in CIE units.
    """
    if not temperature > 0:
        raise ValueError(f"the temperature must be positive, got {temperature}")
    share = (logits.float() / temperature).softmax(dim=1)
    centres = bin_centres() if centres is None else centres
    return torch.einsum("nqhw,qc->nchw", share, centres.to(share))
