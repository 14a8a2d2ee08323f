"""Read any image file as sRGB, the same way everywhere.

A decoder's numbers mean what the file declares: its orientation, its colour space (see
`colorlab.data.profiles`), which value is white, what the fourth channel is, which of its pages is
the picture and not a thumbnail. What is not known is refused. Of an animation the first frame is
read, of several pages the first that is no thumbnail or mask.

Files are not trusted. The content is read once, up to a limit, and decoded from memory, so that a
file on disk and an uploaded one take the same path, and a file that changes meanwhile does no
harm. What the header asks for is checked before any pixel is decoded: a few kilobytes can claim
billions of pixels, or make a decoder pass over its pixels thousands of times. The limits are far
above what cameras and scanners make. Whatever goes wrong becomes an error of one sentence that
names the file and the remedy.
"""

from __future__ import annotations

import errno
import io
import math
import os
import re
import stat
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from PIL import Image, ImageOps

from colorlab.bands import bands
from colorlab.color import from_uint8, rgb_to_lab
from colorlab.data.decoding import RefusedError, Stored, by_pillow, by_tifffile, open_picture
from colorlab.data.profiles import UnknownSpaceError, to_8_bits
from colorlab.files import shown

T = TypeVar("T")

MOST_BYTES = 2**28
"""256 MiB: room for `MOST_PIXELS` in 8 bits with transparency, without compression."""

MOST_UPLOADED = 2**25
"""32 MiB: more than the JPEG of any usual camera, little enough to travel through a browser."""

MOST_PIXELS = 50_000_000
"""Decoding then takes under 1.2 GB, whatever the format (JPEG 2000 takes most)."""

MOST_PIXELS_SLOW = 2**22
"""Where PIL decodes in Python (bitmaps by run length, text in PPM): a few seconds' work."""

MOST_SCANS = 100
"""Of a JPEG. A progressive one has 6 to 14; each goes over all pixels again."""

LARGE = 2**24
"""Images of more pixels than this are decoded one at a time, whatever the number of threads."""

_one_large = threading.Lock()


class UnreadableImageError(OSError):
    """The file is cut short, damaged, too large or not an image."""


class TooSmallError(ValueError):
    """The image would have to be enlarged more than twice."""


class Picture(NamedTuple):
    """A picture as its file holds it, in sRGB."""

    rgb: np.ndarray
    """(H, W, 3) uint8, or uint16 where the file has more than 8 bits."""
    alpha: np.ndarray | None
    """(H, W) of the same type, 0 where nothing is seen; None where everything is."""
    lost: str = ""
    """What reading left out, in a few words."""


def read_rgb(path: str | os.PathLike | io.BytesIO, name: str | None = None) -> np.ndarray:
    """Read an image as 8-bit sRGB.

    Args:
        path: a file, or bytes in memory.
        name: what to call it in errors; by default the path.

    Returns:
        (H, W, 3) uint8. Transparent parts are laid on white; 16-bit values are divided by 257.

    Raises:
        FileNotFoundError: there is no such file.
        PermissionError: it may not be read.
        UnreadableImageError: cut short, damaged, not an image, too large, or of a range or colour
            space that cannot be known.
    """
    return _read(path, name, _on_white)


def read_picture(path: str | os.PathLike | io.BytesIO, name: str | None = None) -> Picture:
    """Read an image as sRGB with its 16 bits and its transparency, where it has them.

    JPEG 2000, PPM in colour, AVIF and HEIC come in 8 bits. Arguments and errors are those of
    :func:`read_rgb`, which gives these pixels over white, in 8 bits.
    """
    return _read(path, name, _with_alpha)


def _read(
    path: str | os.PathLike | io.BytesIO, name: str | None, finish: Callable[[Stored], T]
) -> T:
    if isinstance(path, io.BytesIO):
        label, content = shown(name or "picture"), path
        _check_length(content.getbuffer().nbytes, label)
    else:
        label = shown(name or os.fspath(path))
        content = io.BytesIO(_read_bytes(path, label))
    try:
        with open_picture(content) as image:
            if image is None:
                return finish(by_tifffile(content, MOST_PIXELS))
            with content.getbuffer() as view:
                why = _excess(image, view)
            if why:
                raise RefusedError(why)
            with _one_large if math.prod(image.size) > LARGE else nullcontext():
                return finish(by_pillow(image, content))
    except (RefusedError, UnknownSpaceError) as error:
        raise UnreadableImageError(f"{label}: {error}") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        why = "too many pixels to open safely; make it smaller first"
        raise UnreadableImageError(f"{label}: {why}") from error
    except Image.UnidentifiedImageError as error:
        why = "not a picture of a known kind; save it as JPEG or PNG, or remove it"
        raise UnreadableImageError(f"{label}: {why}") from error
    except MemoryError as error:
        why = "too large for the memory that is free; make it smaller first"
        raise UnreadableImageError(f"{label}: {why}") from error
    except Exception as error:
        # PIL promises no list: each format's decoder raises what its parser stumbles over.
        why = f"cut short or damaged ({shown(error)}); fetch it again or remove it"
        raise UnreadableImageError(f"{label}: {why}") from error


def read_upload(data: bytes, name: str) -> np.ndarray:
    """Read an image that somebody sent, as :func:`read_rgb` reads a file.

    Args:
        data: the file's content (bytes, or any buffer of them).
        name: what the sender called it. It appears in errors, escaped, and nowhere else: it is
            never used as a path, and code that shows an error as HTML must escape it once more.
    """
    label = shown(name or "upload", 100)
    _check_length(memoryview(data).nbytes, label, MOST_UPLOADED)  # before they are copied
    return read_rgb(io.BytesIO(data), label)


def square(rgb: np.ndarray, size: int, name: str = "picture") -> np.ndarray:
    """Centre square of an image, resized to `size` with an antialiased Lanczos filter.

    An image of `size` x `size` is returned unchanged, bit by bit.

    Args:
        rgb: (H, W, 3) uint8.
        size: side of the result, pixels.
        name: what to call the image in the error.

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
    return np.array(ImageOps.fit(Image.fromarray(rgb), (size, size), Image.Resampling.LANCZOS))


def mean_chroma(rgb: np.ndarray) -> float:
    """Mean Lab chroma sqrt(a^2 + b^2), in CIE units, of an image reduced four times.

    Averaging 4x4 pixels removes the coloured noise that JPEG leaves in a gray scan, which would
    count as chroma, and makes the measure cheap enough for every file. 0 is gray; most
    photographs have 10 to 30.

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


def count_scans(jpeg: memoryview) -> int:
    """How many scans the first image in a JPEG file has.

    Segments are skipped by their length, since a thumbnail in one has scans of its own (JPEG
    standard ITU-T T.81, annex B).
    """
    start_of_scan, end_of_image = 0xDA, 0xD9
    count, at = 0, 2
    while found := _MARKER.search(jpeg, at):
        kind = jpeg[found.start() + 1]
        if kind == end_of_image:
            break
        count += kind == start_of_scan
        at = found.end() + max(2, int.from_bytes(jpeg[found.end() : found.end() + 2]))
    return count


_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")  # not a byte of data, not a restart


def _excess(image: Image.Image, content: memoryview) -> str:
    """Which limit an opened, not yet decoded image exceeds, with the remedy; "" if none."""
    width, height = image.size
    slow = any(tile.codec_name in Image.DECODERS for tile in image.tile)
    most_pixels = MOST_PIXELS_SLOW if slow else MOST_PIXELS
    if width * height > most_pixels:
        return (
            f"too many pixels ({width}x{height}, at most {most_pixels:,} of this kind are read); "
            "make it smaller first"
        )
    if image.format == "TIFF":
        # A tile is decoded whole, even if the image fills only a corner of it.
        across, down = (image.tag_v2.get(tag, 0) for tag in (322, 323))  # TileWidth, TileLength
        if across * down > most_pixels:
            return f"too many pixels in a tile ({across}x{down}); save it as PNG"
    if image.format in ("JPEG", "MPO") and count_scans(content) > MOST_SCANS:
        return f"more than {MOST_SCANS} passes over its pixels; save it again as JPEG"
    return ""


def _read_bytes(path: str | os.PathLike, label: str) -> bytes:
    """The content of a plain file; a pipe or a device, which may have no end, is not read."""
    try:
        if os.path.isdir(path):
            raise UnreadableImageError(f"{label}: a folder, not a picture; name the files in it")
        with open(path, "rb", opener=_open_at_once) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise UnreadableImageError(f"{label}: {_NOT_PLAIN}")
            _check_length(status.st_size, label)
            return file.read(status.st_size)
    except UnreadableImageError:
        raise
    except PermissionError as error:
        raise PermissionError(f"{label}: may not be read; check its permissions") from error
    # ValueError: a name that no file can have, for example with a zero byte.
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        what = "a link that leads nowhere" if os.path.islink(path) else "no such picture file"
        raise FileNotFoundError(f"{label}: {what}; check the path") from error
    except OSError as error:
        why = f"cannot be read ({error.strerror}); check the disk and try again"
        if error.errno == errno.ENXIO:  # a socket
            why = _NOT_PLAIN
        elif error.errno == errno.ELOOP:
            why = "a link that leads back to itself; remove it"
        raise UnreadableImageError(f"{label}: {why}") from error


_NOT_PLAIN = "a pipe or device, not a picture file; remove it"


def _open_at_once(path: str, flags: int) -> int:
    """Open without waiting for a writer if it is a pipe (Windows has no such flag)."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _check_length(length: int, label: str, most_bytes: int = MOST_BYTES) -> None:
    if length == 0:
        raise UnreadableImageError(f"{label}: an empty file; fetch it again or remove it")
    if length > most_bytes:
        raise UnreadableImageError(
            f"{label}: {length:,} bytes, at most {most_bytes:,} are read; make it smaller first"
        )


def _on_white(stored: Stored) -> np.ndarray:
    rgb = np.empty((stored.height, stored.width, 3), dtype=np.uint8)
    for rows in bands(stored.height, stored.width):
        colors, alpha = _srgb(stored, rows)
        if alpha is not None:
            colors = over_white(colors, alpha)
        rgb[rows] = to_8_bits(colors)
    return rgb


def _with_alpha(stored: Stored) -> Picture:
    shape, kind = (stored.height, stored.width), np.uint16 if stored.deep else np.uint8
    lost = ""
    if stored.deep and stored.convert and not getattr(stored.convert, "deep", True):
        lost = "bits beyond 8, since the colour profile is a table"
    alpha = np.empty(shape, kind) if stored.alpha else None
    picture = Picture(np.empty((*shape, 3), kind), alpha, lost)
    for rows in bands(*shape):
        picture.rgb[rows], alpha = _srgb(stored, rows)
        if alpha is not None:
            picture.alpha[rows] = alpha[..., 0]
    return picture


def _srgb(stored: Stored, rows: slice) -> tuple[np.ndarray, np.ndarray | None]:
    """Some rows in sRGB, (R, W, 1 or 3), and their transparency, (R, W, 1)."""
    samples, alpha = stored.rows(rows), None
    if stored.alpha:
        samples, alpha = samples[..., :-1], samples[..., -1:]
    if stored.convert:
        samples = stored.convert(samples)
    elif stored.mode == "CMYK":
        kind, top = samples.dtype, np.uint32(np.iinfo(samples.dtype).max)
        light = top - samples  # that each ink lets through
        samples = ((light[..., :3] * light[..., 3:] + top // 2) // top).astype(kind)
    return samples, alpha


def over_white(colors: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Colors * alpha + white * (1 - alpha), rounded: (..., 3) and (..., 1), uint8 or uint16."""
    bits, wide = (8, np.uint16) if colors.dtype == np.uint8 else (16, np.uint32)
    white, opacity = wide(2**bits - 1), alpha.astype(wide)
    mixed = colors * opacity + (white - opacity) * white + wide(2 ** (bits - 1))
    return ((mixed + (mixed >> bits)) >> bits).astype(colors.dtype)  # = round(mixed / white)
