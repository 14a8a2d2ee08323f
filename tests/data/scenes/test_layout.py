"""What scenes contain: stated frequencies, and forced colours that change nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from colorlab.data.scenes import PALETTES, SEVERAL_COLOURED, draw_layout, layout


def test_palette_frequencies_over_5000_scenes_match_the_stated_ones():
    counts = {kind: np.zeros(len(PALETTES[kind])) for kind in SEVERAL_COLOURED}
    joint = np.zeros((3, 3))
    for seed in range(5000):
        things = draw_layout(seed).things
        for thing in things:
            if thing.kind in counts:
                counts[thing.kind][thing.choice] += 1
        balloons = [t.choice for t in things if t.kind == "balloon"]
        if len(balloons) == 2:
            joint[balloons[0], balloons[1]] += 1
    for kind, seen in counts.items():
        assert seen.sum() > 400, kind
        # One false alarm in a million for right probabilities; the seeds are fixed anyway.
        assert stats.chisquare(seen, PALETTES[kind].prob * seen.sum()).pvalue > 1e-6, kind
    # Two balloons of one scene are sampled independently.
    expected = np.outer(*[PALETTES["balloon"].prob] * 2) * joint.sum()
    assert stats.chisquare(joint.ravel(), expected.ravel()).pvalue > 1e-6


def test_forcing_one_thing_leaves_the_others():
    layout = draw_layout(16)
    forced = next(i for i, t in enumerate(layout.things) if t.kind in SEVERAL_COLOURED)
    for choice in range(len(PALETTES[layout.things[forced].kind])):
        other = draw_layout(16, {forced: choice})
        assert other.things[forced].choice == choice
        assert all(other.things[i] == t for i, t in enumerate(layout.things) if i != forced)
        assert other.items == layout.items


def test_a_seed_or_a_colour_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="0 or greater"):
        draw_layout(-1)
    with pytest.raises(ValueError, match="no entry 3"):
        draw_layout(1, {"balloon": 3})


def test_places_do_not_depend_on_how_many_colours_there_are(monkeypatch):
    """Each has a random stream of its own."""

    def places() -> list:
        return [[(i.painter, i.where) for i in draw_layout(seed).items] for seed in range(20)]

    before, single = places(), next(p for p in PALETTES.values() if len(p) == 1)
    for kind in SEVERAL_COLOURED:
        monkeypatch.setitem(PALETTES, kind, single)
    assert places() == before


def test_who_comes_and_goes_moves_nothing_else(monkeypatch):
    """People, cows, stalls and rowing boats are sampled last."""
    visitors = {"person", "cow", "stall", "dinghy"}
    full = [draw_layout(seed) for seed in range(60)]
    for name in visitors:
        monkeypatch.setattr(layout, f"_{name}", lambda *_: None)
    seen = set()
    for seed, scene in enumerate(full):
        empty = draw_layout(seed)
        seen |= {item.painter for item in scene.items} & visitors
        assert [i for i in scene.items if i.painter not in visitors] == list(empty.items)
        assert scene.things[: len(empty.things)] == empty.things
        assert (scene.hour, scene.sun, scene.grain) == (empty.hour, empty.sun, empty.grain)
    assert seen == visitors
