"""Give one colour image the colour statistics of another: Reinhard et al. 2001.

"Color Transfer between Images", IEEE Computer Graphics and Applications 21(5). Each channel
of a decorrelated colour space is shifted and scaled so that its mean and standard deviation
become the reference's. A gray image has no chroma to scale, so colorization needs more. Taught in
lesson 02.
"""

from __future__ import annotations

import torch
from torch import Tensor

from colorlab.checks import check_pictures, one_picture
from colorlab.color import lab_to_rgb, linear_to_srgb, mix_channels, rgb_to_lab, srgb_to_linear

# Cone responses L, M, S of linear RGB: the paper's eq. 4.
LMS_FROM_RGB = torch.tensor(
    [[0.3811, 0.5783, 0.0402], [0.1967, 0.7244, 0.0782], [0.0241, 0.1288, 0.8444]],
    dtype=torch.float64,
)
# Eq. 6: achromatic, yellow against blue, red against green (Ruderman et al. 1998).
LALPHABETA_FROM_LOG_LMS = torch.tensor(
    [[3**-0.5] * 3, [6**-0.5, 6**-0.5, -2 * 6**-0.5], [2**-0.5, -(2**-0.5), 0.0]],
    dtype=torch.float64,
)

DARKEST = 1 / 255 / 12.92  # the first 8-bit step in linear light: black has no logarithm

# A channel that varies by less than this (standard deviation) holds rounding, not colour. In Lab
# the matrix of six digits alone leaves 0.005 on grays; one 8-bit step of red is 0.3.
_FLAT = {"lalphabeta": 1e-4, "lab": 0.05}


def rgb_to_lalphabeta(rgb: Tensor) -> Tensor:
    """Convert sRGB (..., 3, H, W) in [0, 1] to l-alpha-beta, the paper's eq. 4 to 6.

    The paper's RGB is taken as linear light, so the sRGB curve is undone first. l is in about
    [-6.1, 0], alpha and beta are 0 for grays within 0.001.
    """
    lms = mix_channels(LMS_FROM_RGB, srgb_to_linear(rgb)).clamp_min(DARKEST)
    return mix_channels(LALPHABETA_FROM_LOG_LMS, lms.log10())


def lalphabeta_to_rgb(lalphabeta: Tensor, clip: bool = True) -> Tensor:
    """Undo :func:`rgb_to_lalphabeta` (eq. 8 and 9).

    The inverse matrices are computed: eq. 9 as printed is 0.017 off in its last row.
    """
    lms = 10 ** mix_channels(torch.linalg.inv(LALPHABETA_FROM_LOG_LMS), lalphabeta)
    rgb = linear_to_srgb(mix_channels(torch.linalg.inv(LMS_FROM_RGB), lms))
    return rgb.clamp(0, 1) if clip else rgb


def reinhard(
    rgb: Tensor, reference_rgb: Tensor, space: str = "lalphabeta", clip: bool = True
) -> Tensor:
    """Recolour images with the mean and the deviation of a reference, eq. 10 and 11.

    A channel that is flat in the image can only be shifted, so a gray image is tinted evenly with
    the reference's mean colour: the method does not colorize.

    Args:
        rgb: (N, 3, H, W) sRGB in [0, 1], the images to recolour.
        reference_rgb: (3, h, w) or (1, 3, h, w) sRGB in [0, 1], any size.
        space: ``"lalphabeta"`` as in the paper, or ``"lab"``, CIE Lab.
        clip: clip the result to [0, 1]. Without it the statistics are matched exactly.

    Returns:
        (N, 3, H, W) sRGB. Lightness changes too: it takes the reference's statistics.
    """
    if space not in _FLAT:
        raise ValueError(f"space must be 'lalphabeta' or 'lab', got {space!r}")
    check_pictures(rgb)
    reference_rgb = one_picture(reference_rgb).to(rgb)
    if space == "lab":
        to_space, from_space = rgb_to_lab, lab_to_rgb
    else:
        to_space, from_space = rgb_to_lalphabeta, lalphabeta_to_rgb
    # float64: a deviation near 0 must not be rounding error.
    channels, reference = to_space(rgb.double()), to_space(reference_rgb.double())
    over = {"dim": (-2, -1), "keepdim": True}
    mean, deviation = channels.mean(**over), channels.std(correction=0, **over)
    flat = deviation < _FLAT[space]
    gain = reference.std(correction=0, **over) / deviation.clamp_min(_FLAT[space])
    gain = torch.where(flat, torch.ones_like(gain), gain)  # (N, 3, 1, 1)
    moved = (channels - mean) * gain + reference.mean(**over)
    return from_space(moved, clip=clip).to(rgb)
