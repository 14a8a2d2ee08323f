"""SSIM and PSNR: how much of the picture's structure and signal is kept.

Neither was made for colour. A colorizer is given the lightness, so plain gray
already scores SSIM 0.91 on photographs, and both reward dull colours. They belong
beside a colour difference and LPIPS, never alone. Taught in notebook 03.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import torch
from torch import Tensor

from colorlab.metrics.checks import check_pair

# Wang et al.'s window: a Gaussian of sigma 1.5, cut off at 11x11 pixels.
_WINDOW = 11


def ssim(x: Tensor, y: Tensor) -> Tensor:
    """Structural similarity of each picture, on sRGB, averaged over channels.

    Args:
        x: (N, 3, H, W) sRGB in [0, 1], at least 11x11.
        y: as x.

    Returns:
        (N,) float64 in [-1, 1]; 1 for equal pictures.

    Raises:
        ValueError, TypeError: as :func:`colorlab.metrics.checks.check_pair`, or a picture
            smaller than the window.

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
    # SciPy's filters run beside each other: they hold no lock while they work.
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        values = list(pool.map(measure, _channels_last(x), _channels_last(y)))
    return torch.as_tensor(np.asarray(values, dtype=np.float64))


def _channels_last(x: Tensor) -> np.ndarray:
    # Channels last, and contiguous, as scikit-image's filters want it.
    return np.ascontiguousarray(x.detach().movedim(1, -1).cpu().numpy())


def psnr(x: Tensor, y: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each picture in dB, over its pixels and channels.

    Args:
        x: (N, 3, H, W) sRGB in [0, 1].
        y: as x.

    Returns:
        (N,): 10 log10(1 / mean squared error); infinite for equal pictures. Take the mean
        of these dB for a set: the dB of the mean error is another number (1 dB lower
        on photographs).

    Raises:
        ValueError, TypeError: as :func:`colorlab.metrics.checks.check_pair`.
    """
    check_pair(x, y)
    mse = (x - y).square().mean(dim=(1, 2, 3))
    return -10 * torch.log10(mse)
