"""Discriminators: networks that look at lightness and colour, and say real or fake.

Both see colour where the generator paints it: chroma at a quarter of the size together with
``PixelUnshuffle(4)`` of L, or the whole picture unshuffled in the same way. No pixel is thrown
away and the convolutions run at a quarter of the size. Training needs them, colouring does not.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from colorlab.layers import CHROMA_STRIDE

SEEN_CHANNELS = {"ab": 16 + 2, "rgb": 16 + 48}
NORMALIZATIONS = ("none", "group", "spectral")
# Chroma is shown in units of about its own spread, so that colour reaches the first convolution as
# strongly as lightness does: in units of 15 the discriminator learned faster than in units of 40.
CHROMA_SPREAD = 30.0


def look(L: Tensor, colour: Tensor) -> Tensor:
    """What a discriminator sees: lightness and colour as channels of one map.

    Args:
        L: (N, 1, H, W) in [0, 100].
        colour: (N, 2, H/4, W/4) chroma in CIE units, or (N, 3, H, W) sRGB.

    Returns:
        (N, 18, H/4, W/4) for chroma, (N, 64, H/4, W/4) for pictures.
    """
    light = F.pixel_unshuffle(L / 50 - 1, CHROMA_STRIDE)  # (N, 16, H/4, W/4)
    if colour.shape[1] == 2:
        colour = colour / CHROMA_SPREAD
    else:
        colour = F.pixel_unshuffle(2 * colour - 1, CHROMA_STRIDE)  # (N, 48, H/4, W/4)
    return torch.cat((light, colour), dim=1)


def convolution(
    in_channels: int, out_channels: int, kernel: int, stride: int, normalization: str
) -> nn.Sequential:
    """A convolution, normalized, then leaky ReLU, through which the generator's slope never dies.

    Args:
        in_channels: of the map.
        out_channels: of the answer.
        kernel: side of the kernel.
        stride: 2 halves the map.
        normalization: "none"; "group", each picture's features by their own mean and spread; or
            "spectral", the weights by their largest singular value, so that the logit cannot
            change faster than its input (Miyato et al. 2018). Batch normalization is left out: a
            batch of fakes normalized by its own mean hides that all of it is too gray (the loss
            of a discriminator against a fixed UNet was 0.68 after 100 steps, 0.53 with groups),
            and batches of both kinds ask for the real ones again in the generator's step.

    Raises:
        ValueError: unknown normalization.
    """
    if normalization not in NORMALIZATIONS:
        raise ValueError(
            f"normalization must be one of {', '.join(NORMALIZATIONS)}, got {normalization!r}"
        )
    layer = nn.Conv2d(in_channels, out_channels, kernel, stride, padding=(kernel - 1) // 2)
    return nn.Sequential(
        spectral_norm(layer) if normalization == "spectral" else layer,
        nn.GroupNorm(1, out_channels) if normalization == "group" else nn.Identity(),
        nn.LeakyReLU(0.2),
    )


def _judge(channels: int, normalization: str) -> nn.Module:
    layer = nn.Conv2d(channels, 1, 1)
    return spectral_norm(layer) if normalization == "spectral" else layer


def _plain_first(normalization: str) -> str:
    """The first layer keeps its features' mean and spread: they are the picture's colours."""
    return "none" if normalization == "group" else normalization


class PatchDiscriminator(nn.Module):
    """One logit a patch of ``FIELD`` x ``FIELD`` pixels of L, every 16 pixels: (N, 1, H/16, W/16).

    A PatchGAN (Isola et al. 2017, "Image-to-image translation with conditional adversarial
    networks", section 3.2.2) judges local colour only, so it is small and takes any size; the
    regression term minds the whole. Its field of 18 chroma pixels is the paper's 70x70. With
    "group" normalization a patch also feels the mean and spread of the whole picture's features.

    Args:
        target: "ab" or "rgb", the colour that it is shown.
        widths: channels at 1/8 and 1/16 of the picture.
        normalization: see :func:`convolution`.
    """

    FIELD = 72

    def __init__(self, target: str, widths: tuple[int, int], normalization: str) -> None:
        super().__init__()
        w0, w1 = widths
        first = _plain_first(normalization)
        self.body = nn.Sequential(
            convolution(SEEN_CHANNELS[target], w0, 4, 2, first),  # (N, w0, H/8, W/8)
            convolution(w0, w1, 4, 2, normalization),  # (N, w1, H/16, W/16)
            convolution(w1, w1, 3, 1, normalization),
            _judge(w1, normalization),
        )

    def forward(self, L: Tensor, colour: Tensor) -> Tensor:
        """Arguments as :func:`look`; returns logits (N, 1, H/16, W/16)."""
        return self.body(look(L, colour)).float()


class PictureDiscriminator(nn.Module):
    """One logit a picture, (N, 1): strided convolutions, then the mean over places.

    Args: as :class:`PatchDiscriminator`, with widths at 1/8, 1/16 and 1/32 of the picture.
    """

    def __init__(self, target: str, widths: tuple[int, int, int], normalization: str) -> None:
        super().__init__()
        w0, w1, w2 = widths
        first = _plain_first(normalization)
        self.body = nn.Sequential(
            convolution(SEEN_CHANNELS[target], w0, 4, 2, first),  # (N, w0, H/8, W/8)
            convolution(w0, w1, 4, 2, normalization),  # (N, w1, H/16, W/16)
            convolution(w1, w2, 4, 2, normalization),  # (N, w2, H/32, W/32)
            nn.AdaptiveAvgPool2d(1),
            _judge(w2, normalization),
            nn.Flatten(),
        )

    def forward(self, L: Tensor, colour: Tensor) -> Tensor:
        """Arguments as :func:`look`; returns logits (N, 1)."""
        return self.body(look(L, colour)).float()
