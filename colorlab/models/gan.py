"""GANs: the adversarial game, the discriminators, and the GAN without skip connections.

A generator colours the gray image, and a discriminator looks at lightness and colour together and
predicts real or fake. Training needs the discriminator, colouring does not. Sources: Goodfellow et
al. 2014, "Generative adversarial nets"; Radford et al. 2016, "Unsupervised representation learning
with deep convolutional generative adversarial networks" (the shape of both networks); conditioned
on the gray image as in Isola et al. 2017, "Image-to-image translation with conditional adversarial
networks" (pix2pix). Built in lesson 08; lesson 09 has the UNetGAN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from colorlab.data.loaders import Batch
from colorlab.layers import CHROMA_STRIDE, HEADS, TransposedUpsample, Upsample
from colorlab.losses import discriminator_loss, generator_loss, r1_penalty
from colorlab.models.base import Colorizer, Player, Settings
from colorlab.models.encoders import Maps
from colorlab.models.resnet import SmallEncoder

# The gradient is averaged over fewer steps than usual, because the other player changes (Radford et
# al. 2016, section 4).
BETAS = (0.5, 0.999)
SEEN_CHANNELS = {"ab": 16 + 2, "rgb": 16 + 48}
NORMALIZATIONS = ("none", "group", "spectral")
# The discriminator sees ab divided by about its standard deviation, so that colour reaches the
# first convolution as strongly as lightness. With 15 it learned faster than with 40.
CHROMA_SPREAD = 30.0


@dataclass(frozen=True)
class AdversarialSettings(Settings):
    """Settings of every model with a discriminator.

    Attributes:
        dropout: share of the coarsest map's channels dropped during training.
        dropout_at_test: drop them in samples too, pix2pix's source of diversity.
        noise: channels of Gaussian noise, the other source; 0 for a generator with one prediction.
            L1 teaches the generator to ignore it: in the UNetGAN with 8 channels, samples of a
            scene lay 1.4 CIE units apart at an l1_weight of 5, and 8 without L1, with a worse
            LPIPS.
        l1_weight: of the mean absolute error in ab / 110 (or sRGB), against 1 for the
            adversarial term. 0 is the reference recipe, binary cross entropy alone; pix2pix takes
            100. With 10, 200 steps of a UNetGAN from the trained UNet brought the colourfulness of
            validation photographs from 19 to 38, where the truth has 47.
        label_smoothing: the label of real images is 1 - label_smoothing.
        normalization: of the discriminator. "group" normalizes each image's features by their own
            mean and standard deviation; "spectral" divides the weights by their largest singular
            value, so that the logit cannot change faster than its input (Miyato et al. 2018);
            "none". There is no batch normalization: a batch of fakes normalized by its own mean
            hides that all of it is too gray (the loss of a discriminator against a fixed UNet was
            0.68 after 100 steps, 0.53 with groups), and a batch of both would need the real images
            again in the generator's step.
        r1: weight of the gradient penalty on real images, in the same units as L1.
        discriminator_rate: factor on its learning rate; two time scales (Heusel et al. 2017).
    """

    dropout: float = 0.0
    dropout_at_test: bool = False
    noise: int = 0
    l1_weight: float = 10.0
    label_smoothing: float = 0.0
    normalization: str = "group"
    r1: float = 0.0
    discriminator_rate: float = 1.0


def look(L: Tensor, colour: Tensor) -> Tensor:
    """The input of a discriminator: lightness and colour as channels of one map.

    Both at a quarter of the size, by ``PixelUnshuffle(4)`` where they are larger.

    Args:
        L: (N, 1, H, W) in [0, 100].
        colour: (N, 2, H/4, W/4) *ab* in CIE units, or (N, 3, H, W) sRGB.

    Returns:
        (N, 18, H/4, W/4) for *ab*, (N, 64, H/4, W/4) for sRGB.
    """
    light = F.pixel_unshuffle(L / 50 - 1, CHROMA_STRIDE)  # (N, 16, H/4, W/4)
    if colour.shape[1] == 2:
        colour = colour / CHROMA_SPREAD
    else:
        colour = F.pixel_unshuffle(2 * colour - 1, CHROMA_STRIDE)  # (N, 48, H/4, W/4)
    return torch.cat((light, colour), dim=1)


def _convolution(
    in_channels: int, out_channels: int, kernel: int, stride: int, normalization: str
) -> nn.Sequential:
    """A convolution, normalization, and leaky ReLU, whose gradient is never zero."""
    layer = nn.Conv2d(in_channels, out_channels, kernel, stride, padding=(kernel - 1) // 2)
    return nn.Sequential(
        spectral_norm(layer) if normalization == "spectral" else layer,
        nn.GroupNorm(1, out_channels) if normalization == "group" else nn.Identity(),
        nn.LeakyReLU(0.2),
    )


def _first_convolution(target: str, width: int, normalization: str) -> nn.Sequential:
    """Without groups, which would remove the mean and spread of the colours.

    Raises:
        ValueError: unknown normalization.
    """
    if normalization not in NORMALIZATIONS:
        raise ValueError(
            f"normalization must be one of {', '.join(NORMALIZATIONS)}, got {normalization!r}"
        )
    plain = "none" if normalization == "group" else normalization
    return _convolution(SEEN_CHANNELS[target], width, 4, 2, plain)


def _to_logit(channels: int, normalization: str) -> nn.Module:
    layer = nn.Conv2d(channels, 1, 1)
    return spectral_norm(layer) if normalization == "spectral" else layer


class PatchDiscriminator(nn.Module):
    """One logit for each patch of ``FIELD`` x ``FIELD`` pixels of L: (N, 1, H/16, W/16).

    A PatchGAN (Isola et al. 2017, section 3.2.2) judges local colour only, so it is small and takes
    any size; the regression term covers the whole image. Its receptive field of 18 *ab* pixels is
    the paper's 70x70 pixels. With "group" normalization a logit also depends on the mean and
    standard deviation of the whole image's features.

    Args:
        target: "ab" or "rgb", the colour that it is given.
        widths: channels at 1/8 and 1/16 of the image.
        normalization: see :class:`AdversarialSettings`.
    """

    FIELD = 72

    def __init__(self, target: str, widths: tuple[int, int], normalization: str) -> None:
        super().__init__()
        w0, w1 = widths
        self.body = nn.Sequential(
            _first_convolution(target, w0, normalization),  # (N, w0, H/8, W/8)
            _convolution(w0, w1, 4, 2, normalization),  # (N, w1, H/16, W/16)
            _convolution(w1, w1, 3, 1, normalization),
            _to_logit(w1, normalization),
        )

    def forward(self, L: Tensor, colour: Tensor) -> Tensor:
        """Arguments as :func:`look`; returns logits (N, 1, H/16, W/16)."""
        return self.body(look(L, colour)).float()


class PictureDiscriminator(nn.Module):
    """One logit for each image, (N, 1): strided convolutions, then the mean over positions.

    As :class:`PatchDiscriminator`, with widths at 1/8, 1/16 and 1/32 of the image.
    """

    def __init__(self, target: str, widths: tuple[int, int, int], normalization: str) -> None:
        super().__init__()
        w0, w1, w2 = widths
        self.body = nn.Sequential(
            _first_convolution(target, w0, normalization),  # (N, w0, H/8, W/8)
            _convolution(w0, w1, 4, 2, normalization),  # (N, w1, H/16, W/16)
            _convolution(w1, w2, 4, 2, normalization),  # (N, w2, H/32, W/32)
            nn.AdaptiveAvgPool2d(1),
            _to_logit(w2, normalization),
            nn.Flatten(),
        )

    def forward(self, L: Tensor, colour: Tensor) -> Tensor:
        """Arguments as :func:`look`; returns logits (N, 1)."""
        return self.body(look(L, colour)).float()


class Noise(nn.Module):
    """Gaussian noise as an input of the generator, added to all of its encoder's maps.

    One vector for each position of the coarsest map, projected to each map's channels by a 1x1
    convolution without bias, so that noise of 0, the mean of the distribution, changes nothing.
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
    """A generator and its discriminator; the generator predicts the colours.

    A model defines ``encode(L, maps)`` (L to the generator's encoder maps, finest first),
    ``decode(maps)`` (these to a prediction), ``noise`` and ``discriminator``.

    Training keeps the last weights: the validation error would choose those with the weakest
    adversarial effect.
    """

    keeps_best: ClassVar[bool] = False
    training_only: ClassVar[tuple[str, ...]] = ("discriminator",)
    discriminator: nn.Module
    noise: Noise | None

    def __init__(self, config: AdversarialSettings) -> None:
        super().__init__(config)
        self.deterministic = not (config.noise or (config.dropout and config.dropout_at_test))

    def forward(self, L: Tensor, maps: Maps = None) -> Tensor:
        """The generator: random in training mode, otherwise its prediction for noise of 0."""
        maps = self.encode(L, maps)
        if self.training:
            maps = self._disturb(maps, self.config.dropout, None)
        return self.with_input(self.decode(maps), L)

    def draw(self, L: Tensor, n: int, generator: torch.Generator | None) -> Tensor:
        """``n`` samples, each with its own noise and, if the settings say so, dropout."""
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
        generator = nn.ModuleList(
            child for name, child in self.named_children() if name not in self.training_only
        )
        game = _Round(self)
        rate = self.config.discriminator_rate
        return [
            Player("discriminator", self.discriminator, game.judge, rate=rate, betas=BETAS),
            Player("generator", generator, game.paint, betas=BETAS),
        ]


class _Round:
    """Both losses on a batch, from one forward pass of the generator.

    The generator's step uses the fake colours of the discriminator's step, with their graph: only
    the discriminator's weights have changed in between, so a second forward pass would give the
    same colours.
    """

    def __init__(self, model: AdversarialColorizer) -> None:
        self.model = model
        self.unit = 110 if model.config.target == "ab" else 1
        self.painted: tuple[Batch, Tensor] | None = None

    def judge(self, batch: Batch) -> dict[str, Tensor]:
        """The discriminator's terms: "discriminator" and, if it has a weight, "r1"."""
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
            terms["r1"] = config.r1 * self.unit**2 * r1_penalty(on_real, real)  # gradient per unit
        return terms

    def paint(self, batch: Batch) -> dict[str, Tensor]:
        """The generator's terms: "generator" and, if it has a weight, "l1"."""
        model, config = self.model, self.model.config
        known, fake = self.painted or (None, None)
        self.painted = None
        if known is not batch:
            fake = model(batch.L, batch.maps)
        terms = {"generator": generator_loss(model.discriminator(batch.L, fake))}
        if config.l1_weight:
            far = F.l1_loss(fake / self.unit, self._truth(batch) / self.unit)
            terms["l1"] = config.l1_weight * far
        return terms

    def _truth(self, batch: Batch) -> Tensor:
        return batch.ab if self.model.config.target == "ab" else batch.rgb


@dataclass(frozen=True)
class GANConfig(AdversarialSettings):
    """Settings of :class:`GAN`, in addition to :class:`AdversarialSettings`.

    Attributes:
        widths: channels at 1/4, 1/8 and 1/16, those of the ResNet, whose weights it can begin
            with: all of them with "bilinear", the encoder and the head with "transposed".
        upsampling: "bilinear", or "transposed" as in the reference recipe, with a checkerboard.
        discriminator_widths: channels at 1/8, 1/16 and 1/32.
    """

    widths: tuple[int, int, int] = (32, 64, 128)
    upsampling: str = "bilinear"
    discriminator_widths: tuple[int, int, int] = (32, 64, 128)


UPSAMPLINGS = {"bilinear": Upsample, "transposed": TransposedUpsample}


class GAN(AdversarialColorizer):
    """L (N, 1, H, W) in [0, 100] to *ab* (N, 2, H/4, W/4) or an image (N, 3, H, W).

    An encoder and an upsampler without skip connections, against a discriminator of whole images.
    """

    def __init__(self, config: GANConfig = GANConfig()) -> None:
        super().__init__(config)
        if config.upsampling not in UPSAMPLINGS:
            raise ValueError(
                f"upsampling must be one of {', '.join(UPSAMPLINGS)}, got {config.upsampling!r}"
            )
        w0, w1, w2 = config.widths
        up = UPSAMPLINGS[config.upsampling]
        self.encoder = SmallEncoder(config.widths, config.encoder)
        self.upsampler = nn.Sequential(
            up(w2, w1),  # (N, w1, H/8, W/8)
            up(w1, w0),  # (N, w0, H/4, W/4)
        )
        self.head = HEADS[config.target](w0)
        self.noise = Noise(config.noise, (w2,)) if config.noise else None
        self.discriminator = PictureDiscriminator(
            config.target, config.discriminator_widths, config.normalization
        )

    def encode(self, L: Tensor, maps: Maps = None) -> tuple[Tensor, ...]:
        """The encoder's one map, (N, widths[2], H/16, W/16)."""
        return (self.encoder(L, maps),)

    def decode(self, maps: tuple[Tensor, ...]) -> Tensor:
        """The upsampler, from the encoder's map."""
        return self.head(self.upsampler(maps[0]))
