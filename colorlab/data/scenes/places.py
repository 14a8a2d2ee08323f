"""Draw a layout: the hour, a place (valley, lake, beach, road) and the things in it.

Nothing here touches pixels: thousands of layouts a second, for statistics.
"""

from __future__ import annotations

from collections.abc import Mapping

from colorlab.data.scenes.layout import Draw, Layout, Waves, height
from colorlab.data.scenes.palettes import HOURS


def draw_layout(seed: int, choices: Mapping[int | str, int] | None = None) -> Layout:
    """Draw a scene without rendering it.

    Args:
        seed: non-negative integer; the same seed gives the same layout everywhere.
        choices: palette entries to force, by thing index or by kind name. Geometry and
            the other draws stay as they are.

    Raises:
        ValueError: for a negative seed or a palette entry that does not exist.
    """
    if seed < 0:
        raise ValueError(f"a scene's seed must be 0 or greater, got {seed}")
    d = Draw(int(seed), choices or {})
    hour = HOURS[d.count(0, 3)]
    low_sun = hour in ("dawn", "evening")
    sun = d.between(0.12, 0.88), d.between(0.36, 0.44) if low_sun else d.between(0.09, 0.2)
    horizon = d.between(0.46, 0.54)
    d.add("sky", "sky", "horizon", "sun", stars=d.offset(), bottom=horizon + 0.08)
    for _ in range(d.count(1, 3)):
        d.add(
            "cloud",
            "cloud",
            centre=(d.between(0.05, 0.95), d.between(0.08, 0.34)),
            radius=(d.between(0.14, 0.3), d.between(0.04, 0.08)),
            offset=d.offset(),
        )
    u = d.between(0, 1)
    place = _valley if u < 0.42 else _lake if u < 0.64 else _beach if u < 0.82 else _road
    place(d, horizon)
    return Layout(hour, sun, tuple(d.things), tuple(d.items), d.offset())


def _far(d: Draw, horizon: float) -> None:
    """Mountains with snow, a wooded hill before them, and balloons in the sky."""
    if d.chance(0.75):
        base = horizon - d.between(0.02, 0.08)
        waves = d.ridge(0.09, 0.14, d.between(0.9, 1.6))
        snow = base - d.between(0.06, 0.11)
        d.add("mountain", "mountain", "snow", base=base, waves=waves, snow=snow, offset=d.offset())
    _balloons(d, horizon)
    waves = d.ridge(0.012, 0.03, d.between(0.8, 1.4))
    d.add("forest", "forest", base=horizon, waves=waves, offset=d.offset())


def _balloons(d: Draw, horizon: float) -> None:
    count = 0 if d.chance(0.35) else d.count(1, 2)
    slots = [0.28, 0.72] if d.chance(0.5) else [0.74, 0.3]
    for slot in slots[:count]:
        radius = d.between(0.085, 0.15)
        centre = (
            d.between(slot - 0.14, slot + 0.14),
            d.between(radius + 0.03, horizon - 1.6 * radius),
        )
        d.add("balloon", "balloon", "wood", centre=centre, radius=radius, offset=d.offset())


def _trees(d: Draw, count: int, base: float, waves: Waves, tall: float, sink: float) -> None:
    """Trees along a ridge; `sink` sets how far below its crest they may stand."""
    fir = d.chance(0.4)
    for _ in range(count):
        x = d.between(0.0, 1.0)
        foot = height(x, base, waves) + d.between(0.15, 1) * sink
        size = tall * d.between(0.75, 1.25)
        if fir != d.chance(0.15):
            d.add("fir", "fir", "trunk", foot=(x, foot), tall=size * 1.15, offset=d.offset())
        else:
            d.add("tree", "crown", "trunk", foot=(x, foot), tall=size, offset=d.offset())


def _houses(d: Draw, base: float, waves: Waves, count: int) -> None:
    slots = [0.25, 0.75] if d.chance(0.5) else [0.7, 0.22]
    for slot in slots[:count]:
        x = d.between(slot - 0.12, slot + 0.12)
        wide = d.between(0.23, 0.32)
        foot = height(x, base, waves) + d.between(0.05, 0.09)
        d.add(
            "house",
            *("house wall", "roof", "window", "wood"),
            foot=(x, foot),
            wide=wide,
            left=d.chance(0.5),
            offset=d.offset(),
        )


def _front(d: Draw, base: float) -> None:
    """Something to look at in the foreground."""
    u = d.between(0, 1)
    if u < 0.34:
        waves = d.ridge(0.012, 0.02, 1.1)
        d.add("flowers", "flower bed", "stem", base=max(base, 0.8), waves=waves, offset=d.offset())
    elif u < 0.62:
        foot = d.between(0.2, 0.8), d.between(0.88, 0.95)
        d.add("tent", "tent", foot=foot, wide=d.between(0.32, 0.44), offset=d.offset())
    else:
        _sill(d)


def _sill(d: Draw) -> None:
    """A wooden sill with fruit: the viewer stands at a window."""
    top = d.between(0.83, 0.88)
    d.add("sill", "wood", top=top, offset=d.offset())
    x = d.between(0.1, 0.35)
    for _ in range(d.count(2, 4)):
        radius = d.between(0.075, 0.105)
        if x > 0.95:
            break
        foot = x, top + d.between(0.025, 0.06)
        d.add("apple", "apple", "trunk", foot=foot, radius=radius, offset=d.offset())
        x += 2.1 * radius + d.between(0, 0.12)


def _valley(d: Draw, horizon: float) -> None:
    _far(d, horizon)
    base = horizon + d.between(0.07, 0.11)
    waves = d.ridge(0.015, 0.035, d.between(0.6, 1.1))
    d.add("meadow", "meadow", base=base, waves=waves, depth=0.3, offset=d.offset())
    _trees(d, d.count(1, 3), base, waves, 0.15, 0.03)
    _houses(d, base, waves, d.count(0, 2))
    base = base + d.between(0.14, 0.18)
    waves = d.ridge(0.015, 0.03, d.between(0.5, 0.9))
    d.add("meadow", "meadow", base=base, waves=waves, depth=1.0, offset=d.offset())
    _trees(d, d.count(1, 2), base, waves, 0.26, 0.05)
    _front(d, base)


def _lake(d: Draw, horizon: float) -> None:
    _far(d, horizon)
    d.add("water", "water", top=horizon + 0.02, shore=True, offset=d.offset())
    _boats(d, horizon + 0.02)
    base = d.between(0.8, 0.86)
    waves = d.ridge(0.015, 0.03, d.between(0.5, 0.9))
    d.add("meadow", "meadow", base=base, waves=waves, depth=1.0, offset=d.offset())
    _trees(d, d.count(1, 3), base, waves, 0.24, 0.06)
    if d.chance(0.6):
        _front(d, base)


def _boats(d: Draw, top: float) -> None:
    slots = [0.25, 0.7] if d.chance(0.5) else [0.75, 0.3]
    for slot in slots[: d.count(1, 2)]:
        foot = d.between(slot - 0.14, slot + 0.14), d.between(top + 0.1, 0.74)
        tall = 0.2 + 0.5 * (foot[1] - top) + d.between(0, 0.05)
        d.add("boat", "sail", "wood", foot=foot, tall=tall, left=d.chance(0.5), offset=d.offset())


def _beach(d: Draw, horizon: float) -> None:
    _balloons(d, horizon)
    d.add("water", "water", top=horizon, shore=False, offset=d.offset())
    _boats(d, horizon)
    base = d.between(0.74, 0.8)
    d.add("sand", "sand", base=base, waves=d.ridge(0.01, 0.025, 0.6), offset=d.offset())
    x = d.between(0.18, 0.4)
    for _ in range(d.count(1, 2)):
        foot = x, d.between(base + 0.09, 0.95)
        wide = d.between(0.26, 0.36)
        d.add("parasol", "parasol", "trunk", foot=foot, wide=wide, offset=d.offset())
        x += d.between(0.4, 0.5)


def _road(d: Draw, horizon: float) -> None:
    _far(d, horizon)
    base = horizon + d.between(0.06, 0.1)
    waves = d.ridge(0.01, 0.025, d.between(0.6, 1.1))
    d.add("meadow", "meadow", base=base, waves=waves, depth=0.6, offset=d.offset())
    _trees(d, d.count(1, 4), base, waves, 0.19, 0.05)
    _houses(d, base, waves, d.count(0, 2))
    top = d.between(0.78, 0.81)
    d.add("road", "road", top=top, offset=d.offset())
    foot = d.between(0.25, 0.75), top + d.between(0.05, 0.1)
    d.add(
        "car",
        *("car", "window", "rubber"),
        foot=foot,
        wide=d.between(0.34, 0.46),
        left=d.chance(0.5),
        offset=d.offset(),
    )
