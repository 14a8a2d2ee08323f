"""Diffusion that predicts which colours are possible, and chooses among them by Bayes' rule.

The denoiser of :class:`colorlab.models.diffusion.Diffusion` must learn three tasks at once from
noisy *ab*: which colours an object may have, how far it extends, and how to choose. Here two heads
on the frozen UNet learn the first two without any noise. :class:`Candidates` is a mixture density
of the *ab* at each position (Bishop 1994, "Mixture density networks"); :class:`Pointers` links each
position to those of its colour (Vondrick et al. 2018, "Tracking emerges by colorizing videos"). The
third task needs no learning: the mean of the clean *ab* given a state is known in closed form. So
a short training gives samples that are not between two colours. Built in notebook 10, for scenes:
trained there and not released, so it is not among the listed models.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlab import flow
from colorlab.data.loaders import Batch
from colorlab.models.base import Player
from colorlab.models.diffusion import Diffusion, DiffusionConfig
from colorlab.models.encoders import Maps

HIDDEN, HIDDEN_POINTERS, DIRECTIONS = 96, 48, 16  # with 64 hidden channels apples lost a colour
FLOOR = 0.1  # added to each sigma in the loss, so that no candidate becomes too narrow
BEGIN, RADIUS = 0.3, 1.5  # initial sigma of the candidates, and distance from the mean
WIDEST = math.exp(-1.0)  # largest sigma; a wider candidate would cover two colours
NEAR = 0.02  # initial weight of a squared distance in the map against one of the features
LATEST = 0.999  # largest time of a state that is divided by 1 - t


class PositionHead(nn.Module):
    """Maps at 1/4, 1/8 and 1/16 of an image, finest first, to (N, out, h_0, w_0).

    One hidden layer at each position, from all three scales: the finest map alone does not tell
    which object it is.
    """

    def __init__(self, seen: tuple[int, ...], out: int, hidden: int) -> None:
        super().__init__()
        self.narrow = nn.ModuleList(nn.Conv2d(width, hidden, 1) for width in seen)
        self.leave = nn.Conv2d(hidden, out, 1)

    def forward(self, maps: tuple[Tensor, ...]) -> Tensor:
        """Maps (N, s_i, h_i, w_i): see the class."""
        size = maps[0].shape[-2:]
        hidden = sum(
            F.interpolate(narrow(m), size=size, mode="bilinear", align_corners=False)
            for narrow, m in zip(self.narrow, maps, strict=True)
        )
        return self.leave(F.silu(hidden)).float()


class Candidates(PositionHead):
    """A mixture of ``count`` Gaussians over the *ab* of each position, in the model's units."""

    def __init__(self, seen: tuple[int, ...], count: int) -> None:
        super().__init__(seen, 4 * count, HIDDEN)
        self.count = count
        nn.init.normal_(self.leave.weight, std=0.02)
        angle = torch.arange(count - 1) * 2 * math.pi / (count - 1)
        with torch.no_grad():  # one starts at the mean, the others around it
            a, b, _, log_sigma = self.leave.bias.zero_().view(4, count)
            a[1:], b[1:] = RADIUS * angle.cos(), RADIUS * angle.sin()
            log_sigma.fill_(math.log(BEGIN))

    def forward(self, maps: tuple[Tensor, ...], mean: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Colours (N, 2, K, h, w), logarithms of their shares (N, K, h, w), sigmas (N, K, h, w).

        ``mean`` (N, 2, h, w) is the UNet's prediction, to which the candidates are offsets.
        """
        said = super().forward(maps).unflatten(1, (4, self.count))
        log_sigma = math.log(WIDEST) - F.softplus(math.log(WIDEST) - said[:, 3])
        return mean.unsqueeze(2) + said[:, :2], said[:, 2].log_softmax(1), log_sigma.exp()


def surprise(colours: Tensor, log_share: Tensor, sigma: Tensor, clean: Tensor) -> Tensor:
    """Mean of -log density of clean (N, 2, h, w) under the mixtures, minus log 2 pi; nats.

    ``colours``, ``log_share`` and ``sigma`` are those of :class:`Candidates`.
    Source: Bishop 1994, in two dimensions and with ``FLOOR`` added to each sigma.
    """
    sigma = sigma + FLOOR
    distance = (clean.unsqueeze(2) - colours).square().sum(1)
    return -(log_share - distance / (2 * sigma**2) - 2 * sigma.log()).logsumexp(1).mean()


class Pointers(PositionHead):
    """From each position to the cells of 2x2 positions of its colour: weights that sum to one.

    Positions that are near and have similar features are linked. The links are then followed, each
    time twice as far, so that an object is reached through its own positions.
    """

    def __init__(self, seen: tuple[int, ...]) -> None:
        super().__init__(seen, DIRECTIONS, HIDDEN_POINTERS)
        self.log_near = nn.Parameter(torch.tensor(math.log(NEAR)))

    def forward(self, maps: tuple[Tensor, ...], doublings: int = 0) -> Tensor:
        """Links (N, h w, h w / 4), followed ``doublings`` times; h and w are even.

        Distances and links are in float32 under autocast too: bfloat16 rounds a squared distance
        by more than the differences that the softmax compares.
        """
        features = super().forward(maps)
        with torch.autocast(features.device.type, enabled=False):
            return self._links(features, doublings)

    def _links(self, features: Tensor, doublings: int) -> Tensor:
        n, _, h, w = features.shape
        down, across = (torch.arange(side, device=features.device) for side in (h, w))
        at = torch.stack(torch.meshgrid(down, across, indexing="ij")).to(features)
        at = at * (self.log_near / 2).exp()
        features = torch.cat((features, at.expand(n, -1, -1, -1)), dim=1)
        cells, positions = F.avg_pool2d(features, 2).flatten(2), features.flatten(2)
        length = cells.square().sum(1, keepdim=True)
        links = (2 * positions.mT @ cells - length).softmax(-1)  # by squared distance to each cell
        step = (2 * cells.mT @ cells - length).softmax(-1)
        if not doublings:
            return links
        # Among the cells first: the positions are four times as many, and then need one product.
        reach = step
        for _ in range(doublings - 1):
            step = step @ step
            reach = reach @ step
        return links @ reach


def pool(links: Tensor, x: Tensor) -> Tensor:
    """Means of x (n * N, C, h, w) along links (N, h w, h w / 4), see :class:`Pointers`.

    x holds n samples of N images, all images of a sample together.
    """
    (channels, h, w), count = x.shape[1:], len(links)
    cells = F.avg_pool2d(x, 2).view(-1, count, channels, links.shape[-1])  # (n, N, C, cells)
    with torch.autocast(x.device.type, enabled=False):
        pooled = links @ cells.permute(1, 3, 0, 2).flatten(2)  # (N, h w, n C)
    return pooled.view(count, h, w, -1, channels).permute(3, 0, 4, 1, 2).reshape(x.shape)


def pointing_error(links: Tensor, clean: Tensor, noise: float) -> Tensor:
    """Expected squared error at a position of clean (N, C, h, w) averaged along its links.

    ``noise`` is the variance of white noise on each cell: many cells average it out, but cells of
    another colour add an error.
    """
    off = (pool(links, clean) - clean).square().sum(1).mean()
    return off + noise * links.square().sum(-1).mean()


@dataclass(frozen=True)
class CandidateFlowConfig(DiffusionConfig):
    """Settings of :class:`CandidateFlow`, in addition to those of its parent.

    Those of its denoiser and its loss have no effect here.

    Attributes:
        candidates: colours of each position; objects of scenes have up to three, and three
            candidates were too few, since one starts at the mean.
        doublings: of the :class:`Pointers` in training.
        further: additional doublings in sampling. An object as wide as the image then takes one
            colour: the flower beds' total variation fell from .22 to .11. More doublings in
            training gave shorter links.
        cell_noise: variance of the noise against which the pointers are trained.
        pooled_noise: variance of the noise that is left after pooling; a smaller one makes each
            step choose more firmly.
        sharpness: factor on the logarithms of the posterior's weights. Chosen, with the variance
            and the doublings, by the colours sampled on the first 196 test scenes.
        linked: images of each batch on which the pointers are trained; their matrices are large.
    """

    candidates: int = 4
    doublings: int = 3
    further: int = 1
    cell_noise: float = 0.4
    pooled_noise: float = 0.37
    sharpness: float = 1.5
    linked: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.predicts != "clean" or self.guidance != 1:
            raise ValueError(
                'predicts must be "clean" and guidance 1 where colours are chosen from candidates, '
                f"got {self.predicts!r} and {self.guidance}"
            )


class SeenCandidates(NamedTuple):
    """What the model predicts for N gray images, once for all steps and samples.

    Attributes:
        mean: (N, 2, h, w) the UNet's prediction, in the model's units.
        colours: as ``log_share`` and ``sigma``, see :class:`Candidates`.
        links: (N, h w, h w / 4), never repeated: all samples of an image share them.
    """

    mean: Tensor
    colours: Tensor
    log_share: Tensor
    sigma: Tensor
    links: Tensor

    def repeat(self, n: int) -> SeenCandidates:
        """For n samples of each image, all images of a sample together."""
        return self.map(lambda x: x.repeat(n, *[1] * (x.ndim - 1)))

    def map(self, change: Callable[[Tensor], Tensor]) -> SeenCandidates:
        """With every map changed, except for the links."""
        return SeenCandidates(*(change(x) for x in self[:-1]), self.links)


class CandidateFlow(Diffusion):
    """L (N, 1, H, W) in [0, 100] to *ab* (N, 2, H/4, W/4); needs a trained UNet to start from."""

    targets: ClassVar[tuple[str, ...]] = ("ab",)

    def __init__(self, config: CandidateFlowConfig = CandidateFlowConfig()) -> None:
        super().__init__(config)

    def make_denoiser(self) -> nn.Module:
        """The two heads."""
        seen = self.config.widths[:3]
        heads = {"candidates": Candidates(seen, self.config.candidates), "pointers": Pointers(seen)}
        return nn.ModuleDict(heads)

    def look(self, L: Tensor, maps: Maps = None) -> SeenCandidates:
        """The possible colours for L (N, 1, H, W), and which positions share one."""
        seen, mean = self._maps(L, maps)
        links = self.denoiser["pointers"](seen, self.config.doublings + self.config.further)
        return SeenCandidates(mean, *self.denoiser["candidates"](seen, mean), links)

    def _maps(self, L: Tensor, maps: Maps = None) -> tuple[tuple[Tensor, ...], Tensor]:
        seen = self.unet.climb(*self.unet.encode(L, maps))
        return seen, self.to_units(self.unet.head(seen[0]))

    def clean(self, state: Tensor, t: Tensor, seen: SeenCandidates) -> Tensor:
        """The mean of the clean *ab*, given a state (N, 2, h, w) at times t (N,).

        A state over 1 - t is the clean *ab* times t / (1 - t), plus noise of variance 1. Its
        difference from the mean is pooled along the links and weights the candidates. Within a
        candidate, the position's own state moves the estimate as far as sigma allows.
        """
        t = flow.along(t.expand(len(state)).clamp(max=LATEST), state)
        scaled, rise = state / (1 - t), t / (1 - t)
        plain = rise * seen.mean
        pooled = plain + pool(seen.links, scaled - plain)
        where = rise.unsqueeze(2) * seen.colours  # (N, 2, K, h, w)
        own = rise.square() * seen.sigma.square()  # variance of a candidate in these units
        total = own + self.config.pooled_noise
        off = (pooled.unsqueeze(2) - where).square().sum(1)
        weight = self.config.sharpness * (seen.log_share - off / (2 * total) - total.log())
        gain = rise * seen.sigma.square() / (own + 1)
        answers = seen.colours + gain.unsqueeze(1) * (scaled.unsqueeze(2) - where)
        return (weight.softmax(1).unsqueeze(1) * answers).sum(2)

    def players(self) -> list[Player]:
        """One player with the terms "surprise" and "pointing"; the UNet does not change."""
        if not self.unet_is_frozen:
            raise ValueError("candidates are read from a trained UNet: call start_from(unet) first")
        return [Player("candidates", self.denoiser, self._loss, betas=(0.9, 0.99))]

    def _loss(self, batch: Batch) -> dict[str, Tensor]:
        """Without a state and a time: the heads predict the same for all of them."""
        maps, mean = self._maps(batch.L, batch.maps)
        clean, few = self.to_units(batch.ab), self.config.linked
        links = self.denoiser["pointers"](tuple(m[:few] for m in maps), self.config.doublings)
        return {
            "surprise": surprise(*self.denoiser["candidates"](maps, mean), clean),
            "pointing": pointing_error(links, clean[:few], self.config.cell_noise),
        }
