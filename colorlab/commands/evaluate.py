"""`colorlab evaluate`: the table of metrics, baselines and trained models side by side."""

from __future__ import annotations

import argparse
import shlex
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from colorlab import checkpoints
from colorlab.checkpoints import SAFEST
from colorlab.classical import FITTED, TABLES, Gray, LevinHints, Oracle, count_colors
from colorlab.commands import add_examples, check_positive, name_of
from colorlab.data import Pictures, load
from colorlab.data.films import FILMS, TRAINED_ON
from colorlab.data.photos import hashed_share
from colorlab.data.scenes import scene_set
from colorlab.files import shown, write_text
from colorlab.metrics import (
    BestOf,
    Boosted,
    Evaluation,
    MeanOf,
    answer_rows,
    evaluate,
    evaluate_consistency,
    evaluate_diversity,
    evaluate_film,
    evaluate_known,
    evaluate_sets,
    write_grays,
)
from colorlab.metrics.costs import checkpoint_file, released_costs, stages
from colorlab.metrics.rows import BASELINES, RowName, parse
from colorlab.models import MODELS
from colorlab.training.loop import pick_device

RELEASED = "released"
BOOST = "boost"  # the safest released model, boosted by the factor on its card

MADE = {
    "sample": (MeanOf, "one draw"),
    "mean": (MeanOf, "mean of {n} draws"),
    "best": (BestOf, "best of {n} draws by Delta-E 76 to the truth, which it sees"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    add_examples(
        parser,
        "colorlab evaluate --data skimage --models gray,unet,oracle64",
        "colorlab evaluate --data my-photos --split all --models gray,unet --json table.json",
        "colorlab evaluate --grays grays    # colour these in another tool, into the folder app",
        "colorlab evaluate --answers app --models gray,unet",
    )
    parser.add_argument(
        "--data", default="photos", help="photos (default), scenes, skimage, or a folder's path"
    )
    parser.add_argument(
        "--checkpoints", type=Path, metavar="FOLDER", help="of trained models (default: released)"
    )
    parser.add_argument(
        "--split",
        default="test",
        help="train, val, test (default), or all: every picture of a folder. A folder without "
        "folders of splits is divided 80/10/10 by its files' names",
    )
    parser.add_argument(
        "--models",
        default=",".join(BASELINES),
        help=f"rows, separated by commas: {', '.join(BASELINES)} (default); "
        f"{', '.join(FITTED)}, fitted on the training split; trained models "
        "such as unet or unet-rgb; a .safetensors file; released: every released network of "
        "the data's world; levin200 or guided200: scribbles with 200 hints from the truth. A "
        "trained model alone gives its single answer; unet:boost1.5 is that with its ab times 1.5, "
        "boost the same of the safest by the factor on its card; unet_vae:sample is one sample, "
        "unet_vae:mean8 the mean of 8, unet_vae:best8 the best of 8 (it sees the truth)",
    )
    parser.add_argument(
        "--diversity",
        type=int,
        metavar="N",
        help="measure N samples an image instead: one, mean, best, spread and energy score",
    )
    parser.add_argument(
        "--pairwise-lpips", action="store_true", help="with --diversity: LPIPS too, slow"
    )
    parser.add_argument(
        "--known",
        type=int,
        metavar="N",
        help="of scenes: measure N samples a scene against the stated colours instead",
    )
    parser.add_argument(
        "--sets",
        type=int,
        metavar="N",
        help="measure instead how far sets of N coloured pictures lie from sets of true ones, by a "
        "kernel distance (KID) with a permutation test",
    )
    parser.add_argument(
        "--consistency",
        action="store_true",
        help="measure instead how far the colours move when the gray picture is mirrored, shifted, "
        "made smaller, saved as JPEG, darker, brighter, or taken on film that is blind to red",
    )
    parser.add_argument(
        "--film",
        metavar="NAMES",
        help="measure instead how far the colours are off when the gray picture is not L but that "
        f"of another film or print: {', '.join(name for name in FILMS if name != TRAINED_ON)}, "
        "separated by commas",
    )
    parser.add_argument(
        "--grays",
        type=Path,
        metavar="FOLDER",
        help="measure nothing: write the gray pictures to a new FOLDER, for another tool to colour",
    )
    parser.add_argument(
        "--answers",
        type=Path,
        metavar="FOLDER",
        help="measure these coloured pictures too, each named as its gray one, of any format: the "
        "tool's colours on the photograph's L, and its pictures with their own L",
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
    parser.add_argument(
        "--every",
        type=int,
        default=1,
        metavar="N",
        help="measure each Nth picture only: fewer, of all collections of a set",
    )
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda")
    parser.add_argument("--batch-size", type=int, default=16, help="pictures at a time (16)")


def run(args: argparse.Namespace) -> int:
    """Measure, print the table, write the file."""
    for option, file in (("json", args.json), ("csv", args.csv), ("markdown", args.markdown)):
        if file is not None and file.is_dir():
            raise IsADirectoryError(f"--{option} {file} is a folder; name a file in it")
    check_positive(args, "limit", "every", "batch_size", "diversity", "known", "sets")
    if args.grays is not None:
        pictures = load(args.data, args.split, count=args.limit)
        write_grays(args.grays, pictures)
        print(f"{len(pictures)} gray pictures written to {args.grays}")
        return 0
    names = ("limit", "every", "batch_size", "diversity", "pairwise_lpips", "known", "consistency")
    names += ("film", "answers", "sets")
    more = {name: getattr(args, name) for name in names}
    result = measure(args.models, args.data, args.split, args.checkpoints, args.device, **more)
    print(result.table())
    if args.json is not None:
        result.to_json(args.json)
        print(f"written to {args.json}")
    costs = released_costs(result.models, checkpoints.world_of(args.data), args.checkpoints)
    if args.csv is not None:
        write_text(args.csv, result.to_csv(costs))
        print(f"written to {args.csv}")
    if args.markdown is not None:
        write_text(args.markdown, result.to_markdown(costs, ties=True) + "\n")
        print(f"written to {args.markdown}")
    return 0


def measure(
    models: str,
    data: str,
    split: str = "test",
    folder: Path | None = None,
    device: str = "auto",
    *,
    limit: int | None = None,
    every: int = 1,
    batch_size: int = 16,
    diversity: int | None = None,
    pairwise_lpips: bool = False,
    known: int | None = None,
    consistency: bool = False,
    film: str | None = None,
    answers: Path | None = None,
    sets: int | None = None,
) -> Evaluation:
    """The table of a command line; the arguments are its options, ``folder`` the checkpoints'."""
    place = pick_device(device)
    world = checkpoints.world_of(data)
    names = row_names(models, world, folder)
    if pairwise_lpips and diversity is None:
        raise ValueError("--pairwise-lpips is a column of --diversity N; give both")
    if known is not None and (world != "scenes" or diversity is not None):
        raise ValueError("--known N is for --data scenes, and not together with --diversity")
    kinds = {"--known": known, "--diversity": diversity, "--consistency": consistency or None}
    kinds |= {"--film": film, "--answers": answers, "--sets": sets}
    given = [option for option, value in kinds.items() if value is not None]
    if len(given) > 1:
        raise ValueError(f"{given[-1]} is a table by itself: without {' and '.join(given[:-1])}")
    pictures = load(data, split, count=limit, colourless=consistency)
    if every > 1:
        pictures = pictures.subset(range(0, len(pictures), every))
    rows, origins = make_rows(names, data, world, place, folder, split)
    if answers is not None:
        others = answer_rows(answers, pictures)
        if taken := set(others) & set(rows):
            raise ValueError(f"{answers} is called as the row {taken.pop()!r}; rename the folder")
        rows |= others
        origins |= dict.fromkeys(others, "coloured by another tool")
    # The command that repeats this table; a folder appears by its name, not by where it lies.
    words = ["colorlab", "evaluate", "--data", name_of(data), "--split", split]
    words += ["--models", models]
    words += ["--checkpoints", name_of(folder)] if folder is not None else []
    counts = {"limit": limit, "every": every if every > 1 else None}
    counts |= {"diversity": diversity, "known": known, "sets": sets}
    for option, number in counts.items():
        words += [f"--{option}", str(number)] if number is not None else []
    words += ["--pairwise-lpips"] * pairwise_lpips + ["--consistency"] * consistency
    words += ["--film", film] if film is not None else []
    words += ["--answers", answers.name] if answers is not None else []
    provenance = {
        "split": split,
        "rows": origins,
        "code_version": checkpoints.code_version(),
        "command": shlex.join(words),
    }
    told = {"device": place, "provenance": provenance}
    if known is not None:
        scenes = scene_set(len(pictures), pictures.size, split)
        provenance["training"] = training_facts(names, world, folder)
        result = evaluate_known(rows, scenes, known, **told)
    elif diversity is not None:
        result = evaluate_diversity(
            rows, pictures, diversity, pairwise_lpips=pairwise_lpips, **told
        )
    elif consistency:
        result = evaluate_consistency(rows, pictures, batch_size=batch_size, **told)
    elif film is not None:
        films = [name for part in film.split(",") if (name := part.strip())]
        result = evaluate_film(rows, pictures, films, batch_size=batch_size, **told)
    elif sets is not None:
        result = evaluate_sets(rows, pictures, sets, batch_size=batch_size, **told)
    else:
        result = evaluate(rows, pictures, batch_size=batch_size, **told)
    # A folder appears by its name, as in the command.
    share = None if data in ("scenes", "skimage", "photos") else hashed_share(Path(data), split)
    if share is None:
        return result
    note = (
        f"{shown(name_of(data))} has no folders of splits, so its files' names decide: "
        f"{share[0]} of {share[1]} pictures are {split}; --split all measures every one"
    )
    return replace(result, notes=(*result.notes, note))


# ---- from a name on the command line to something that colours


def row_names(models: str, world: str, folder: Path | None = None) -> list[str]:
    """Split ``--models`` and check each name; `released` becomes the networks of ``folder``."""
    names: list[str] = []
    for name in filter(None, (part.strip() for part in models.split(","))):
        if name == RELEASED:
            stems = [stem for stem in checkpoints.released(folder) if stem.endswith(f"-{world}")]
            names += [stem.removesuffix(f"-{world}").removesuffix("-ab") for stem in stems]
        elif (
            name in {*BASELINES, *FITTED, BOOST}
            or (row := parse(name)).made == "hints"
            or _is_trained(row.model)
        ):
            names.append(name)
        else:
            raise ValueError(
                f"unknown model {name!r}; known: "
                f"{', '.join([*BASELINES, BOOST, *FITTED, *MODELS])}, each network also with "
                f"-rgb and with :sample, :mean8, :best8 or :boost1.5, {RELEASED}, levin or guided "
                "with a number of hints, or the path of a .safetensors file"
            )
    if not names:
        raise ValueError(f"--models {models!r} names nothing to measure")
    return list(dict.fromkeys(names))


def _is_trained(model: str) -> bool:
    return model.endswith(".safetensors") or (":" not in model and model.split("-")[0] in MODELS)


def make_rows(
    names: list[str],
    data: str,
    world: str,
    device: torch.device,
    folder: Path | None = None,
    split: str = "test",
) -> tuple[dict[str, Any], dict[str, str]]:
    """Build each row, and tell where it came from: a training set, or a file.

    What needs no network is fitted on the data's own training split. Data without one
    (scikit-image's photographs, a folder of test pictures) takes what is released, and so does the
    split "all", which would be measured on its own training pictures. Trained models come from
    ``folder``, the released ones unless told.
    """
    rows: dict[str, Any] = {}
    origins: dict[str, str] = {}
    fits = split != "all" and {*TABLES, *FITTED} & set(names)
    train = _training_split(data) if fits else None
    counts = count_colors(train) if train is not None and set(TABLES) & set(names) else None
    networks: dict[str, tuple[Any, str]] = {}  # read once, however many rows draw from it
    for name in names:
        if name == "gray":
            rows[name], origins[name] = Gray(), "ab = 0"
        elif name == "oracle64":
            rows[name], origins[name] = Oracle(), "true ab, area mean of 4x4 pixels"
        elif (row := parse(name)).made == "hints":
            rows[name] = LevinHints(row.number, guided=row.model == "guided")
            origins[name] = f"true ab at {row.number} random pixels, seed {rows[name].seed}"
        elif train is not None and name in {*TABLES, *FITTED}:
            rows[name] = TABLES[name].fit(counts) if name in TABLES else FITTED[name].fit(train)
            origins[name] = (
                f"fitted on {train.source}, {len(train)} pictures, sha256 {train.sha256}"
            )
        else:
            row = RowName(SAFEST, BOOST) if name == BOOST else row
            if row.model not in networks:
                networks[row.model] = _released(row.model, world, device, folder)
            model, origin = networks[row.model]
            if row.made == BOOST:
                factor = _factor(row.model, world, folder) if row.number is None else row.number
                model, origin = Boosted(model, factor), f"its ab times {factor:g}; {origin}"
            elif row.made:
                kind, text = MADE[row.made]
                model, origin = kind(model, row.number), f"{text.format(n=row.number)}; {origin}"
            rows[name], origins[name] = model, origin
    return rows, origins


def _training_split(data: str) -> Pictures | None:
    """The training split that belongs to ``data``, or None where there is none."""
    with suppress(FileNotFoundError):
        return load(data, "train") if data != "skimage" else None


def _released(name: str, world: str, device: torch.device, folder: Path | None) -> tuple[Any, str]:
    file = checkpoint_file(name, world, folder)
    card = checkpoints.read_card(file)
    return checkpoints.load(str(file), device=device), f"{file.name}, sha256 {card['sha256']}"


def _factor(name: str, world: str, folder: Path | None) -> float:
    """By what a model's *ab* is turned up, from its card."""
    card = checkpoints.read_card(checkpoint_file(name, world, folder))
    factor = card.get("boost", {}).get("factor")
    if not isinstance(factor, float):
        raise ValueError(
            f"the card of {name} tells no factor to turn its colours up by; name one, such as "
            f"{name}:boost1.5"
        )
    return factor


def training_facts(names: list[str], world: str, folder: Path | None) -> dict[str, list[dict]]:
    """How each network was trained, from its card: its runs, the newest first."""
    told = ("model", "steps", "seconds", "device", "seed", "trained_on")
    return {
        name: [
            {key: run[key] for key in told if key in run}
            for run in stages(checkpoints.read_card(checkpoint_file(name, world, folder)))
        ]
        for name in names
        if not parse(name).made and _is_trained(name)
    }
