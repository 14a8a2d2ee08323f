"""A UNet that predicts a distribution over colours at each position, not one colour.

Trained with cross entropy, it does not average a red and a blue balloon into a brown one, and its
predictions are vivid without a discriminator. Source: Zhang, Isola and Efros 2016, "Colorful Image
Colorization". Compared with the other models in lesson 11.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlab.color_bins import WIDTH, annealed_mean, bin_centres, rarity, soft_bins
from colorlab.data.loaders import Batch
from colorlab.layers import CHROMA_STRIDE
from colorlab.models.base import Player
from colorlab.models.encoders import Maps
from colorlab.models.unet import UNet, UNetSettings

_MEMORY = 1000  # batches that the frequencies of the bins are averaged over


@dataclass(frozen=True)
class ClassifierConfig(UNetSettings):
    """Settings of :class:`Classifier`, in addition to :class:`UNetSettings`.

    ``target`` is "ab" only, since the bins lie in the *ab* plane. With a ``fold`` of 8 the bins are
    predicted at 1/8 of the image's size, and their means enlarged to 1/4.

    Attributes:
        mix: of :func:`colorlab.color_bins.rarity`, 1 for no rebalancing.
        temperature: of :func:`colorlab.color_bins.annealed_mean`; 0.38 as in the paper.
    """

    mix: float = 0.5
    temperature: float = 0.38


class BinHead(nn.Module):
    """Features (N, C, h, w) to logits (N, Q, h, w) over the bins of the *ab* plane."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        centres = bin_centres()
        self.project = nn.Conv2d(channels, len(centres), 1)
        nn.init.zeros_(self.project.weight)  # start with gray, the safest first prediction
        with torch.no_grad():
            self.project.bias.copy_(-centres.square().sum(dim=1) / (2 * (2 * WIDTH) ** 2))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) to (N, Q, h, w)."""
        return self.project(x).float()


class Classifier(UNet):
    """L (N, 1, H, W) in [0, 100] to *ab* (N, 2, H/4, W/4), the annealed mean of its bins.

    Training keeps the last weights: a vivid prediction has a larger colour error than a pale one,
    so the lowest error would choose the palest weights.
    """

    targets: ClassVar[tuple[str, ...]] = ("ab",)
    keeps_best: ClassVar[bool] = False
    frequency: Tensor
    batches: Tensor
    # The mean over the batch, given that over this part of it. Where several processes share a
    # batch, training replaces it, see colorlab.parallel.share_statistics.
    batch_mean: Callable[[Tensor], Tensor] = staticmethod(lambda value: value)

    def __init__(self, config: ClassifierConfig = ClassifierConfig()) -> None:
        super().__init__(config)
        self.head = BinHead(config.widths[0])
        bins = len(bin_centres())
        self.register_buffer("frequency", torch.full((bins,), 1 / bins))
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))

    def logits(self, L: Tensor, maps: Maps = None) -> Tensor:
        """(N, Q, H/fold, W/fold) over the bins."""
        return self.decode(*self.encode(L, maps))

    def forward(self, L: Tensor, maps: Maps = None) -> Tensor:
        """See the class."""
        ab = annealed_mean(self.logits(L, maps), self.config.temperature)
        finer = self.config.fold // CHROMA_STRIDE
        return ab if finer == 1 else F.interpolate(ab, scale_factor=finer, mode="bilinear")

    def players(self) -> list[Player]:
        """One player, with the term "cross_entropy"."""
        return [Player("classifier", self, self._loss)]

    def _loss(self, batch: Batch) -> dict[str, Tensor]:
        """Cross entropy to the soft bins, weighted by the rarity of each position's nearest bin."""
        index, share = soft_bins(F.avg_pool2d(batch.ab, self.config.fold // CHROMA_STRIDE))
        self._count(index, share)
        log_p = F.log_softmax(self.logits(batch.L, batch.maps), dim=1)  # (N, Q, h, w)
        weight = rarity(self.frequency, self.config.mix)[index[:, 0]]
        return {"cross_entropy": -(weight * (share * log_p.gather(1, index)).sum(dim=1)).mean()}

    @torch.no_grad()
    def _count(self, index: Tensor, share: Tensor) -> None:
        """Update the running mean of the bins' frequencies over the batches."""
        new = torch.zeros_like(self.frequency)
        new.index_add_(0, index.flatten(), share.flatten() / share[:, 0].numel())
        self.batches += 1
        self.frequency.lerp_(self.batch_mean(new), float(1 / self.batches.clamp(max=_MEMORY)))
