"""What every metric asks of its input, checked once, in words."""

from __future__ import annotations

import torch
from torch import Tensor

# Float arithmetic may end a hair outside [0, 1]; anything beyond this is a mistake of scale.
_SLACK = 1e-4


def check_batch(x: Tensor, name: str = "x") -> None:
    """Check that ``x`` is a batch of sRGB pictures, (N, 3, H, W) floating point in [0, 1].

    Raises:
        TypeError: not a floating-point tensor.
        ValueError: another shape, an empty batch, a NaN, or values outside [0, 1].
    """
    if not isinstance(x, Tensor):
        raise TypeError(
            f"{name} must be a torch tensor, got {type(x).__name__}; use torch.as_tensor"
        )
    if not x.is_floating_point():
        raise TypeError(
            f"{name} must be floating point in [0, 1], got {x.dtype}; convert 8-bit pictures with "
            "colorlab.color.from_uint8"
        )
    if x.ndim != 4 or x.shape[1] != 3:
        raise ValueError(f"{name} must have shape (N, 3, H, W), got {tuple(x.shape)}")
    if x.numel() == 0:
        raise ValueError(f"{name} is empty: shape {tuple(x.shape)}")
    low, high = (v.item() for v in torch.aminmax(x.detach()))
    if low != low or high != high:  # NaN is the only number that differs from itself
        raise ValueError(f"{name} contains NaN")
    if low < -_SLACK or high > 1 + _SLACK:
        remedy = "divide 0..255 pictures by 255" if high > 2 else "clip it to [0, 1] first"
        raise ValueError(
            f"{name} must be in [0, 1], got values in [{low:.4g}, {high:.4g}]; {remedy}"
        )


def check_pair(x: Tensor, y: Tensor) -> None:
    """Check two batches as :func:`check_batch`, and that their shapes and devices agree.

    Raises:
        TypeError, ValueError: as :func:`check_batch`.
        ValueError: the shapes or the devices differ.
    """
    check_batch(x, "the first batch")
    check_batch(y, "the second batch")
    if x.shape != y.shape:
        raise ValueError(f"the batches differ in shape: {tuple(x.shape)} and {tuple(y.shape)}")
    if x.device != y.device:
        raise ValueError(f"the batches are on two devices: {x.device} and {y.device}")
