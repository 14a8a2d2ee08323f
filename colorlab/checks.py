"""What colorizers ask of their input, checked once, in words."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from torch import Tensor


def check_lightness(L: Tensor, least: int = 1) -> None:
    """Refuse what is not a batch of lightness.

    Args:
        L: (N, 1, H, W) in [0, 100].
        least: the shortest side that the method can work on, in pixels.

    Raises:
        ValueError: another shape, a side shorter than ``least``, a NaN, or values outside
            [0, 100] by more than 0.1.
    """
    if L.ndim != 4 or L.shape[1] != 1 or not L.numel():
        raise ValueError(f"L must have shape (N, 1, H, W), got {tuple(L.shape)}")
    _check_side(L, least, "L")
    _check_range(L, 100, "L")


def one_picture(rgb: Tensor, least: int = 1, what: str = "the reference") -> Tensor:
    """One sRGB picture, (3, H, W) or (1, 3, H, W) in [0, 1], as (1, 3, H, W).

    Raises:
        ValueError: another shape, a side shorter than ``least``, a NaN, or values outside [0, 1].
    """
    batch = rgb[None] if rgb.ndim == 3 else rgb
    if batch.ndim != 4 or tuple(batch.shape[:2]) != (1, 3) or not batch.numel():
        raise ValueError(
            f"{what} must be one picture, (3, H, W) or (1, 3, H, W), got {tuple(rgb.shape)}"
        )
    _check_side(batch, least, what)
    _check_range(batch, 1, what)
    return batch


def check_pictures(rgb: Tensor, what: str = "rgb") -> None:
    """Refuse what is not a batch of sRGB pictures (N, 3, H, W) in [0, 1].

    Raises:
        ValueError: another shape, a NaN, or values outside [0, 1].
    """
    if rgb.ndim != 4 or rgb.shape[1] != 3 or not rgb.numel():
        raise ValueError(f"{what} must have shape (N, 3, H, W), got {tuple(rgb.shape)}")
    _check_range(rgb, 1, what)


def check_names(tensors: Mapping[str, Tensor], names: Collection[str]) -> None:
    """Refuse stored tensors that belong to another method.

    Raises:
        ValueError: names other than ``names``, or one of them missing.
    """
    if set(tensors) != set(names):
        raise ValueError(f"want tensors named {sorted(names)}, got {sorted(tensors)}")


def _check_side(x: Tensor, least: int, what: str) -> None:
    height, width = x.shape[-2:]
    if min(height, width) < least:
        raise ValueError(f"{what} is {height}x{width}, too small; {least}x{least} is the least")


def _check_range(x: Tensor, top: float, what: str) -> None:
    low, high = x.min().item(), x.max().item()
    if not (low >= -1e-3 * top and high <= top * (1 + 1e-3)):  # also catches NaN
        raise ValueError(f"{what} must lie in [0, {top}], got values from {low:.3g} to {high:.3g}")
