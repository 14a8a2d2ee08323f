"""The game that both GANs play: a generator that paints, a discriminator that judges.

Source: Goodfellow et al. 2014, "Generative adversarial nets"; conditioned on the gray picture
as in Isola et al. 2017 (pix2pix).
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlab.adversarial import discriminator_loss, generator_loss, r1_penalty
from colorlab.data.loaders import Batch
from colorlab.losses import l1
from colorlab.models.base import Colorizer, Player
from colorlab.models.encoders import Maps

# A short memory of the gradient: the opponent moves (Radford et al. 2016, section 4).
BETAS = (0.5, 0.999)


class Noise(nn.Module):
    """Gaussian noise as an input of the generator, added to all of its encoder's maps.

    One vector a place of the coarsest map, brought to each map's channels by its own 1x1
    convolution without bias: noise of 0, the middle of the distribution, changes nothing.
    """

    def __init__(self, channels: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.channels = channels
        self.project = nn.ModuleList(nn.Conv2d(channels, w, 1, bias=False) for w in widths)

    def forward(self, maps: tuple[Tensor, ...], z: Tensor) -> tuple[Tensor, ...]:
        """Maps (N, widths[i], h_i, w_i) and z (N, channels, h, w) to maps of the same shapes."""
        return tuple(
            x + F.interpolate(project(z), size=x.shape[-2:], mode="bilinear")
            for x, project in zip(maps, self.project, strict=True)
        )


class AdversarialColorizer(Colorizer):
    """A generator and its discriminator; it is the generator that colours.

    A model gives ``encode`` (L to maps, finest first), ``decode`` (maps to an answer), ``noise``
    (a :class:`Noise` or None), ``discriminator``, and a config with ``l1_weight``,
    ``label_smoothing``, ``r1``, ``discriminator_rate``, ``noise``, ``dropout`` and
    ``dropout_at_test``.

    The last weights are kept: validation error chooses the least adversarial ones.
    """

    keeps_best: ClassVar[bool] = False
    training_only: ClassVar[tuple[str, ...]] = ("discriminator",)
    discriminator: nn.Module
    noise: Noise | None

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.deterministic = not (config.noise or (config.dropout and config.dropout_at_test))

    def encode(self, L: Tensor, maps: Maps = None) -> tuple[Tensor, ...]:
        """L (N, 1, H, W) to the generator's encoder maps, finest first.

        ``maps`` are those of the pretrained encoder, where they are known already.
        """
        raise NotImplementedError

    def decode(self, maps: tuple[Tensor, ...]) -> Tensor:
        """The encoder's maps to an answer."""
        raise NotImplementedError

    def forward(self, L: Tensor, maps: Maps = None) -> Tensor:
        """The generator: random while it trains, its answer to noise of 0 otherwise."""
        maps = self.encode(L, maps)
        if self.training:
            maps = self._disturb(maps, self.config.dropout, None)
        return self.with_input(self.decode(maps), L)

    def draw(self, L: Tensor, n: int, generator: torch.Generator | None) -> Tensor:
        """``n`` answers, each with its own noise and, where the settings say so, dropout."""
        maps = self.encode(L)
        dropout = self.config.dropout if self.config.dropout_at_test else 0.0
        answers = [self.decode(self._disturb(maps, dropout, generator)) for _ in range(n)]
        return torch.stack([self.with_input(answer, L) for answer in answers])

    def _disturb(
        self, maps: tuple[Tensor, ...], dropout: float, generator: torch.Generator | None
    ) -> tuple[Tensor, ...]:
        n, c, h, w = maps[-1].shape
        device = generator.device if generator is not None else maps[-1].device
        if self.noise is not None:
            z = torch.randn(n, self.noise.channels, h, w, generator=generator, device=device)
            maps = self.noise(maps, z.to(maps[-1].device))
        if dropout:  # of whole channels of the coarsest map
            kept = torch.rand(n, c, 1, 1, generator=generator, device=device) >= dropout
            maps = (*maps[:-1], maps[-1] * kept.to(maps[-1]) / (1 - dropout))
        return maps

    def players(self) -> list[Player]:
        """The discriminator, then the generator; both learn from the same fake colours."""
        painting = nn.ModuleList(
            child for name, child in self.named_children() if name not in self.training_only
        )
        game = _Round(self)
        rate = self.config.discriminator_rate
        return [
            Player("discriminator", self.discriminator, game.judge, rate=rate, betas=BETAS),
            Player("generator", painting, game.paint, betas=BETAS),
        ]


class _Round:
    """Both losses on a batch, from one painting.

    The generator paints a batch for the discriminator's step, and its own step takes the same
    fake colours with their graph: only the discriminator's weights have moved in between, so
    a second painting would give the same colours again.
    """

    def __init__(self, model: AdversarialColorizer) -> None:
        self.model = model
        self.unit = 110 if model.config.target == "ab" else 1
        self.painted: tuple[Batch, Tensor] | None = None

    def judge(self, batch: Batch) -> dict[str, Tensor]:
        """The discriminator's terms: "discriminator" and, where it has a weight, "r1"."""
        model, config = self.model, self.model.config
        fake = model(batch.L, batch.maps)
        self.painted = (batch, fake)
        real = self._truth(batch)
        penalized = config.r1 > 0
        if penalized:
            real = real.clone().requires_grad_()
        on_real = model.discriminator(batch.L, real)
        on_fake = model.discriminator(batch.L, fake.detach())
        terms = {"discriminator": discriminator_loss(on_real, on_fake, config.label_smoothing)}
        if penalized:
            terms["r1"] = config.r1 * self.unit**2 * r1_penalty(on_real, real)  # slope per unit
        return terms

    def paint(self, batch: Batch) -> dict[str, Tensor]:
        """The generator's terms: "generator" and, where it has a weight, "l1"."""
        model, config = self.model, self.model.config
        known, fake = self.painted or (None, None)
        self.painted = None
        if known is not batch:
            fake = model(batch.L, batch.maps)
        terms = {"generator": generator_loss(model.discriminator(batch.L, fake))}
        if config.l1_weight:
            terms["l1"] = config.l1_weight * l1(fake / self.unit, self._truth(batch) / self.unit)
        return terms

    def _truth(self, batch: Batch) -> Tensor:
        return batch.ab if self.model.config.target == "ab" else batch.rgb
