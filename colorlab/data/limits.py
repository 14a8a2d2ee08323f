"""How much work a picture file may ask for, known from its headers before any pixel is decoded.

A few kilobytes can claim billions of pixels, or make a decoder pass over its pixels thousands of
times. The limits stand far above what cameras and scanners make.
"""

from __future__ import annotations

import re

from PIL import Image

MOST_PIXELS = 50_000_000
"""Decoding then takes under 1.2 GB, whatever the format (JPEG 2000 takes most)."""

MOST_PIXELS_SLOW = 2**22
"""Where PIL decodes in Python (bitmaps by run length, text in PPM): a few seconds' work."""

MOST_SCANS = 100
"""Of a JPEG. A progressive one has 6 to 14; each goes over all pixels again."""

MOST_BYTES = 2**28
"""256 MiB: room for `MOST_PIXELS` in 8 bits with transparency, without compression."""

_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")  # not a byte of data, not a restart
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_TILE_WIDTH, _TILE_LENGTH = 322, 323  # tags of TIFF


def excess(image: Image.Image, content: memoryview, most_pixels: int) -> str:
    """What an opened, not yet decoded picture asks too much of, with the remedy; "" if nothing.

    Args:
        image: as `PIL.Image.open` gives it.
        content: the file it was opened from.
        most_pixels: how many it may have.
    """
    width, height = image.size
    if any(tile.codec_name in Image.DECODERS for tile in image.tile):
        most_pixels = min(most_pixels, MOST_PIXELS_SLOW)
    if width * height > most_pixels:
        return (
            f"too many pixels ({width}x{height}, at most {most_pixels:,} of this kind are read); "
            "make it smaller first"
        )
    if image.format == "TIFF":
        # A tile is decoded whole, also where the picture fills a corner of it only.
        across, down = image.tag_v2.get(_TILE_WIDTH, 0), image.tag_v2.get(_TILE_LENGTH, 0)
        if across * down > most_pixels:
            return f"too many pixels in a tile ({across}x{down}); save it as PNG"
    if image.format in ("JPEG", "MPO") and count_scans(content) > MOST_SCANS:
        return f"more than {MOST_SCANS} passes over its pixels; save it again as JPEG"
    return ""


def count_scans(jpeg: memoryview) -> int:
    """How many scans the first picture in a JPEG file has.

    Segments are skipped by their length, since a thumbnail in one has scans of its own (JPEG
    standard ITU-T T.81, annex B).
    """
    count, at = 0, 2
    while found := _MARKER.search(jpeg, at):
        kind = jpeg[found.start() + 1]
        if kind == _END_OF_IMAGE:
            break
        count += kind == _START_OF_SCAN
        at = found.end() + max(2, int.from_bytes(jpeg[found.end() : found.end() + 2]))
    return count
