"""Consistency: rows whose colours move by a known amount, and the table of `evaluate`."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from colorlab.classical import Gray, Oracle
from colorlab.color import from_uint8, join, lightness
from colorlab.metrics import consistency, delta_e76, evaluate_consistency, evaluate_film
from colorlab.metrics.consistency import OnFilm
from colorlab.metrics.rows import CONSISTENCY

pytestmark = pytest.mark.usefixtures("no_lpips")


class Painted:
    """Colours each pixel by a rule (a, b) of its L and its place in the width, in [0, 1]."""

    def __init__(self, rule):
        self.rule = rule

    def colorize(self, L):
        x = torch.linspace(0, 1, L.shape[-1]).expand_as(L)
        return join(L, torch.cat(self.rule(L, x), dim=1))


@pytest.fixture(scope="module")
def rgb():
    """Colourful, of middle lightness, so that no colour of the rules is clipped."""
    coarse = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return 0.4 + 0.2 * torch.nn.functional.interpolate(coarse, (64, 64), mode="bilinear")


def test_colours_that_follow_the_pixel_stay_and_those_of_the_place_move(rgb):
    L = lightness(rgb)
    flat = consistency(Painted(lambda L, x: (0 * L + 12, 0 * L - 5)), L, rgb)
    assert list(flat) == [*CONSISTENCY]
    assert all(values.shape == (2,) and values.max() < 2e-3 for values in flat.values())

    # a runs from 0 to 20 across: its mirror image is off by 10 on average, as much as its chroma.
    placed = consistency(Painted(lambda L, x: (20 * x, 0 * L)), L, rgb)
    assert placed["mirror"].tolist() == pytest.approx([64 / 63] * 2, abs=5e-3)
    assert placed["shift"].tolist() == pytest.approx([20 * 4 / 63 / 10] * 2, abs=0.01)
    assert placed["half"].max() < 0.05

    # a follows L: a darker print moves it by as much as its L.
    toned = consistency(Painted(lambda L, x: (0.3 * L, 0 * L)), L, rgb)
    moved = (100 * (L / 100) ** 1.25 - L).abs().mean(dim=(1, 2, 3)) / L.mean(dim=(1, 2, 3))
    assert toned["darker"].tolist() == pytest.approx(moved.tolist(), abs=5e-3)
    assert toned["mirror"].max() < 2e-3 and toned["shift"].max() < 2e-3
    assert 0 < toned["jpeg"].max() < 0.05


def test_gray_does_not_move_and_old_photographs_need_no_colours(rgb):
    L = lightness(rgb)
    moved = consistency(Gray(), L)
    assert "ortho" not in moved
    assert all(values.max() < 1e-2 for values in moved.values())
    assert not any(values.isnan().any() for values in consistency(Gray(), L * 0 - 1e-5).values())


def test_the_table_shows_the_error_beside(few_pictures):
    rows = {"gray": Gray(), "placed": Painted(lambda L, x: (20 * x, 0 * L))}
    table = evaluate_consistency(rows, few_pictures, progress=False)
    assert table.metrics == (*CONSISTENCY, "de76")
    assert table.interval("gray", "mirror").high < 0.01 < table.interval("placed", "mirror").low
    assert table.interval("gray", "de76").mean > 5
    assert "gray has 0" in str(table)
    with pytest.raises(ValueError, match="'oracle64' sees the truth"):
        evaluate_consistency({"oracle64": Oracle()}, few_pictures)


def test_a_model_that_samples_gets_the_same_random_numbers(rgb):
    class Drawn:
        def colorize(self, L):
            ab = 20 * torch.rand(len(L), 2, 1, 1).expand(-1, -1, *L.shape[-2:])
            return join(L, ab)

    moved = consistency(Drawn(), lightness(rgb))
    noise = moved.pop("noise")
    assert all(values.max() < 1e-2 for values in moved.values())
    # The colours of both noises are known, and so is their distance.
    L, ab = lightness(rgb), []
    for seed in (0, 1):
        torch.manual_seed(seed)
        ab.append(20 * torch.rand(2, 2, 1, 1).flatten(1))
    wanted = (ab[1] - ab[0]).norm(dim=1) / ab[0].norm(dim=1)
    assert noise.tolist() == pytest.approx(wanted.tolist(), rel=0.02)
    assert consistency(Gray(), L)["noise"].max() == 0


def test_photographs_without_colours_get_a_table_without_errors(few_pictures):
    gray = few_pictures.rgb.copy()
    gray[:] = gray.mean(axis=-1, keepdims=True)
    table = evaluate_consistency({"gray": Gray()}, replace(few_pictures, rgb=gray), progress=False)
    assert set(table.metrics) == set(CONSISTENCY) - {"ortho"}
    assert f"{len(gray)} photographs have no colours" in table.notes[0]


# ---- on old film: colours alone are judged, on the photograph's own L


class Toned:
    """Colours each pixel by its L: a = L / 5."""

    def colorize(self, L):
        return join(L, torch.cat((L / 5, 0 * L), dim=1))


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
