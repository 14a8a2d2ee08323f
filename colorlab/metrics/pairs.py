"""Metrics of two batches of images, one number for each pair: ΔE, SSIM, PSNR, colourfulness.

A batch is (N, 3, H, W) sRGB in [0, 1]; the result is (N,). :func:`check_pair` says what every
metric asks of its input. Taught in lesson 03.

*Colour difference.* CIE76 and CIEDE2000 work on CIE Lab (D65, 2 degree observer), where 1 is about
the smallest difference that an eye notices. CIE76 is the Euclidean distance. It overrates
differences between saturated colours, and CIEDE2000 gives them less weight: gray against a
colourful photograph measures about 20 in CIE76 and 13 in CIEDE2000. So state the formula with
every number.

*Structure and signal.* SSIM and PSNR were not made for colour. A colorizer is given the lightness,
so plain gray already scores SSIM 0.91 on photographs, and both reward dull colours. Report them
beside a colour difference and LPIPS, never alone.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import torch
from torch import Tensor

from colorlab.checks import check_pictures
from colorlab.color import rgb_to_lab

_WINDOW = 11  # pixels: Wang et al.'s Gaussian of sigma 1.5, cut off at 11x11


def check_pair(x: Tensor, y: Tensor) -> None:
    """Check two batches of images, and that their shapes and devices agree."""
    check_pictures(x, "the first batch")
    check_pictures(y, "the second batch")
    if x.shape != y.shape:
        raise ValueError(f"the batches differ in shape: {tuple(x.shape)} and {tuple(y.shape)}")
    if x.device != y.device:
        raise ValueError(f"the batches are on two devices: {x.device} and {y.device}")


def length(vectors: Tensor) -> Tensor:
    """L2 norm over the channels: (..., C, H, W) to (..., H, W), in the same units.

    `torch.linalg.vector_norm` takes ten times as long over a dimension that is not the last. As
    there, the gradient at norm 0 is 0.
    """
    squares = vectors.square().sum(dim=-3)
    none = squares == 0  # where the root has no derivative
    return squares.masked_fill(none, 1).sqrt().masked_fill(none, 0)


def cie76(lab1: Tensor, lab2: Tensor) -> Tensor:
    """Euclidean distance in Lab for each pixel: (..., 3, H, W) twice to (..., H, W).

    Source: CIE 15:2004, equation 8.21.
    """
    return length(lab1 - lab2)


def ciede2000(lab1: Tensor, lab2: Tensor) -> Tensor:
    """CIEDE2000 for each pixel: lab (..., 3, H, W) twice to (..., H, W), with kL = kC = kH = 1.

    Computed by scikit-image on the CPU, without gradient. Source: G. Sharma, W. Wu, E. N. Dalal,
    "The CIEDE2000 color-difference formula: implementation notes, supplementary test data, and
    mathematical observations", Color Research and Application 30(1), 2005.
    """
    from skimage.color import deltaE_ciede2000

    labs = (lab.detach().cpu().numpy() for lab in (lab1, lab2))
    return torch.from_numpy(deltaE_ciede2000(*labs, channel_axis=-3)).to(lab1)


_FORMULAS = {"76": cie76, "00": ciede2000}


def delta_e_map(x: Tensor, y: Tensor, formula: str = "00") -> Tensor:
    """Colour difference for each pixel: sRGB (N, 3, H, W) in [0, 1] twice to (N, H, W).

    ``formula`` is ``"76"`` (CIE76) or ``"00"`` (CIEDE2000).
    """
    if formula not in _FORMULAS:
        raise ValueError(f"unknown Delta-E formula {formula!r}; known: {', '.join(_FORMULAS)}")
    check_pair(x, y)
    difference = _FORMULAS[formula]
    # One image at a time: the many intermediate arrays then stay in the processor's cache.
    return torch.stack(
        [difference(rgb_to_lab(p), rgb_to_lab(q)) for p, q in zip(x, y, strict=True)]
    )


def delta_e76(x: Tensor, y: Tensor) -> Tensor:
    """Mean CIE76 difference over the pixels of each image, as in the reference course: (N,).

    0 for equal images; 100 for black against white.
    """
    return delta_e_map(x, y, "76").mean(dim=(-2, -1))


def delta_e00(x: Tensor, y: Tensor) -> Tensor:
    """Mean CIEDE2000 difference over the pixels of each image: (N,)."""
    return delta_e_map(x, y, "00").mean(dim=(-2, -1))


def ssim(x: Tensor, y: Tensor) -> Tensor:
    """Structural similarity of each image of at least 11x11 pixels, averaged over channels.

    (N,) float64 in [-1, 1]; 1 for equal images.

    Source: Z. Wang, A. Bovik, H. Sheikh, E. Simoncelli, "Image quality assessment: from
    error visibility to structural similarity", IEEE TIP 13(4), 2004; computed by
    ``skimage.metrics.structural_similarity``.
    """
    from skimage.metrics import structural_similarity

    check_pair(x, y)
    if min(x.shape[-2:]) < _WINDOW:
        raise ValueError(
            f"SSIM needs pictures of at least {_WINDOW}x{_WINDOW}, got {tuple(x.shape)}"
        )
    measure = partial(
        structural_similarity,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=1,
        channel_axis=-1,
    )
    # Channels last and contiguous, as scikit-image's filters want it.
    pair = [np.ascontiguousarray(v.detach().movedim(1, -1).cpu().numpy()) for v in (x, y)]
    # SciPy's filters run in parallel: they release Python's lock while they work.
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        values = list(pool.map(measure, *pair))
    return torch.as_tensor(np.asarray(values, dtype=np.float64))


def psnr(x: Tensor, y: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each image in dB, over its pixels and channels: (N,).

    10 log10(1 / mean squared error); infinite for equal images. For a set, take the mean of
    these dB: the dB of the mean error is another number (1 dB lower on photographs).
    """
    check_pair(x, y)
    mse = (x - y).square().mean(dim=(1, 2, 3))
    return -10 * torch.log10(mse)


def colorfulness(x: Tensor) -> Tensor:
    """Colourfulness M3 of each image, how vivid it looks: (N, 3, H, W) sRGB in [0, 1] to (N,).

    With rg = R - G and yb = (R + G)/2 - B on 0..255, both *signed*:
    M = sqrt(std(rg)^2 + std(yb)^2) + 0.3 sqrt(mean(rg)^2 + mean(yb)^2).
    0 is gray; the paper's viewers called 15 slightly, 45 averagely and 84 highly colourful.
    Some colorization papers take absolute values of rg and yb first, which gives
    smaller numbers: the two are not comparable.

    Source: D. Hasler, S. Suesstrunk, "Measuring colourfulness in natural images",
    Human Vision and Electronic Imaging VIII, SPIE 5007, 2003, section 7.
    """
    check_pictures(x)
    red, green, blue = (255 * x).flatten(2).unbind(1)  # each (N, H*W)
    rg = red - green
    yb = (red + green) / 2 - blue
    spread = torch.hypot(rg.std(dim=1, correction=0), yb.std(dim=1, correction=0))
    offset = torch.hypot(rg.mean(dim=1), yb.mean(dim=1))
    return spread + 0.3 * offset
