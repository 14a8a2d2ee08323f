"""What functions require of their input, checked once, in words.

Each refuses by ValueError, and what is no floating-point tensor of 32 or 64 bits by TypeError.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor


def check_lightness(L: Tensor, least: int = 1) -> None:
    """Refuse all but lightness (N, 1, H, W) in [0, 100], sides of ``least`` pixels or more."""
    _check_batch(L, "L", channels=1, top=100, least=least)


def check_pictures(rgb: Tensor, what: str = "rgb") -> None:
    """Refuse all but a batch of sRGB images (N, 3, H, W) in [0, 1], which may not be empty."""
    _check_batch(rgb, what, channels=3, top=1)


def one_picture(rgb: Tensor, least: int = 1, what: str = "the reference") -> Tensor:
    """One sRGB image, (3, H, W) or (1, 3, H, W) in [0, 1], as (1, 3, H, W)."""
    batch = rgb[None] if rgb.ndim == 3 else rgb
    if batch.ndim != 4 or tuple(batch.shape[:2]) != (1, 3):
        raise ValueError(
            f"{what} must be one picture, (3, H, W) or (1, 3, H, W), got {tuple(rgb.shape)}"
        )
    _check_batch(batch, what, channels=3, top=1, least=least)
    return batch


def check_names(tensors: Mapping[str, Tensor], names: Collection[str]) -> None:
    """Refuse stored tensors that belong to another method: names other than ``names``."""
    if set(tensors) != set(names):
        raise ValueError(f"want tensors named {sorted(names)}, got {sorted(tensors)}")


def _check_batch(x: Tensor, what: str, channels: int, top: float, least: int = 1) -> None:
    if not isinstance(x, Tensor) or not x.is_floating_point():
        kind = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(
            f"{what} must be a floating-point tensor, got {kind}; convert 8-bit pictures with "
            "colorlab.color.from_uint8"
        )
    if x.dtype in (torch.float16, torch.bfloat16):  # a colour difference of two would be NaN
        raise TypeError(f"{what} must be float32 or float64, got {x.dtype}; convert it by .float()")
    if x.ndim != 4 or x.shape[1] != channels or not x.numel():
        empty = "" if x.numel() else ", which is empty"
        raise ValueError(
            f"{what} must have shape (N, {channels}, H, W), got {tuple(x.shape)}{empty}"
        )
    height, width = x.shape[-2:]
    if min(height, width) < least:
        raise ValueError(f"{what} is {height}x{width}, too small; {least}x{least} is the least")
    low, high = (v.item() for v in torch.aminmax(x.detach()))
    # Float arithmetic may end slightly outside; anything beyond is a mistake of scale, or NaN.
    if not (low >= -1e-3 * top and high <= top * (1 + 1e-3)):
        remedy = "divide 0..255 pictures by 255" if channels == 3 and high > 2 else "clip it first"
        raise ValueError(
            f"{what} must lie in [0, {top}], got values in [{low:.4g}, {high:.4g}]; {remedy}"
        )
