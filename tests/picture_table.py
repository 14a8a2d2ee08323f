"""Pictures made from a formula over everything that a file can declare, with their right pixels.

The right pixels come from the numbers put into the file, by double-precision arithmetic with the
published matrices (Lindbloom; Apple for Display P3); nothing of the reader is used.
"""

import io
import struct
import zlib
from dataclasses import dataclass, replace
from itertools import product
from typing import NamedTuple

import numpy as np
import tifffile
from odd_pictures import TURNS, chunk, oriented, png, saved
from PIL import Image

from colorlab.data.reading import Picture

# Columns are red, green, blue in XYZ under D50.
SRGB = np.array(
    [
        [0.4360747, 0.3850649, 0.1430804],
        [0.2225045, 0.7168786, 0.0606169],
        [0.0139322, 0.0971045, 0.7141733],
    ]
)
ADOBE = np.array(
    [
        [0.6097559, 0.2052401, 0.1492240],
        [0.3111242, 0.6256560, 0.0632197],
        [0.0194811, 0.0608902, 0.7448387],
    ]
)
DISPLAY_P3 = np.array(
    [[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]]
)


def srgb_light(v):
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


def encode(light):
    light = np.clip(light, 0, 1)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


# Space: curve and matrix; None for sRGB.
SPACES = {
    "none": None,
    "linear": (lambda v: v, SRGB),
    "gamma 1.8": (lambda v: v ** (461 / 256), SRGB),
    "adobe": (lambda v: v ** (563 / 256), ADOBE),
    "p3": (srgb_light, DISPLAY_P3),
    "srgb": None,
}


def to_srgb(v, space):
    """Values in [0, 1], (H, W, 1 or 3), of a space to sRGB in [0, 1]."""
    if SPACES[space] is None:
        return v
    curve, matrix = SPACES[space]
    light = curve(v)
    if v.shape[-1] == 3:
        light = light @ (np.linalg.inv(SRGB) @ matrix).T
    return encode(light)


# ---- declarations


def profile(space: str, gray: bool, name: str = "sRGB") -> bytes:
    """An ICC profile of version 2 (ICC.1:2001-04), whatever its name says."""
    numbers = lambda kind, values: struct.pack(f">4s4x{len(values)}i", kind, *values)  # noqa: E731
    curve = {
        "linear": struct.pack(">4s4xI", b"curv", 0),
        "gamma 1.8": struct.pack(">4s4xIH", b"curv", 1, 461),
        "adobe": struct.pack(">4s4xIH", b"curv", 1, 563),
    }.get(space)
    if curve is None:  # sRGB's, as a formula of type 3
        five = [round(x * 65536) for x in (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)]
        curve = struct.pack(">4s4xH2x5i", b"para", 3, *five)
    text = name.encode() + b"\0"
    tags = {
        b"desc": struct.pack(">4s4xI", b"desc", len(text)) + text + bytes(78),
        b"wtpt": numbers(b"XYZ ", [63190, 65536, 54061]),
    }
    if gray:
        tags[b"kTRC"] = curve
    else:
        matrix = SPACES[space][1] if SPACES[space] else SRGB
        for i, letter in enumerate((b"r", b"g", b"b")):
            tags[letter + b"XYZ"] = numbers(b"XYZ ", np.rint(matrix[:, i] * 65536).astype(int))
            tags[letter + b"TRC"] = curve
    body, table = b"", struct.pack(">I", len(tags))
    for tag, content in tags.items():
        table += struct.pack(">4s2I", tag, 132 + 12 * len(tags) + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    length = 128 + len(table) + len(body)
    channels = b"GRAY" if gray else b"RGB "
    head = struct.pack(">I4xI4s4s4s12x4s", length, 0x02400000, b"mntr", channels, b"XYZ ", b"acsp")
    head = head.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)  # D50
    return head.ljust(128, b"\0") + table + body


def table_profile(corners: dict[tuple[int, ...], tuple[float, float, float]]) -> bytes:
    """An ICC profile that is a table (ICC.1:2001-04, 6.5.8): Lab of each corner, inks or RGB."""
    inks = len(next(iter(corners)))
    ends = struct.pack(">2H", 0, 65535)
    cube = b""
    for corner in product((0, 1), repeat=inks):
        L, a, b = corners[corner]
        numbers = (L * 652.8, (a + 128) * 256, (b + 128) * 256)
        cube += struct.pack(">3H", *(min(round(x), 65535) for x in numbers))
    one = [65536 * (i % 4 == 0) for i in range(9)]
    table = struct.pack(">4s4x4B9i2H", b"mft2", inks, 3, 2, 0, *one, 2, 2)
    table += ends * inks + cube + ends * 3
    white = struct.pack(">4s4x3i", b"XYZ ", 63190, 65536, 54061)
    body = b"\0\0\0\2" + struct.pack(">4s2I4s2I", b"wtpt", 156, 20, b"A2B0", 176, len(table))
    body += white + table + bytes(-len(table) % 4)
    space = {3: b"RGB ", 4: b"CMYK"}[inks]
    kinds = (0x02400000, b"prtr", space, b"Lab ", b"acsp")
    head = struct.pack(">I4xI4s4s4s12x4s", 128 + len(body), *kinds)
    head = head.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)  # D50
    return head.ljust(128, b"\0") + body


def adobe_exif(turn: int = 1) -> Image.Exif:
    exif = oriented(turn)
    exif.get_ifd(0x8769)[0xA001] = 65535
    exif.get_ifd(0x8769)[0xA005] = {1: "R03"}
    return exif


def chunks(space: str, how: str, gray: bool) -> bytes:
    """The declaration in a PNG; what is worth less comes along, and says something else."""
    gamma = {"linear": 100_000, "gamma 1.8": 55_531, "adobe": 45_471, "srgb": 45_455, "p3": 45_455}
    corners = {
        "adobe": (31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000),
        "p3": (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000),
    }.get(space, (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000))
    codes = {"linear": (1, 8), "p3": (12, 13), "srgb": (1, 13)}
    wrong = "linear" if space != "linear" else "gamma 1.8"
    icc = lambda s: chunk(b"iCCP", b"a\0\0" + zlib.compress(profile(s, gray)))  # noqa: E731
    gama = lambda s: chunk(b"gAMA", struct.pack(">I", gamma[s]))  # noqa: E731
    match how:
        case "gAMA":
            return gama(space) + (b"" if gray else chunk(b"cHRM", struct.pack(">8I", *corners)))
        case "iCCP":
            return icc(space) + gama(wrong)
        case "sRGB":
            return chunk(b"sRGB", b"\1") + gama(wrong)
        case "cICP":
            return chunk(b"cICP", bytes([*codes[space], 0, 1])) + icc(wrong)
    return b""


# ---- files

REST = ("BMP", "GIF", "JPEG2000", "PPM")
"""Formats that declare neither a space nor an orientation here."""


@dataclass(frozen=True)
class Case:
    """A way of storing. What does not go together is set right by :func:`fitting`."""

    kind: str = "TIFF"
    colors: str = "rgb"
    bits: int = 8  # 32 for floating point
    space: str = "none"
    alpha: str = "none"  # "straight", "multiplied", "unused", "hole"
    turn: int = 1
    order: str = "<"
    compression: str | None = None
    planar: bool = False
    inverted: bool = False
    tile: bool = False
    predictor: bool = False
    thumbnail: bool = False
    big: bool = False
    how: str = ""  # of a PNG: which chunk declares the space
    size: tuple[int, int] = (18, 35)

    def __str__(self) -> str:
        plain = Case()
        return " ".join(
            f"{k}={v}" for k, v in vars(self).items() if v != getattr(plain, k) or k == "kind"
        )


def fitting(case: Case) -> Case:
    """The nearest case that the format can hold."""
    c = case
    if c.kind != "TIFF":
        c = replace(c, order="<", compression=None, planar=False, inverted=False, tile=False)
        c = replace(c, predictor=False, thumbnail=False, big=False)
    if c.kind == "TIFF":
        c = replace(c, how="", bits=c.bits if c.bits in (1, 8, 16, 32) else 16)
        c = replace(c, alpha="none" if c.alpha == "hole" else c.alpha)
        if c.bits == 1 and c.colors != "gray":
            c = replace(c, bits=8)
        if c.bits in (1, 32):
            c = replace(c, alpha="none", predictor=False, tile=c.tile and c.bits == 32)
        if c.colors != "gray":
            c = replace(c, inverted=False)
        if c.colors == "palette":
            c = replace(c, bits=8, alpha="none", planar=False, predictor=False)
        if c.colors == "cmyk":
            c = replace(c, bits=min(c.bits, 16), alpha="none", space="none")
        if c.colors == "gray" and c.alpha == "none":
            c = replace(c, planar=False)
        if c.compression is None:
            c = replace(c, predictor=False)
        return c
    if c.kind == "PNG":
        c = replace(c, colors="rgb" if c.colors == "cmyk" else c.colors)
        bits = {1: 1, 2: 2, 4: 4, 8: 8}.get(c.bits, 16)
        alpha = c.alpha if c.alpha in ("none", "straight", "hole") else "straight"
        c = replace(c, alpha=alpha)
        if c.colors == "palette":
            bits = min(bits, 8)
        elif c.colors == "rgb" or c.alpha == "straight":
            bits = max(bits, 8)
        known = {"": ("none",), "cICP": ("linear", "p3", "srgb"), "sRGB": ("srgb",)}
        how = c.how if c.space in known.get(c.how, SPACES) and c.space != "none" else ""
        if c.space != "none" and not how:
            how = "iCCP"
        if c.colors == "gray" and c.space == "p3" and how != "iCCP":
            how = "iCCP"
        return replace(c, bits=bits, how=how)
    if c.kind in REST:
        c = replace(c, space="none", how="", turn=1)
        gray = c.colors == "gray"
        match c.kind:
            case "BMP":
                return replace(
                    c, bits=8, alpha="none", colors="rgb" if c.colors == "cmyk" else c.colors
                )
            case "GIF":
                alpha = "none" if c.alpha == "none" else "hole"
                return replace(c, bits=8, alpha=alpha, colors="palette")
            case "PPM":
                bits = 16 if c.bits == 16 else 8
                return replace(c, bits=bits, alpha="none", colors="gray" if gray else "rgb")
        deep = gray and c.bits == 16
        alpha = "none" if c.alpha == "none" or deep else "straight"
        colors = "gray" if gray else "rgb"
        return replace(c, bits=16 if deep else 8, alpha=alpha, colors=colors)
    alpha = "straight" if c.kind == "WEBP" and c.alpha != "none" else "none"
    colors = c.colors if c.kind == "JPEG" and c.colors != "palette" else "rgb"
    space = "none" if colors == "cmyk" else c.space
    how = "EXIF" if c.kind == "JPEG" and space == "adobe" and c.how else ""
    return replace(c, colors=colors, bits=8, alpha=alpha, space=space, how=how)


class Truth(NamedTuple):
    """What a file shows."""

    rgb: np.ndarray
    """(H, W, 3) sRGB in [0, 1]."""
    alpha: np.ndarray | None
    """(H, W) in [0, 1]."""
    tolerance: float
    """By how much arithmetic may differ, in steps of 8 bits."""
    deep: bool
    """16 bits are kept."""

    def is_over_white(self, got: np.ndarray) -> bool:
        """Whether (H, W, 3) uint8 is the picture laid on white."""
        alpha = 1 if self.alpha is None else self.alpha[..., None]
        want = np.rint((self.rgb * alpha + 1 - alpha) * 255)
        most = 0 if self.tolerance == 0 and self.alpha is None else 1
        return got.shape == want.shape and np.abs(got - want).max() <= most

    def fault(self, got: Picture) -> str:
        """What is wrong with a picture that was read, "" if nothing is."""
        if got.rgb.shape != self.rgb.shape or (got.alpha is None) != (self.alpha is None):
            return "shape"
        if got.rgb.dtype != (np.uint16 if self.deep else np.uint8):
            return "depth"
        top = np.iinfo(got.rgb.dtype).max
        wrong = np.abs(got.rgb - self.rgb * top) > top / 255 * self.tolerance + 0.51
        if got.alpha is not None:
            if np.abs(got.alpha - self.alpha * top).max() > 0.5 + 1e-6:
                return "alpha"
            wrong &= self.alpha[..., None] > 0
        return "colours" if wrong.any() else ""


def made(case: Case, seed: int = 0) -> tuple[bytes, Truth]:
    """The file and what it shows."""
    chance = np.random.default_rng(seed)
    height, width = case.size
    channels = {"gray": 1, "rgb": 3, "cmyk": 4, "palette": 1}[case.colors]
    top = 1.0 if case.bits == 32 else 2**case.bits - 1
    # Whole numbers, or floats; blocks where a lossy format would blur noise.
    own = case.alpha in ("straight", "multiplied", "unused") and case.colors != "palette"
    shape = (height, width, channels + own)
    stored = chance.random(shape).astype(np.float32)
    if case.bits < 32:
        stored = np.rint(stored * top).astype(int)
    colors, alpha = stored[..., :channels], None
    if case.alpha == "multiplied":
        stored[..., :channels] = colors = stored[..., :channels] * stored[..., -1:] // int(top)
    if case.alpha == "hole":
        none = colors[-1, -1].copy()
        colors[0] = none
        alpha = (colors != none).any(-1, keepdims=True).astype(float)
    elif case.alpha in ("straight", "multiplied"):
        alpha = stored[..., -1:] / top
    palette = chance.integers(0, 256, (2**case.bits if case.bits < 9 else 1, 4)).astype(np.uint8)
    if case.colors == "palette" and case.alpha == "straight":
        alpha = palette[stored[..., 0], 3:] / 255
    content = {"TIFF": tiff, "PNG": png_file}.get(case.kind, by_pil)(case, stored, palette)
    if case.kind == "JPEG":  # what is lossy is decoded; the colours are still to be converted
        colors = np.asarray(Image.open(io.BytesIO(content)))
        colors = colors.reshape(height, width, -1)
    v = colors.astype(float) / top
    if case.colors == "palette":
        v = palette[colors[..., 0], :3] / 255
    if case.alpha == "multiplied":
        v = np.minimum(v / np.maximum(alpha, 1 / top), 1)
    if case.colors == "cmyk":
        v = (1 - v[..., :3]) * (1 - v[..., 3:])
    v = to_srgb(v, case.space)
    turn = TURNS[case.turn]
    rgb = turn(v.repeat(3 // v.shape[-1], axis=-1))
    exact = SPACES[case.space] is None and case.alpha != "multiplied" and case.colors != "cmyk"
    deep = case.bits > 8 or case.alpha == "multiplied"
    if case.kind == "PPM" and case.colors == "rgb":
        deep = False
    # Profiles hold matrices in steps of 1 / 65536, and the curve of sRGB is steep near black.
    tolerance = 0 if exact else 0.5 if deep else 1
    return content, Truth(rgb, None if alpha is None else turn(alpha)[..., 0], tolerance, deep)


def tiff(case: Case, stored: np.ndarray, palette: np.ndarray) -> bytes:
    kind = {1: "?", 8: "u1", 16: "u2", 32: "f4"}[case.bits]
    samples = stored.astype(case.order + kind)
    if case.inverted and case.bits == 1:
        samples = ~samples
    elif case.inverted:
        top = 1 if case.bits == 32 else 2**case.bits - 1
        samples[..., :1] = top - samples[..., :1]
    names = {"gray": "minisblack", "rgb": "rgb", "cmyk": "separated", "palette": "palette"}
    photometric = names[case.colors]
    extra = {"straight": 2, "multiplied": 1, "unused": 0}.get(case.alpha)
    if case.planar:
        samples = samples.transpose(2, 0, 1)
    elif samples.shape[-1] == 1:
        samples = samples[..., 0]
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer, byteorder=case.order, bigtiff=case.big) as file:
        if case.thumbnail:
            file.write(
                np.zeros((4, 4), "u1"), photometric="minisblack", subfiletype=1, metadata=None
            )
        file.write(
            np.ascontiguousarray(samples),
            photometric="miniswhite" if case.inverted else photometric,
            planarconfig=("separate" if case.planar else "contig") if samples.ndim == 3 else None,
            colormap=palette.T[:3].astype("u2") * 257 if case.colors == "palette" else None,
            extrasamples=None if extra is None else [extra],
            compression=case.compression,
            predictor=case.predictor or None,
            tile=(16, 16) if case.tile else None,
            rowsperstrip=None if case.tile else 7,
            iccprofile=None if case.space == "none" else profile(case.space, case.colors == "gray"),
            extratags=[(274, "H", 1, case.turn, True)],
            metadata=None,
        )
    return buffer.getvalue()


def png_file(case: Case, stored: np.ndarray, palette: np.ndarray) -> bytes:
    height, width, samples = stored.shape
    kinds = {(1, "gray"): 0, (3, "rgb"): 2, (1, "palette"): 3, (2, "gray"): 4, (4, "rgb"): 6}
    kind = kinds[samples, case.colors]
    if case.bits < 8:
        bits = stored[..., 0, None] >> np.arange(case.bits)[::-1] & 1
        rows = np.packbits(bits.reshape(height, -1).astype(np.uint8), axis=1)
    else:
        rows = stored.astype(">u2" if case.bits == 16 else "u1").reshape(height, -1)
    packed = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    extra = chunks(case.space, case.how, case.colors == "gray")
    if case.colors == "palette":
        extra += chunk(b"PLTE", palette[:, :3].tobytes())
        if case.alpha == "hole":
            extra += chunk(b"tRNS", b"\xff" * int(stored[-1, -1, 0]) + b"\0")
        if case.alpha == "straight":
            extra += chunk(b"tRNS", palette[:, 3].tobytes())
    elif case.alpha == "hole":
        extra += chunk(b"tRNS", stored[-1, -1].astype(">u2").tobytes())
    extra += chunk(b"eXIf", oriented(case.turn).tobytes()[6:]) if case.turn > 1 else b""
    return png(width, height, case.bits, kind, packed, extra)


def by_pil(case: Case, stored: np.ndarray, palette: np.ndarray) -> bytes:
    if case.bits == 16 and case.kind == "PPM":
        letter, (height, width) = "5" if case.colors == "gray" else "6", case.size
        return f"P{letter} {width} {height} 65535\n".encode() + stored.astype(">u2").tobytes()
    if case.bits == 16:
        return saved(stored[..., 0].astype(np.uint16), case.kind)
    samples = stored.astype(np.uint8)
    if case.colors == "palette":
        image = Image.frombytes("P", samples.shape[1::-1], samples.tobytes())
        image.putpalette(palette[:, :3].tobytes())
        hole = {"transparency": int(samples[-1, -1, 0])} if case.alpha == "hole" else {}
        return saved(image, case.kind, **hole)
    exif = adobe_exif(case.turn) if case.how == "EXIF" else oriented(case.turn)
    options = {"exif": exif}
    if case.space != "none" and case.how != "EXIF":
        options["icc_profile"] = profile(case.space, case.colors == "gray")
    mode = {"gray": "L", "rgb": "RGB", "cmyk": "CMYK"}[case.colors] + "A" * (case.alpha != "none")
    image = Image.frombytes(mode, samples.shape[1::-1], samples.tobytes())
    return saved(image, case.kind, **options, lossless=True, exact=True, method=0)


def table() -> list[Case]:
    """Each pair of values that matters meets in some case."""
    cases = []
    depths = product(("gray", "rgb", "cmyk"), (8, 16, 32), "<>", (None, "zlib"), (False, True))
    for i, (colors, bits, order, compression, planar) in enumerate(depths):
        case = Case("TIFF", colors, bits, order=order, compression=compression, planar=planar)
        spaces = ("none", "linear", "gamma 1.8", "adobe", "srgb")
        alphas = ("none", "straight", "none", "multiplied", "none", "unused")
        cases.append(
            replace(
                case,
                turn=1 + i % 8,
                space=spaces[i % 5],
                alpha=alphas[i % 6],
                inverted=i % 3 == 0,
                tile=i % 4 == 1,
                predictor=i % 5 == 2,
                thumbnail=i % 7 == 3,
            )
        )
    for i, (colors, bits, alpha) in enumerate(
        product(("gray", "rgb"), (1, 2, 4, 8, 16), ("none", "straight", "hole"))
    ):
        cases.append(Case("PNG", colors, bits, alpha=alpha, turn=1 + i % 8))
    for colors, space, how in product(("gray", "rgb"), SPACES, ("gAMA", "iCCP", "sRGB", "cICP")):
        cases.append(Case("PNG", colors, 16 if how == "gAMA" else 8, space, how=how))
    for kind, colors, space in product(("JPEG", "WEBP"), ("gray", "rgb", "cmyk"), SPACES):
        how = "EXIF" if space == "adobe" and colors == "rgb" else ""
        alpha = "straight" if colors == "gray" else "none"
        cases.append(Case(kind, colors, 8, space, alpha=alpha, how=how, turn=6))
    formats = product(REST, ("gray", "rgb", "palette"), (8, 16))
    cases += [Case(kind, colors, bits) for kind, colors, bits in formats]
    for i, (kind, alpha, bits) in enumerate(
        product(("PNG", "TIFF", "GIF"), ("none", "straight", "hole"), (1, 2, 4, 8))
    ):
        space = ("none", "adobe", "linear")[i % 3]
        cases.append(Case(kind, "palette", bits, space, alpha, turn=1 + i % 8, tile=i % 2 == 0))
    cases += [Case(bits=1, colors="gray", inverted=i, order="<>"[i]) for i in (0, 1)]
    cases.append(Case(bits=16, big=True))
    return list(dict.fromkeys(map(fitting, cases)))


def drawn(seed: int) -> Case:
    """A case by chance."""
    chance = np.random.default_rng(seed)
    pick = lambda *values: values[chance.integers(len(values))]  # noqa: E731
    return fitting(
        Case(
            kind=pick(*["TIFF"] * 4, *["PNG"] * 3, "JPEG", "WEBP", *REST),
            colors=pick("gray", "rgb", "rgb", "cmyk", "palette"),
            bits=pick(1, 2, 4, 8, 16, 16, 32),
            space=pick(*SPACES),
            alpha=pick("none", "none", "straight", "multiplied", "unused", "hole"),
            turn=int(chance.integers(1, 9)),
            order=pick("<", ">"),
            compression=pick(None, "zlib"),
            planar=pick(False, True),
            inverted=pick(False, True),
            tile=pick(False, True),
            predictor=pick(False, True),
            thumbnail=pick(False, False, True),
            big=pick(False, False, True),
            how=pick("gAMA", "iCCP", "sRGB", "cICP"),
            size=(int(chance.integers(1, 20)), int(chance.integers(1, 36))),
        )
    )
