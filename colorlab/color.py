"""sRGB to CIE Lab and back: batched, differentiable, and exact about the gamut.

Conventions, the same everywhere in the package: sRGB transfer curve (IEC 61966-2-1), white point
D65, 2 degree observer; ``rgb`` in [0, 1], shape (..., 3, H, W); ``L`` (lightness) in [0, 100],
(..., 1, H, W); ``ab`` in CIE units, (..., 2, H, W). Within sRGB, a lies in [-86.2, 98.3] and b in
[-107.9, 94.5]. Functions refuse tensors of another shape or type by ValueError or TypeError.

Released weights were trained on what this module computes. The matrix has the six digits that
scikit-image uses, so the two agree. Taught in lesson 01.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

# Rows X, Y, Z of the sRGB primaries (IEC 61966-2-1), divided by the D65 white point (2 degree
# observer), so that white maps to (1, 1, 1) and no division is left for each pixel.
_XYZ_FROM_RGB = torch.tensor(
    [
        [0.412453, 0.357580, 0.180423],
        [0.212671, 0.715160, 0.072169],
        [0.019334, 0.119193, 0.950227],
    ],
    dtype=torch.float64,
)
_WHITE_D65 = torch.tensor([0.95047, 1.0, 1.08883], dtype=torch.float64)
WHITENED_FROM_RGB = _XYZ_FROM_RGB / _WHITE_D65[:, None]
_RGB_FROM_WHITENED = torch.linalg.inv(WHITENED_FROM_RGB)

# L = 116 fy - 16, a = 500 (fx - fy), b = 200 (fy - fz).
_LAB_FROM_CURVED = torch.tensor(
    [[0.0, 116.0, 0.0], [500.0, -500.0, 0.0], [0.0, 200.0, -200.0]], dtype=torch.float64
)

LAB_EPSILON = 0.008856  # CIE 1976: below this ratio to white, the cube root becomes a line
LAB_SLOPE = 7.787


def _check(x: Tensor, channels: int, what: str) -> None:
    if not isinstance(x, Tensor):
        raise TypeError(
            f"{what} must be a torch tensor, got {type(x).__name__}; use torch.as_tensor"
        )
    if x.ndim < 3 or x.shape[-3] != channels:
        raise ValueError(f"{what} must have shape (..., {channels}, H, W), got {tuple(x.shape)}")
    if not x.is_floating_point():
        raise TypeError(
            f"{what} must be floating point, got {x.dtype}; use from_uint8 for 8-bit data"
        )


def mix_channels(matrix: Tensor, x: Tensor) -> Tensor:
    """Apply ``matrix`` (k, 3) to the channel axis of ``x`` (..., 3, H, W): (..., k, H, W).

    In the precision of ``x`` under autocast too: in bfloat16, Lab would be off by up to 3.7 units.
    """
    flat = x.flatten(-2)  # (..., 3, H*W)
    with torch.autocast(x.device.type, enabled=False):
        return torch.matmul(matrix.to(x), flat).unflatten(-1, x.shape[-2:])


def _in_cache(convert: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Convert a batch image by image: one of 256x256 fits a core's cache, so twice as fast."""
    # Under autograd or on a GPU the whole batch goes at once.
    if x.ndim != 4 or len(x) < 2 or x.is_cuda or (x.requires_grad and torch.is_grad_enabled()):
        return convert(x)
    first = convert(x[:1])
    out = first.new_empty((len(x), *first.shape[1:]))
    out[:1] = first
    for i in range(1, len(x)):
        out[i : i + 1] = convert(x[i : i + 1])
    return out


# Both transfer curves are a line that becomes a power. Written as line(min(x, t)) + power(max(x,
# t)) minus power(t), each needs two clamps and no `where`: several times as fast on a CPU, and the
# gradient stays finite at black. exp(p log x) is a power three times as fast, equal to 3e-7.


def _power(x: Tensor, exponent: float) -> Tensor:
    return torch.log(x).mul_(exponent).exp_()


def srgb_to_linear(rgb: Tensor) -> Tensor:
    """Undo the sRGB transfer curve: encoded [0, 1] to linear light [0, 1], any shape."""
    t = 0.04045
    scale = 1.055**-2.4
    power = _power(rgb.clamp_min(t).add_(0.055), 2.4)
    line = rgb.clamp_max(t).div_(12.92)
    return line.add_(power, alpha=scale).sub_(scale * (t + 0.055) ** 2.4)


def linear_to_srgb(linear: Tensor) -> Tensor:
    """Apply the sRGB transfer curve: linear light [0, 1] to encoded [0, 1], any shape."""
    t = 0.0031308
    # From the bright end down: 1.055 p - 0.055 rounds to above 1 at white on some processors.
    power = _power(linear.clamp_min(t), 1 / 2.4).sub(1).mul(1.055).add(1)
    return torch.where(linear <= t, 12.92 * linear, power)


def _lab_curve(ratio: Tensor) -> Tensor:
    t = LAB_EPSILON
    power = _power(ratio.clamp_min(t), 1 / 3)
    return ratio.clamp_max(t).mul_(LAB_SLOPE).add_(power).add_(16 / 116 - t ** (1 / 3))


def _lab_curve_inverse(f: Tensor) -> Tensor:
    t = 0.2068966  # scikit-image's threshold, the image of epsilon
    root = f.clamp_min(t)
    return (f.clamp_max(t) - 16 / 116) / LAB_SLOPE + (root * root * root - t**3)


def rgb_to_lab(rgb: Tensor) -> Tensor:
    """Convert sRGB (..., 3, H, W) in [0, 1] to CIE Lab (..., 3, H, W).

    Source: CIE 15:2004, section 8.2.1; equals ``skimage.color.rgb2lab`` within 1e-3.
    """
    _check(rgb, 3, "rgb")
    return _in_cache(_rgb_to_lab, rgb)


def _rgb_to_lab(rgb: Tensor) -> Tensor:
    f = _lab_curve(mix_channels(WHITENED_FROM_RGB, srgb_to_linear(rgb)))
    lab = mix_channels(_LAB_FROM_CURVED, f)
    lab.select(-3, 0).sub_(16)
    return lab


def lab_to_rgb(lab: Tensor, clip: bool = True) -> Tensor:
    """Convert CIE Lab (..., 3, H, W) to sRGB (..., 3, H, W).

    Without ``clip``, colours outside the gamut are below 0 or above 1. Clipping to [0, 1] moves L:
    see :func:`clipping_report`.
    """
    _check(lab, 3, "lab")
    rgb = _in_cache(_lab_to_rgb, lab)
    return rgb.clamp(0, 1) if clip else rgb


def _lab_to_rgb(lab: Tensor) -> Tensor:
    lightness_, a, b = lab.unbind(-3)
    fy = (lightness_ + 16) / 116
    f = torch.stack((fy + a / 500, fy, fy - b / 200), dim=-3)
    return linear_to_srgb(mix_channels(_RGB_FROM_WHITENED, _lab_curve_inverse(f)))


def lightness(rgb: Tensor) -> Tensor:
    """Return L (..., 1, H, W) in [0, 100] of sRGB (..., 3, H, W) in [0, 1].

    This is the gray input of every model, in training and at inference. PIL's
    luma is another gray: the two differ by 1.2 on average on photographs.
    """
    _check(rgb, 3, "rgb")
    return _in_cache(_lightness, rgb)


def _lightness(rgb: Tensor) -> Tensor:
    y = mix_channels(WHITENED_FROM_RGB[1:2], srgb_to_linear(rgb))
    return 116 * _lab_curve(y) - 16


def downsample_chroma(ab: Tensor, stride: int = 4) -> Tensor:
    """Area mean of ab: (N, 2, H, W) to (N, 2, H/stride, W/stride); sides are multiples."""
    _check(ab, 2, "ab")
    height, width = ab.shape[-2:]
    if height % stride or width % stride:
        raise ValueError(f"chroma of {height}x{width} cannot be cut into {stride}x{stride} cells")
    return F.avg_pool2d(ab, stride)


def upsample_chroma(ab: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear upsampling of ab (N, 2, h, w) to ``size`` (H, W).

    Bilinear, not nearest: at a quarter of the size, nearest costs 0.008 of SSIM on
    photographs and shows blocks.
    """
    _check(ab, 2, "ab")
    if tuple(ab.shape[-2:]) == tuple(size):
        return ab
    return F.interpolate(ab, size=tuple(size), mode="bilinear", align_corners=False)


def join(L: Tensor, ab: Tensor) -> Tensor:
    """Combine an untouched lightness with ab into an image.

    Args:
        L: (N, 1, H, W) in [0, 100].
        ab: (N, 2, h, w) in CIE units, any size; upsampled bilinearly to (H, W).

    Returns:
        (N, 3, H, W) sRGB, clipped to [0, 1].
    """
    _check(L, 1, "L")
    ab = upsample_chroma(ab, tuple(L.shape[-2:]))
    return lab_to_rgb(torch.cat((L, ab.to(L)), dim=-3))


def in_gamut(lab: Tensor, tolerance: float = 1e-4) -> Tensor:
    """Say for each pixel whether sRGB can show it: lab (..., 3, H, W) to bool (..., 1, H, W)."""
    rgb = lab_to_rgb(lab, clip=False)
    return ((rgb >= -tolerance) & (rgb <= 1 + tolerance)).all(dim=-3, keepdim=True)


class ClippingReport(NamedTuple):
    """What clipping to sRGB did to a batch: a share in [0, 1], and differences in CIE units."""

    share_clipped: float
    mean_lightness_shift: float
    max_lightness_shift: float
    mean_chroma_shift: float


def clipping_report(lab: Tensor) -> ClippingReport:
    """Measure what clipping to the sRGB gamut changes, over all pixels of ``lab`` (..., 3, H, W).

    The lightness shift is |L after - L before|, the chroma shift the distance in the ab plane.
    """
    L, a, b = (rgb_to_lab(lab_to_rgb(lab)) - lab).unbind(-3)
    return ClippingReport(
        share_clipped=1 - in_gamut(lab).double().mean().item(),
        mean_lightness_shift=L.abs().mean().item(),
        max_lightness_shift=L.abs().max().item(),
        mean_chroma_shift=torch.hypot(a, b).mean().item(),
    )


def to_uint8(rgb: Tensor) -> np.ndarray:
    """Round sRGB (..., 3, H, W) in [0, 1] to 8 bit, channels last: (..., H, W, 3) uint8."""
    _check(rgb, 3, "rgb")
    eight = (rgb.detach().clamp(0, 1) * 255).round().to(torch.uint8)
    return eight.movedim(-3, -1).contiguous().cpu().numpy()


def from_uint8(picture: np.ndarray | Tensor) -> Tensor:
    """8-bit images (..., H, W, 3) to sRGB float32 (..., 3, H, W) in [0, 1]."""
    x = picture if isinstance(picture, Tensor) else torch.from_numpy(np.array(picture))
    if x.dtype != torch.uint8:
        raise TypeError(f"want uint8, got {x.dtype}; floating-point pictures need no conversion")
    if x.ndim < 3 or x.shape[-1] != 3:
        raise ValueError(f"want shape (..., H, W, 3), got {tuple(x.shape)}")
    # Bytes are brought into order before they grow fourfold.
    return x.movedim(-1, -3).contiguous().float().mul_(1 / 255)
