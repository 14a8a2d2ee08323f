"""What colours a place may have, and which places share one: two heads on a trained UNet's maps.

Neither sees noise. :class:`Candidates` is a mixture density of each place's chroma (Bishop 1994,
"Mixture density networks"); :class:`Pointers` links each place to those of its colour (Vondrick et
al. 2018, "Tracking emerges by colorizing videos"). Taught in notebook 10.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HIDDEN, HIDDEN_POINTERS, DIRECTIONS = 96, 48, 16  # 64 once missed the apples' colours
FLOOR = 0.1  # added to each sigma in the loss, so that no candidate becomes a needle
BEGIN, RADIUS = 0.3, 1.5  # sigma, and distance from the mean, with which candidates begin
WIDEST = math.exp(-1.0)  # sigma; a wider candidate covers two colours where it should be one
NEAR = 0.02  # weight of a squared place against one of a feature, at the start


class PlaceReader(nn.Module):
    """Maps at 1/4, 1/8 and 1/16 of a picture, (N, s_i, h_i, w_i), to (N, out, h_0, w_0).

    One hidden layer a place. All three scales are read: the finest alone does not know the thing.
    """

    def __init__(self, seen: tuple[int, ...], out: int, hidden: int) -> None:
        super().__init__()
        self.narrow = nn.ModuleList(nn.Conv2d(width, hidden, 1) for width in seen)
        self.leave = nn.Conv2d(hidden, out, 1)

    def forward(self, maps: tuple[Tensor, ...]) -> Tensor:
        """See the class; finest map first."""
        size = maps[0].shape[-2:]
        hidden = sum(
            F.interpolate(narrow(m), size=size, mode="bilinear", align_corners=False)
            for narrow, m in zip(self.narrow, maps, strict=True)
        )
        return self.leave(F.silu(hidden)).float()


class Candidates(PlaceReader):
    """A mixture of ``count`` Gaussians over the chroma of each place, in units of its spread."""

    def __init__(self, seen: tuple[int, ...], count: int) -> None:
        super().__init__(seen, 4 * count, HIDDEN)
        self.count = count
        nn.init.normal_(self.leave.weight, std=0.02)
        angle = torch.arange(count - 1) * 2 * math.pi / (count - 1)
        with torch.no_grad():  # one begins at the mean, the others around it
            a, b, _, log_sigma = self.leave.bias.zero_().view(4, count)
            a[1:], b[1:] = RADIUS * angle.cos(), RADIUS * angle.sin()
            log_sigma.fill_(math.log(BEGIN))

    def forward(self, maps: tuple[Tensor, ...], mean: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The mixture of each place.

        Args:
            maps: see :class:`PlaceReader`.
            mean: (N, 2, h, w) the UNet's answer, from which candidates lie at an offset.

        Returns:
            Colours (N, 2, K, h, w), logarithms of their shares (N, K, h, w), sigmas (N, K, h, w).
        """
        said = super().forward(maps).unflatten(1, (4, self.count))
        log_sigma = math.log(WIDEST) - F.softplus(math.log(WIDEST) - said[:, 3])
        return mean.unsqueeze(2) + said[:, :2], said[:, 2].log_softmax(1), log_sigma.exp()


def surprise(colours: Tensor, log_share: Tensor, sigma: Tensor, clean: Tensor) -> Tensor:
    """Mean of -log density of clean (N, 2, h, w) under the mixtures, less log 2 pi; nats a place.

    ``colours``, ``log_share`` and ``sigma`` are those of :class:`Candidates`.
    Source: Bishop 1994, in two dimensions and with ``FLOOR`` added to each sigma.
    """
    sigma = sigma + FLOOR
    distance = (clean.unsqueeze(2) - colours).square().sum(1)
    return -(log_share - distance / (2 * sigma**2) - 2 * sigma.log()).logsumexp(1).mean()


class Pointers(PlaceReader):
    """From each place to the cells of 2x2 places that share its colour: weights which sum to one.

    Places that are near and look alike are linked. Links are then followed, each time twice as
    far, so that a thing is reached through its own places and not across others.
    """

    def __init__(self, seen: tuple[int, ...]) -> None:
        super().__init__(seen, DIRECTIONS, HIDDEN_POINTERS)
        self.log_near = nn.Parameter(torch.tensor(math.log(NEAR)))

    def forward(self, maps: tuple[Tensor, ...], doublings: int = 0) -> Tensor:
        """Links (N, h w, h w / 4), followed ``doublings`` times; h and w are even."""
        features = super().forward(maps)
        n, _, h, w = features.shape
        down, across = (
            torch.arange(h, device=features.device),
            torch.arange(w, device=features.device),
        )
        places = torch.stack(torch.meshgrid(down, across, indexing="ij")).to(features)
        places = places * (self.log_near / 2).exp()
        features = torch.cat((features, places.expand(n, -1, -1, -1)), dim=1)
        cells, places = F.avg_pool2d(features, 2).flatten(2), features.flatten(2)
        length = cells.square().sum(1, keepdim=True)
        links = (2 * places.mT @ cells - length).softmax(-1)  # by squared distance to each cell
        step = (2 * cells.mT @ cells - length).softmax(-1)
        if not doublings:
            return links
        # Among the cells first: the places are four times as many, and need one product then.
        reach = step
        for _ in range(doublings - 1):
            step = step @ step
            reach = reach @ step
        return links @ reach


def pool(links: Tensor, x: Tensor) -> Tensor:
    """Means of x along links.

    Args:
        links: (N, h w, h w / 4), see :class:`Pointers`.
        x: (n * N, C, h, w), n draws of N pictures, all pictures of a draw together.

    Returns:
        (n * N, C, h, w).
    """
    (channels, h, w), count = x.shape[1:], len(links)
    cells = F.avg_pool2d(x, 2).view(-1, count, channels, links.shape[-1])  # (n, N, C, cells)
    pooled = links @ cells.permute(1, 3, 0, 2).flatten(2)  # (N, h w, n C)
    return pooled.view(count, h, w, -1, channels).permute(3, 0, 4, 1, 2).reshape(x.shape)


def pointing_error(links: Tensor, clean: Tensor, noise: float) -> Tensor:
    """Squared error to expect of clean (N, C, h, w) read through its links, a place.

    ``noise`` is the variance of white noise on each cell: many cells average it away, cells of
    another colour add an error of their own.
    """
    off = (pool(links, clean) - clean).square().sum(1).mean()
    return off + noise * links.square().sum(-1).mean()
