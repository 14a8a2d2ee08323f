"""How much a colorizer loses where its gray image is not L: on old film, a toned or a faded print.

The colours alone are judged. A model's *ab* from the other gray is laid on the photograph's own L
and compared with the photograph, so gray loses nothing on any film, and neither does a model whose
colours do not depend on the tones. Taught in notebook 11.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torch import Tensor

from colorlab.color import join, rgb_to_lab
from colorlab.data.films import FILMS, TRAINED_ON
from colorlab.metrics.evaluation import evaluate
from colorlab.metrics.report import Evaluation
from colorlab.metrics.rows import Row

if TYPE_CHECKING:
    from colorlab.data.pictures import Pictures

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


def row_name(model: str, film: str) -> str:
    """What the row of a model on a film is called: ``"unet, ortho"``."""
    return f"{model}, {film}"


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
        Rows named by :func:`row_name`.

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
    rows = {row_name(m, f): OnFilm(model, f) for m, model in models.items() for f in chosen}
    result = evaluate(rows, pictures, metrics=FILM_METRICS, **options)
    note = "each model's ab from the gray image after the comma, laid on the photograph's own L"
    return replace(result, notes=(note, *result.notes))
