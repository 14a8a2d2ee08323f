"""From the colour space that a picture file declares to sRGB.

A space is judged by its curves and primaries, never by its name: "linear sRGB" is not sRGB, and a
profile that moves no 8-bit value by more than one *is* sRGB and leaves the pixels as they are.
Curves and matrices are evaluated here, in floating point. LittleCMS (through `PIL.ImageCms`) takes
the profiles that are tables, as those of printers (CMYK) are, and 8-bit pictures of the usual RGB
profiles, for which it is exact to 2 of 255; kept outputs of the lessons hang on its bytes. Of more
than 8 bits it is given 8, since PIL has no other colours.

Formats: ICC.1:2022 (profiles), ITU-T H.273 (code points of cICP and AVIF), PNG third edition
(gAMA, cHRM). The intent is relative colorimetric without black point compensation, as in browsers.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms

Convert = Callable[[np.ndarray], np.ndarray]
"""(..., C) uint8 or uint16 of the file's space to (..., 1 or 3) sRGB of the same type."""


class UnfitProfileError(ValueError):
    """The declaration is broken, or does not fit the picture's channels."""


class UnknownSpaceError(ValueError):
    """The declaration is whole, but what it means on a screen is not known here."""


_STEPS = np.arange(2**16) / 65535
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
D50 = np.array([0.9642, 1.0, 0.8249])  # of the ICC
_D65 = (0.3127, 0.3290)
SRGB_CORNERS = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, *_D65)
"""x, y of red, green, blue and white."""

# H.273 table 2: code to red, green and blue x, y; white x, y.
_PRIMARIES = {
    1: SRGB_CORNERS,
    4: (0.67, 0.33, 0.21, 0.71, 0.14, 0.08, 0.310, 0.316),
    5: (0.64, 0.33, 0.29, 0.60, 0.15, 0.06, *_D65),
    6: (0.63, 0.34, 0.31, 0.595, 0.155, 0.07, *_D65),
    7: (0.63, 0.34, 0.31, 0.595, 0.155, 0.07, *_D65),
    9: (0.708, 0.292, 0.17, 0.797, 0.131, 0.046, *_D65),
    11: (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.314, 0.351),
    12: (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, *_D65),
    22: (0.63, 0.34, 0.295, 0.605, 0.155, 0.077, *_D65),
}


def srgb_to_light(values: np.ndarray) -> np.ndarray:
    """Linear light (...) of sRGB values (...), both in [0, 1] (IEC 61966-2-1)."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def light_to_srgb(light: np.ndarray) -> np.ndarray:
    """Linear light (...), clipped to [0, 1], to sRGB; the inverse of :func:`srgb_to_light`."""
    light = np.clip(light, 0, 1)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


# H.273 table 3. What BT.709 and BT.2020 call a transfer function is a camera's; a screen shows
# such pictures with the curve of sRGB, as Chromium does.
_TRANSFERS = {
    **dict.fromkeys((1, 6, 13, 14, 15), srgb_to_light),
    4: lambda v: v**2.2,
    5: lambda v: v**2.8,
    8: lambda v: v,
}


class CurvesAndMatrix(NamedTuple):
    """Gray: one curve to luminance. Colour: three curves to light, a matrix to linear sRGB."""

    curves: np.ndarray
    """(1 or 3, 65536) float32, linear light of every 16-bit value."""
    matrix: np.ndarray | None

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """Convert, as `Convert` says."""
        kind = samples.dtype
        at = samples if kind == np.uint16 else samples * np.uint16(257)
        top = np.iinfo(kind).max
        if self.matrix is None:
            return np.rint(light_to_srgb(self.curves[0]) * top).astype(kind)[at]
        channels = (curve[at[..., i % at.shape[-1]]] for i, curve in enumerate(self.curves))
        light = np.stack(list(channels), axis=-1) @ self.matrix.T
        return np.rint(light_to_srgb(light) * top).astype(kind)


@lru_cache(maxsize=16)  # which keeps no errors, so that a broken profile is looked at anew
def icc(profile: bytes, mode: str) -> Convert | None:
    """What converts from an ICC profile, None for sRGB.

    Args:
        profile: the file of the profile.
        mode: channels of the picture: "L", "RGB" or "CMYK". A gray picture may have an RGB
            profile.

    Raises:
        UnfitProfileError: the profile is broken, or of other channels.
    """
    try:
        space = {b"GRAY": "L", b"RGB ": "RGB", b"CMYK": "CMYK"}.get(profile[16:20])
        if profile[36:40] != b"acsp" or space is None or (space, mode) not in _FITTING:
            raise UnfitProfileError
        tags = {}
        for i in range(struct.unpack_from(">I", profile, 128)[0]):
            name, start, length = struct.unpack_from(">4s2I", profile, 132 + 12 * i)
            tags[name] = profile[start : start + length]
        if space == "CMYK" or any(name[:3] == b"A2B" for name in tags):
            convert = _by_littlecms(profile, space)
        elif space == "L":
            light = _curve(tags[b"kTRC"])
            if profile[20:24] == b"Lab ":  # the curve gives L* / 100
                light = _lab_to_xyz(np.stack([light * 100, 0 * light, 0 * light], -1))[:, 1]
            convert = _space([light], None)
        else:
            curves = [_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC")]
            xyz = [struct.unpack_from(">3i", tags[name], 8) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
            convert = _space(curves, _FROM_D50 @ (np.array(xyz).T / 65536))
            # Linear curves are not exact in LittleCMS.
            if mode == "RGB" and convert.curves[:, 257].max() < 1 / 1000:
                with suppress(OSError, ImageCms.PyCMSError):  # it refuses what is whole but odd
                    convert = _by_littlecms(profile, mode, deep=convert)
    except (KeyError, struct.error, IndexError, OSError, ImageCms.PyCMSError) as error:
        raise UnfitProfileError from error
    return _unless_srgb(convert, 1 if space == "L" else 3) if space != "CMYK" else convert


_FITTING = {("L", "L"), ("RGB", "L"), ("RGB", "RGB"), ("CMYK", "CMYK")}


def chromatic(
    gamma: float, corners: Sequence[float] = SRGB_CORNERS, mode: str = "RGB"
) -> Convert | None:
    """What converts from a power law, None for sRGB.

    Args:
        gamma: of encoding, as in gAMA: value = light ** gamma. 0.45455 stands for the curve of
            sRGB, as the PNG specification asks of files in sRGB.
        corners: x, y of red, green, blue and white.
        mode: as for :func:`icc`.

    Raises:
        UnfitProfileError: no such space can be.
    """
    if not 0.01 < gamma < 100:
        raise UnfitProfileError
    light = srgb_to_light(_STEPS) if round(gamma, 4) in (0.4545, 0.4546) else _STEPS ** (1 / gamma)
    return _by_corners(light, tuple(corners), mode)


def coded(primaries: int, transfer: int, mode: str) -> Convert | None:
    """What converts from code points of ITU-T H.273, None for sRGB.

    Raises:
        UnfitProfileError: the codes stand for "unspecified".
        UnknownSpaceError: the codes are not known here, or of high dynamic range.
    """
    if 2 in (primaries, transfer):
        raise UnfitProfileError
    if transfer in (16, 18):
        raise UnknownSpaceError("high dynamic range (PQ or HLG); save it as plain sRGB")
    if primaries not in _PRIMARIES or transfer not in _TRANSFERS:
        raise UnknownSpaceError(
            f"a colour space that is not known (primaries {primaries}, transfer {transfer}); "
            "save it as sRGB"
        )
    return _by_corners(_TRANSFERS[transfer](_STEPS), _PRIMARIES[primaries], mode)


def adobe_rgb(mode: str) -> Convert | None:
    """What converts from Adobe RGB (1998)."""
    return chromatic(256 / 563, (0.64, 0.33, 0.21, 0.71, 0.15, 0.06, *_D65), mode)


def lab_to_srgb(lab: np.ndarray) -> np.ndarray:
    """CIELAB under D50, as TIFF and ICC hold it, to sRGB.

    Args:
        lab: (..., 3), L in [0, 100], a and b in CIE units.

    Returns:
        (..., 3) in [0, 1]; colours outside sRGB are clipped.
    """
    return light_to_srgb(_lab_to_xyz(lab) @ _FROM_D50.T)


def _by_corners(light: np.ndarray, corners: tuple[float, ...], mode: str) -> Convert | None:
    if mode == "L":
        return _unless_srgb(_space([light], None), 1)
    try:
        own = _xyz_from_rgb(corners)
        matrix = np.linalg.inv(_xyz_from_rgb(SRGB_CORNERS)) @ _adapt(_white(corners), _D65_XYZ)
    except (np.linalg.LinAlgError, ZeroDivisionError) as error:
        raise UnfitProfileError from error
    return _unless_srgb(_space([light] * 3, matrix @ own), 3)


def _space(curves: Sequence[np.ndarray], matrix: np.ndarray | None) -> CurvesAndMatrix:
    stacked = np.clip(np.stack(curves), 0, 1)
    whole = np.isfinite(stacked).all() and (stacked.max(axis=1) > stacked.min(axis=1)).all()
    if not whole or not (matrix is None or np.isfinite(matrix).all()):
        raise UnfitProfileError
    return CurvesAndMatrix(
        stacked.astype(np.float32), None if matrix is None else matrix.astype(np.float32)
    )


def _unless_srgb(convert: Convert, channels: int) -> Convert | None:
    """None if the converter moves none of many 8-bit values by more than one step."""
    gray = np.arange(256, dtype=np.uint8)[:, None].repeat(channels, axis=1)
    cube = np.stack(np.meshgrid(*[np.arange(0, 256, 51, dtype=np.uint8)] * channels), axis=-1)
    probes = np.concatenate([gray, cube.reshape(-1, channels)])[None]
    return None if np.abs(convert(probes).astype(int) - probes).max() <= 1 else convert


def _curve(tag: bytes) -> np.ndarray:
    """Light of every 16-bit value by a curve of type "curv" or "para" (ICC.1:2022, 10.6, 10.18)."""
    if tag[:4] == b"curv":
        count = struct.unpack_from(">I", tag, 8)[0]
        table = np.frombuffer(tag, ">u2", offset=12)[:count]
        if len(table) < count:
            raise UnfitProfileError
        if count < 2:
            return _STEPS ** (table[0] / 256 if count else 1)
        return np.interp(_STEPS, np.linspace(0, 1, count), table / 65535)
    if tag[:4] != b"para":
        raise UnfitProfileError
    kind = struct.unpack_from(">H", tag, 8)[0]
    if kind > 4:
        raise UnfitProfileError
    count = (1, 3, 4, 5, 7)[kind]
    values = np.array(struct.unpack_from(f">{count}i", tag, 12)) / 65536
    g, a, b, c, d, e, f = (*values, *[0.0] * (7 - count))
    if kind == 0:
        return _STEPS**g
    if kind in (1, 2):  # one number less in the first: c = 0
        c, d, e, f = 0.0, -b / a if a else 0.0, c, c
    with np.errstate(all="ignore"):
        power = np.maximum(a * _STEPS + b, 0) ** g + e
    return np.where(d <= _STEPS, power, c * _STEPS + f)


class _LittleCMS(NamedTuple):
    transform: ImageCms.ImageCmsTransform
    mode: str
    deep: Convert | None
    """For 16 bits, unless 8 of them must do."""

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        if samples.dtype == np.uint16:
            return self.deep(samples) if self.deep else self(to_8_bits(samples)) * np.uint16(257)
        samples = np.broadcast_to(samples, (*samples.shape[:-1], len(self.mode)))
        height, width = samples.shape[:2]
        image = Image.frombytes(self.mode, (width, height), samples.tobytes())
        return np.asarray(ImageCms.applyTransform(image, self.transform))


def _by_littlecms(profile: bytes, mode: str, deep: Convert | None = None) -> Convert:
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    target = ImageCms.createProfile("sRGB")
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    return _LittleCMS(ImageCms.buildTransform(source, target, mode, "RGB", intent), mode, deep)


_FROM_16_BITS = np.rint(np.arange(2**16) / 257).astype(np.uint8)


def to_8_bits(samples: np.ndarray) -> np.ndarray:
    """Samples (...) of uint16 divided by 257 and rounded to uint8; uint8 as it is."""
    return samples if samples.dtype == np.uint8 else _FROM_16_BITS[samples]


def _white(corners: Sequence[float]) -> np.ndarray:
    x, y = corners[6:]
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _xyz_from_rgb(corners: Sequence[float]) -> np.ndarray:
    xy = np.array(corners[:6]).reshape(3, 2)
    columns = np.column_stack([xy, 1 - xy.sum(axis=1)]).T
    return columns * np.linalg.solve(columns, _white(corners))


def _adapt(white: np.ndarray, to: np.ndarray) -> np.ndarray:
    """Bradford's change of white."""
    scale = (_BRADFORD @ to) / (_BRADFORD @ white)
    return np.linalg.inv(_BRADFORD) @ (scale[:, None] * _BRADFORD)


def _lab_to_xyz(lab: np.ndarray) -> np.ndarray:
    fy = (lab[..., 0] + 16) / 116
    f = np.stack([fy + lab[..., 1] / 500, fy, fy - lab[..., 2] / 200], axis=-1)
    return D50 * np.where(f > 6 / 29, f**3, (f - 4 / 29) * 3 * (6 / 29) ** 2)


_D65_XYZ = _white(SRGB_CORNERS)
_FROM_D50 = np.linalg.inv(_xyz_from_rgb(SRGB_CORNERS)) @ _adapt(D50, _D65_XYZ)
