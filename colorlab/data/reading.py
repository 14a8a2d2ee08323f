"""Read any picture that PIL can open as 8-bit sRGB, the same way everywhere.

What the file says is honoured: the EXIF turn, the embedded colour profile, 16 bits, palettes,
transparency (laid on white). Of an animation the first frame counts. What cannot be read becomes
an error of one sentence that names the file.
"""

from __future__ import annotations

import io
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from PIL import ExifTags, Image, ImageCms

from colorlab.bands import bands
from colorlab.color import from_uint8, rgb_to_lab
from colorlab.data.limits import MOST_BYTES, MOST_PIXELS
from colorlab.data.opening import (
    UnreadableImageError,
    check_length,
    decoded,
    read_bytes,
    shown,
)

MOST_UPLOADED = 2**25
"""32 MiB: more than the JPEG of any usual camera, little enough to travel through a browser."""


class TooSmallError(ValueError):
    """The picture would have to be enlarged more than twice."""


def read_rgb(
    path: str | os.PathLike | io.BytesIO,
    name: str | None = None,
    *,
    most_bytes: int = MOST_BYTES,
    most_pixels: int = MOST_PIXELS,
) -> np.ndarray:
    """Read a picture as sRGB.

    Args:
        path: a file, or bytes in memory.
        name: what to call it in errors; by default the path.
        most_bytes: refuse a longer file.
        most_pixels: refuse a picture of more pixels, before any is decoded.

    Returns:
        (H, W, 3) uint8. Transparent parts are laid on white; 16-bit values are divided by 257.

    Raises:
        FileNotFoundError: there is no such file.
        PermissionError: it may not be read.
        UnreadableImageError: cut short, damaged, no picture, too large, or of a range that
            cannot be known.
    """
    if isinstance(path, io.BytesIO):
        label, content = shown(name or "picture"), path
        check_length(content.getbuffer().nbytes, label, most_bytes)
    else:
        label = shown(name or os.fspath(path))
        content = io.BytesIO(read_bytes(path, label, most_bytes))
    with decoded(content, label, most_pixels) as image:
        return _to_array(image, label)


def read_upload(data: bytes, name: str, most_bytes: int = MOST_UPLOADED) -> np.ndarray:
    """Read a picture that somebody sent, as :func:`read_rgb` reads a file.

    Args:
        data: the file's content (bytes, or any buffer of them).
        name: what the sender called it. It stands in errors, escaped, and nowhere else: never
            a path, and not HTML, which whoever shows an error as such must escape once more.
        most_bytes: refuse more.

    Returns:
        (H, W, 3) uint8.

    Raises:
        UnreadableImageError: as :func:`read_rgb`.
    """
    label = shown(name or "upload", 100)
    check_length(memoryview(data).nbytes, label, most_bytes)  # before they are copied
    return read_rgb(io.BytesIO(data), label, most_bytes=most_bytes)


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
            f"{shown(name)}: {width}x{height} pixels are too few for {size}x{size}; "
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


# EXIF's orientation to a view of the shown picture (H, W, 3) that has the rows of the stored one.
_STORED = {
    2: lambda shown: shown[:, ::-1],
    3: lambda shown: shown[::-1, ::-1],
    4: lambda shown: shown[::-1],
    5: lambda shown: shown.transpose(1, 0, 2),
    6: lambda shown: np.rot90(shown),
    7: lambda shown: shown[::-1, ::-1].transpose(1, 0, 2),
    8: lambda shown: np.rot90(shown, -1),
}
_SIDEWAYS = (5, 6, 7, 8)


def _to_array(image: Image.Image, name: str) -> np.ndarray:
    """A decoded picture, turned as EXIF says, as (H, W, 3) uint8 sRGB.

    Band by band, since each conversion makes a copy of what it gets.
    """
    width, height = image.size
    turn = _orientation(image)
    rgb = np.empty((width, height, 3) if turn in _SIDEWAYS else (height, width, 3), dtype=np.uint8)
    stored = _STORED[turn](rgb) if turn else rgb
    parts = bands(height, width)
    for rows in parts:
        band = image if len(parts) == 1 else image.crop((0, rows.start, width, rows.stop))
        stored[rows] = np.asarray(_to_srgb(band, name))
    return rgb


def _orientation(image: Image.Image) -> int | None:
    """A key of ``_STORED``. A damaged EXIF block says nothing: the pixels are still good."""
    try:
        said = image.getexif().get(ExifTags.Base.Orientation)
        return said if said in _STORED else None
    except Exception:  # its parser, like a decoder, raises what it stumbles over
        return None


def _to_srgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        return _deep_gray(image, name).convert("RGB")
    profile = image.info.get("icc_profile")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        rgba = image if image.mode == "RGBA" else image.convert("RGBA")
        rgb = _apply_profile(rgba.convert("RGB"), profile)
        white = Image.new("RGB", image.size, "white")
        white.paste(rgb, mask=rgba.getchannel("A"))
        return white
    if image.mode in ("P", "1", "YCbCr", "HSV"):
        image = image.convert("RGB")
    return _apply_profile(image, profile).convert("RGB")


_FROM_16_BITS = np.rint(np.arange(2**16) / 257).astype(np.uint8)


def _deep_gray(image: Image.Image, name: str) -> Image.Image:
    """Gray of 16 bits (modes I;16 and I) or in [0, 1] (mode F) as 8 bits."""
    values = np.asarray(image)
    if image.mode == "F":
        top, what = 1.0, "floating-point values outside [0, 1]"
    else:
        top, what = 65535, "32-bit values outside 0..65535"
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= top):  # also true for NaN
        raise UnreadableImageError(f"{name}: {what}; save it with 8 or 16 bits")
    if image.mode == "F":
        return Image.fromarray(np.rint(values * 255.0).astype(np.uint8))
    return Image.fromarray(_FROM_16_BITS[values])


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
