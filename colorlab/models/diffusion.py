"""Diffusion: noise becomes colour in a few steps, guided by a UNet's features of the gray image.

A conditional rectified flow (Liu et al. 2023; Esser et al. 2024) on standardised *ab*. A trained
UNet computes features of L once and stays frozen; a light denoiser then runs at every step. It
predicts the clean *ab*, from which the velocity follows (Li and He 2025, "Back to basics: let
denoising generative models denoise"). That target is smooth, so a small network leaves no grain,
and at pure noise the prediction is the mean, which the UNet already knows. The noise is spatially
correlated, as *ab* is; on photographs it follows the lightness too. Lesson 10 derives the path
from DDPM.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlab import flow
from colorlab.data.loaders import Batch
from colorlab.layers import CHROMA_STRIDE, SelfAttention, enlarge
from colorlab.models.base import Colorizer, Player
from colorlab.models.encoders import Maps
from colorlab.models.unet import UNetSettings, inner_unet
from colorlab.noise import correlated_noise, tonal_noise

AT_ONCE = 64  # samples computed together: more take memory and save no time
TIME_WIDTH = 64
GROUPS = 4  # of group normalization; batch statistics would mix states of all times
EARLIEST = 0.01  # times nearer to 0 or 1 than this get the same embedding
# Per radian of log(t / (1 - t)), which runs from -4.6 to 4.6: from part of a period to three.
FREQUENCIES = (0.25, 0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True)
class DiffusionConfig(UNetSettings):
    """Settings of :class:`Diffusion`, in addition to those of the UNet that sees L.

    Attributes:
        denoiser: channels of the denoiser at 1/4, 1/8 and 1/16 of the image. The finest map is
            narrow, since it takes half of the arithmetic.
        spread: root mean squares of a and b, CIE units, that become 1: 13 and 21 on scenes, 15 and
            28 on photographs. In ab / 110 they are 0.13 to 0.25, which unit noise would drown. Not
            centred, so that 0 is gray.
        reach: correlation length of the noise, in positions of the output, see
            :func:`colorlab.noise.correlated_noise`; the *ab* of photographs has 6 to 13. 0 is white
            noise, which needs a shift of about 10.
        tones: difference of lightness, CIE units, at which the correlation of the noise at two
            positions falls to 1/e, see :func:`colorlab.noise.tonal_noise`; 0 for noise that
            does not depend on L. The error of a UNet on photographs has about 60, and a reach of
            60 to 80. On scenes it makes no difference.
        shift: how far the times of training and sampling lie towards noise. With the exact
            denoiser, 2 serves an object of up to 4 independent positions.
        scale: standard deviation of the logit of the training times.
        floor: distance to the end of the path below which the weight of the loss stops rising.
        draws: times and noises for each image of a batch. The UNet sees the image once; more draws
            give more weight to the weak signal of early times, and with it to the rare colours.
        unconditional: share of draws that train without L, for guidance.
        guidance: 1 for the model's own frequencies; see :func:`colorlab.flow.guided`.
        temperature: factor on the initial noise of a sample. Below 1, samples keep to the more
            probable colours, differ less and are paler; guidance above 1 makes them stronger
            again. 1 for the model's own frequencies.
        steps: of a sample, by Euler's method.
    """

    denoiser: tuple[int, int, int] = (16, 48, 96)
    spread: tuple[float, float] = (14.0, 24.0)
    reach: float = 6.4
    tones: float = 0.0
    shift: float = 2.0
    scale: float = 1.0
    floor: float = 0.1
    draws: int = 4
    unconditional: float = 0.05
    guidance: float = 1.0
    temperature: float = 1.0
    steps: int = 10

    def __post_init__(self) -> None:
        for name in ("shift", "scale", "floor", "draws", "steps", "temperature"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if not self.tones >= 0:
            raise ValueError(f"tones must be 0 or more, got {self.tones}")
        if not 0 <= self.unconditional < 1:
            raise ValueError(f"unconditional must lie in [0, 1), got {self.unconditional}")


class Seen(NamedTuple):
    """What the denoiser is given of L: all of it is zero where L is withheld.

    Attributes:
        mean: (N, C, h, w) the UNet's own prediction, in the model's units.
        modulations: scales and shifts of the denoiser's blocks.
    """

    mean: Tensor
    modulations: tuple[Tensor, ...]

    def repeat(self, n: int) -> Seen:
        """For n draws of each image: (n * N, ...), all images of a draw together."""
        return self.map(lambda x: x.repeat(n, 1, 1, 1))

    def keep(self, kept: Tensor) -> Seen:
        """Withhold L where ``kept`` (N,) is false."""
        return self.map(lambda x: x * kept.to(x)[:, None, None, None])

    def map(self, change: Callable[[Tensor], Tensor]) -> Seen:
        """With every map changed."""
        return Seen(change(self.mean), tuple(change(m) for m in self.modulations))


class TimeEmbedding(nn.Sequential):
    """Times (N,) in [0, 1] to (N, 64): sines and cosines of log(t / (1 - t)), then a layer."""

    def __init__(self) -> None:
        super().__init__(nn.Linear(2 * len(FREQUENCIES) + 1, TIME_WIDTH), nn.SiLU())

    def forward(self, t: Tensor) -> Tensor:
        """See the class."""
        ratio = torch.logit(t.float(), eps=EARLIEST)[:, None]  # (N, 1)
        phase = ratio * torch.tensor(FREQUENCIES, device=t.device)  # (N, 5)
        return super().forward(torch.cat((ratio / 4, phase.sin(), phase.cos()), dim=1))


class ModulatedBlock(nn.Module):
    """A residual block whose features are scaled and shifted by the gray image and by the time.

    (N, in, H, W) to (N, out, H/stride, W/stride). The image acts at each position (Park et al.
    2019, "Semantic image synthesis with spatially-adaptive normalization", equation 1), the time
    on all alike (Perez et al. 2018, "FiLM"). ``project`` turns a map of the gray image, of the
    block's own size and ``seen`` channels, into its modulation: once for all steps.
    """

    def __init__(self, in_channels: int, out_channels: int, seen: int, stride: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.GroupNorm(GROUPS, out_channels, affine=False)  # the modulation does that
        self.second = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.norm2 = nn.GroupNorm(GROUPS, out_channels)
        same = in_channels == out_channels and stride == 1
        self.shortcut = (
            nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 1, stride=stride)
        )
        self.project = nn.Conv2d(seen, 2 * out_channels, 1)
        self.by_time = nn.Linear(TIME_WIDTH, 2 * out_channels)

    def forward(self, x: Tensor, time: Tensor, by_picture: Tensor) -> Tensor:
        """Features x (N, in, H, W), time (N, 64), by_picture (N, 2 out, H', W'): see the class."""
        both = by_picture + self.by_time(time)[:, :, None, None]
        scale, shift = both.chunk(2, dim=1)
        x, beside = self.norm1(self.first(x)), self.shortcut(x)
        x = F.silu(x * (1 + scale) + shift)
        return F.silu(beside + self.norm2(self.second(x)))


class Denoiser(nn.Module):
    """A small UNet: a noisy state (N, channels, h, w) and a time to an output of that shape.

    It starts at zero. Skip connections are added, not concatenated: with so few channels the
    convolutions that merge two maps would take half of the arithmetic.

    Args:
        channels: of the state and of the output.
        widths: channels of its maps at full, half and quarter size.
        seen: channels of the gray image's maps at these sizes.
    """

    def __init__(
        self, channels: int, widths: tuple[int, int, int], seen: tuple[int, int, int]
    ) -> None:
        super().__init__()
        w0, w1, w2 = widths
        s0, s1, s2 = seen
        self.embed = TimeEmbedding()
        self.enter = nn.Conv2d(channels, w0, 3, padding=1)
        self.blocks = nn.ModuleDict(
            {
                "down1": ModulatedBlock(w0, w1, s1, stride=2),
                "down2": ModulatedBlock(w1, w2, s2, stride=2),
                "bottom": ModulatedBlock(w2, w2, s2),
                "up1": ModulatedBlock(w1, w1, s1),
                "up0": ModulatedBlock(w0, w0, s0),
            }
        )
        self.attend = SelfAttention(w2)
        self.narrow1 = nn.Conv2d(w2, w1, 1)
        self.narrow0 = nn.Conv2d(w1, w0, 1)
        self.leave = nn.Conv2d(w0, channels, 3, padding=1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def look(self, maps: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, ...]:
        """The gray image's maps, finest first, as modulations of the blocks in turn."""
        size = {"down1": 1, "down2": 2, "bottom": 2, "up1": 1, "up0": 0}
        return tuple(block.project(maps[size[name]]) for name, block in self.blocks.items())

    def forward(self, x: Tensor, t: Tensor, modulations: tuple[Tensor, ...]) -> Tensor:
        """State x (N, channels, h, w) of unit variance at times (N,); see :meth:`look`."""
        time = self.embed(t)
        m1, m2, mb, mu1, mu0 = modulations
        blocks = self.blocks
        x0 = self.enter(x)  # (N, w0, h, w)
        x1 = blocks["down1"](x0, time, m1)  # (N, w1, h/2, w/2)
        x2 = blocks["down2"](x1, time, m2)  # (N, w2, h/4, w/4)
        x2 = blocks["bottom"](self.attend(x2), time, mb)
        x1 = blocks["up1"](x1 + enlarge(self.narrow1(x2), 2), time, mu1)
        x0 = blocks["up0"](x0 + enlarge(self.narrow0(x1), 2), time, mu0)
        return self.leave(x0).float()


class Diffusion(Colorizer):
    """L (N, 1, H, W) in [0, 100] to *ab* (N, 2, H/4, W/4) or an image (N, 3, H, W).

    Inside, states have the shape of the prediction and the model's units: ab / spread, or
    (sRGB - 0.5) / 0.27. A trained UNet (:meth:`start_from`) is frozen: at the learning rates that
    an untrained denoiser needs, the UNet's own error rose. Training keeps the last weights: the
    colour error of the single prediction does not measure the samples.
    """

    deterministic = False
    keeps_best: ClassVar[bool] = False
    stands_on: ClassVar[dict[str, str]] = {"unet": "unet"}

    def __init__(self, config: DiffusionConfig = DiffusionConfig()) -> None:
        super().__init__(config)
        self.unet = inner_unet(config)
        self.multiple = self.unet.multiple
        chroma = config.target == "ab"
        self.cell = config.fold // CHROMA_STRIDE if chroma else config.fold
        self.channels = 2 if chroma else 3
        self.denoiser = self.make_denoiser()
        unit = config.spread if chroma else 3 * (0.27,)
        self.register_buffer("unit", torch.tensor(unit)[:, None, None], persistent=False)
        self.zero = 0.0 if chroma else 0.5

    def make_denoiser(self) -> nn.Module:
        """The part that training moves, untrained."""
        config = self.config
        return Denoiser(self.channels * self.cell**2, config.denoiser, config.widths[:3])

    def start_from(self, begun: Colorizer) -> None:
        """Copy a trained UNet, or all of a diffusion model; the UNet is then frozen."""
        super().start_from(begun)
        self.unet.requires_grad_(False)
        self.train(self.training)

    @property
    def unet_is_frozen(self) -> bool:
        """Training moves only the denoiser."""
        return not any(p.requires_grad for p in self.unet.parameters())

    def train(self, mode: bool = True) -> Diffusion:
        """As in torch, but a frozen UNet also keeps its normalization statistics."""
        super().train(mode)
        self.unet.train(mode and not self.unet_is_frozen)
        return self

    def look(self, L: Tensor, maps: Maps = None) -> Seen:
        """What the denoiser is given of L (N, 1, H, W), once for all steps and samples."""
        seen = self.unet.climb(*self.unet.encode(L, maps))
        mean = self.unet.with_input(self.unet.head(seen[0]), L)
        return Seen(self.to_units(mean), self.denoiser.look(seen))

    def to_units(self, answer: Tensor) -> Tensor:
        """*ab* in CIE units or sRGB to the model's units, in which its spread is 1."""
        return (answer - self.zero) / self.unit

    def from_units(self, state: Tensor) -> Tensor:
        """The inverse of :meth:`to_units`."""
        return state * self.unit + self.zero

    def clean(self, state: Tensor, t: Tensor, seen: Seen) -> Tensor:
        """The denoised estimate for states (N, C, h, w) of the straight path at times t (N,).

        Its squared error is least if it is the mean of all images that could have led to the state.
        """
        t = t.expand(len(state))
        scaled = flow.normalize(state, t)
        places = F.pixel_unshuffle(scaled, self.cell)  # (N, C cell^2, h/cell, w/cell)
        said = F.pixel_shuffle(self.denoiser(places, t, seen.modulations), self.cell)
        return said + seen.mean.detach()  # the mean has its own term in the loss

    def forward(self, L: Tensor, maps: Maps = None) -> Tensor:
        """The UNet's prediction, which estimates the mean: the estimate at pure noise."""
        return self.from_units(self.look(L, maps).mean)

    def answer(self, L: Tensor, maps: Maps = None) -> Tensor:
        """One sample, from the same random numbers for every image and every call.

        Noise that follows the lightness is made for each image alone, so that the sample does not
        depend on the images beside it.
        """
        noises = [self.noise(one, 1, torch.Generator().manual_seed(0)) for one in L.split(1)]
        return self.denoise(self.look(L, maps), torch.cat(noises, dim=1))[0]

    def draw(self, L: Tensor, n: int, generator: torch.Generator | None) -> Tensor:
        """``n`` samples (n, N, C, h, w), each from its own noise."""
        return self.denoise(self.look(L), self.noise(L, n, generator))

    def noise(self, L: Tensor, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Initial noise of ``n`` samples for L: (n, N, C, h, w); sample i does not depend on n."""
        stride = CHROMA_STRIDE if self.config.target == "ab" else 1
        config, tone = self.config, F.avg_pool2d(L, stride)
        if config.tones:
            return tonal_noise(tone, self.channels, config.reach, config.tones, generator, n)
        shape = (len(L), self.channels, *tone.shape[-2:])
        return torch.stack(
            [correlated_noise(shape, config.reach, generator, L.device) for _ in range(n)]
        )

    def denoise(self, seen: Seen, noise: Tensor, **settings) -> Tensor:
        """Turn noise (n, N, C, h, w) into samples of the same shape, in CIE units or sRGB.

        Args:
            seen: see :meth:`look`, of N images.
            noise: see :meth:`noise`.
            settings: replace those of the config: ``steps``, ``guidance``, ``temperature``,
                ``shift``.
        """
        config = dataclasses.replace(self.config, **settings)
        group = max(1, AT_ONCE // noise.shape[1])
        answers = [
            self._denoise(seen.repeat(len(some)), some.flatten(0, 1), config)
            for some in (config.temperature * noise).split(group)
        ]
        return self.from_units(torch.cat(answers).view_as(noise))

    def _denoise(self, seen: Seen, noise: Tensor, config: DiffusionConfig) -> Tensor:
        blind = seen.map(torch.zeros_like)
        predict = flow.guided(
            lambda state, t: self.clean(state, t, seen),
            lambda state, t: self.clean(state, t, blind),
            config.guidance,
        )

        def move(state: Tensor, t: Tensor) -> Tensor:
            return flow.velocity_from_clean(predict(state, t), state, t)

        return flow.euler(move, noise, flow.time_grid(config.steps, config.shift).to(noise.device))

    def players(self) -> list[Player]:
        """One player, with the term "velocity", and "mean" if the UNet learns too."""
        return [Player("denoiser", self.denoiser if self.unet_is_frozen else self, self._loss)]

    def _loss(self, batch: Batch) -> dict[str, Tensor]:
        """Squared errors of the velocity at random times, and of the UNet's mean.

        At a distance of 1 - t from the clean image, the error of the velocity is that of the
        denoised estimate divided by the distance.
        """
        config = self.config
        seen = self.look(batch.L, batch.maps)
        once = self.to_units(batch.ab if config.target == "ab" else batch.rgb)
        clean = once.repeat(config.draws, 1, 1, 1)
        noise = self.noise(batch.L, config.draws).flatten(0, 1)
        t = flow.logit_normal_times(len(clean), config.shift, config.scale).to(clean.device)
        kept = torch.rand(len(clean)) >= config.unconditional
        shown = seen.repeat(config.draws).keep(kept.to(clean.device))
        error = (self.clean(flow.mix(clean, noise, t), t, shown) - clean).square()
        weight = flow.along((1 - t).clamp(min=config.floor).square(), error)
        terms = {"velocity": (error / weight).mean()}
        return terms if self.unet_is_frozen else terms | {"mean": F.mse_loss(seen.mean, once)}
