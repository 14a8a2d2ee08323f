"""Odd but whole picture files, each with the pixels that a careful reader gets out of it."""

import io
import struct
import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageCms

FINE = {"quality": 98, "subsampling": 0}
BLOCKS = np.random.default_rng(7).integers(0, 256, (3, 4, 3), dtype=np.uint8)
TRUTH = BLOCKS.repeat(16, axis=0).repeat(16, axis=1)  # (48, 64, 3)

# Where the pixel at the top left of the stored picture stands when it is shown (EXIF 2.3, 4.6.4).
TURNS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, 1),
}


@dataclass(frozen=True)
class Odd:
    """The bytes of a file, what it shows, and by how much a lossy format may differ."""

    content: bytes
    truth: np.ndarray
    tolerance: int = 0


def saved(picture: Image.Image | np.ndarray, kind: str, **options) -> bytes:
    image = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture.copy()
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG file (PNG specification, section 5)."""
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def png(
    width: int, height: int, depth: int, color: int, packed: bytes, extra: bytes = b""
) -> bytes:
    """A PNG file from rows that are compressed already, for what PIL cannot write."""
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    body = chunk(b"IHDR", header) + extra + chunk(b"IDAT", packed)
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def tiff(tags: dict[int, tuple[int, ...]], pixels: bytes) -> bytes:
    """A TIFF file of one strip or tile; every tag is a LONG (TIFF 6.0, section 2)."""
    place, length = (324, 325) if 322 in tags else (273, 279)
    tags = {**tags, place: (0,), length: (len(pixels),)}
    after = 8 + 2 + 12 * len(tags) + 4
    lists = b""
    entries = b""
    spill = after + sum(4 * len(values) for values in tags.values() if len(values) > 1)
    for tag, values in sorted(tags.items()):
        values = (spill,) if tag == place else values
        raw = struct.pack(f"<{len(values)}I", *values)
        if len(values) > 1:
            raw, lists = struct.pack("<I", after + len(lists)), lists + raw
        entries += struct.pack("<HHI", tag, 4, len(values)) + raw
    head = struct.pack("<2sHIH", b"II", 42, 8, len(tags))
    return head + entries + bytes(4) + lists + pixels


def bitmap(picture: np.ndarray, alpha: int = 0, profile: bytes = b"") -> bytes:
    """A BMP of 32 bits with a mask for alpha, in version 4, or 5 around a profile."""
    height, width = picture.shape[:2]
    fourth = np.full((height, width, 1), alpha, np.uint8)
    pixels = np.concatenate([picture[::-1, :, ::-1], fourth], axis=-1).tobytes()
    length, space = (124, b"DEBM") if profile else (108, b"BGRs")
    head = struct.pack("<IiiHHIIiiII", length, width, height, 1, 32, 3, len(pixels), 0, 0, 0, 0)
    head += struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + space + bytes(48)
    if profile:
        head += struct.pack("<4I", 4, length + len(pixels), len(profile), 0)
    body = head + pixels + profile
    return b"BM" + struct.pack("<IHHI", 14 + len(body), 0, 0, 14 + len(head)) + body


def lzw(data: bytes) -> bytes:
    """LZW of TIFF (6.0, section 13) that never finds a repetition: codes of 9 bits, all literal."""
    codes = []
    for start in range(0, len(data), 250):
        codes += [256, *data[start : start + 250]]  # 256 clears the table before it grows
    bits = np.array([*codes, 257])[:, None] >> np.arange(9)[::-1] & 1
    return np.packbits(bits.astype(np.uint8)).tobytes()


def oriented(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def pictures() -> dict[str, Odd]:
    """Kind to file."""
    rgb = Image.fromarray(TRUTH)
    other = rgb.transpose(Image.Transpose.ROTATE_180)
    bits = rgb.convert("1", dither=0)
    black_and_white = np.asarray(bits.convert("RGB"))
    frames = {"save_all": True, "append_images": [other]}
    gray = TRUTH[..., :1]
    threes = gray.repeat(3, axis=-1)
    alpha = np.full_like(gray, 255)
    alpha[:16] = 0  # the upper third cannot be seen
    see_through = np.where(alpha == 0, 255, TRUTH).astype(np.uint8)
    deep = gray[..., 0].astype(np.uint16) * 257 + 100  # 257 for a step of 8 bits: 100 is under half
    deep_rgb = TRUTH.astype(">u2") * 257
    palette = rgb.quantize(12)  # 12 blocks, 12 colours
    hidden = int(np.asarray(palette)[0, 0])
    without = np.where((BLOCKS[0, 0] == TRUTH).all(-1, keepdims=True), 255, TRUTH).astype(np.uint8)
    size = {256: (64,), 257: (48,), 277: (3,), 278: (48,), 284: (1,)}
    deep_tags = {**size, 258: (16, 16, 16), 259: (1,), 262: (2,)}
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    jpeg = saved(rgb, "JPEG", quality=95, subsampling=0)
    loop = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0\x08\0\0\0"
    kinds = {
        "a single pixel": Odd(saved(BLOCKS[:1, :1], "PNG"), BLOCKS[:1, :1]),
        "one pixel high": Odd(saved(TRUTH[:1].repeat(313, 1), "PNG"), TRUTH[:1].repeat(313, 1)),
        **{f"{kind}, all bits": Odd(saved(rgb, kind), TRUTH) for kind in ("BMP", "PPM", "GIF")},
        "lossless WebP": Odd(saved(rgb, "WEBP", lossless=True), TRUTH),
        "AVIF": Odd(saved(rgb, "AVIF", quality=95, subsampling="4:4:4"), TRUTH, 12),
        "JPEG 2000": Odd(saved(rgb, "JPEG2000"), TRUTH),
        "progressive JPEG": Odd(saved(rgb, "JPEG", **FINE, progressive=True), TRUTH, 6),
        "TIFF by LZW": Odd(saved(rgb, "TIFF", compression="tiff_lzw"), TRUTH),
        "fax in a TIFF": Odd(saved(bits, "TIFF", compression="group4"), black_and_white),
        "palette in a BMP": Odd(saved(palette, "BMP"), TRUTH),
        "16-bit gray TIFF": Odd(saved(deep, "TIFF"), threes),
        "16-bit colour TIFF": Odd(tiff(deep_tags, deep_rgb.astype("<u2").tobytes()), TRUTH),
        "floating-point TIFF": Odd(saved(gray[..., 0] / np.float32(255), "TIFF"), threes),
        "CMYK JPEG": Odd(saved(rgb.convert("CMYK"), "JPEG", **FINE), TRUTH, 6),
        "CMYK TIFF": Odd(saved(rgb.convert("CMYK"), "TIFF"), TRUTH),
        "YCbCr TIFF of JPEG": Odd(saved(rgb, "TIFF", compression="jpeg", quality=98), TRUTH, 12),
        "one bit": Odd(saved(bits, "PNG"), black_and_white),
        "GIF with transparency": Odd(saved(palette, "GIF", transparency=hidden), without),
        "alpha": Odd(saved(np.dstack([TRUTH, alpha]), "PNG"), see_through),
        "alpha in WebP": Odd(saved(np.dstack([TRUTH, alpha]), "WEBP", lossless=True), see_through),
        "animated GIF": Odd(
            saved(palette, "GIF", save_all=True, append_images=[palette.rotate(180)]), TRUTH
        ),
        "TIFF of two pages": Odd(saved(rgb, "TIFF", **frames), TRUTH),
        "MPO, two pictures in a JPEG": Odd(saved(rgb, "MPO", **FINE, **frames), TRUTH, 6),
        "EXIF cut short": Odd(with_segment(jpeg, b"Exif\0\0MM\0*\xff\xff\xff\xff"), TRUTH, 6),
        "EXIF that leads back to itself": Odd(with_segment(jpeg, loop), TRUTH, 6),
        "no profile but noise": Odd(saved(rgb, "PNG", icc_profile=b"no profile at all"), TRUTH),
        "profile of another kind": Odd(saved(rgb, "PNG", icc_profile=lab), TRUTH),
        "JPEG with a film after it": Odd(jpeg + b"\0\0\0\x18ftypmp42" + bytes(5000), TRUTH, 6),
        "PPM as text": Odd(b"P3 64 48 255 " + " ".join(map(str, TRUTH.ravel())).encode(), TRUTH),
        "PNG with a wild comment": Odd(
            png(1, 1, 8, 0, zlib.compress(b"\0\x07"), chunk(b"tEXt", b"a\0\xff\0\n")),
            np.full((1, 1, 3), 7, np.uint8),
        ),
    }
    for turn, apply in TURNS.items():
        kinds[f"EXIF turn of {turn}"] = Odd(saved(rgb, "PNG", exif=oriented(turn)), apply(TRUTH))
    return kinds


def with_segment(jpeg: bytes, content: bytes) -> bytes:
    """The JPEG with an APP1 segment put first."""
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content + jpeg[2:]
