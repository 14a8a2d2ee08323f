"""Images that another tool coloured: matched by name, read, and measured beside our rows.

Our rows keep L. Other tools sharpen, brighten or save a JPEG, and every metric then counts that
too. So there are two rows: the tool's colours on the photograph's L, which compares with ours, and
its images as they are. A note says how far L moved. Taught in lesson 11.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from colorlab.color import from_uint8, join, lightness, rgb_to_lab, to_uint8
from colorlab.data.photos import list_files
from colorlab.data.reading import read_rgb, square
from colorlab.files import make_folder, shown, write_together
from colorlab.metrics.rows import Made

if TYPE_CHECKING:
    from colorlab.data.cache import Pictures

MOVED = 1.5  # mean change of L: a JPEG of quality 75 moves it by 1.4 on the test photographs
_CHUNK = 16


def write_grays(folder: Path, pictures: Pictures) -> None:
    """Write what a tool has to colour: the L of each image as a gray PNG of the set's size.

    Raises:
        FileExistsError: the folder holds files.
        ValueError: two images of the set differ in the ending of their names alone.
    """
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{shown(folder)} is not empty; name a new folder")
    contents = {}
    for stem, rgb in zip(_stems(pictures), pictures.rgb, strict=True):
        L = lightness(from_uint8(rgb[None]))
        gray = to_uint8(join(L, L.new_zeros(1, 2, *L.shape[2:])))[0, ..., 0]
        stream = io.BytesIO()
        Image.fromarray(gray).save(stream, "PNG")
        contents[folder / f"{stem}.png"] = stream.getvalue()
    for place in {file.parent for file in contents}:
        make_folder(place)
    write_together(contents)


def answer_rows(folder: Path, pictures: Pictures) -> dict[str, Made]:
    """Two rows of a folder of coloured images, called by the folder's name.

    An image is found by the name of its photograph, whatever its format. One of another size is
    treated as the photographs were: its centre square is resized.

    Args:
        folder: holds one image for each of ``pictures``; others are told in the row's note.
        pictures: the photographs.

    Returns:
        ``NAME``, the tool's *ab* on the photographs' L, with the note; ``NAME, own L``, as it is.

    Raises:
        FileNotFoundError: an image is missing.
        ValueError: two images for one photograph, or one that is too small.
        UnreadableImageError: a file that is damaged or no image.
    """
    stems = _stems(pictures)
    found: dict[str, str] = {}
    for file in list_files(folder, "all")[1]:
        other = found.setdefault(os.path.splitext(file)[0], file)
        if other != file:
            raise ValueError(f"{shown(folder)} holds {shown(other)} and {shown(file)}; remove one")
    if missing := [stem for stem in stems if stem not in found]:
        raise FileNotFoundError(
            f"{shown(folder)} lacks {len(missing)} of {len(stems)} images, such as "
            f"{shown(missing[0])}.png; a coloured image has the name of its gray one"
        )
    rgb = np.stack(
        [square(read_rgb(folder / found[stem]), pictures.size, found[stem]) for stem in stems]
    )
    on_ours, moved = [], []
    for start in range(0, len(rgb), _CHUNK):
        L = lightness(from_uint8(pictures.rgb[start : start + _CHUNK]))
        lab = rgb_to_lab(from_uint8(rgb[start : start + _CHUNK]))
        on_ours.append(to_uint8(join(L, lab[:, 1:])))
        moved += (lab[:, :1] - L).abs().mean(dim=(1, 2, 3)).tolist()
    name, worst = shown(folder.resolve().name), int(np.argmax(moved))
    mean = float(np.mean(moved))
    note = (
        f"{name}: its L differs from the photographs' by {mean:.1f} on average, by "
        f"{moved[worst]:.1f} in {shown(stems[worst])}"
    )
    if mean > MOVED:
        note = f"warning: {note}; it changed more than colours, or other images were coloured"
    if extra := sorted(set(found) - set(stems)):
        note += f"; {len(extra)} files belong to no photograph, such as {shown(found[extra[0]])}"
    return {name: Made(np.concatenate(on_ours), note), f"{name}, own L": Made(rgb)}


def _stems(pictures: Pictures) -> list[str]:
    """The names of a set without their endings."""
    stems = [os.path.splitext(name)[0] for name in pictures.names]
    if len(set(stems)) < len(stems):
        double = next(stem for stem in stems if stems.count(stem) > 1)
        raise ValueError(f"two photographs of the set are called {shown(double)}; rename one")
    return stems
