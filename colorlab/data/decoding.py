"""Decode a picture file: its numbers as stored, and what they mean.

PIL decodes, in 16 bits too (see `_deep`); tifffile takes the TIFFs that PIL cannot read or reads
wrong, with the package imagecodecs for rare compressions; pillow-heif takes HEIC.
"""

from __future__ import annotations

import importlib.util
import io
import logging
import re
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageOps, ImagePalette

from colorlab.data import profiles
from colorlab.data.profiles import Convert, UnfitProfileError, UnknownSpaceError

if TYPE_CHECKING:
    import tifffile

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "GIF", "BMP", "JPEG2000", "PPM")
"""What is decoded. PIL knows more: EPS, for one, which it hands to another program to run."""


class RefusedError(Exception):
    """Why a picture is not read, and the remedy."""


class Stored(NamedTuple):
    """A decoded picture, upright, in the colours of its file."""

    height: int
    width: int
    mode: str
    """"L", "RGB" or "CMYK"."""
    deep: bool
    alpha: bool
    rows: Callable[[slice], np.ndarray]
    """Some rows as (R, W, C) uint8, uint16 if deep; alpha, if there is one, comes last."""
    convert: Convert | None


# ---- by PIL


def open_picture(content: io.BytesIO) -> AbstractContextManager[Image.Image | None]:
    """The picture, not yet decoded; None stands for a TIFF that tifffile reads."""
    head = bytes(content.getbuffer()[:12])
    if head[:4] == b"MM\0+":  # a big TIFF of the byte order that PIL does not know
        return nullcontext()
    try:
        image = Image.open(content, formats=FORMATS)
    except Image.UnidentifiedImageError:
        if head[:4] in (b"II*\0", b"MM\0*", b"II+\0"):
            return nullcontext()
        if head[4:8] != b"ftyp" or head[8:] not in _HEIC:
            raise
        try:
            import pillow_heif
        except ImportError as error:
            why = "a HEIC picture; install the package pillow-heif or save it as JPEG"
            raise RefusedError(why) from error
        pillow_heif.register_heif_opener()
        content.seek(0)
        return Image.open(content, formats=("HEIF",))
    return nullcontext() if image.format == "TIFF" and _is_for_tifffile(image) else image


_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


def by_pillow(image: Image.Image, content: io.BytesIO) -> Stored:
    """Decode what :func:`open_picture` opened. PIL's many errors are let through.

    Raises:
        RefusedError: values of an unknown range.
        UnknownSpaceError: colours that are not known.
    """
    info, raw = dict(image.info), _raw_mode(image)
    deep = True
    if _DEEP.fullmatch(raw) or raw in ("LA;16B", "RGBa"):
        images, rows, mode, alpha = _deep(image, content, raw)
    else:
        _mend(image, info, raw)
        image.load()
        images = [image]
        if image.mode.startswith("I") or image.mode == "F":
            mode, alpha, rows = "L", "transparency" in info, _deep_gray(image, info, raw)
        else:
            deep = False
            mode, alpha = _layout(image)
            rows = _shallow(mode + "A" * alpha)
    convert = None if image.mode == "LAB" else _declared(image, info, content, mode)
    for one in images:
        with suppress(Exception):  # the parser of EXIF raises what it stumbles over
            ImageOps.exif_transpose(one, in_place=True)
    width, height = images[0].size

    def cropped(span: slice) -> np.ndarray:
        return rows(*(one.crop((0, span.start, width, span.stop)) for one in images))

    return Stored(height, width, mode, deep, alpha, cropped, convert)


def _layout(image: Image.Image) -> tuple[str, bool]:
    """Channels of a picture of 8 bits or fewer, and whether it has alpha that says something."""
    alpha = image.has_transparency_data
    silent = image.format == "BMP" or (image.format == "TIFF" and 338 not in image.tag_v2)
    if alpha and silent and image.getchannel("A").getextrema() == (0, 0):
        alpha = False  # an unused byte, not a picture that nobody can see
    if image.mode in ("1", "L", "LA", "La"):
        return "L", alpha
    return "CMYK" if image.mode == "CMYK" else "RGB", alpha


def _shallow(mode: str) -> Callable[[Image.Image], np.ndarray]:
    def rows(band: Image.Image) -> np.ndarray:
        samples = np.asarray(band if band.mode == mode else band.convert(mode))
        return samples.reshape(*samples.shape[:2], -1)

    return rows


def _deep_gray(image: Image.Image, info: dict, raw: str) -> Callable[[Image.Image], np.ndarray]:
    """Gray of 12 or 16 bits (modes I;16 and I) or in [0, 1] (mode F)."""
    top, what = 65535, "32-bit values outside 0..65535"
    if image.mode == "F":
        top, what = 1, "floating-point values outside [0, 1]"
    elif raw == "I;12":
        top = 4095
    negative = image.format == "TIFF" and image.tag_v2.get(262) == 0  # WhiteIsZero
    none = info.get("transparency")

    def rows(band: Image.Image) -> np.ndarray:
        stored = np.asarray(band)
        samples = _to_16_bits(stored, top, what)
        if negative:
            samples = 65535 - samples
        return samples[..., None] if none is None else _with_hole(samples[..., None], none)

    return rows


def _to_16_bits(values: np.ndarray, top: int, what: str) -> np.ndarray:
    """Numbers in [0, top] as uint16."""
    if not (values.min() >= 0 and values.max() <= top):  # also true for NaN
        raise RefusedError(f"{what}; save it with 8 or 16 bits")
    if top == 65535:
        return values.astype(np.uint16)
    return np.rint(values.astype(np.float64) * (65535 / top)).astype(np.uint16)


def _with_hole(samples: np.ndarray, none: int | tuple[int, ...]) -> np.ndarray:
    """Alpha added: 0 where the 16-bit colour is the one that stands for none."""
    seen = (samples != np.array(none)).any(axis=-1, keepdims=True)
    return np.concatenate([samples, seen * np.uint16(65535)], axis=-1)


_DEEP = re.compile("(RGB|RGBX|RGBA|RGBa|CMYK);16[LBN]")


def _raw_mode(image: Image.Image) -> str:
    """How the pixels lie in the file, in PIL's words."""
    args = image.tile[0].args if image.tile else ""
    return args if isinstance(args, str) else str(args[0]) if args else ""


def _deep(image: Image.Image, content: io.BytesIO, raw: str) -> tuple:
    """Colour, or gray with alpha, of 16 bits.

    PIL has no such mode and keeps one of the two bytes. Which one it takes for the high byte is
    told by the raw mode, so that it is asked twice.
    """
    if raw == "LA;16B":  # four bytes, as RGBA of 8 bits has them
        decoded = [_decoded(image, content, "RGBA")]

        def rows(band: Image.Image) -> np.ndarray:
            return np.asarray(band).view(">u2").astype(np.uint16)

        return decoded, rows, "L", True
    if raw == "RGBa":  # 8 bits, from which a division by alpha makes more

        def rows(band: Image.Image) -> np.ndarray:
            return _unmultiplied(np.asarray(band) * np.uint16(257))

        return [_decoded(image, content, "RGBA")], rows, "RGB", True
    layout, order = raw.replace("RGBa", "RGBA").split(";16")
    if order == "N":
        order = "L" if sys.byteorder == "little" else "B"
    high, low = (f"{layout};16{end}" for end in (order, "LB"[order == "L"]))
    decoded = [_decoded(image, content, high), _decoded(image, content, low)]
    none = image.info.get("transparency")
    alpha = none is not None or layout == "RGBA"
    silent = image.format == "TIFF" and 338 not in image.tag_v2
    if layout == "RGBA" and silent and all(d.getextrema()[3] == (0, 0) for d in decoded):
        decoded, alpha = [d.convert("RGB") for d in decoded], False

    def rows(high: Image.Image, low: Image.Image) -> np.ndarray:
        samples = np.asarray(high).astype(np.uint16) << 8 | np.asarray(low)
        if raw.startswith("RGBa"):
            return _unmultiplied(samples)
        return samples if none is None else _with_hole(samples, none)

    return decoded, rows, "CMYK" if layout == "CMYK" else "RGB", alpha


def _decoded(image: Image.Image, content: io.BytesIO, raw: str) -> Image.Image:
    """The opened picture, decoded with another raw mode."""
    again = Image.open(io.BytesIO(content.getvalue()), formats=FORMATS)
    if image.tell():
        again.seek(image.tell())
    tiles = []
    for tile in again.tile:
        tiles.append(
            tile._replace(args=raw if isinstance(tile.args, str) else (raw, *tile.args[1:]))
        )
    again.tile = tiles
    again.load()
    return again


def _unmultiplied(samples: np.ndarray) -> np.ndarray:
    """Colours of 16 bits divided by the alpha, the last channel, that multiplies them."""
    alpha = samples[..., -1:].astype(np.float64)
    colors = np.minimum(np.rint(samples[..., :-1] * (65535 / np.maximum(alpha, 1))), 65535)
    return np.concatenate([colors.astype(np.uint16), samples[..., -1:]], axis=-1)


def _mend(image: Image.Image, info: dict, raw: str) -> None:
    """Correct what PIL takes from the header wrongly, before pixels are decoded."""
    if image.format == "PNG" and raw in ("L;2", "L;4") and "transparency" in info:
        most = 2 ** int(raw[2]) - 1
        image.info["transparency"] = (info["transparency"] & most) * (255 // most)
    if image.format == "TIFF" and image.mode in ("P", "PA"):
        colors = image.tag_v2[320]
        if 0 < max(colors) < 256:  # 8 bits where the format wants 16, as old programs wrote
            image.palette = ImagePalette.raw("RGB;L", bytes(colors))


def _declared(image: Image.Image, info: dict, content: io.BytesIO, mode: str) -> Convert | None:
    """What makes sRGB of a picture's colours, None if they are sRGB or nothing is declared.

    A PNG's chunks count in the order of its specification: cICP, iCCP, sRGB, gAMA with cHRM (alone
    cHRM says nothing). A broken declaration is passed over, as browsers do.
    """
    with content.getbuffer() as view:
        codes = code_points(image.format, view)
        profile = info.get("icc_profile") or _profile_inside(image.format, view)
    if codes and image.format == "PNG":
        with suppress(UnfitProfileError):
            return profiles.coded(*codes, mode)
    if profile:
        with suppress(UnfitProfileError):
            return profiles.icc(bytes(profile), mode)
    if mode == "CMYK" or "srgb" in info:
        return None
    with suppress(UnfitProfileError):
        if codes and image.format != "PNG":
            return profiles.coded(*codes, mode)
        if "gamma" in info:
            xy = info.get("chromaticity")
            corners = (*xy[2:], *xy[:2]) if xy else profiles.SRGB_CORNERS  # white comes first
            return profiles.chromatic(info["gamma"], corners, mode)
    with suppress(Exception):  # the parser of EXIF raises what it stumbles over
        if _is_adobe_rgb(image.getexif()):
            return profiles.adobe_rgb(mode)
    return None


def code_points(kind: str | None, content: memoryview) -> tuple[int, int] | None:
    """Primaries and transfer function in a PNG's chunk or an AVIF's or HEIC's box."""
    if kind in ("AVIF", "HEIF"):
        box = re.search(rb"colrnclx(.{4})", content[: 2**16], re.DOTALL)
        return struct.unpack(">2H", box[1]) if box else None
    for name, data in png_chunks(content) if kind == "PNG" else ():
        if name == b"IDAT":
            break
        if name == b"cICP" and len(data) == 4:
            primaries, transfer, matrix, full = data
            if not full:
                raise UnknownSpaceError("a cICP chunk of narrow range; save it as sRGB")
            return None if matrix else (primaries, transfer)
    return None


def png_chunks(content: bytes | memoryview) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of each whole chunk of a PNG."""
    at = 8
    while at + 12 <= len(content):
        length, name = struct.unpack_from(">I4s", content, at)
        yield name, bytes(content[at + 8 : at + 8 + length])
        at += 12 + length


def _profile_inside(kind: str | None, content: memoryview) -> bytes | None:
    """The profile where PIL does not look for it.

    Raises:
        UnknownSpaceError: a JPEG 2000 names colours that are read here as if they were sRGB.
    """
    if kind == "BMP" and content[14] == 124 and content[70:74] == b"DEBM":  # V5, "embedded"
        start, length = struct.unpack_from("<2I", content, 126)
        return bytes(content[14 + start :][:length])
    if kind == "JPEG2000":
        box = re.search(rb"(.{4})colr(.)..(.{4})", content[: 2**16], re.DOTALL)
        if box and box[2] in b"\2\3":
            return bytes(content[box.start(3) :][: int.from_bytes(box[1]) - 11])
        space = int.from_bytes(box[3]) if box else 16
        if space not in (12, 16, 17, 18):  # CMYK, sRGB, gray, sYCC (ISO 15444-1, I.5.3.3)
            raise UnknownSpaceError(f"a colour space that is not known ({space}); save it as sRGB")
    return None


def _is_adobe_rgb(exif: Image.Exif) -> bool:
    """By DCF 2.0: "uncalibrated", and R03 for interoperability; some cameras write 2."""
    space = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.ColorSpace)
    index = exif.get_ifd(ExifTags.IFD.Interop).get(1, "") if space == 65535 else ""
    return space == 2 or str(index).startswith("R03")


# ---- by tifffile


def is_picture(tags: Callable[[int, int], int]) -> bool:
    """Neither a smaller version of another page nor its mask (TIFF 6.0, NewSubfileType)."""
    return not tags(254, 0) & 0b101 and tags(255, 0) != 2


def _is_for_tifffile(image: Image.Image) -> bool:
    """Go to the page that is the picture; tell if PIL reads it wrong or not at all."""
    if not is_picture(image.tag_v2.get):
        if 330 in image.tag_v2:  # SubIFDs, where raw photographs keep the picture
            return True
        try:
            for page in range(1, MOST_PAGES):
                image.seek(page)
                if is_picture(image.tag_v2.get):
                    break
        except EOFError:
            image.seek(0)
        except (LookupError, SyntaxError, TypeError):  # of a kind that PIL does not know
            return True
    tags = image.tag_v2
    packed = tags.get(259, 1) != 1
    if tags.get(284) == 2 and tags.get(277, 1) > 1:  # each channel on its own
        wide = max(tags.get(258, (1,))) > 8 or image.mode not in ("RGB", "CMYK")
        if wide or tags.get(259, 1) in _FREE:
            return True
    subsampled = tags.get(262) == 6 and not packed
    swapped = image.mode == "F" and tags.prefix == b"MM" and packed
    signed = 2 in tags.get(339, ())
    if image.mode == "La" and tags.get(259, 1) in _FREE:
        return True
    return subsampled or swapped or signed or image.mode == "I" or tags.get(332, 1) != 1


MOST_PAGES = 100
"""Of a TIFF, among which the picture is looked for."""

_FREE = (1, 8, 32946)
"""Compressions that tifffile undoes without the package imagecodecs: none, Deflate."""


def open_tiff(content: io.BytesIO) -> tifffile.TiffFile:
    """The file's directories; what tifffile has to say of them is not printed."""
    import tifffile  # 0.2 s

    tifffile.logger().addHandler(_SILENT)
    content.seek(0)
    return tifffile.TiffFile(content)


_SILENT = logging.NullHandler()


def by_tifffile(content: io.BytesIO, most_pixels: int) -> Stored:
    """Decode a TIFF that PIL does not read or reads wrong.

    Raises:
        RefusedError: too many pixels; colours, range or compression not known.
    """
    with open_tiff(content) as file:
        first = page = file.pages.first
        if not is_picture(values_of(first)):
            inner = list(first.pages or ())
            others = inner + [file.pages[i] for i in range(1, min(len(file.pages), MOST_PAGES))]
            page = next((other for other in others if is_picture(values_of(other))), first)
        mode, channels, top, what = _tiff_layout(page)
        _check_tiff(page, content, most_pixels)
        samples = page.asarray(maxworkers=1)
        extra, value = page.extrasamples, values_of(page)
        profile = value(34675, None)
    samples = samples.reshape(page.shape)
    if page.axes == "SYX":
        samples = np.moveaxis(samples, 0, -1)
    samples = samples.reshape(*samples.shape[:2], -1)  # (H, W, S)
    hidden = [channels + i for i, kind in enumerate(extra) if kind in (1, 2)]
    alpha = bool(hidden)
    samples = samples[..., [*range(channels), *hidden[:1]]]
    if page.colormap is not None:
        samples = profiles.to_8_bits(page.colormap.T[samples[..., 0]])
    if mode == "LAB":
        samples = samples if samples.dtype == np.uint8 else _to_16_bits(samples, top, what)
        samples, mode, profile = _lab(samples, value(262, 8)), "RGB", None
    elif samples.dtype == bool:
        samples = samples * np.uint8(255)
    elif samples.dtype != np.uint8 or top != 255:
        samples = _to_16_bits(samples, top, what)
    if value(262, 1) == 0:
        samples[..., 0] = np.iinfo(samples.dtype).max - samples[..., 0]
    if alpha and extra[hidden[0] - channels] == 1:
        wide = samples if samples.dtype == np.uint16 else samples * np.uint16(257)
        samples = _unmultiplied(wide)
    convert = None
    if profile:
        with suppress(UnfitProfileError):
            convert = profiles.icc(bytes(profile), mode)
    samples = _turned(samples, value(274, 1))
    height, width = samples.shape[:2]
    deep = samples.dtype == np.uint16
    return Stored(height, width, mode, deep, alpha, lambda rows: samples[rows], convert)


def values_of(page: tifffile.TiffPage) -> Callable:
    """What looks up the value of a tag, or a default."""
    return lambda tag, default: page.tags.valueof(tag, default)


def _tiff_layout(page: tifffile.TiffPage) -> tuple[str, int, float, str]:
    """Mode, number of channels, the number that is full, and what to say of those outside."""
    photometric, bits = int(page.photometric), page.bitspersample
    modes = {0: ("L", 1), 1: ("L", 1), 2: ("RGB", 3), 3: ("RGB", 1), 5: ("CMYK", 4)}
    modes |= dict.fromkeys((8, 9), ("LAB", 3))
    if photometric not in modes:
        names = {
            6: "YCbCr without JPEG",
            32803: "a camera's raw data",
            34892: "a camera's raw data",
        }
        what = names.get(photometric, f"a TIFF of unknown colours (kind {photometric})")
        raise RefusedError(f"{what}; develop it, or save it as PNG, with another program")
    mode, channels = modes[photometric]
    if page.samplesperpixel < channels or page.tags.valueof(332, 1) != 1:
        raise RefusedError("a TIFF of unknown inks; save it as PNG")
    if page.sampleformat == 3:
        return mode, channels, 1, "floating-point values outside [0, 1]"
    if bits > 16:
        raise RefusedError(f"{bits}-bit values outside a known range; save it with 8 or 16 bits")
    if page.sampleformat != 1 and mode != "LAB":
        raise RefusedError("signed values, whose black is not known; save it with 8 or 16 bits")
    if page.axes not in ("YX", "YXS", "SYX"):
        raise RefusedError("a TIFF of more than two dimensions; save it as PNG")
    return mode, channels, 2**bits - 1, ""


def _check_tiff(page: tifffile.TiffPage, content: io.BytesIO, most_pixels: int) -> None:
    """Refuse what would fill the memory, or needs a package that is absent."""
    width, height = page.imagewidth, page.imagelength
    across, down = (page.tilewidth, page.tilelength) if page.is_tiled else (width, 1)
    size = -(-page.samplesperpixel * page.bitspersample // 8)  # bytes of a pixel
    depth = -(-size // 8)
    if max(width * height, across * down) * depth > most_pixels:
        raise RefusedError(
            f"too many pixels ({width}x{height}, at most {most_pixels // depth:,} of this kind are "
            "read); make it smaller first"
        )
    if page.compression in _FREE[1:]:
        most = across * max(down, page.rowsperstrip or 1) * size + 8
        with content.getbuffer() as view:
            for start, length in zip(page.dataoffsets, page.databytecounts, strict=False):
                inflate = zlib.decompressobj()
                inflate.decompress(view[start : start + length], most)
                if inflate.unconsumed_tail and not inflate.eof:
                    raise RefusedError("more data than pixels; save it as PNG")
    packed = page.compression not in _FREE or (page.bitspersample > 8 and page.bitspersample % 8)
    if packed and importlib.util.find_spec("imagecodecs") is None:
        kind = getattr(page.compression, "name", page.compression)
        raise RefusedError(
            f"a TIFF of {page.bitspersample} bits, compression {kind}; install the package "
            "imagecodecs or save it as PNG"
        )


def _lab(samples: np.ndarray, photometric: int) -> np.ndarray:
    """L*a*b* of a TIFF, its a* and b* signed in CIELAB (8) and shifted in ICCLAB (9), as sRGB."""
    kind = samples.dtype
    bits = 8 * kind.itemsize
    colors = samples[..., :3].astype(np.float64)
    if photometric == 8:
        signed = samples[..., 1:3].astype(kind).view(f"i{kind.itemsize}")
        colors[..., 1:] = signed / 2 ** (bits - 8)
        colors[..., 0] *= 100 / (2**bits - 1)
    else:
        colors[..., 1:] = colors[..., 1:] / 2 ** (bits - 8) - 128
        colors[..., 0] *= 100 / (255 * 2 ** (bits - 8))
    rgb = np.rint(profiles.lab_to_srgb(colors) * (2**bits - 1)).astype(kind)
    return np.concatenate([rgb, samples[..., 3:]], axis=-1)


def _turned(samples: np.ndarray, orientation: int) -> np.ndarray:
    if orientation in (5, 6, 7, 8):
        samples = samples.swapaxes(0, 1)
    across, down = orientation in (2, 3, 6, 7), orientation in (3, 4, 7, 8)
    return samples[:: -1 if down else 1, :: -1 if across else 1]
