"""Open picture files that nobody vouches for: bounded in bytes, pixels and time.

A file's content is read once, up to a limit, and decoded from memory, so that a file on disk and
an uploaded one go the same way, and a file that changes meanwhile harms nothing. The number of
pixels is known from the header and checked before any is decoded. Whatever goes wrong becomes an
error of one sentence that names the file.
"""

from __future__ import annotations

import errno
import io
import math
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from PIL import Image

from colorlab.data.limits import MOST_BYTES, excess

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "GIF", "BMP", "JPEG2000", "PPM")
"""What is decoded. PIL knows more: EPS, for one, which it hands to another program to run."""

LARGE = 2**24
"""Pictures of more pixels than this are decoded one at a time, whatever the number of threads."""

_one_large = threading.Lock()


class UnreadableImageError(OSError):
    """The file is cut short, damaged, too large or no picture."""


def shown(name: object, most: int = 300) -> str:
    """A name as one printable line, whatever characters it is made of.

    Line breaks, control characters, marks that turn the direction of writing, and bytes that are
    no text (surrogates) are written as escapes; a name of more than `most` characters keeps its
    end.
    """
    text = str(name)
    text = text if len(text) <= most else "..." + text[-most:]
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )


def read_bytes(path: str | os.PathLike, label: str, most_bytes: int = MOST_BYTES) -> bytes:
    """The content of a plain file.

    A pipe or a device, which may have no end, is not opened.

    Args:
        path: where it lies; links are followed.
        label: what to call it in errors.
        most_bytes: refuse a file of more.

    Raises:
        FileNotFoundError: there is no such file.
        PermissionError: it may not be read.
        UnreadableImageError: a folder, a pipe, a device, too many bytes, or the disk failed.
    """
    try:
        _check_plain(os.stat(path), label, most_bytes)
        # Between the two checks the name may have come to mean a pipe: so don't wait for a writer.
        with open(path, "rb", opener=_open_at_once) as file:
            status = os.fstat(file.fileno())
            _check_plain(status, label, most_bytes)
            return file.read(status.st_size)
    except UnreadableImageError:
        raise
    except PermissionError as error:
        raise PermissionError(f"{label}: may not be read; check its permissions") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        what = "a link that leads nowhere" if os.path.islink(path) else "no such picture file"
        raise FileNotFoundError(f"{label}: {what}; check the path") from error
    except ValueError as error:  # a name that no file can have, for example with a zero byte
        raise FileNotFoundError(f"{label}: no such picture file; check the path") from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UnreadableImageError(
                f"{label}: a link that leads back to itself; remove it"
            ) from error
        raise UnreadableImageError(
            f"{label}: cannot be read ({error.strerror}); check the disk and try again"
        ) from error


@contextmanager
def decoded(content: io.BytesIO, label: str, most_pixels: int) -> Iterator[Image.Image]:
    """The picture in `content`, its first frame decoded, as long as the `with` block lasts.

    Args:
        content: the bytes of a picture file.
        label: what to call it in errors.
        most_pixels: refuse a picture of more, before it is decoded.

    Raises:
        UnreadableImageError: no picture, too many pixels, or damaged; also when the block's own
            work on the picture fails.
    """
    try:
        with Image.open(content, formats=FORMATS) as image:
            with content.getbuffer() as view:
                why = excess(image, view, most_pixels)
            if why:
                raise UnreadableImageError(f"{label}: {why}")
            with _one_large if math.prod(image.size) > LARGE else nullcontext():
                image.load()
                yield image
    except UnreadableImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnreadableImageError(
            f"{label}: too many pixels to open safely; make it smaller first"
        ) from error
    except Image.UnidentifiedImageError as error:
        raise UnreadableImageError(
            f"{label}: not a picture of a known kind; save it as JPEG or PNG, or remove it"
        ) from error
    except MemoryError as error:
        raise UnreadableImageError(
            f"{label}: too large for the memory that is free; make it smaller first"
        ) from error
    except Exception as error:
        # PIL promises no list: each format's decoder raises what its parser stumbles over.
        raise UnreadableImageError(
            f"{label}: cut short or damaged ({shown(error)}); fetch it again or remove it"
        ) from error


def _check_plain(status: os.stat_result, label: str, most_bytes: int) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise UnreadableImageError(f"{label}: a folder, not a picture; name the files in it")
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableImageError(f"{label}: a pipe or device, not a picture file; remove it")
    check_length(status.st_size, label, most_bytes)


def check_length(length: int, label: str, most_bytes: int) -> None:
    """Refuse an empty file and one of more than `most_bytes`.

    Raises:
        UnreadableImageError: one or the other.
    """
    if length == 0:
        raise UnreadableImageError(f"{label}: an empty file; fetch it again or remove it")
    if length > most_bytes:
        raise UnreadableImageError(
            f"{label}: {_size(length)}, at most {_size(most_bytes)} are read; make it smaller first"
        )


def _size(length: int) -> str:
    return f"{length / 1e6:,.0f} MB" if length >= 1e6 else f"{length:,} bytes"


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # no such flag on Windows
