"""Consistency: how far an answer moves where the gray image changes and its colours do not.

A mirror image has the same colours; so has a shifted one, a smaller one, one that was saved as
JPEG, was printed darker, or was taken on film that is blind to red. A model whose colours move much
reads something else than the objects. A model that samples also gets the same gray image with new
random numbers: how far its answers lie apart. No truth is needed, so this can be measured on old
photographs too, by :func:`consistency`. One row is always perfect: gray, whose colours cannot move.
So a table shows the error beside.

:func:`evaluate_film` judges the colours alone where the gray image is not L: a model's *ab* from
the other gray is laid on the photograph's own L. Gray loses nothing on any film, and neither does a
model whose colours do not depend on the tones. Taught in lesson 11.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from colorlab.color import from_uint8, join, lightness, rgb_to_lab, to_uint8, upsample_chroma
from colorlab.data.films import FILMS, TRAINED_ON, orthochromatic
from colorlab.data.photos import without_colours
from colorlab.metrics.evaluation import Batch, evaluate, measure_table
from colorlab.metrics.pairs import delta_e76, length
from colorlab.metrics.report import Evaluation
from colorlab.metrics.rows import CONSISTENCY, Row, round_to_8_bit

if TYPE_CHECKING:
    from colorlab.data.cache import Pictures

SHIFT = 4  # pixels: one position of ab at a quarter of the size
JPEG_QUALITY = 75
DARKER, BRIGHTER = 1.25, 0.8  # exponents on L / 100
LEAST_CHROMA = 1.0  # CIE units: an answer of less counts as gray, and is not divided by


class Change(NamedTuple):
    """A change of the gray image, and how *ab* of both answers are brought to the same pixels.

    Attributes:
        apply: L (N, 1, H, W) in [0, 100] to L of the changed image.
        back: *ab* of the changed image's answer to that of the original's pixels.
        keep: the pixels of the original's *ab* that are compared.
    """

    apply: Callable[[Tensor], Tensor]
    back: Callable[[Tensor], Tensor] = lambda ab: ab
    keep: Callable[[Tensor], Tensor] = lambda ab: ab


def _jpeg(L: Tensor) -> Tensor:
    gray = to_uint8(join(L, torch.zeros_like(L).expand(-1, 2, -1, -1)))[..., 0]  # (N, H, W)
    saved = []
    for one in gray:
        stream = io.BytesIO()
        Image.fromarray(one).save(stream, "JPEG", quality=JPEG_QUALITY)
        saved.append(np.asarray(Image.open(stream).convert("RGB")))
    return lightness(from_uint8(np.stack(saved)).to(L.device))


def _half(L: Tensor) -> Tensor:
    size = [side // 2 for side in L.shape[-2:]]
    return F.interpolate(L, size=size, mode="bilinear", antialias=True, align_corners=False)


CHANGES: dict[str, Change] = {
    "mirror": Change(lambda L: L.flip(-1), lambda ab: ab.flip(-1)),
    "shift": Change(
        lambda L: F.pad(L[..., :-SHIFT], (SHIFT, 0, 0, 0), mode="replicate"),
        lambda ab: ab[..., SHIFT:],
        lambda ab: ab[..., :-SHIFT],
    ),
    "half": Change(_half),  # upsampled again in `consistency`
    "jpeg": Change(_jpeg),
    # Rounding leaves the L of black a little below 0, where a power is NaN.
    "darker": Change(lambda L: 100 * (L.clamp_min(0) / 100) ** DARKER),
    "brighter": Change(lambda L: 100 * (L.clamp_min(0) / 100) ** BRIGHTER),
}


def consistency(model: Row, L: Tensor, rgb: Tensor | None = None) -> dict[str, Tensor]:
    """How far the *ab* of a model's answers moves under each change, relative to its chroma.

    The mean over pixels of the distance in *ab*, over the mean chroma of the answer to the
    unchanged image (1 CIE unit at least): 0 where nothing moves, 1 where the colours move by as
    much as they differ from gray. A model that samples gets the same random numbers each time, and
    others only for ``noise``.

    Args:
        model: has ``colorize(L)``.
        L: (N, 1, H, W) in [0, 100].
        rgb: (N, 3, H, W) in [0, 1], the colour photographs of L, for the change ``ortho``; None
            leaves that out.

    Returns:
        Each (N,): the names of ``CHANGES``, ``ortho``, and ``noise``: the gray image as it is, and
        other random numbers.
    """
    ab = _ab(_answer(model, L))
    chroma = length(ab).mean(dim=(-2, -1)).clamp_min(LEAST_CHROMA)
    changed = {name: change.apply(L) for name, change in CHANGES.items()}
    if rgb is not None:
        changed["ortho"] = orthochromatic(rgb)
    moved = {}
    for name, gray in changed.items():
        change = CHANGES.get(name, Change(torch.clone))
        again = upsample_chroma(_ab(_answer(model, gray)), tuple(L.shape[-2:]))
        distance = length(change.back(again) - change.keep(ab))
        moved[name] = distance.mean(dim=(-2, -1)) / chroma
    moved["noise"] = length(_ab(_answer(model, L, seed=1)) - ab).mean(dim=(-2, -1)) / chroma
    return moved


def _answer(model: Row, L: Tensor, seed: int = 0) -> Tensor:
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return model.colorize(L)


def _ab(rgb: Tensor) -> Tensor:
    return rgb_to_lab(rgb.float())[:, 1:]


def evaluate_consistency(
    models: Mapping[str, Row], pictures: Pictures, *, batch_size: int = 16, **options: Any
) -> Evaluation:
    """Measure :func:`consistency` of every model, beside its Delta-E 76.

    Gray and toned photographs have no true colours. With any of them in the set, Delta-E and the
    change ``ortho`` are left out, and a note says so.

    Args:
        models: row name -> model, already on the device; none that sees the truth.
        pictures: the set.
        batch_size: images at a time.
        options: as of :func:`colorlab.metrics.evaluate`.

    Raises:
        ValueError: nothing to measure, or a row that sees the truth.
    """
    for name, model in models.items():
        if not hasattr(model, "colorize"):
            raise ValueError(f"{name!r} sees the truth, so its colours cannot move; leave it out")

    gray = sum(bool(without_colours(rgb)) for rgb in pictures.rgb)
    columns = [name for name in CONSISTENCY if not (gray and name == "ortho")]
    columns += [] if gray else ["de76"]
    beside = f"; {gray} photographs have no colours, so no error is shown"
    note = (
        "mean change of ab, where colours should stay, relative to the answer's mean chroma; "
        f"gray has 0{beside if gray else ', so read it beside ΔE76'}"
    )

    def measure(_: str, model: Row, batch: Batch) -> dict[str, np.ndarray]:
        values = consistency(model, batch.L, None if gray else batch.truth)
        if not gray:
            answer = round_to_8_bit(_answer(model, batch.L).float())
            values["de76"] = delta_e76(answer, batch.truth)
        return {name: value.double().cpu().numpy() for name, value in values.items()}

    return measure_table(
        models,
        pictures,
        columns,
        measure,
        batch_size=batch_size,
        notes=[note],
        recorded={"batch_size": batch_size, "jpeg_quality": JPEG_QUALITY, "shift": SHIFT},
        **options,
    )


# ---- how much is lost where the gray image is not L: on old film, a toned or a faded print

FILM_METRICS = ("lpips", "de76")


class OnFilm:
    """A model that colours another gray of the photograph than L.

    Args:
        model: has ``colorize(L)``.
        film: a name in :data:`colorlab.data.films.FILMS`.
    """

    def __init__(self, model: Row, film: str) -> None:
        self.model, self.film = model, film

    def colorize_known(self, L: Tensor, rgb: Tensor) -> Tensor:
        """The photograph (N, 3, H, W) with its own L (N, 1, H, W) and the model's *ab*."""
        answer = self.model.colorize(FILMS[self.film](rgb))
        return join(L, rgb_to_lab(answer.to(L))[:, 1:])


def evaluate_film(
    models: Mapping[str, Row], pictures: Pictures, films: Sequence[str], **options: Any
) -> Evaluation:
    """LPIPS and Delta-E 76 of every model on L and on each film, see :class:`OnFilm`.

    Args:
        models: row name -> model, already on the device; none that sees the truth.
        pictures: the set, in colour. Of plates that were exposed through three filters, the
            channels are the exposures, so ``green`` and ``blue`` are two of them.
        films: names in :data:`colorlab.data.films.FILMS` besides ``L``.
        options: as of :func:`colorlab.metrics.evaluate`.

    Returns:
        Rows named by model and film: ``"unet, ortho"``.

    Raises:
        ValueError: an unknown film, none, or a row that sees the truth.
    """
    chosen = dict.fromkeys((TRAINED_ON, *films))
    unknown = [film for film in chosen if film not in FILMS]
    if unknown or len(chosen) == 1:
        what = f"unknown film {unknown[0]!r}" if unknown else "no film besides L"
        raise ValueError(f"{what}; choose among {', '.join(FILMS)}")
    for name, model in models.items():
        if not hasattr(model, "colorize"):
            raise ValueError(f"{name!r} sees the truth, so it needs no gray image; leave it out")
    rows = {f"{m}, {f}": OnFilm(model, f) for m, model in models.items() for f in chosen}
    result = evaluate(rows, pictures, metrics=FILM_METRICS, **options)
    note = "each model's ab from the gray image after the comma, laid on the photograph's own L"
    return replace(result, notes=(note, *result.notes))
