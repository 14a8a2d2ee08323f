"""`colorlab colorize`: colour picture files with released weights."""

from __future__ import annotations

import argparse
import io
import math
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from colorlab import checkpoints
from colorlab.bands import lightness_of
from colorlab.checkpoints import SAFEST
from colorlab.color import to_uint8
from colorlab.data.photos import SUFFIXES, is_picture_name
from colorlab.data.reading import read_rgb
from colorlab.files import DISK_FULL, make_folder, progress_bar, shown, write_whole
from colorlab.models import Colorizer

VIVID = "vivid"
# VIVID is the safest network with its ab turned up, by the factor that its card tells, to 85 % of
# the colourfulness of photographs.
WORTH_KNOWING = {
    VIVID: "nearly as colourful as photographs (default)",
    SAFEST: "the safest, paler",
    "diffusion": "one of several answers",
    "unet-scratch": "trained on 3,600 photographs, without a pretrained encoder",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument("inputs", nargs="+", type=Path, metavar="IN", help="files or folders")
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
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--overwrite", action="store_true", help="replace files that are there")


def run(args: argparse.Namespace) -> int:
    """Colour every input at its own size; a bad file is named at the end and the others go on."""
    files = list_inputs(args.inputs)
    outputs = name_outputs(files, args.out, single=not any(path.is_dir() for path in args.inputs))
    refuse_collisions(files, outputs, args.overwrite)
    model = load_model(args.model, args.saturation, args.device)
    done, failed = 0, []
    with warnings.catch_warnings():
        # PIL warns of damage without naming the file; the report names it.
        warnings.filterwarnings("ignore", module=r"PIL\b")
        for file, output in zip(progress_bar(files, unit="picture"), outputs, strict=True):
            try:
                save_picture(colored(model, file, args.device), output)
                done += 1
            except (ValueError, OSError) as error:
                failed.append(_line(file, str(error)))
                if getattr(error.__cause__, "errno", None) in DISK_FULL:
                    break
            except (MemoryError, RuntimeError) as error:
                # PyTorch has no error of its own for a CPU's memory.
                if isinstance(error, RuntimeError) and "memory" not in str(error):
                    raise
                failed.append(_line(file, "too large for the free memory; make it smaller first"))
    where = shown(args.out or (outputs[0] if len(outputs) == 1 else outputs[0].parent))
    _say(f"{done} of {len(files)} pictures coloured, in {where}")
    if done + len(failed) < len(files):
        _say(f"{len(files) - done - len(failed)} were not tried, since the disk is full")
    for line in failed:
        _say(line)
    return 1 if failed else 0


def load_model(name: str, saturation: float | None, device: str) -> Any:
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


def colored(model: Any, file: Path, device: torch.device | str = "cpu") -> np.ndarray:
    """Colour a picture file at its own size: (H, W, 3) uint8.

    Of a large picture, only its lightness stands in memory as floats.
    """
    L = lightness_of(read_rgb(file), device)
    if isinstance(model, Colorizer):
        return model.colorize_8bit(L)[0]
    return to_uint8(model.colorize(L))[0]


def list_inputs(inputs: list[Path]) -> list[Path]:
    """Files as given, folders as the pictures directly in them, sorted."""
    files: list[Path] = []
    for path in inputs:
        if path.is_dir():
            inside = sorted(name for name in os.listdir(path) if is_picture_name(name))
            if not inside:
                raise FileNotFoundError(
                    f"{shown(path)} holds no pictures ({', '.join(sorted(SUFFIXES))})"
                )
            files += [path / name for name in inside]
        elif os.path.lexists(path):
            files.append(path)
        else:
            raise FileNotFoundError(f"{shown(path)} does not exist; check the path")
    return files


def name_outputs(files: list[Path], out: Path | None, single: bool) -> list[Path]:
    """Where each answer goes: ``out`` itself for one picture, otherwise PNG files in that folder.

    Without ``out``, ``NAME-colored.png`` beside each picture.
    """
    if out is None:
        return [file.with_name(f"{file.stem}-colored.png") for file in files]
    if single and len(files) == 1 and out.suffix and not out.is_dir():
        if out.suffix.lower() not in SUFFIXES:
            raise ValueError(f"{shown(out)} ends in no known kind of picture; try .png or .jpg")
        return [out]
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"{shown(out)} is no folder; name one for several pictures")
    return [out / f"{file.stem}.png" for file in files]


def refuse_collisions(files: list[Path], outputs: list[Path], overwrite: bool) -> None:
    """Make sure that nothing is lost: no input, no older file, no two answers in one place."""
    # Not Path.resolve, which fails on a link that leads back to itself.
    inputs = {os.path.realpath(file) for file in files}
    seen: set[Path] = set()
    for output in outputs:
        if os.path.realpath(output) in inputs:
            raise FileExistsError(
                f"{shown(output)} is an input; choose another place for the answer"
            )
        if output in seen:
            raise FileExistsError(
                f"two inputs would both become {shown(output)}; colour them apart"
            )
        if os.path.lexists(output) and not overwrite:
            raise FileExistsError(f"{shown(output)} exists; add --overwrite to replace it")
        seen.add(output)


def save_picture(rgb: np.ndarray, output: Path) -> None:
    """Write (H, W, 3) uint8 whole or not at all: a run that is killed leaves no half of one."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, Image.registered_extensions()[output.suffix.lower()])
    make_folder(output.parent)
    write_whole(output, buffer.getvalue())


def _line(file: Path, why: str) -> str:
    """What went wrong, on one line and with the file's name once."""
    name, text = shown(file), shown(why, 1000)
    return f"colorlab: {text}" if text.startswith(name) else f"colorlab: {name}: {text}"


def _say(text: str) -> None:
    """Print, also where the terminal or a redirection cannot show every letter of a name."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding))
