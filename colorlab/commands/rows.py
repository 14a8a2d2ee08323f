"""The rows of `colorlab evaluate`: from a name on the command line to something that colours."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from colorlab import checkpoints
from colorlab.checkpoints import SAFEST
from colorlab.classical import FITTED, TABLES, Gray, LevinHints, Oracle, count_colors
from colorlab.data import Pictures, load
from colorlab.metrics import BestOf, Boosted, MeanOf
from colorlab.metrics.costs import checkpoint_file, stages
from colorlab.metrics.rows import BASELINES, RowName, parse
from colorlab.models import MODELS

RELEASED = "released"
BOOST = "boost"  # the safest released model, boosted by the factor on its card

MADE = {
    "sample": (MeanOf, "one draw"),
    "mean": (MeanOf, "mean of {n} draws"),
    "best": (BestOf, "best of {n} draws by Delta-E 76 to the truth, which it sees"),
}


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
