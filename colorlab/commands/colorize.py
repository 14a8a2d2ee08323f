"""`colorlab colorize`: colour picture files with released weights."""

from __future__ import annotations

import argparse
import glob
import math
import os
import sys
import warnings
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

from colorlab import checkpoints
from colorlab.bands import bands, lightness_of
from colorlab.checkpoints import SAFEST
from colorlab.color import to_uint8
from colorlab.commands import add_examples
from colorlab.data.photos import SUFFIXES, WRITTEN
from colorlab.data.reading import MOST_BYTES, read_picture
from colorlab.data.writing import LOSSY, QUALITY, encode, read_metadata, take_apart
from colorlab.files import DISK_FULL, make_folder, progress_bar, shown, write_whole
from colorlab.models import Colorizer
from colorlab.training.loop import pick_device

VIVID = "vivid"
# VIVID is the safest network with its ab turned up, by the factor that its card tells, to 85 % of
# the colourfulness of photographs.
WORTH_KNOWING = {
    VIVID: "nearly as colourful as photographs (default)",
    SAFEST: "the safest, paler",
    "diffusion": "one of several answers",
    "unet-scratch": "trained on 3,600 photographs, without a pretrained encoder",
}

MOST_TOGETHER = 200_000_000
"""Pixels of all pages or frames of a file, which stand in memory together."""

ENDS = {"PNG": b"IEND\xaeB`\x82", "JPEG": b"\xff\xd9", "GIF": b";"}
"""The last bytes of a whole file, where a decoder does not ask for them."""


class Found(NamedTuple):
    """A picture to colour."""

    file: Path
    place: Path
    """Below the folder of the answers; the tree of a folder is mirrored."""


class Row(NamedTuple):
    """What became of a file, where that is not simply a coloured picture."""

    outcome: str
    file: Path
    why: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    add_examples(
        parser,
        "colorlab colorize old_photo.jpg                # old_photo-colored.png beside it",
        "colorlab colorize scans/ -o colored/ --resume  # a tree; again after a stop, goes on",
    )
    parser.add_argument(
        "inputs", nargs="+", type=Path, metavar="IN", help="files, folders, or patterns in quotes"
    )
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        help="a file for one picture, otherwise a folder (default: NAME-colored.png beside each)",
    )
    parser.add_argument(
        "--model",
        default=VIVID,
        help="name of released weights, or their path; "
        + "; ".join(f"{name}: {what}" for name, what in WORTH_KNOWING.items()),
    )
    parser.add_argument(
        "--saturation",
        type=float,
        metavar="FACTOR",
        help="turn the colours up or down: 1 as the network predicts them, 0 gray",
    )
    parser.add_argument(
        "--format",
        choices=sorted(suffix[1:] for suffix in WRITTEN),
        help="kind of the answers in a folder (default: png; tif for a TIFF, with all its pages)",
    )
    parser.add_argument(
        "--quality", type=int, help=f"1 to 100 for JPEG, WebP and AVIF (default: {QUALITY})"
    )
    parser.add_argument("--device", default="cpu", help="cpu (default), auto, cuda or mps")
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--overwrite", action="store_true", help="replace files that are there")
    again.add_argument(
        "--resume",
        action="store_true",
        help="leave answers that are whole and newer than their picture; colour the others",
    )


def run(args: argparse.Namespace) -> int:
    """Colour every input at its own size; what was left out is named at the end."""
    found, rows = list_inputs(args.inputs, args.out)
    single = not any(path.is_dir() for path in args.inputs)
    outputs = name_outputs(found, args.out, single, args.format)
    check_quality(args.quality, outputs)
    refuse_collisions(found, outputs, args.overwrite or args.resume)
    device = pick_device(args.device)
    model = load_model(args.model, args.saturation, device)
    done, earlier, tried = 0, 0, 0
    with warnings.catch_warnings():
        # PIL warns of damage without naming the file; the report names it.
        warnings.filterwarnings("ignore", module=r"PIL\b")
        for (file, _), output in zip(progress_bar(found, unit="picture"), outputs, strict=True):
            tried += 1
            try:
                if args.resume and is_finished(output, file):
                    earlier += 1
                    continue
                lost = colorize_file(model, file, output, args.quality, device)
                done += 1
                if lost:
                    rows.append(Row("coloured", file, f"left out: {'; '.join(lost)}"))
            except (ValueError, OSError) as error:
                rows.append(Row("failed", file, str(error)))
                if getattr(error.__cause__, "errno", None) in DISK_FULL:
                    break
            except (MemoryError, RuntimeError) as error:
                # PyTorch has no error of its own for a CPU's memory.
                if isinstance(error, RuntimeError) and "memory" not in str(error):
                    raise
                why = "too large for the free memory; make it smaller first"
                rows.append(Row("failed", file, why))
            except KeyboardInterrupt:
                _say(f"{done} of {len(found)} pictures coloured; add --resume to go on")
                raise
    where = shown(args.out or (outputs[0] if len(outputs) == 1 else outputs[0].parent))
    before = f", {earlier} more by an earlier run" if earlier else ""
    _say(f"{done} of {len(found)} pictures coloured{before}, in {where}")
    if tried < len(found):
        _say(f"{len(found) - tried} were not tried, since the disk is full")
    _say_table(rows)
    return 1 if any(row.outcome == "failed" for row in rows) else 0


def load_model(name: str, saturation: float | None, device: torch.device | str) -> Any:
    """Weights as :func:`colorlab.checkpoints.load` takes them, or :data:`VIVID`.

    ``saturation`` is a factor on the *ab* of a network; None for its own, 1 but for :data:`VIVID`.
    """
    if saturation is not None and not 0 <= saturation < math.inf:
        raise ValueError(f"--saturation must be 0 or more, got {saturation}")
    stem = SAFEST if name == VIVID else name
    model = checkpoints.load(stem, device=device)
    if name == VIVID and saturation is None:
        card = checkpoints.read_card(checkpoints.find(stem))
        saturation = card.get("boost", {}).get("vivid")
    if saturation is not None:
        if getattr(getattr(model, "config", None), "target", "") != "ab":
            raise ValueError(f"--saturation is for networks that predict ab, not for {name}")
        model.saturation = saturation
    return model


def colorize_file(
    model: Any,
    file: Path,
    output: Path,
    quality: int | None = None,
    device: torch.device | str = "cpu",
) -> list[str]:
    """Colour all pages or frames of a picture file; returns what was left out of the answer.

    The answer appears whole or not at all: a run that is killed leaves no half of one.
    """
    first = read_picture(file)  # refuses what is no picture, too large or damaged
    content = file.read_bytes()
    parts = take_apart(content)
    pictures, metadata, pixels = [], [], 0
    for number, make in enumerate(parts.files, 1):
        if len(parts.files) == 1:
            picture, told = first, read_metadata(content)
        else:
            part = make()
            picture = read_picture(part, f"{file}, picture {number}")
            told = read_metadata(part.getvalue() if parts.kind == "pages" else content)
        pixels += picture.rgb.size // 3
        if pixels > MOST_TOGETHER:
            raise ValueError(
                f"{shown(file)}: too many pixels in {len(parts.files)} {parts.kind} together, at "
                f"most {MOST_TOGETHER:,} are read; split it first"
            )
        color_in_place(model, picture.rgb, device)
        pictures.append(picture)
        metadata.append(told)
    kind = Image.registered_extensions()[output.suffix.lower()]
    try:
        data, lost = encode(pictures, metadata, kind, parts, quality)
    except MemoryError:
        raise
    except Exception as error:  # of PIL's encoders, each with limits of its own
        why = f"cannot be written as {kind} ({shown(error)}); choose another --format"
        raise ValueError(f"{shown(file)}: {why}") from error
    make_folder(output.parent)
    write_whole(output, data)
    return lost


def color_in_place(model: Any, picture: np.ndarray, device: torch.device | str = "cpu") -> None:
    """Colour (H, W, 3) uint8 or uint16 at its own size; the colours take the place of the gray.

    So a large 8-bit picture stands in memory once, and beside it only its lightness, as floats.
    """
    L = lightness_of(picture, device)
    if isinstance(model, Colorizer) and picture.dtype == np.uint8:
        model.colorize_8bit(L, picture[None])
        return
    rgb = model.colorize(L)[0]  # (3, H, W)
    for rows in bands(*picture.shape[:2]):
        part = rgb[:, rows]
        if picture.dtype == np.uint8:
            picture[rows] = to_uint8(part)
        else:
            deep = (part.clamp(0, 1) * 65535).round()
            picture[rows] = deep.movedim(0, -1).cpu().numpy().astype(np.uint16)


def list_inputs(inputs: list[Path], out: Path | None) -> tuple[list[Found], list[Row]]:
    """Files as given, and the pictures in folders and below, sorted; then what is left out.

    Patterns (``*``, ``?``, ``[``, and ``**`` for folders in folders) are expanded where no file
    has such a name, since not every shell does it. Answers are no inputs: neither those in
    ``out``, nor those beside their pictures.
    """
    found: dict[Path, Found] = {}
    rows: list[Row] = []
    for path in _expanded(inputs):
        if not path.is_dir():
            found.setdefault(path.absolute(), Found(path, Path(path.name)))
            continue
        inside, others = _below(path, out)
        if not inside:
            why = f"holds no pictures ({', '.join(sorted(SUFFIXES))})"
            others.append(Row("left out", path, why))
        for one in inside:
            found.setdefault(one.file.absolute(), one)
        rows += others
    if not found:
        row = next((row for row in rows if row.outcome == "failed"), rows[-1])
        raise FileNotFoundError(f"{shown(row.file)} {row.why}")
    if out is None:
        pictures = {(file.parent, file.stem) for file in found}
        for file, (path, _) in list(found.items()):
            stem = file.stem.removesuffix("-colored")
            if stem != file.stem and (file.parent, stem) in pictures:
                del found[file]
                rows.append(Row("left out", path, "the answer to another picture"))
    return list(found.values()), rows


def _expanded(inputs: list[Path]) -> list[Path]:
    paths: list[Path] = []
    for path in inputs:
        if os.path.lexists(path):
            paths.append(path)
            continue
        matches = sorted(glob.glob(str(path), recursive=True)) if glob.has_magic(str(path)) else []
        if not matches:
            raise FileNotFoundError(f"{shown(path)} does not exist; check the path")
        paths += map(Path, matches)
    return paths


def _below(folder: Path, out: Path | None) -> tuple[list[Found], list[Row]]:
    """Pictures in a folder and those below it, and what else lies there."""
    found, rows, hidden = [], [], 0

    def tell(error: OSError) -> None:
        why = f"may not be listed ({error.strerror}); check its permissions"
        rows.append(Row("failed", Path(error.filename), why))

    answers = None if out is None else os.path.realpath(out)
    if os.path.realpath(folder) == answers:
        raise ValueError(f"{shown(folder)} is the folder of the pictures; name another by -o")
    for at, below, files in os.walk(folder, onerror=tell):
        for name in sorted(below):
            path = Path(at, name)
            if name.startswith("."):
                hidden += 1
            elif path.is_symlink():
                rows.append(Row("left out", path, "a link to a folder; name it as well"))
            elif os.path.realpath(path) == answers:
                rows.append(Row("left out", path, "the folder of the answers"))
            else:
                continue
            below.remove(name)
        below.sort()
        for name in sorted(files):
            path = Path(at, name)
            if name.startswith("."):
                hidden += 1
            elif path.suffix.lower() in SUFFIXES:
                found.append(Found(path, path.relative_to(folder)))
            else:
                rows.append(Row("left out", path, "not a kind of picture that is read"))
    if hidden:
        rows.append(Row("left out", folder, f"{hidden} hidden files or folders in it"))
    return found, rows


def name_outputs(
    found: list[Found], out: Path | None, single: bool, kind: str | None = None
) -> list[Path]:
    """Where each answer goes: ``out`` itself for one picture, otherwise files in that folder.

    Without ``out``, ``NAME-colored`` beside each picture. A TIFF becomes a TIFF, others PNG, unless
    ``kind`` tells otherwise. Where a.jpg and a.bmp would both become a.png, they become a.jpg.png
    and a.bmp.png; equal names from two folders are numbered.
    """
    if out is not None and single and len(found) == 1 and out.suffix and not out.is_dir():
        if out.suffix.lower() not in WRITTEN:
            raise ValueError(f"{shown(out)} ends in no known kind of picture; try .png or .jpg")
        return [out]
    if out is not None and not out.is_dir() and (out.exists() or out.suffix.lower() in WRITTEN):
        raise NotADirectoryError(f"{shown(out)} is no folder; name one for several pictures")

    def answer(one: Found, name: str) -> Path:
        suffix = f".{kind}" if kind else ".png"
        if not kind and one.file.suffix.lower() in (".tif", ".tiff"):
            suffix = ".tif"
        if out is None:
            return one.file.with_name(f"{name}-colored{suffix}")
        return out / one.place.with_name(f"{name}{suffix}")

    # Some disks do not tell capital letters from small ones.
    wanted = [answer(one, one.file.stem) for one in found]
    counts = Counter(str(path).casefold() for path in wanted)
    outputs, taken = [], set()
    for one, output in zip(found, wanted, strict=True):
        if counts[str(output).casefold()] > 1:
            output = answer(one, one.file.name)
        name, number = output.stem, 1
        while str(output).casefold() in taken:
            number += 1
            output = output.with_name(f"{name}-{number}{output.suffix}")
        taken.add(str(output).casefold())
        outputs.append(output)
    return outputs


def check_quality(quality: int | None, outputs: list[Path]) -> None:
    """Refuse a quality that is none, or that nothing has use for."""
    if quality is None:
        return
    if not 1 <= quality <= 100:
        raise ValueError(f"--quality must be 1 to 100, got {quality}")
    kinds = {Image.registered_extensions()[output.suffix.lower()] for output in outputs}
    if not kinds & set(LOSSY):
        raise ValueError("--quality is for JPEG, WebP and AVIF; add --format jpg, for example")


def refuse_collisions(found: list[Found], outputs: list[Path], replace: bool) -> None:
    """Make sure that nothing is lost: no input, no older file."""
    # Not Path.resolve, which fails on a link that leads back to itself.
    inputs = {os.path.realpath(one.file) for one in found}
    for output in outputs:
        if os.path.realpath(output) in inputs:
            raise FileExistsError(
                f"{shown(output)} is an input; choose another place for the answer"
            )
        if os.path.lexists(output) and not replace:
            raise FileExistsError(
                f"{shown(output)} exists; add --resume to go on, or --overwrite to replace it"
            )


def is_finished(output: Path, file: Path) -> bool:
    """Whether the answer is there, not older than its picture, and whole: all of it is decoded."""
    try:
        if output.stat().st_mtime < file.stat().st_mtime or output.stat().st_size > MOST_BYTES:
            return False
        content = output.read_bytes()
        for make in take_apart(content).files:
            read_picture(make())
    except OSError:
        return False
    return content.endswith(ENDS.get(Image.registered_extensions()[output.suffix.lower()], b""))


def _say_table(rows: list[Row]) -> None:
    """Outcome, file, why; the file's name once, on one line."""
    order = {"coloured": 0, "left out": 1, "failed": 2}
    names = [shown(row.file) for row in rows]
    width = min(max(map(len, names), default=0), 60)
    for row, name in sorted(zip(rows, names, strict=True), key=lambda pair: order[pair[0].outcome]):
        why = shown(row.why, 1000).removeprefix(f"{name}: ")
        _say(f"{row.outcome:8}  {name:{width}}  {why}")


def _say(text: str) -> None:
    """Print, also where the terminal or a redirection cannot show every letter of a name."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding))
