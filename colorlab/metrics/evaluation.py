"""Measure colorizers on a set of pictures, by the protocol. Taught in notebook 03."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

import colorlab
from colorlab.color import from_uint8, lightness
from colorlab.metrics.intervals import N_RESAMPLES, SEED, bootstrap
from colorlab.metrics.pairs import check_batch, colorfulness
from colorlab.metrics.perceptual import LPIPSUnavailable, load_lpips
from colorlab.metrics.protocol import METRICS, choose, round_to_8_bit, versions
from colorlab.metrics.report import Evaluation
from colorlab.metrics.rows import Row
from colorlab.progress import progress_bar

if TYPE_CHECKING:
    from colorlab.data.pictures import Pictures


def evaluate(
    models: Mapping[str, Row],
    pictures: Pictures,
    *,
    metrics: Iterable[str] | None = None,
    batch_size: int = 16,
    device: torch.device | str = "cpu",
    n_resamples: int = N_RESAMPLES,
    seed: int = SEED,
    progress: bool = True,
    provenance: Mapping[str, Any] | None = None,
) -> Evaluation:
    """Colorize every picture with every model and measure against the truth.

    Args:
        models: row name -> model, already on ``device``. A model gets L alone, of the 8-bit
            truth.
        pictures: the set. The protocol's numbers are at 256x256.
        metrics: names out of :data:`colorlab.metrics.METRICS`; None for all.
        batch_size: pictures at a time.
        device: where to colorize and to measure.
        n_resamples: of the bootstrap.
        seed: of the bootstrap, and set before each row, so that a model which draws random
            numbers gives the same table again. The caller's random state is left as it was.
        progress: show a bar over pictures times rows.
        provenance: more to record, such as the command.

    Returns:
        The table. Where AlexNet's features are not at hand, LPIPS is None in every row and
        a note says why.

    Raises:
        ValueError: no models, no pictures, an unknown metric, or a model whose answer is no
            batch of pictures in [0, 1] of the truth's shape.
    """
    chosen = choose(metrics)
    if not models or not len(pictures):
        raise ValueError(f"nothing to evaluate: {len(models)} models, {len(pictures)} pictures")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    device = torch.device(device)
    measured = chosen
    notes = [f"{name}: {row.note}" for name, row in models.items() if hasattr(row, "note")]
    if "lpips" in chosen:
        try:
            load_lpips(device)
        except LPIPSUnavailable as reason:
            measured = tuple(metric for metric in chosen if metric != "lpips")
            notes.append(str(reason))

    values = {name: {metric: [] for metric in measured} for name in models}
    with (
        seeded(seed, device),
        progress_bar(total=len(models) * len(pictures), unit="picture", show=progress) as bar,
    ):
        chances = dict.fromkeys(models, _chance(device))  # each row draws as if it were alone
        for truth in batches(pictures, batch_size, device):
            L, known = lightness(truth), _prepared(truth, measured)
            for name, model in models.items():
                bar.set_description(name)
                _set_chance(chances[name], device)
                generated = _colorize(name, model, L, truth)
                chances[name] = _chance(device)
                own = _prepared(generated, measured)
                for metric in measured:
                    how = METRICS[metric]
                    compared = how.compare(own[how.prepare], known[how.prepare])
                    values[name][metric].append(compared.double().cpu())
                bar.update(len(truth))
    per_picture = {
        name: {metric: torch.cat(parts).numpy() for metric, parts in own.items()}
        for name, own in values.items()
    }
    return summarize(
        per_picture,
        chosen,
        pictures,
        device=device,
        n_resamples=n_resamples,
        seed=seed,
        notes=notes,
        provenance={"batch_size": batch_size, **(provenance or {})},
    )


def summarize(
    per_picture: Mapping[str, Mapping[str, np.ndarray]],
    columns: Iterable[str],
    pictures: Pictures,
    *,
    device: torch.device,
    n_resamples: int,
    seed: int,
    notes: Iterable[str],
    provenance: Mapping[str, Any],
) -> Evaluation:
    """Make the table of values measured on ``pictures``: means, intervals, and where from.

    Args:
        per_picture: model -> column -> (N,) array. A column that is absent becomes None.
        columns: of the table.
        pictures: the set that was measured.
        device: where.
        n_resamples: of the bootstrap.
        seed: of the bootstrap and the draws.
        notes: lines below the table.
        provenance: more to record.
    """
    truths = batches(pictures, 16, device)
    vivid = torch.cat([colorfulness(truth) for truth in truths])
    return Evaluation(
        rows=[
            {"model": name}
            | {
                column: bootstrap(values[column], n_resamples, seed)._asdict()
                if column in values
                else None
                for column in columns
            }
            for name, values in per_picture.items()
        ],
        per_picture={name: dict(values) for name, values in per_picture.items()},
        names=pictures.names,
        provenance={
            "data": {
                "source": pictures.source,
                "sha256": pictures.sha256,
                "pictures": len(pictures),
                "size": pictures.size,
            },
            "rounding": "8 bit",
            "bootstrap": {"n_resamples": n_resamples, "seed": seed, "level": 0.95},
            "truth_colorfulness": vivid.double().mean().item(),
            "versions": {"colorlab": colorlab.__version__, **versions()},
            "device": device.type,
            "date": datetime.now(UTC).strftime("%Y-%m-%d"),
            **provenance,
        },
        notes=tuple(notes),
    )


def batches(pictures: Pictures, size: int, device: torch.device) -> Iterator[Tensor]:
    """The pictures in order, (N, 3, H, W) in [0, 1] on ``device``."""
    for start in range(0, len(pictures), size):
        yield from_uint8(pictures.rgb[start : start + size]).to(device)


def _prepared(rgb: Tensor, measured: Iterable[str]) -> dict[Any, Any]:
    """Pictures as each metric compares them, once where two metrics want the same."""
    return {how: how(rgb) for how in {METRICS[metric].prepare for metric in measured}}


def _colorize(name: str, model: Row, L: Tensor, truth: Tensor) -> Tensor:
    """Colorize one batch and round it to 8 bit."""
    with torch.no_grad():
        known = getattr(model, "colorize_known", None)
        generated = model.colorize(L) if known is None else known(L, truth)
    check_batch(generated, f"the answer of {name!r}")
    if generated.shape != truth.shape:
        raise ValueError(
            f"the answer of {name!r} has shape {tuple(generated.shape)}, want {tuple(truth.shape)}"
        )
    return round_to_8_bit(generated.to(truth))


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch within, and put back the caller's random state after."""
    on_gpu = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if on_gpu else []):
        torch.manual_seed(seed)
        yield


def _chance(device: torch.device) -> tuple[Tensor, ...]:
    """The state of torch's random numbers."""
    on_gpu = (torch.cuda.get_rng_state(device),) if device.type == "cuda" else ()
    return torch.get_rng_state(), *on_gpu


def _set_chance(chance: tuple[Tensor, ...], device: torch.device) -> None:
    torch.set_rng_state(chance[0])
    if len(chance) > 1:
        torch.cuda.set_rng_state(chance[1], device)
