"""What all widgets use: the scripts and styles in ``static/``, and images as bytes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps
from torch import Tensor

from colorlab.checks import one_picture
from colorlab.color import from_uint8, to_uint8
from colorlab.data.reading import read_rgb

STATIC = Path(__file__).with_name("static")


def static_text(*names: str) -> str:
    """Files of ``static/`` joined in this order: each uses the functions of those before it."""
    return "\n".join((STATIC / name).read_text("utf-8") for name in names)


def picture_png(rgb: Tensor) -> bytes:
    """An image, sRGB (1, 3, H, W) in [0, 1], as PNG bytes."""
    stream = io.BytesIO()
    # Fast rather than small: the bytes only go to the browser.
    Image.fromarray(to_uint8(rgb)[0]).save(stream, format="PNG", compress_level=1)
    return stream.getvalue()


Picture = Tensor | np.ndarray | Image.Image | str | Path
"""What a widget takes as an image, see :func:`as_picture`."""


def as_picture(picture: Picture) -> Tensor:
    """One image as sRGB (1, 3, H, W) in [0, 1].

    Args:
        picture: (1, 3, H, W) or (3, H, W) in [0, 1]; 8-bit sRGB (H, W, 3) as an array; an image of
            PIL; or the path of an image file.
    """
    if isinstance(picture, Image.Image):
        stream = io.BytesIO()  # its profile and its transparency are then read as those of a file
        picture = ImageOps.exif_transpose(picture)
        kind = "PNG" if picture.mode in ("1", "L", "LA", "I;16", "P", "RGB", "RGBA") else "TIFF"
        if kind == "TIFF" and picture.mode not in ("CMYK", "F", "LAB"):
            picture = picture.convert("RGB")
        picture.save(stream, kind, compress_level=1, exif=picture.getexif())
        picture = read_rgb(stream, "the image of PIL")
    elif isinstance(picture, str | Path):
        picture = read_rgb(picture)
    elif not isinstance(picture, Tensor | np.ndarray):
        raise TypeError(
            "want a picture as a tensor, an 8-bit array, an image of PIL or the path of a file, "
            f"got {type(picture).__name__}"
        )
    rgb = from_uint8(picture) if isinstance(picture, np.ndarray) else picture.detach().float()
    return one_picture(rgb, what="the picture")


def with_still(data: dict, metadata: dict, rgb: Tensor, alt: str) -> tuple[dict[str, Any], dict]:
    """Add a still image (1, 3, H, W) with alt text to a widget's MIME bundle.

    Pages without a kernel show it in place of the widget.
    """
    stream = io.BytesIO()
    # No chroma subsampling: the colours are what matters here.
    Image.fromarray(to_uint8(rgb)[0]).save(stream, "JPEG", quality=80, subsampling=0)
    still = {"image/jpeg": stream.getvalue()}
    return {**data, **still}, {**metadata, "image/jpeg": {"alt": alt}}
