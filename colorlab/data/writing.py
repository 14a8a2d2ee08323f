"""Write a coloured picture with what its file told: metadata, transparency, 16 bits, all pages.

A file of several pages (TIFF) or frames (GIF, WebP, APNG, AVIF) is taken apart into files of one
picture each, which `colorlab.data.reading` reads as any other. Metadata is carried over as far as
the new format holds it: EXIF, IPTC, XMP, resolution and texts. Two things in it are put right,
since the pixels are upright and sRGB now: the orientation and the colour space. Left out are
structural tags, thumbnails and the maker's notes, which hold addresses within the old file.
"""

from __future__ import annotations

import io
import re
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageCms, PngImagePlugin, TiffImagePlugin

from colorlab.data.decoding import (
    FORMATS,
    code_points,
    is_picture,
    open_tiff,
    png_chunks,
    values_of,
)
from colorlab.data.profiles import to_8_bits
from colorlab.data.reading import Picture, UnreadableImageError, over_white
from colorlab.files import shown

QUALITY = 95
"""Of JPEG, WebP and AVIF, without chroma subsampling where that can be chosen."""

LOSSY = ("JPEG", "WEBP", "AVIF")

# What each format holds besides 8-bit colours, as it is written here.
HOLDS = {
    "PNG": {"16 bits", "transparency", "frames", "EXIF", "XMP", "IPTC", "resolution", "texts"},
    "TIFF": {"16 bits", "transparency", "pages", "EXIF", "XMP", "IPTC", "resolution"},
    "WEBP": {"transparency", "frames", "EXIF", "XMP", "resolution"},
    "AVIF": {"transparency", "frames", "EXIF", "XMP", "resolution"},
    "JPEG": {"EXIF", "XMP", "IPTC", "resolution", "texts"},
    "JPEG2000": {"transparency"},
    "GIF": {"transparency", "frames"},
    "BMP": {"resolution"},
    "PPM": set(),
}

_DESCRIPTIVE = {
    # DocumentName ... Model, PageName, PageNumber, Software ... Copyright
    *(269, 270, 271, 272, 285, 297, 305, 306, 315, 316, 18246, 18249, 33432),
    *range(40091, 40096),  # XPTitle ... XPSubject
}
_RESOLUTION = (282, 283, 296)  # XResolution, YResolution, ResolutionUnit
_EXIF, _GPS, _IPTC, _XMP = 34665, 34853, 33723, 700
_IPTC_RESOURCE = 0x0404
_MOST_OF_SEGMENT = 65_000  # bytes in a segment of a JPEG; its resolution has 16 bits too


class Metadata(NamedTuple):
    """What a file tells beside its pixels."""

    exif: dict[int, Any] = {}  # noqa: RUF012
    """Tags of the main directory; those of Exif and GPS as dictionaries in it."""
    xmp: bytes = b""
    iptc: bytes = b""
    resolution: tuple[float, float] | None = None
    """Pixels per inch, across and down."""
    texts: dict[str, str] = {}  # noqa: RUF012
    damaged: tuple[str, ...] = ()
    """What cannot be read of it."""


class Parts(NamedTuple):
    """A file taken apart."""

    kind: str
    """"pages", "frames", or "" for a single picture."""
    files: Sequence[Callable[[], io.BytesIO]]
    """Each makes a file of one picture."""
    durations: Sequence[int] = ()
    """Of frames, in milliseconds."""
    loop: int = 0
    """How often the frames are shown; 0 for ever."""
    lost: tuple[str, ...] = ()
    """What is not among the parts, as the second picture in a JPEG by a stereo camera."""


@contextmanager
def _judged() -> Iterator[None]:
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:  # parsers raise what they stumble over
        why = f"cut short or damaged after its first picture ({shown(error)})"
        raise UnreadableImageError(f"{why}; fetch it again or remove it") from error


@_judged()
def take_apart(content: bytes) -> Parts:
    """The pages or frames of a file whose first picture can be read.

    Raises:
        UnreadableImageError: it is damaged after that; the files made may raise it too.
    """
    whole = [partial(io.BytesIO, content)]
    if content[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        pages = _tiff_pages(content)
        return Parts("pages", pages) if len(pages) > 1 else Parts("", whole)
    with _open(content) as image:
        count = getattr(image, "n_frames", 1)
        cut = ("bits beyond 8",) if _is_cut(image, content) else ()
        if count == 1 or image.format not in ("GIF", "WEBP", "PNG", "AVIF"):
            further = (f"{count - 1} further picture{'s' * (count > 2)} in the file",)
            return Parts("", whole, lost=cut + further * (count > 1))
        durations = []
        for i in range(count):
            image.seek(i)
            image.load()  # before which WebP and AVIF tell no time
            durations.append(int(image.info.get("duration", 0)))
        loop = image.info.get("loop", 1 if image.format == "GIF" else 0)
        return Parts(
            "frames", [partial(_frame, content, i) for i in range(count)], durations, loop, cut
        )


def read_metadata(content: bytes) -> Metadata:
    """What a file that can be read tells beside its pixels."""
    told: dict[str, Any] = {}
    damaged = []
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            with _described(content) as image:
                if image.format == "PNG":
                    image.load()  # some of it may come after the pixels
                for field, (name, read) in _FIELDS.items():
                    try:
                        told[field] = read(image)
                    except Exception:  # PIL's parsers raise what they stumble over
                        damaged.append(name)
        except Exception:
            damaged.append("metadata")
    if "EXIF" not in damaged and any("EXIF" in str(one.message) for one in warned):
        damaged.append("a part of EXIF")
    if b"HasExtendedXMP" in told.get("xmp", b""):
        damaged.append("a part of XMP")
    return Metadata(**told, damaged=tuple(damaged))


def encode(
    pictures: Sequence[Picture],
    metadata: Sequence[Metadata],
    kind: str,
    parts: Parts,
    quality: int | None = None,
) -> tuple[bytes, list[str]]:
    """A file of one or several pictures.

    Args:
        pictures: in sRGB, as `colorlab.data.reading.read_picture` gives them.
        metadata: of each.
        kind: of file, a key of `HOLDS`.
        parts: what the pictures were taken from.
        quality: 1 to 100 for JPEG, WebP and AVIF; `QUALITY` unless given.

    Returns:
        Its bytes, and what was left out of it, each in a few words.
    """
    holds, lost = HOLDS[kind], [*parts.lost]
    lost += dict.fromkeys(picture.lost for picture in pictures if picture.lost)
    several = "pages" if "pages" in holds else "frames"
    if len(pictures) > 1 and not (parts.kind in holds or several == "pages"):
        lost.append(f"{len(pictures) - 1} further {parts.kind}, since {kind} holds one picture")
        pictures, metadata = pictures[:1], metadata[:1]
    elif len(pictures) > 1 and parts.kind != several:
        lost.append("the timing of the frames")
    pictures = [_opaque(picture) for picture in pictures]
    if any(picture.rgb.dtype == np.uint16 for picture in pictures) and "16 bits" not in holds:
        lost.append(f"8 of 16 bits, since {kind} holds no more")
        pictures = [
            Picture(to_8_bits(rgb), None if alpha is None else to_8_bits(alpha))
            for rgb, alpha, _ in pictures
        ]
    if any(picture.alpha is not None for picture in pictures) and "transparency" not in holds:
        lost.append(f"transparency (white instead), since {kind} holds none")
        pictures = [
            Picture(rgb if alpha is None else over_white(rgb, alpha[..., None]), None)
            for rgb, alpha, _ in pictures
        ]
    if kind == "GIF":
        lost.append("all but 256 colours, since GIF holds no more")
        pictures = [  # each pixel seen or not: GIF knows nothing between
            Picture(rgb, None if alpha is None else np.where(alpha < 128, 0, 255).astype(np.uint8))
            for rgb, alpha, _ in pictures
        ]
    kept = [_that_fits(told, kind) for told in metadata]
    if missing := list(dict.fromkeys(name for _, names in kept for name in names)):
        lost.append(f"{', '.join(missing)}, since {kind} has no room for it")
    if damaged := list(dict.fromkeys(name for told in metadata for name in told.damaged)):
        lost.append(f"{', '.join(damaged)}, which cannot be read")
    metadata = [told for told, _ in kept]
    if kind == "TIFF":
        return _tiff(pictures, metadata), lost
    settings = _settings(kind, metadata[0], QUALITY if quality is None else quality)
    if kind == "PNG" and pictures[0].rgb.dtype == np.uint16:
        return _deep_png(pictures[0], settings), lost
    if len(pictures) > 1:
        images = [_image(picture) for picture in pictures]
        settings |= {
            "save_all": True,
            "append_images": images[1:],
            "duration": parts.durations,
            "loop": parts.loop,
        }
    buffer = io.BytesIO()
    _image(pictures[0]).save(buffer, kind, **settings)
    return buffer.getvalue(), lost


@lru_cache
def srgb_profile() -> bytes:
    """An ICC profile of sRGB; LittleCMS would put the time of day in it."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
    return bytes(profile)


# ---- taking apart


def _open(content: bytes) -> Image.Image:
    formats = (*FORMATS, "HEIF") if "HEIF" in Image.OPEN else FORMATS
    return Image.open(io.BytesIO(content), formats=formats)


def _is_cut(image: Image.Image, content: bytes) -> bool:
    """Whether more than 8 bits are stored, of which PIL decodes 8."""
    head = content[: 2**16]
    match image.format:
        case "PNG":
            return content[24] > 8 and getattr(image, "n_frames", 1) > 1
        case "PPM" if image.mode == "RGB" and image.tile[0].codec_name != "raw":
            return image.tile[0].args[-1] > 255
        case "AVIF":  # the bit high_bitdepth of AV1
            return re.search(rb"(?s)av1C\x81.[\x40-\x7f\xc0-\xff]", head) is not None
        case "JPEG2000" if image.mode[0] != "I":  # in SIZ, the first channel's depth less one
            return re.search(rb"(?s)\xff\x4f\xff\x51.{38}[\x08-\x7f\x88-\xff]", head) is not None
        case "HEIF":
            return image.info.get("bit_depth", 8) > 8
    return False


@_judged()
def _frame(content: bytes, index: int) -> io.BytesIO:
    """A frame as a PNG that declares the same colours."""
    with _open(content) as image:
        kind, info = image.format, dict(image.info)
        image.seek(index)
        frame = image.convert("RGBA")
    profile, declared = info.get("icc_profile"), PngImagePlugin.PngInfo()
    if kind == "PNG":
        for name, data in png_chunks(content):
            if name in (b"cICP", b"cHRM", b"gAMA", b"sRGB"):
                declared.add(name, data)
    elif not profile and (codes := code_points(kind, memoryview(content))):
        declared.add(b"cICP", bytes([*codes, 0, 1]))
    buffer = io.BytesIO()
    told = {"icc_profile": profile, "exif": info.get("exif", b""), "pnginfo": declared}
    frame.save(buffer, "PNG", compress_level=1, **told)
    return buffer


def _tiff_pages(content: bytes) -> list[Callable[[], io.BytesIO]]:
    """Each page but thumbnails and masks, as the file with that page at its head."""
    with open_tiff(io.BytesIO(content)) as file:
        order, big = file.byteorder, file.is_bigtiff
        places = [page.offset for page in file.pages if is_picture(values_of(page))]
        end = file.pages[-1].offset
    counts, step, link = ("Q", 20, "Q") if big else ("H", 12, "I")
    (count,) = struct.unpack_from(order + counts, content, end)
    end += struct.calcsize(counts) + step * count
    if struct.unpack_from(order + link, content, end) != (0,):
        raise ValueError("it has a page that is not there")
    heads = [content[: 8 if big else 4] + struct.pack(order + link, place) for place in places]
    return [lambda head=head: io.BytesIO(head + content[len(head) :]) for head in heads]


# ---- metadata


class _Directory:
    """The tags of a TIFF whose pixels PIL does not decode, as of an image."""

    format = "TIFF"

    def __init__(self, content: bytes):
        place, self.tags = None, Image.Exif()
        if content[:4] == b"II+\0":
            self.tags.bigtiff, self.tags.endian = True, "<"
            place = int.from_bytes(content[8:16], "little")
        self.tags.load_from_fp(io.BytesIO(content), place)
        self.size = self.tags.get(256, 0), self.tags.get(257, 0)
        self.info = {"xmp": self.tags.get(_XMP)}

    def getexif(self) -> Image.Exif:
        return self.tags


def _described(content: bytes) -> AbstractContextManager[Image.Image | _Directory]:
    try:
        return _open(content)
    except Image.UnidentifiedImageError:
        return nullcontext(_Directory(content))


def _exif(image: Image.Image | _Directory) -> dict[int, Any]:
    source, size = image.getexif(), image.size
    tags = _texts_as_stored({tag: source[tag] for tag in _DESCRIPTIVE if tag in source})
    inner = _texts_as_stored(source.get_ifd(ExifTags.IFD.Exif))
    for tag in (ExifTags.Base.MakerNote, ExifTags.IFD.Interop):
        inner.pop(tag, None)
    if source.get(ExifTags.Base.Orientation, 1) > 4:
        size = size[::-1]
    now = {ExifTags.Base.ColorSpace: 1}  # sRGB
    now |= {ExifTags.Base.ExifImageWidth: size[0], ExifTags.Base.ExifImageHeight: size[1]}
    if inner:
        tags[_EXIF] = inner | {tag: value for tag, value in now.items() if tag in inner}
    if place := _texts_as_stored(source.get_ifd(ExifTags.IFD.GPSInfo)):
        tags[_GPS] = place
    _exif_bytes(tags)  # fails here, if it cannot be written
    return tags


def _texts_as_stored(tags: Mapping[int, Any]) -> dict[int, Any]:
    """PIL reads texts as Latin 1, whatever they are in, and writes ASCII, but bytes as they are."""
    return {
        tag: value.encode("latin-1") if isinstance(value, str) and not value.isascii() else value
        for tag, value in tags.items()
    }


def _xmp(image: Image.Image | _Directory) -> bytes:
    xmp = bytes(image.info.get("xmp") or b"")
    return re.sub(rb'(tiff:Orientation(?:\s*=\s*["\']|>))[2-8]', rb"\g<1>1", xmp)


def _iptc(image: Image.Image | _Directory) -> bytes:
    if image.format == "TIFF":
        # Many programs declare it as 32-bit numbers, of which PIL keeps one.
        with open_tiff(image.getexif().fp) as file:
            return bytes(file.pages.first.tags.valueof(_IPTC) or b"")
    if image.format == "PNG":
        text = image.text.get("Raw profile type iptc", "").split()[2:]  # after a name and a length
        data = bytes.fromhex("".join(text))
        if data[:6] != b"8BIM" + struct.pack(">H", _IPTC_RESOURCE):
            return data
        return data[12 : 12 + int.from_bytes(data[8:12])]
    return bytes(image.info.get("photoshop", {}).get(_IPTC_RESOURCE, b""))


def _resolution(image: Image.Image | _Directory) -> tuple[float, float] | None:
    """Where the unit is an inch or a centimetre, by the format's own field or else by EXIF."""
    exif, told = image.getexif(), image.info.get("dpi")
    of_jpeg = image.format in ("JPEG", "MPO")
    if image.format == "TIFF" or (of_jpeg and image.info.get("jfif_unit") not in (1, 2)):
        told = None  # PIL takes 1 or 72 where nothing is told
    scale = {2: 1, 3: 2.54}.get(exif.get(_RESOLUTION[2], 2), 0)
    values = told or [scale * exif.get(tag, 0) for tag in _RESOLUTION[:2]]
    across, down = map(float, values)
    return (across, down) if 0 < across < 1e6 and 0 < down < 1e6 else None


def _texts(image: Image.Image) -> dict[str, str]:
    if image.format == "PNG":
        names = [name for name in image.text if not name.startswith(("Raw profile", "XML:com"))]
        return {name: str(image.text[name]) for name in names}
    parts = [data for name, data in getattr(image, "applist", ()) if name == "COM"]
    comment = b"\n".join(parts) or image.info.get("comment", b"")
    if isinstance(comment, bytes):
        try:
            comment = comment.decode()
        except UnicodeDecodeError:
            comment = comment.decode("latin-1")
    return {"Comment": str(comment)} if comment else {}


_FIELDS = {
    "exif": ("EXIF", _exif),
    "xmp": ("XMP", _xmp),
    "iptc": ("IPTC", _iptc),
    "resolution": ("resolution", _resolution),
    "texts": ("texts", _texts),
}


def _that_fits(told: Metadata, kind: str) -> tuple[Metadata, list[str]]:
    """What a format holds of it, and the names of the rest."""
    sizes = {"EXIF": len(_exif_bytes(told.exif)), "XMP": len(told.xmp), "IPTC": len(told.iptc)}
    sizes |= {"texts": len(_comment(told)), "resolution": max(told.resolution or (0,))}
    missing = []
    for field, (what, _) in _FIELDS.items():
        too_large = kind == "JPEG" and sizes.get(what, 0) > _MOST_OF_SEGMENT
        if getattr(told, field) and (what not in HOLDS[kind] or too_large):
            told = told._replace(**{field: Metadata._field_defaults[field]})
            missing.append(what)
    return told, missing


def _exif_bytes(tags: dict[int, Any]) -> bytes:
    exif = Image.Exif()
    exif.update(tags)
    return exif.tobytes() if tags else b""


def _resource(iptc: bytes) -> bytes:
    """IPTC as a resource of Photoshop, in which JPEG and PNG hold it."""
    head = b"8BIM" + struct.pack(">HHI", _IPTC_RESOURCE, 0, len(iptc))
    return head + iptc + b"\0" * (len(iptc) % 2)


# ---- encoding


def _opaque(picture: Picture) -> Picture:
    """Without an alpha channel that hides nothing."""
    alpha = picture.alpha
    if alpha is not None and alpha.min() == np.iinfo(alpha.dtype).max:
        return picture._replace(alpha=None)
    return picture


def _samples(picture: Picture) -> np.ndarray:
    """(H, W, 3), or (H, W, 4) with alpha."""
    if picture.alpha is None:
        return picture.rgb
    return np.concatenate([picture.rgb, picture.alpha[..., None]], axis=-1)


def _image(picture: Picture) -> Image.Image:
    image = Image.fromarray(picture.rgb)
    if picture.alpha is not None:
        image.putalpha(Image.fromarray(picture.alpha))
    return image


def _settings(kind: str, told: Metadata, quality: int) -> dict[str, Any]:
    """Of PIL's encoder."""
    settings: dict[str, Any] = {}
    if "EXIF" in HOLDS[kind]:
        settings["icc_profile"] = srgb_profile()
        tags = told.exif
        if told.resolution and kind in ("WEBP", "AVIF"):  # which have no other room for it
            tags = tags | dict(zip(_RESOLUTION, (*told.resolution, 2), strict=True))
        if tags:
            settings["exif"] = _exif_bytes(tags)
    if told.resolution or kind == "BMP":  # where PIL takes 96 where nothing is told
        settings["dpi"] = told.resolution or (0, 0)
    if kind in LOSSY:
        settings["quality"] = quality
    if kind in ("JPEG", "AVIF"):
        settings["subsampling"] = "4:4:4"
    if kind == "PNG":
        settings["pnginfo"] = _png_texts(told)
    elif told.xmp:
        settings["xmp"] = told.xmp
    if kind == "JPEG":
        if told.iptc:
            segment = b"Photoshop 3.0\0" + _resource(told.iptc)
            settings["extra"] = b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment
        if told.texts:
            settings["comment"] = _comment(told)
    return settings


def _comment(told: Metadata) -> bytes:
    """Of a JPEG."""
    lines = [v if k == "Comment" else f"{k}: {v}" for k, v in told.texts.items()]
    return "\n".join(lines).encode("utf-8", "replace")


def _png_texts(told: Metadata) -> PngImagePlugin.PngInfo:
    texts = PngImagePlugin.PngInfo()
    for name, text in told.texts.items():
        texts.add_itxt(name, text)
    if told.xmp:
        texts.add_itxt("XML:com.adobe.xmp", told.xmp.decode("utf-8", "replace"))
    if told.iptc:  # as ImageMagick and ExifTool write it
        data = _resource(told.iptc)
        lines = [data[i : i + 36].hex() for i in range(0, len(data), 36)]
        text = "\n".join(["", "iptc", f"{len(data):8}", *lines, ""])
        texts.add_text("Raw profile type iptc", text, zip=True)
    return texts


def _deep_png(picture: Picture, settings: dict[str, Any]) -> bytes:
    """A PNG of 16 bits, which PIL cannot write in colour: its chunks around other pixels."""
    samples = _samples(picture)
    height, width, channels = samples.shape
    buffer = io.BytesIO()
    Image.new("RGB", (1, 1)).save(buffer, "PNG", **settings)
    data = buffer.getvalue()
    file = data[:8]
    for name, body in png_chunks(data):
        if name == b"IHDR":
            body = struct.pack(">IIBBBBB", width, height, 16, 6 if channels == 4 else 2, 0, 0, 0)
        elif name == b"IDAT":
            rows = samples.astype(">u2").reshape(height, -1).view(np.uint8)
            filtered = np.full(
                (height, 1 + rows.shape[1]), 2, np.uint8
            )  # filter 2: less the row above
            filtered[0, 1:] = rows[0]
            np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
            body = zlib.compress(filtered)
        file += (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )
    return file


def _tiff(pictures: Sequence[Picture], metadata: Sequence[Metadata]) -> bytes:
    """Pages with their metadata, by Deflate (TIFF 6.0; PIL writes no 16 bits, tifffile no EXIF)."""
    file = bytearray(b"II*\0\x08\0\0\0")
    link = 4  # where the place of the next directory is told
    for picture, told in zip(pictures, metadata, strict=True):
        samples = _samples(picture)
        height, width, channels = samples.shape
        directory = TiffImagePlugin.ImageFileDirectory_v2(bytes(file[:8]))
        directory.update(told.exif)
        step = max(1, 2**20 // (width * samples.itemsize * channels))
        strips = []
        for top in range(0, height, step):
            rows = samples[top : top + step].astype(samples.dtype.newbyteorder("<"))
            rows[:, 1:] -= rows[:, :-1].copy()  # predictor 2: less the pixel before
            strips.append(zlib.compress(rows.tobytes()))
        starts = np.cumsum([0, *map(len, strips)])
        across, down = told.resolution or (1, 1)
        directory.update(
            {
                256: width,
                257: height,
                258: (8 * samples.itemsize,) * channels,
                259: 8,  # Compression: Deflate
                262: 2,  # PhotometricInterpretation: RGB
                273: tuple(map(int, starts[:-1])),  # PIL adds the place of what follows
                277: channels,
                278: step,
                279: tuple(map(len, strips)),
                282: across,
                283: down,
                296: 2 if told.resolution else 1,  # ResolutionUnit: inch or none
                317: 2,  # Predictor
                34675: srgb_profile(),
            }
        )
        if channels == 4:
            directory[338] = 2  # ExtraSamples: alpha, not multiplied in
        for tag, data in ((_XMP, told.xmp), (_IPTC, told.iptc)):
            if data:
                directory[tag] = data
        file += b"\0" * (len(file) % 2)
        place = len(file)
        file[link : link + 4] = struct.pack("<I", place)
        file += directory.tobytes(place)
        link = place + 2 + 12 * len(directory)
        file += b"".join(strips)
    return bytes(file)
