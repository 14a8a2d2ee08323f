"""Read any picture that PIL can open as 8-bit sRGB, the same way everywhere.

What the file says is honoured: the EXIF turn, the embedded colour profile, 16 bits, palettes,
transparency (laid on white). Of an animation the first frame counts. What cannot be read becomes
an error of one sentence that names the file.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageCms, ImageOps

from colorlab.color import from_uint8, rgb_to_lab

# What PIL's decoders raise on a damaged file, depending on the format.
_DAMAGE = (OSError, SyntaxError, EOFError, ValueError, RuntimeError, struct.error, zlib.error)


class UnreadableImageError(OSError):
    """The file is cut short, damaged, too large or no picture."""


class TooSmallError(ValueError):
    """The picture would have to be enlarged more than twice."""


def read_rgb(path: str | os.PathLike | io.BytesIO, name: str | None = None) -> np.ndarray:
    """Read a picture as sRGB.

    Args:
        path: a file, or bytes in memory.
        name: what to call it in errors; by default the path.

    Returns:
        (H, W, 3) uint8. Transparent parts are laid on white; 16-bit values are divided by 257.

    Raises:
        FileNotFoundError: there is no such file.
        UnreadableImageError: cut short, damaged, no picture, too large (more than twice
            `PIL.Image.MAX_IMAGE_PIXELS`), or of a range that cannot be known.
    """
    name = str(path) if name is None else name
    if isinstance(path, str | os.PathLike) and not Path(path).is_file():
        raise FileNotFoundError(f"{name}: no such picture file; check the path")
    try:
        with Image.open(path) as image:
            image.load()
            return np.array(_to_srgb(_turn(image), name))
    except UnreadableImageError:
        raise
    except PermissionError as error:
        raise PermissionError(f"{name}: may not be read; check its permissions") from error
    except Image.DecompressionBombError as error:
        raise UnreadableImageError(
            f"{name}: too many pixels to open safely; resize it, "
            "or raise PIL.Image.MAX_IMAGE_PIXELS if you trust it"
        ) from error
    except Image.UnidentifiedImageError as error:
        raise UnreadableImageError(f"{name}: not a picture that PIL can read; remove it") from error
    except _DAMAGE as error:
        raise UnreadableImageError(
            f"{name}: cut short or damaged ({error}); fetch it again or remove it"
        ) from error


def square(rgb: np.ndarray, size: int, name: str = "picture") -> np.ndarray:
    """Centre square of a picture, resized to `size` with an antialiased Lanczos filter.

    A picture that is `size` x `size` already passes unchanged, bit by bit.

    Args:
        rgb: (H, W, 3) uint8.
        size: side of the answer, pixels.
        name: what to call the picture in the error.

    Returns:
        (size, size, 3) uint8.

    Raises:
        TooSmallError: the short side is under half of `size`.
    """
    height, width = rgb.shape[:2]
    if (height, width) == (size, size):
        return rgb
    side = min(height, width)
    if 2 * side < size:
        raise TooSmallError(
            f"{name}: {width}x{height} pixels are too few for {size}x{size}; "
            "remove it or ask for a smaller size"
        )
    left, top = (width - side) / 2, (height - side) / 2
    # `box` crops and resizes at once, so that a half-pixel centre needs no rounding.
    box = (left, top, left + side, top + side)
    return np.array(Image.fromarray(rgb).resize((size, size), Image.Resampling.LANCZOS, box=box))


def mean_chroma(rgb: np.ndarray) -> float:
    """Mean Lab chroma sqrt(a^2 + b^2), in CIE units, of a picture averaged down four times.

    Averaging takes away the coloured noise that JPEG leaves in a gray scan, which would count as
    chroma, and makes the measure cheap enough for every file. 0 is gray; most photographs have
    10 to 30.

    Args:
        rgb: (H, W, 3) uint8, H and W at least 4.
    """
    small = np.array(Image.fromarray(rgb).reduce(4))
    with torch.no_grad():
        ab = rgb_to_lab(from_uint8(small[None]))[:, 1:]  # (1, 2, H/4, W/4)
    return float(ab.norm(dim=1).mean())


def in_threads(work: Callable, items: Iterable, workers: int | None = None) -> Iterator:
    """`map` in threads and in order, a bounded number ahead (PIL decodes without the GIL)."""
    workers = workers or min(8, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque = deque()
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) >= 4 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:  # the consumer may stop early
            for future in waiting:
                future.cancel()


def _turn(image: Image.Image) -> Image.Image:
    """Turn as EXIF says. A damaged EXIF block says nothing: the pixels are still good."""
    try:
        return ImageOps.exif_transpose(image)
    except (*_DAMAGE, TypeError, KeyError, AttributeError, ZeroDivisionError):
        return image


def _to_srgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        return _deep_gray(image, name).convert("RGB")
    profile = image.info.get("icc_profile")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        rgb = _apply_profile(rgba.convert("RGB"), profile)
        white = Image.new("RGB", image.size, "white")
        return Image.composite(rgb, white, rgba.getchannel("A"))
    if image.mode in ("P", "1", "YCbCr", "HSV"):
        image = image.convert("RGB")
    return _apply_profile(image, profile).convert("RGB")


def _deep_gray(image: Image.Image, name: str) -> Image.Image:
    """Gray of 16 bits (modes I;16 and I) or in [0, 1] (mode F) as 8 bits."""
    values = np.asarray(image)
    if image.mode == "F":
        top, what = 1.0, "floating-point values outside [0, 1]"
    else:
        top, what = 65535.0, "32-bit values outside 0..65535"
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= top):  # also true for NaN
        raise UnreadableImageError(f"{name}: {what}; save it with 8 or 16 bits")
    return Image.fromarray(np.rint(values * (255.0 / top)).astype(np.uint8))


def _apply_profile(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert from the embedded profile to sRGB.

    A profile that is broken or does not fit is ignored, as browsers do. sRGB itself is left
    alone, since a trip through the converter moves some values by one.
    """
    if not profile:
        return image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" in ImageCms.getProfileDescription(source):
            return image
        target = ImageCms.createProfile("sRGB")
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        return ImageCms.profileToProfile(image, source, target, intent, outputMode="RGB")
    except (ImportError, OSError, ValueError, ImageCms.PyCMSError):
        return image
