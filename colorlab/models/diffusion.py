"""Diffusion: noise becomes colour in a few steps, led by what a UNet sees in the gray picture.

A conditional rectified flow (Liu et al. 2023; Esser et al. 2024) on standardised chroma. A trained
UNet looks at L once and stays as it is; a light network then runs at every step. It predicts the
clean chroma, from which the velocity follows (Li and He 2025, "Back to basics: let denoising
generative models denoise"): what is asked of it is smooth, so a small network leaves no grain, and
at pure noise the answer is the mean, which the UNet knows already. The noise is correlated, as
chroma is; on photographs it follows the lightness too. ``formulation="ddpm"`` is v-prediction with
zero terminal SNR (Salimans and Ho 2022; Lin et al. 2024): other times, other weights, the same
network. Built in notebook 10.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlab import flow
from colorlab.data.loaders import Batch
from colorlab.layers import CHROMA_STRIDE
from colorlab.models.base import Colorizer, Player
from colorlab.models.denoiser import Denoiser, Seen
from colorlab.models.diffusion_config import DiffusionConfig
from colorlab.models.encoders import Maps
from colorlab.models.unet import UNet, UNetConfig
from colorlab.noise import correlated_noise
from colorlab.samplers import SAMPLERS, ddim, ddim_steps, guided, hinted
from colorlab.tonal_noise import tonal_noise

AT_ONCE = 64  # pictures drawn together: more take memory and no less time


class Diffusion(Colorizer):
    """L (N, 1, H, W) in [0, 100] to chroma (N, 2, H/4, W/4) or a picture (N, 3, H, W).

    Inside, states have the shape of the answer and the model's units: chroma / spread, or
    (sRGB - 0.5) / 0.27. A UNet that comes trained (:meth:`start_from`) is frozen: at the
    rates that a fresh denoiser wants, its own error rose. The last weights are kept:
    the colour error of the single answer says nothing about draws.
    """

    deterministic = False
    keeps_best: ClassVar[bool] = False
    stands_on: ClassVar[dict[str, str]] = {"unet": "unet"}

    def __init__(self, config: DiffusionConfig = DiffusionConfig()) -> None:
        super().__init__(config)
        shared = (
            "target",
            "size",
            "fold",
            "widths",
            "attention",
            "dropout",
            "encoder",
            "input_skip",
        )
        self.unet = UNet(UNetConfig(**{name: getattr(config, name) for name in shared}))
        self.multiple = self.unet.multiple
        chroma = config.target == "ab"
        self.cell = config.fold // CHROMA_STRIDE if chroma else config.fold
        self.channels = 2 if chroma else 3
        self.denoiser = self.make_denoiser()
        unit = config.spread if chroma else 3 * (0.27,)
        self.register_buffer("unit", torch.tensor(unit)[:, None, None], persistent=False)
        self.zero = 0.0 if chroma else 0.5

    def make_denoiser(self) -> nn.Module:
        """What training moves, new."""
        config = self.config
        return Denoiser(self.channels * self.cell**2, config.denoiser, config.widths[:3])

    def start_from(self, begun: Colorizer) -> None:
        """Take over a trained UNet, or all of a diffusion model; its UNet is frozen then."""
        super().start_from(begun)
        self.unet.requires_grad_(False)
        self.train(self.training)

    @property
    def unet_is_frozen(self) -> bool:
        """Training moves the denoiser only."""
        return not any(p.requires_grad for p in self.unet.parameters())

    def train(self, mode: bool = True) -> Diffusion:
        """A frozen UNet also keeps its normalization statistics."""
        super().train(mode)
        self.unet.train(mode and not self.unet_is_frozen)
        return self

    def look(self, L: Tensor, maps: Maps = None) -> Seen:
        """What the UNet sees in L (N, 1, H, W), once for all steps and draws.

        ``maps`` are those of the pretrained encoder, where they are known already.
        """
        seen = self.unet.climb(*self.unet.encode(L, maps))
        mean = self.unet.with_input(self.unet.head(seen[0]), L)
        return Seen(self.to_units(mean), self.denoiser.look(seen))

    def to_units(self, answer: Tensor) -> Tensor:
        """Chroma in CIE units or sRGB to the model's units, in which its spread is 1."""
        return (answer - self.zero) / self.unit

    def from_units(self, state: Tensor) -> Tensor:
        """Undoes :meth:`to_units`."""
        return state * self.unit + self.zero

    def clean(self, state: Tensor, t: Tensor, seen: Seen) -> Tensor:
        """The clean picture expected of a state (N, C, h, w) of the straight path at times t (N,).

        Its error is least where it is the mean of all pictures that could have led to the state.
        """
        t = t.expand(len(state))
        scaled = flow.normalize(state, t)
        places = F.pixel_unshuffle(scaled, self.cell)  # (N, C cell^2, h/cell, w/cell)
        said = F.pixel_shuffle(self.denoiser(places, t, seen.modulations), self.cell)
        said = said + seen.mean.detach()  # the mean has its own term in the loss
        if self.config.predicts == "clean":
            return said
        length = (t.square() + (1 - t).square()).sqrt()
        # The sign makes the answer to pure noise the clean picture here too.
        return flow.split_v(-said, scaled, t / length, (1 - t) / length)[0]

    def forward(self, L: Tensor, maps: Maps = None) -> Tensor:
        """The UNet's answer, the best one under squared error: where denoising begins."""
        return self.from_units(self.look(L, maps).mean)

    def answer(self, L: Tensor) -> Tensor:
        """One draw, from the same noise for every picture and every time."""
        seed = torch.Generator().manual_seed(0)
        noise = self.noise(L[:1], 1, seed).expand(-1, len(L), -1, -1, -1)
        return self.denoise(self.look(L), noise)[0]

    def draw(self, L: Tensor, n: int, generator: torch.Generator | None) -> Tensor:
        """``n`` answers (n, N, C, h, w), each from its own noise."""
        return self.denoise(self.look(L), self.noise(L, n, generator))

    def noise(self, L: Tensor, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Where ``n`` draws for L (N, 1, H, W) begin: (n, N, C, h, w). Draw i does not know n."""
        stride = CHROMA_STRIDE if self.config.target == "ab" else 1
        config, tone = self.config, F.avg_pool2d(L, stride)
        if config.tones:
            return tonal_noise(tone, self.channels, config.reach, config.tones, generator, n)
        shape = (len(L), self.channels, *tone.shape[-2:])
        return torch.stack(
            [correlated_noise(shape, config.reach, generator, L.device) for _ in range(n)]
        )

    def denoise(
        self, seen: Seen, noise: Tensor, hints: tuple[Tensor, Tensor] | None = None, **settings
    ) -> Tensor:
        """Bring noise (n, N, C, h, w) to answers of the same shape, in CIE units or sRGB.

        Args:
            seen: see :meth:`look`, of N pictures.
            noise: see :meth:`noise`.
            hints: known answers (N, C, h, w) and where they are known, (N, 1, h, w) in [0, 1].
            settings: in place of the config's: ``steps``, ``guidance``, ``temperature``,
                ``sampler``, ``shift``.
        """
        config = dataclasses.replace(self.config, **settings)
        group = max(1, AT_ONCE // noise.shape[1])
        answers = [
            self._walk(seen.repeat(len(some)), some.flatten(0, 1), hints, config)
            for some in (config.temperature * noise).split(group)
        ]
        return self.from_units(torch.cat(answers).view_as(noise))

    def _walk(
        self,
        seen: Seen,
        noise: Tensor,
        hints: tuple[Tensor, Tensor] | None,
        config: DiffusionConfig,
    ) -> Tensor:
        blind = seen.map(torch.zeros_like)
        predict = guided(
            lambda state, t: self.clean(state, t, seen),
            lambda state, t: self.clean(state, t, blind),
            config.guidance,
        )
        if hints is not None:
            known, mask = hints
            n = len(noise) // len(known)
            known = self.to_units(known).repeat(n, 1, 1, 1)
            predict = hinted(predict, known, mask.repeat(n, 1, 1, 1))
        times = flow.time_grid(config.steps, config.shift).to(noise.device)
        if config.sampler != "ddim":

            def move(state: Tensor, t: Tensor) -> Tensor:
                return flow.velocity_from_clean(predict(state, t), state, t)

            return SAMPLERS[config.sampler](move, noise, times)
        signal, level = (x.float() for x in self._schedule())

        def v(state: Tensor, k: int) -> Tensor:
            a, s = signal[k].to(state), level[k].to(state)
            clean = predict(state / (a + s), flow.straight_time(a, s))
            return flow.v_from_clean(clean, state, a, s)

        return ddim(v, noise, signal, level, ddim_steps(config.steps, signal, level, times))

    def players(self) -> list[Player]:
        """One player, with the term "velocity" (or "v"), and "mean" where the UNet learns too."""
        return [Player("denoiser", self.denoiser if self.unet_is_frozen else self, self._loss)]

    def _loss(self, batch: Batch) -> dict[str, Tensor]:
        """Squared errors of the velocity (or of v) at random times, and of the UNet's mean.

        The velocity to a clean picture at a distance of 1 - t errs by the picture's error over
        that distance; v errs by it over the noise's weight.
        """
        config = self.config
        seen = self.look(batch.L, batch.maps)
        once = self.to_units(batch.ab if config.target == "ab" else batch.rgb)
        clean = once.repeat(config.draws, 1, 1, 1)
        noise = self.noise(batch.L, config.draws).flatten(0, 1)
        t = self._times(len(clean)).to(clean.device)
        kept = torch.rand(len(clean)) >= config.unconditional
        shown = seen.repeat(config.draws).keep(kept.to(clean.device))
        error = (self.clean(flow.mix(clean, noise, t), t, shown) - clean).square()
        distance = 1 - t
        if config.formulation == "ddpm":
            distance = distance / (t.square() + distance.square()).sqrt()
        weight = flow.along(distance.clamp(min=config.floor).square(), error)
        name = "velocity" if config.formulation == "flow" else "v"
        terms = {name: (error / weight).mean()}
        return terms if self.unet_is_frozen else terms | {"mean": F.mse_loss(seen.mean, once)}

    def _times(self, count: int) -> Tensor:
        """Training times (count,) of the straight path."""
        if self.config.formulation == "flow":
            return flow.logit_normal_times(count, self.config.shift, self.config.scale)
        signal, level = self._schedule()
        k = (torch.arange(count) + torch.rand(count)) / count * len(signal)
        k = k.long().clamp(max=len(signal) - 1)
        return flow.straight_time(signal[k], level[k]).float()

    @staticmethod
    def _schedule() -> tuple[Tensor, Tensor]:
        return flow.levels(flow.zero_terminal_snr(flow.ddpm_alpha_bar()))
