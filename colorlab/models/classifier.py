"""A UNet that classifies: each place gets a distribution over colours, not one colour.

Trained by cross entropy, it need not average a red and a blue balloon into a brown one, and its
answers are vivid without a discriminator. Source: Zhang, Isola and Efros 2016, "Colorful Image
Colorization". Compared with its neighbours in notebook 11.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlab import parallel
from colorlab.color_bins import WIDTH, annealed_mean, bin_centres, rarity, soft_bins
from colorlab.data.loaders import Batch
from colorlab.layers import CHROMA_STRIDE
from colorlab.models.base import Player
from colorlab.models.encoders import SCRATCH, Maps
from colorlab.models.unet import UNet

_MEMORY = 1000  # batches that the frequencies of the bins are averaged over


@dataclass(frozen=True)
class ClassifierConfig:
    """Settings of :class:`Classifier`: those of the UNet that still have a meaning, and its own.

    Attributes:
        target: "ab" only: bins are of chroma.
        size: side of the training pictures; other sizes are brought to about this area.
        fold: as the UNet's; with 8 the bins stand at an eighth of the picture, and their means are
            enlarged to a quarter.
        widths: as the UNet's, so that a trained one can be gone on from.
        attention: as the UNet's.
        dropout: share of the coarsest features dropped while training.
        mix: of :func:`colorlab.color_bins.rarity`, 1 for no rebalancing.
        temperature: of :func:`colorlab.color_bins.annealed_mean`; 0.38 is the paper's.
        encoder: as the UNet's.
    """

    target: str = "ab"
    size: int = 256
    fold: int = 4
    widths: tuple[int, int, int, int] = (32, 64, 96, 128)
    attention: bool = True
    dropout: float = 0.0
    mix: float = 0.5
    temperature: float = 0.38
    encoder: str = SCRATCH


class BinHead(nn.Module):
    """Features (N, C, h, w) to logits (N, Q, h, w) over the bins of chroma."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        centres = bin_centres()
        self.project = nn.Conv2d(channels, len(centres), 1)
        nn.init.zeros_(self.project.weight)  # start at gray, the safest first answer
        with torch.no_grad():
            self.project.bias.copy_(-centres.square().sum(dim=1) / (2 * (2 * WIDTH) ** 2))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) to (N, Q, h, w)."""
        return self.project(x).float()


class Classifier(UNet):
    """L (N, 1, H, W) in [0, 100] to chroma (N, 2, H/4, W/4), the annealed mean of its bins.

    The last weights are kept: a vivid answer has a larger colour error than a pale one, and the
    lowest error would choose the palest weights.
    """

    targets: ClassVar[tuple[str, ...]] = ("ab",)
    keeps_best: ClassVar[bool] = False
    frequency: Tensor
    batches: Tensor

    def __init__(self, config: ClassifierConfig = ClassifierConfig()) -> None:
        super().__init__(config)
        self.head = BinHead(config.widths[0])
        bins = len(bin_centres())
        self.register_buffer("frequency", torch.full((bins,), 1 / bins))
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))

    def logits(self, L: Tensor, maps: Maps = None) -> Tensor:
        """(N, Q, H/fold, W/fold) over the bins; H, W and ``maps`` as for :class:`UNet`."""
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
        """Cross entropy to the soft bins, each place weighted by the rarity of its nearest bin."""
        index, share = soft_bins(F.avg_pool2d(batch.ab, self.config.fold // CHROMA_STRIDE))
        self._count(index, share)
        says = F.log_softmax(self.logits(batch.L, batch.maps), dim=1).gather(
            1, index
        )  # (N, 5, h, w)
        weight = rarity(self.frequency, self.config.mix)[index[:, 0]]
        return {"cross_entropy": -(weight * (share * says).sum(dim=1)).mean()}

    @torch.no_grad()
    def _count(self, index: Tensor, share: Tensor) -> None:
        """Average the frequencies of the bins over the batches seen."""
        new = torch.zeros_like(self.frequency)
        new.index_add_(0, index.flatten(), share.flatten() / share[:, 0].numel())
        self.batches += 1
        self.frequency.lerp_(parallel.mean(new), float(1 / self.batches.clamp(max=_MEMORY)))
