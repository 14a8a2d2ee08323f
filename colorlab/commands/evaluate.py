"""`colorlab evaluate`: the table of metrics, standing rows and trained models side by side."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path
from typing import Any

import torch

from colorlab import checkpoints
from colorlab.classical import FITTED, TABLES, Gray, LevinHints, Oracle, count_colors
from colorlab.costs import released_costs, stages
from colorlab.data import Pictures, load
from colorlab.data.scenes import scene_set
from colorlab.files import write_text
from colorlab.metrics import BestOf, MeanOf, evaluate, evaluate_diversity, evaluate_known
from colorlab.models import MODELS
from colorlab.trainer import pick_device

STANDING_ROWS = ("gray", "mean", "lut", "oracle64")
RELEASED = "released"
HINTED = re.compile(r"(levin|guided)([1-9]\d*)")  # and how many hints from the truth
DRAWN = re.compile(r"(.+):(sample|mean|best)([1-9]\d*)?")  # of a trained model, and how many draws

MADE = {
    "sample": (MeanOf, "one draw"),
    "mean": (MeanOf, "mean of {n} draws"),
    "best": (BestOf, "best of {n} draws by Delta-E 76 to the truth, which it sees"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument(
        "--data",
        default="photos",
        help="photos (default), scenes, skimage, or the path of a folder of pictures",
    )
    parser.add_argument(
        "--checkpoints",
        type=Path,
        metavar="FOLDER",
        help="where the trained models lie (default: the released ones)",
    )
    parser.add_argument("--split", default="test", help="train, val or test (default)")
    parser.add_argument(
        "--models",
        default=",".join(STANDING_ROWS),
        help=f"rows, separated by commas: {', '.join(STANDING_ROWS)} (default); "
        f"{', '.join(FITTED)}, fitted on the training split; trained models "
        "such as unet or unet-rgb; a .safetensors file; released: every released network of "
        "the data's world; levin200 or guided200: scribbles with 200 hints from the truth. A "
        "trained model alone gives its single answer; unet_vae:sample is one draw, "
        "unet_vae:mean8 the mean of 8, unet_vae:best8 the best of 8 (it sees the truth)",
    )
    parser.add_argument(
        "--diversity",
        type=int,
        metavar="N",
        help="measure N draws a picture instead: one, mean, best, spread and energy score",
    )
    parser.add_argument(
        "--pairwise-lpips", action="store_true", help="with --diversity: LPIPS between draws, slow"
    )
    parser.add_argument(
        "--known",
        type=int,
        metavar="N",
        help="of scenes: measure N draws a scene against the stated colours instead",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table to FILE too")
    parser.add_argument(
        "--csv",
        type=Path,
        metavar="FILE",
        help="write means and intervals in full precision, and what each model cost, to FILE",
    )
    parser.add_argument(
        "--markdown",
        type=Path,
        metavar="FILE",
        help="write the table to FILE in Markdown, best rows and ties marked, with the costs",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="measure the first N pictures only")
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda")
    parser.add_argument("--batch-size", type=int, default=16, help="pictures at a time (16)")


def run(args: argparse.Namespace) -> int:
    """Measure, print the table, write the file."""
    device = _device(args.device)
    world = "scenes" if args.data == "scenes" else "photos"
    names = row_names(args.models, world, args.checkpoints)
    if args.limit is not None and args.limit < 1:
        raise ValueError(f"--limit must be at least 1, got {args.limit}")
    if args.pairwise_lpips and args.diversity is None:
        raise ValueError("--pairwise-lpips is a column of --diversity N; give both")
    if args.known is not None and (world != "scenes" or args.diversity is not None):
        raise ValueError("--known N is for --data scenes, and not together with --diversity")
    for option, file in (("json", args.json), ("csv", args.csv), ("markdown", args.markdown)):
        if file is not None and file.is_dir():
            raise IsADirectoryError(f"--{option} {file} is a folder; name a file in it")
    pictures = load(args.data, args.split, count=args.limit)
    rows, origins = make_rows(names, args.data, world, device, args.checkpoints)
    provenance = {
        "split": args.split,
        "rows": origins,
        "code_version": checkpoints.code_version(),
        "command": _command(args),
    }
    if args.known is not None:
        scenes = scene_set(len(pictures), pictures.size, args.split)
        provenance["training"] = _training(names, world, args.checkpoints)
        result = evaluate_known(rows, scenes, args.known, device=device, provenance=provenance)
    elif args.diversity is None:
        result = evaluate(
            rows, pictures, batch_size=args.batch_size, device=device, provenance=provenance
        )
    else:
        result = evaluate_diversity(
            rows,
            pictures,
            args.diversity,
            pairwise_lpips=args.pairwise_lpips,
            device=device,
            provenance=provenance,
        )
    print(result.table())
    if args.json is not None:
        result.to_json(args.json)
        print(f"written to {args.json}")
    costs = released_costs(result.models, world, args.checkpoints)
    if args.csv is not None:
        write_text(args.csv, result.to_csv(costs))
        print(f"written to {args.csv}")
    if args.markdown is not None:
        write_text(args.markdown, result.to_markdown(costs, ties=True) + "\n")
        print(f"written to {args.markdown}")
    return 0


def row_names(models: str, world: str, folder: Path | None = None) -> list[str]:
    """Split ``--models``, check each name, and write out what `released` stands for in ``folder``.

    Raises:
        ValueError: an unknown name, or no name at all.
    """
    names: list[str] = []
    for name in filter(None, (part.strip() for part in models.split(","))):
        if name == RELEASED:
            stems = [stem for stem in checkpoints.released(folder) if stem.endswith(f"-{world}")]
            names += [stem.removesuffix(f"-{world}").removesuffix("-ab") for stem in stems]
        elif (
            name in STANDING_ROWS
            or name in FITTED
            or HINTED.fullmatch(name)
            or _is_trained(name)
            or ((drawn := _drawn(name)) and _is_trained(drawn[0]))
        ):
            names.append(name)
        else:
            raise ValueError(
                f"unknown model {name!r}; known: "
                f"{', '.join([*STANDING_ROWS, *FITTED, *MODELS])}, each network also with -rgb and "
                f"with :sample, :mean8 or :best8, {RELEASED}, levin or guided with a number of "
                "hints, or the path of a .safetensors file"
            )
    if not names:
        raise ValueError(f"--models {models!r} names nothing to measure")
    return list(dict.fromkeys(names))


def _is_trained(name: str) -> bool:
    return name.endswith(".safetensors") or name.split("-")[0] in MODELS


def _drawn(name: str) -> tuple[str, str, int] | None:
    """Split ``unet_vae:best8`` into the model, what is made of its draws, and how many."""
    match = DRAWN.fullmatch(name)
    if match is None or (match[2] == "sample") != (match[3] is None):
        return None
    return match[1], match[2], int(match[3] or 1)


def make_rows(
    names: list[str], data: str, world: str, device: torch.device, folder: Path | None = None
) -> tuple[dict[str, Any], dict[str, str]]:
    """Build each row, and tell where it came from: a training set, or a file.

    What needs no network is fitted on the data's own training split. Data without one
    (scikit-image's photographs, a folder of test pictures) takes what is released. Trained models
    come from ``folder``, the released ones unless told.
    """
    rows: dict[str, Any] = {}
    origins: dict[str, str] = {}
    train = _training_split(data) if {*TABLES, *FITTED} & set(names) else None
    counts = count_colors(train) if train is not None and set(TABLES) & set(names) else None
    networks: dict[str, tuple[Any, str]] = {}  # read once, however many rows draw from it
    for name in names:
        if name == "gray":
            rows[name], origins[name] = Gray(), "ab = 0"
        elif name == "oracle64":
            rows[name], origins[name] = Oracle(), "true ab, area mean of 4x4 pixels"
        elif hinted := HINTED.fullmatch(name):
            rows[name] = LevinHints(int(hinted[2]), guided=hinted[1] == "guided")
            origins[name] = f"true ab at {hinted[2]} random pixels, seed {rows[name].seed}"
        elif train is not None and name in {*TABLES, *FITTED}:
            rows[name] = TABLES[name].fit(counts) if name in TABLES else FITTED[name].fit(train)
            origins[name] = (
                f"fitted on {train.source}, {len(train)} pictures, sha256 {train.sha256}"
            )
        else:
            base, made, n = _drawn(name) or (name, "", 0)
            if base not in networks:
                networks[base] = _released(base, world, device, folder)
            model, origin = networks[base]
            if made:
                model = MADE[made][0](model, n)
                origin = f"{MADE[made][1].format(n=n)}; {origin}"
            rows[name], origins[name] = model, origin
    return rows, origins


def _training_split(data: str) -> Pictures | None:
    """The training split that belongs to ``data``, or None where there is none."""
    if data == "skimage":
        return None
    try:
        return load(data, "train")
    except FileNotFoundError:
        return None


def _released(name: str, world: str, device: torch.device, folder: Path | None) -> tuple[Any, str]:
    file = _file(name, world, folder)
    card = checkpoints.read_card(file)
    return checkpoints.load(str(file), device=device), f"{file.name}, sha256 {card['sha256']}"


def _file(name: str, world: str, folder: Path | None) -> Path:
    where = {} if name.endswith(".safetensors") or name.count("-") > 1 else {"world": world}
    return checkpoints.find(name, folder=folder, **where)


def _training(names: list[str], world: str, folder: Path | None) -> dict[str, list[dict]]:
    """How each network was trained, from its card: its runs, the newest first."""
    told = ("model", "steps", "seconds", "device", "seed", "trained_on")
    return {
        name: [
            {key: run[key] for key in told if key in run}
            for run in stages(checkpoints.read_card(_file(name, world, folder)))
        ]
        for name in names
        if _is_trained(name)
    }


def _device(name: str) -> torch.device:
    try:
        return torch.zeros(1, device=pick_device(name)).device
    except (RuntimeError, AssertionError) as error:  # torch raises either
        raise ValueError(f"--device {name}: {str(error).splitlines()[0]}") from error


def _command(args: argparse.Namespace) -> str:
    """The command that repeats this table; a folder appears by its name, not by where it lies."""
    data = Path(args.data).name or args.data
    words = ["colorlab", "evaluate", "--data", data, "--split", args.split, "--models", args.models]
    if args.checkpoints is not None:
        words += ["--checkpoints", args.checkpoints.name]
    if args.limit is not None:
        words += ["--limit", str(args.limit)]
    if args.diversity is not None:
        words += ["--diversity", str(args.diversity)]
        words += ["--pairwise-lpips"] * args.pairwise_lpips
    if args.known is not None:
        words += ["--known", str(args.known)]
    return shlex.join(words)
