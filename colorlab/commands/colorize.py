"""`colorlab colorize`: colour picture files with released weights."""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image
from tqdm.auto import tqdm

from colorlab import checkpoints
from colorlab.color import from_uint8, lightness, to_uint8
from colorlab.data.listing import SUFFIXES
from colorlab.data.reading import read_rgb


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument("inputs", nargs="+", type=Path, metavar="IN", help="files or folders")
    parser.add_argument(
        "-o", "--out", type=Path, required=True, help="a file for one picture, otherwise a folder"
    )
    parser.add_argument("--model", default="unet", help="name of released weights, or their path")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--overwrite", action="store_true", help="replace files that are there")


def run(args: argparse.Namespace) -> int:
    """Colour every input at its own size; a bad file is named and the others go on."""
    files = list_inputs(args.inputs)
    single = len(files) == 1 and args.inputs[0].is_file() and args.out.suffix != ""
    outputs = [args.out] if single else [args.out / f"{file.stem}.png" for file in files]
    refuse_collisions(files, outputs, args.overwrite)
    model = checkpoints.load(args.model, device=args.device)
    failed = []
    for file, output in tqdm(list(zip(files, outputs, strict=True)), unit="picture"):
        try:
            L = lightness(from_uint8(read_rgb(file))[None].to(args.device))
            colored = to_uint8(model.colorize(L))[0]
            output.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(colored).save(output)
        except (ValueError, OSError) as error:
            failed.append(f"{file}: {error}")
    print(f"{len(files) - len(failed)} of {len(files)} pictures coloured, in {args.out}")
    for line in failed:
        print(f"colorlab: {line}")
    return 1 if failed else 0


def list_inputs(inputs: list[Path]) -> list[Path]:
    """Files as given, folders as the pictures directly in them, sorted.

    Raises:
        FileNotFoundError: no such file, or a folder without pictures.
    """
    files: list[Path] = []
    for path in inputs:
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
            if not inside:
                raise FileNotFoundError(f"{path} holds no pictures ({', '.join(sorted(SUFFIXES))})")
            files += inside
        elif path.exists():
            files.append(path)
        else:
            raise FileNotFoundError(f"{path} does not exist")
    return files


def refuse_collisions(files: list[Path], outputs: list[Path], overwrite: bool) -> None:
    """Make sure that nothing is lost: no input, no older file, no two answers in one place.

    Raises:
        FileExistsError: an output is an input, exists already, or is wanted twice.
    """
    inputs = {file.resolve() for file in files}
    seen: set[Path] = set()
    for output in outputs:
        if output.resolve() in inputs:
            raise FileExistsError(f"{output} is an input; choose another place for the answer")
        if output in seen:
            raise FileExistsError(f"two inputs would both become {output}; colour them apart")
        if output.exists() and not overwrite:
            raise FileExistsError(f"{output} exists; add --overwrite to replace it")
        seen.add(output)
