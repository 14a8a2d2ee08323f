"""The table of the known world: exact rows stand where they must, and a shorter set begins it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from colorlab.classical import Gray, Oracle
from colorlab.color import join, rgb_to_lab
from colorlab.data.scenes import mean_over_things, palette_frequencies, scene_set
from colorlab.figures import filled, painted_colours
from colorlab.metrics import Evaluation, evaluate_known, known_evaluation
from colorlab.metrics.protocol import KNOWN

COUNT, DRAWS = 6, 3


class Drawn:
    """A model that knows the scenes' exact answers, and draws about them."""

    deterministic = False

    def __init__(self, scenes):
        self.exact = torch.from_numpy(scenes.optimal("l2"))

    def answers(self, L, n, generator):
        start, self.next = self.next, self.next + len(L)
        exact = self.exact[start : self.next]
        return exact + 3 * torch.randn((n, *exact.shape), generator=generator)

    def colorize(self, L):
        return join(L, self.exact[: len(L)])


@pytest.fixture(scope="module")
def scenes():
    return scene_set(COUNT, size=128, split="val")


def _table(scenes):
    drawn = Drawn(scenes)
    drawn.next = 0
    rows = {"gray": Gray(), "drawn": drawn}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(known_evaluation, "CHUNK", 2)
        patch.setattr(known_evaluation, "SHOWN", ("balloon", "evening", 3))
        return evaluate_known(rows, scenes, DRAWS, n_resamples=200, progress=False)


@pytest.fixture(scope="module")
def table(scenes):
    return _table(scenes)


def test_the_world_itself_stands_last_and_nearest(table):
    assert table.models == ("gray", "drawn", "world")
    assert table.metrics == tuple(KNOWN)
    for column in ("energy_distance", "total_variation", "near_borders", "inside"):
        means = [table.interval(row, column).mean for row in table.models]
        assert min(means) == means[2] < means[0], column
    assert table.interval("world", "coverage").mean > 0.8
    assert table.interval("gray", "coverage").mean < 0.6
    assert table.interval("gray", "held") is None, "one answer has no sets"
    assert table.interval("drawn", "to_mean").mean < 4
    assert "world" in table.notes[0]


def test_the_palettes_are_counted_over_all_scenes(table, scenes):
    gray = palette_frequencies(torch.zeros(1, COUNT, 2, 32, 32), scenes)
    for column in ("total_variation", "coverage"):
        low, mean, high = (
            getattr(table.interval("gray", column), x) for x in ("low", "mean", "high")
        )
        assert mean == pytest.approx(mean_over_things(gray, column), abs=1e-9)
        assert low <= mean <= high
    assert table.interval("gray", "total_variation").high > 0


def test_a_shorter_set_has_the_same_first_scenes(table):
    short = _table(scene_set(4, size=128, split="val"))
    for row in short.models:
        for column, values in short.per_picture[row].items():
            np.testing.assert_array_equal(values, table.per_picture[row][column][:4])
    assert short.rows != table.rows


def test_what_is_kept_survives_the_file(table, scenes, tmp_path):
    table.to_json(tmp_path / "table.json")
    again = Evaluation.read(tmp_path / "table.json")
    assert again.details == table.details
    assert set(again.per_picture["world"]) == {"to_best", "energy_distance", "near_borders", "held"}
    for row in table.models:
        assert len(again.details["ab"][row]) == len(again.details["things"])
    assert again.details["things"][0][0] == 1 and len(again.details["things"]) == 3
    for i, index in again.details["things"]:
        assert (scenes.hours[i], scenes.kinds[i][index]) == ("evening", "balloon")
    assert again.provenance["exact_answer"] == {"gray": "l2", "drawn": "l2", "world": "l2"}
    assert "▲" in again.to_markdown(ties=True)
    assert "▲" not in again.to_markdown(ties=True).splitlines()[-3], "the world leads by right"


def test_what_cannot_be_measured_is_refused(scenes):
    with pytest.raises(ValueError, match="at least 2 draws"):
        evaluate_known({"gray": Gray()}, scenes, 1)
    with pytest.raises(ValueError, match="0 models, 6 scenes"):
        evaluate_known({}, scenes)
    with pytest.raises(ValueError, match="at 32 pixels is too small"):
        evaluate_known({"gray": Gray()}, scene_set(4, size=32, split="val"), 2, progress=False)
    for rows in ({"oracle64": Oracle()}, {"world": Gray()}):
        with pytest.raises(ValueError, match=f"'{next(iter(rows))}' is no model"):
            evaluate_known(rows, scenes)


def test_a_panel_a_model_and_a_thing_in_its_scene(table, scenes):
    captions = {"world": "draws", "gray": "one answer"}
    figure = painted_colours(table.details, scenes, captions)
    first, second, *strips = figure.axes
    assert [ax.get_title() for ax in (first, second)] == ["world\ndraws", "gray\none answer"]
    count = len(table.details["things"])
    _, rings, dots = (c.get_offsets() for c in first.collections)
    assert (len(rings), len(dots)) == (3, DRAWS * count)
    assert len(second.collections[2].get_offsets()) == count
    assert all(len(ax.images) == 1 for ax in strips)
    with pytest.raises(ValueError, match="at least one row"):
        painted_colours(table.details, scenes, {})


def test_a_filled_thing_has_the_colour_and_the_scene_its_own(table, scenes):
    i, index = table.details["things"][0]
    colours = [[20.0, 30.0], [-20.0, 10.0]]
    cut = filled(scenes, i, index, colours)
    assert cut.shape[0] == 2 and cut.shape[2] == cut.shape[3]
    changed = (cut[0] - cut[1]).abs().amax(dim=0) > 0.01
    mask = np.asarray(scenes.regions[i]) == index
    assert 0.9 * mask.sum() <= changed.sum() <= mask.sum()
    ab = rgb_to_lab(cut)[:, 1:, changed].median(dim=-1).values
    torch.testing.assert_close(ab, torch.tensor(colours), atol=1, rtol=0)
