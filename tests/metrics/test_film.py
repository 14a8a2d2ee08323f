"""The loss on old film: colours alone are judged, on the photograph's own L."""

from __future__ import annotations

import pytest
import torch

from colorlab.classical import Gray, Oracle
from colorlab.color import from_uint8, join, lightness
from colorlab.metrics import delta_e76, evaluate_film, perceptual
from colorlab.metrics.film import OnFilm


class Toned:
    """Colours each pixel by its L: a = L / 5."""

    def colorize(self, L):
        return join(L, torch.cat((L / 5, 0 * L), dim=1))


@pytest.fixture(autouse=True)
def _without_lpips(tmp_path, monkeypatch):
    monkeypatch.setenv(perceptual.BACKBONE_VARIABLE, str(tmp_path / "absent"))


def test_gray_loses_nothing_and_what_follows_the_tones_does(few_pictures):
    models = {"gray": Gray(), "toned": Toned()}
    table = evaluate_film(models, few_pictures, ["faded", "ortho"], progress=False)
    assert table.models == tuple(f"{m}, {f}" for m in models for f in ("L", "faded", "ortho"))
    for film in ("faded", "ortho"):
        assert table.paired("de76", f"gray, {film}", "gray, L").mean == pytest.approx(0, abs=1e-3)
        assert abs(table.paired("de76", f"toned, {film}", "toned, L").mean) > 0.05
    assert "photograph's own L" in str(table)


def test_on_l_a_model_is_measured_as_it_is(few_pictures):
    rgb = 0.4 + 0.2 * from_uint8(few_pictures.rgb)  # of middle lightness: nothing is clipped
    L = lightness(rgb)
    answer = OnFilm(Toned(), "L").colorize_known(L, rgb)
    assert delta_e76(answer, Toned().colorize(L)).max() < 0.05
    filmed = OnFilm(Toned(), "blue").colorize_known(L, rgb)
    assert (lightness(filmed) - L).abs().max() < 0.05, "the photograph's L"
    assert delta_e76(filmed, answer).min() > 0.1, "other colours"


@pytest.mark.parametrize(
    ("films", "message"), [(["lith"], "unknown film 'lith'.*sepia"), (["L"], "no film besides L")]
)
def test_unknown_films_are_refused(few_pictures, films, message):
    with pytest.raises(ValueError, match=message):
        evaluate_film({"gray": Gray()}, few_pictures, films)


def test_a_row_that_sees_the_truth_is_refused(few_pictures):
    with pytest.raises(ValueError, match="'oracle64' sees the truth"):
        evaluate_film({"oracle64": Oracle()}, few_pictures, ["ortho"])
