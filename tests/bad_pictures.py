"""Files that must be refused, each with words of the sentence that refuses it."""

import struct
import zlib

import numpy as np
from odd_pictures import TRUTH, chunk, png, saved, tiff
from PIL import Image

NO_PICTURE = r"not a picture of a known kind; save it as JPEG or PNG"
DAMAGED = r"cut short or damaged \(.+\); fetch it again or remove it"
NO_HEIC = rf"HEIC picture; install the package pillow-heif or save it as JPEG|{DAMAGED}"
EITHER = f"{NO_PICTURE}|{DAMAGED}"
TOO_MANY = r"too many pixels \(\d+x\d+, at most [\d,]+ of this kind are read\); make it smaller"
NO_RANGE = r"(32-bit|floating-point) values outside .+; save it with 8 or 16 bits"


def no_pictures() -> dict[str, tuple[bytes, str]]:
    """Kind to bytes, and a pattern of the message."""
    whole = saved(TRUTH, "PNG")
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    spoilt = png(64, 48, 8, 2, b"these bytes are no zlib stream at all")
    numbers = np.zeros((4, 4), np.float32)
    floats = {}
    for name, value in (("NaN", np.nan), ("inf", np.inf), ("-0.5", -0.5)):
        numbers[1, 2] = value
        floats[f"{name} in a floating-point TIFF"] = (saved(numbers, "TIFF"), NO_RANGE)
    wide = np.full((4, 4), 70_000, np.int32)
    return {
        "empty": (b"", "an empty file; fetch it again or remove it"),
        "text": ("Kein Bild, nur ein Gruß.".encode(), NO_PICTURE),
        "a web page": (b"<!DOCTYPE html><title>404 Not Found</title>", NO_PICTURE),
        "SVG": (b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>", NO_PICTURE),
        "EPS, which PIL would run": (saved(TRUTH, "EPS"), NO_PICTURE),
        "HEIC of a telephone": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99), NO_HEIC),
        "noise": (np.random.default_rng(3).bytes(4096), NO_PICTURE),
        "PNG with a flipped bit": (bytes(flipped), DAMAGED),
        "PNG of other data": (spoilt, DAMAGED),
        "PNG of no width": (png(0, 48, 8, 2, zlib.compress(b"")), EITHER),
        "PNG whose comment inflates": (
            png(1, 1, 8, 0, zlib.compress(b"\0\0"), chunk(b"zTXt", b"a\0\0" + zeros(2**26))),
            DAMAGED,
        ),
        "GIF without a picture": (b"GIF89a\x08\0\x08\0\0\0\0;", EITHER),
        "32-bit integers": (saved(wide, "TIFF"), NO_RANGE),
        **floats,
    }


def bombs() -> dict[str, tuple[bytes, str]]:
    """A few bytes that ask for gigabytes or hours; kind to bytes and a pattern of the message."""
    side = struct.pack(">II", 50_000, 50_000)
    avif = saved(TRUTH, "AVIF", speed=10)
    at = avif.index(b"ispe") + 8
    jp2 = saved(TRUTH, "JPEG2000")
    box = jp2.index(b"ihdr") + 4
    jpeg = saved(TRUTH, "JPEG")
    frame = jpeg.index(b"\xff\xc0") + 5
    vp8l = saved(TRUTH, "WEBP", lossless=True)
    bits = int.from_bytes(vp8l[21:25], "little") & 0xF0000000 | 0x0FFFFFFF  # 14 bits a side
    rle = saved(Image.fromarray(TRUTH).quantize(12), "BMP")
    rle = rle[:18] + struct.pack("<iiHHI", 9000, 5000, 1, 8, 1) + rle[34:]
    flat = saved(np.zeros((64, 64), np.uint8), "JPEG", progressive=True)
    scan = flat[flat.rindex(b"\xff\xda") : -2]
    tile = {256: (16,), 257: (16,), 258: (8,), 259: (8,), 262: (1,), 322: (40_000,), 323: (40_000,)}
    return {
        "PNG of 50,000 x 50,000 in its header": (
            png(50_000, 50_000, 8, 2, zlib.compress(b"few bytes")),
            "too many pixels",
        ),
        "PNG a little too large": (png(8000, 8000, 1, 0, zeros(8000 * 1001)), TOO_MANY),
        "JPEG of 65,500 x 65,500": (
            jpeg[:frame] + struct.pack(">HH", 65_500, 65_500) + jpeg[frame + 4 :],
            "too many pixels",
        ),
        "JPEG of 300 passes": (flat[:-2] + 300 * scan + b"\xff\xd9", "more than 100 passes"),
        "WebP of 16,384 x 16,384": (vp8l[:21] + bits.to_bytes(4, "little") + vp8l[25:], "too many"),
        "AVIF of 16,000 x 16,000": (
            avif[:at] + struct.pack(">II", 16_000, 16_000) + avif[at + 8 :],
            "too many pixels",
        ),
        "JPEG 2000 of 50,000 x 50,000": (jp2[:box] + side + jp2[box + 8 :], "too many pixels"),
        "BMP of 45 million by run length": (rle, TOO_MANY),
        "PPM of 60,000 x 60,000": (b"P6 60000 60000 255\n" + bytes(99), "too many pixels"),
        "PPM as text of 9 million": (b"P3 3000 3000 255\n" + b"1 " * 99, TOO_MANY),
        "TIFF of a small picture in a huge tile": (
            tiff(tile, zlib.compress(bytes(99))),
            r"too many pixels in a tile \(40000x40000\); save it as PNG",
        ),
    }


def zeros(count: int) -> bytes:
    """So many zero bytes, deflated."""
    return zlib.compress(bytes(count), 9)
