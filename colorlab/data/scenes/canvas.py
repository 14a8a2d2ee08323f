"""The sheet that scenes are drawn on: Lab planes, region map, textures, Lab to sRGB.

All geometry is in unit coordinates: x to the right and y down, both 0 to 1. The size only
changes the sampling, so the same seed has the same layout at every size.

The bytes of every scene depend on this module.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from functools import cache, lru_cache

import numpy as np

from colorlab.data.scenes.palettes import PALETTES

GRAIN = 0.7  # standard deviation of the film grain, in L: dithers the 8-bit rounding

# Linear sRGB from XYZ / white (D65, 2 degrees), i.e. IEC 61966-2-1 times the white point.
_RGB_FROM_XYZ = np.array(
    [
        [3.2404542, -1.5371385, -0.4985314],
        [-0.9692660, 1.8760108, 0.0415560],
        [0.0556434, -0.2040259, 1.0572252],
    ]
)
_RGB_FROM_XYZ_N = (_RGB_FROM_XYZ * [0.95047, 1.0, 1.08883]).astype(np.float32)
_Y = (0.2126729, 0.7151522, 0.0721750)  # luminance of linear sRGB primaries
_STEPS = 1 << 14  # entries of the lookup table: 0.1 levels of error in the dark, less above


def lab_to_linear(lab: np.ndarray, scale: float = 1.0) -> np.ndarray:
    """Convert Lab (3, ...) to linear sRGB (3, ...), inside the gamut in [0, scale], not clipped.

    Lab stands here a second time, since the bytes of every scene depend on this float32 arithmetic:
    with `colorlab.color` and its other digits of the matrix, all scenes would change.
    Source: CIE 15:2004, section 8.2.
    """
    lab = np.asarray(lab, dtype=np.float32)
    f = np.empty_like(lab)
    f[1] = (lab[0] + 16) * (1 / 116)
    f[0] = f[1] + lab[1] * (1 / 500)
    f[2] = f[1] - lab[2] * (1 / 200)
    xyz = f * f * f
    if f.min() <= 6 / 29:  # the straight part near black: rare by day
        xyz = np.where(f > 6 / 29, xyz, (f - 16 / 116) * (3 * (6 / 29) ** 2))
    return (scale * _RGB_FROM_XYZ_N @ xyz.reshape(3, -1)).reshape(lab.shape)


@lru_cache(maxsize=1)
def _transfer_tables() -> tuple[np.ndarray, np.ndarray]:
    """Return 8-bit sRGB of each linear step, and the linear value that those 8 bits stand for."""
    v = (np.arange(_STEPS) + 0.5) / _STEPS
    srgb = np.where(v <= 0.0031308, 12.92 * v, 1.055 * v ** (1 / 2.4) - 0.055)
    level = np.rint(255 * srgb)
    u = level / 255
    linear = np.where(u <= 0.04045, u / 12.92, ((u + 0.055) / 1.055) ** 2.4)
    return level.astype(np.uint8), (linear * _STEPS).astype(np.float32)


def lab_to_uint8(lab: np.ndarray) -> np.ndarray:
    """Convert Lab (3, H, W) to sRGB uint8 (H, W, 3), keeping L to about 0.02.

    Rounding each channel to the nearest level moves L by 0.08 (root mean square), by an amount
    that depends on the colour and would reveal it. So green is rounded first, red compensates for
    its error in luminance, and blue for what is left: error diffusion over channels.
    """
    to_level, to_linear = _transfer_tables()
    red, green, blue = lab_to_linear(lab, _STEPS)
    rgb = np.empty((*red.shape, 3), dtype=np.uint8)
    index = green.astype(np.int32)
    rgb[..., 1] = np.take(to_level, index, mode="clip")
    red += (green - np.take(to_linear, index, mode="clip")) * (_Y[1] / _Y[0])
    index = red.astype(np.int32)
    rgb[..., 0] = np.take(to_level, index, mode="clip")
    blue += (red - np.take(to_linear, index, mode="clip")) * (_Y[0] / _Y[2])
    rgb[..., 2] = np.take(to_level, blue.astype(np.int32), mode="clip")
    return rgb


@cache
def lightness_range(kind: str, hour: str) -> tuple[float, float]:
    """Return the L interval in which all colours of a kind fit sRGB, less room for grain.

    One interval for the whole palette: clipping L to it does not reveal the entry.
    """
    ab = PALETTES[kind].at(hour)
    lightness = np.arange(0.0, 100.01, 0.25)
    lab = np.empty((3, len(ab), len(lightness)), dtype=np.float32)
    lab[0], lab[1:] = lightness, ab.T[:, :, None]
    linear = lab_to_linear(lab)
    inside = lightness[((linear >= 0) & (linear <= 1)).all(axis=(0, 1))]
    return float(inside[0]) + 0.25, float(inside[-1]) - 0.25


# name: (lowest and highest frequency in cycles per unit along x, the same along y, slope)
_TEXTURES = {
    "soft": ((1, 14), (1, 14), 1.6),
    "cloud": ((1, 40), (2, 80), 1.7),
    "grass": ((14, 250), (4, 90), 0.5),
    "leaf": ((9, 120), (9, 120), 0.9),
    "water": ((1, 16), (14, 160), 0.8),
    "rock": ((4, 200), (3, 120), 1.2),
    "wood": ((1, 5), (12, 160), 0.6),
}
_TILE = 512


def _spectrum(name: str) -> np.ndarray:
    """Spectrum (512, 512) of band-limited noise with unit variance."""
    (x_low, x_high), (y_low, y_high), slope = _TEXTURES[name]
    seed = 9_000 + list(_TEXTURES).index(name)
    white = np.random.default_rng(seed).standard_normal((_TILE, _TILE))
    freq = np.abs(np.fft.fftfreq(_TILE, 1 / _TILE))
    fx, fy = freq[None, :], freq[:, None]
    # Normalised frequency: elongated bands give elongated blades and ripples.
    radius = np.hypot(fx / x_low, fy / y_low)
    band = (radius >= 1) & (fx <= x_high) & (fy <= y_high)
    spectrum = np.fft.fft2(white) * band / np.maximum(radius, 1) ** slope
    return spectrum / np.fft.ifft2(spectrum).real.std()


@lru_cache(maxsize=32)
def texture(name: str, size: int) -> np.ndarray:
    """Return a (2 size, 2 size) float32 texture, periodic with `size`.

    The same field at every size, without the frequencies that a smaller size cannot hold. Only
    "grain" is sampled per pixel.
    """
    if name == "grain":
        field = np.random.default_rng(9_999).standard_normal((size, size)).clip(-2.5, 2.5)
    else:
        freq = np.fft.fftfreq(_TILE, 1 / _TILE)
        keep = np.flatnonzero(np.abs(freq) < size // 2)
        position = freq[keep].astype(int) % size
        small = np.zeros((size, size), dtype=complex)
        small[np.ix_(position, position)] = _spectrum(name)[np.ix_(keep, keep)]
        field = np.fft.ifft2(small).real * (size / _TILE) ** 2
    return np.tile(field.astype(np.float32), (2, 2))


class Canvas:
    """Lab planes and region map of one picture while it is drawn, or a window of them.

    Args:
        size: pixels on each side.
        colours: (T, F, 2) ab of each thing, for F variants drawn at once (the truth, the
            mean, ...). They share L, coverage and regions.
        gains: (T,) factor of the hour's light on the L of each thing.
    """

    def __init__(self, size: int, colours: np.ndarray, gains: Sequence[float]) -> None:
        self.size = size
        self.gains = gains
        self.colours = colours.reshape(len(colours), -1, 1, 1).astype(np.float32)
        self.planes = np.zeros((1 + self.colours.shape[1], size, size), dtype=np.float32)
        self.regions = np.zeros((size, size), dtype=np.uint8)
        self.left = self.top = 0  # of the window
        centres = (np.arange(size, dtype=np.float32) + 0.5) / size
        self.x, self.y = centres[None, :], centres[:, None]

    def window(self, x0: float, y0: float, x1: float, y1: float) -> Canvas:
        """Return the part of the canvas inside a box, empty where the box misses it."""
        n, part = self.size, copy(self)
        part.left, part.top = max(int(x0 * n) - 1, 0), max(int(y0 * n) - 1, 0)
        cols = slice(part.left, max(int(x1 * n) + 2, 0))
        rows = slice(part.top, max(int(y1 * n) + 2, 0))
        part.x, part.y = self.x[:, cols], self.y[rows]  # (1, w), (h, 1)
        part.planes, part.regions = self.planes[:, rows, cols], self.regions[rows, cols]
        return part

    def edge(self, distance: np.ndarray) -> np.ndarray:
        """Return the coverage 0..1 from a signed distance in unit coordinates (> 0 inside)."""
        return np.clip(distance * self.size + 0.5, 0, 1)

    def polygon(
        self, x: float, y: float, scale: float, mirror: float, *corners: tuple[float, float]
    ) -> np.ndarray:
        """Return the coverage of a convex polygon of an object with its foot at (x, y).

        Corners (u, v) are right of and above the foot, in units of `scale`, clockwise; `mirror`
        is 1, or -1 to swap left and right.
        """
        points = [(x + mirror * u * scale, y - v * scale) for u, v in corners]
        points = points if mirror > 0 else points[::-1]
        edges = []
        for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
            dx, dy = x1 - x0, y1 - y0
            length = (dx * dx + dy * dy) ** 0.5
            edges.append((dx / length, -dy / length, (dy * x0 - dx * y0) / length))
        a, b, c = np.array(edges, dtype=np.float32).T[:, :, None]  # each (n, 1)
        distance = (a * self.y.T)[:, :, None] + (b * self.x + c)[:, None, :]  # (n, h, w)
        return self.edge(distance.min(axis=0))

    def texture(self, name: str, offset: tuple[float, float]) -> np.ndarray:
        """Return (h, w) of a texture shifted by an offset in [0, 1) x [0, 1)."""
        x = (int(offset[0] * self.size) + self.left) % self.size
        y = (int(offset[1] * self.size) + self.top) % self.size
        return texture(name, self.size)[y : y + self.y.size, x : x + self.x.size]

    def paint(self, thing: int, cover: np.ndarray, lightness: np.ndarray | float) -> None:
        """Blend a thing over L and ab by its coverage; the region changes at one half."""
        L, ab = self.planes[0], self.planes[1:]
        L += cover * (self.gains[thing] * lightness - L)
        ab += cover * (self.colours[thing] - ab)
        np.copyto(self.regions, np.uint8(thing), where=cover >= 0.5)

    def light(self, cover: np.ndarray, change: np.ndarray | float) -> None:
        """Change L alone: cast shadow (< 0), mist or shimmer (> 0)."""
        self.planes[0] += cover * change
