"""Diversity: expectations worked out by hand, a proper score that prefers the truth, rows."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from colorlab.classical import Gray, Oracle
from colorlab.color import from_uint8, join, lightness, rgb_to_lab
from colorlab.data import Pictures
from colorlab.metrics import (
    BestOf,
    Evaluation,
    MeanOf,
    Sampled,
    ab_distance,
    energy_score,
    evaluate,
    evaluate_diversity,
    lpips,
    paired_difference,
    pairwise,
    perceptual,
)
from colorlab.metrics.rows import picture_generator, round_to_8_bit
from colorlab.models.base import Colorizer


def picture_of(ab: torch.Tensor, side: int = 1) -> torch.Tensor:
    """Flat pictures (..., 3, side, side) of colours ab (..., 2) at L = 60, in double precision."""
    flat = ab.double().reshape(-1, 2, 1, 1).expand(-1, 2, side, side)
    L = torch.full((len(flat), 1, side, side), 60.0, dtype=torch.float64)
    return join(L, flat).reshape(*ab.shape[:-1], 3, side, side)


def gaussian(*shape: int, seed: int = 0, scale: float = 5.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(*shape, 2, generator=generator, dtype=torch.float64)


def random_pictures(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


# --- the measures


def test_draws_of_a_known_gaussian_have_the_known_expectations():
    # The difference of two draws has standard deviation s sqrt(2) in a and b: its length is
    # Rayleigh distributed, with mean s sqrt(pi).
    s, n, pictures = 5.0, 4, 2000
    samples, truth = picture_of(gaussian(n, pictures)), picture_of(gaussian(pictures, seed=1))
    expected = s * math.sqrt(math.pi)
    assert pairwise(samples).mean().item() == pytest.approx(expected, rel=0.02)
    assert energy_score(samples, truth).mean().item() == pytest.approx(expected / 2, rel=0.06)
    # Two draws suffice: leaving out i = j makes the expected score independent of n.
    assert energy_score(samples[:2], truth).mean().item() == pytest.approx(expected / 2, rel=0.06)
    # One draw against the truth differs as two draws do.
    assert ab_distance(samples[0], truth).mean().item() == pytest.approx(expected, rel=0.03)


def test_energy_score_is_a_root_mean_square_over_pixels():
    truth = picture_of(torch.zeros(1, 2), side=2)
    draw = truth.clone()
    draw[..., 0, 0] = picture_of(torch.tensor([[30.0, 40.0]]))[..., 0, 0]  # 50 at one pixel of 4
    samples = draw[None].expand(3, -1, -1, -1, -1)
    assert energy_score(samples, truth).item() == pytest.approx(25, abs=0.01)
    assert ab_distance(draw, truth).item() == pytest.approx(12.5, abs=0.01)


def test_a_single_answer_has_no_spread_and_its_error_as_score():
    answer, truth = random_pictures(4, 3, 6, 6), random_pictures(4, 3, 6, 6, seed=1)
    samples = answer.expand(7, -1, -1, -1, -1)
    assert torch.equal(pairwise(samples), torch.zeros(4))
    lab = rgb_to_lab(torch.stack((answer, truth)))[:, :, 1:]
    error = (lab[0] - lab[1]).square().sum(1).mean((1, 2)).sqrt()
    torch.testing.assert_close(energy_score(samples, truth), error)


COLOURS = torch.tensor([[30.0, 20.0], [-10.0, -30.0]])


def two_colours(share: float, n: int, pictures: int, seed: int, spread: float):
    """Draws that are the first colour with probability ``share``, else the second."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.rand(n, pictures, generator=generator) < share
    noise = gaussian(n, pictures, seed=seed, scale=spread)
    return picture_of(COLOURS[(~first).long()] + noise)


def test_the_true_distribution_has_the_lowest_energy_score():
    pictures, share, n = 1200, 0.8, 4
    truth = two_colours(share, 1, pictures, seed=1, spread=2)[0]
    mean = share * COLOURS[0] + (1 - share) * COLOURS[1]
    score = energy_score(two_colours(share, n, pictures, seed=2, spread=2), truth)
    rivals = {
        "other shares": two_colours(0.5, n, pictures, 3, spread=2),
        "mode dropped": two_colours(1.0, n, pictures, 4, spread=2),
        "too wide": two_colours(share, n, pictures, 5, spread=8),
        "the mean": picture_of(mean.expand(n, pictures, 2)),
    }
    for name, samples in rivals.items():
        gain = paired_difference(energy_score(samples, truth), score, n_resamples=500)
        assert gain.low > 0, name


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: pairwise(x[:1]), "at least 2 samples"),
        (lambda x: energy_score(x[:1], x[0]), "at least 2 samples"),
        (lambda x: pairwise(x[0]), r"\(n, N, 3, H, W\)"),
        (lambda x: energy_score(x, x[0, :1]), "differ in shape"),
        (lambda x: pairwise(255 * x), "divide"),
    ],
)
def test_wrong_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call(random_pictures(3, 2, 3, 4, 4))


# --- rows


class Painter(Colorizer):
    """Draws one flat colour a picture, from a Gaussian in ab."""

    multiple = 4
    deterministic = False

    def __init__(self):
        super().__init__(SimpleNamespace(target="ab", size=16))

    def draw(self, L, n, generator):
        colour = 12 * torch.randn(n, len(L), 2, 1, 1, generator=generator)
        return colour.expand(-1, -1, -1, L.shape[-2] // 4, L.shape[-1] // 4)

    def answer(self, L):
        return torch.zeros(len(L), 2, L.shape[-2] // 4, L.shape[-1] // 4)


@pytest.fixture
def pictures():
    rgb = np.random.default_rng(0).integers(60, 200, size=(5, 16, 16, 3), dtype=np.uint8)
    return Pictures(rgb, tuple("abcde"), sha256="f00d", source="random:test")


def de76(model, pictures, **options):
    table = evaluate({"m": model}, pictures, metrics=["de76"], progress=False, **options)
    return table.per_picture["m"]["de76"]


@pytest.mark.parametrize("row", [Sampled(Painter()), MeanOf(Painter(), 8), BestOf(Painter(), 8)])
def test_digits_do_not_depend_on_the_batch_size(row, pictures):
    alone = de76(row, pictures, batch_size=1)
    np.testing.assert_array_equal(alone, de76(row, pictures, batch_size=2))
    assert (alone != de76(row, pictures, seed=1)).any()
    # The first pictures of a set get the same draws as in the whole set.
    np.testing.assert_array_equal(alone[:3], de76(row, pictures.subset(range(3))))


def test_rows_agree_with_the_table_of_diversity(pictures):
    model, n = Painter(), 5
    table = evaluate_diversity({"m": model}, pictures, n, progress=False, n_resamples=200)
    values = table.per_picture["m"]
    assert not hasattr(BestOf(model, n), "colorize"), "it sees the truth"
    best = evaluate({"best": BestOf(model, n)}, pictures, metrics=["de76"], progress=False)
    assert "best: the nearest of 5 samples" in best.table().splitlines()[-1]
    np.testing.assert_allclose(values["de76_best"], de76(BestOf(model, n), pictures), rtol=1e-5)
    np.testing.assert_allclose(values["de76_mean"], de76(MeanOf(model, n), pictures), rtol=1e-5)
    assert (values["de76_best"] <= values["de76_one"]).all()
    assert (values["pairwise_ab"] > 0).all()
    assert list(table.rows[0]) == [
        "model", "de76_one", "de76_mean", "de76_best", "energy", "pairwise_ab", "colorfulness",
    ]  # fmt: skip


def test_a_single_answer_is_the_same_in_every_row(pictures):
    class Flat(Painter):
        deterministic = True

    model = Flat()
    plain = de76(model, pictures)
    for row in (Sampled(model), MeanOf(model, 8), BestOf(model, 8)):
        np.testing.assert_allclose(de76(row, pictures), plain, rtol=1e-5)
    models = {"flat": model, "gray": Gray()}
    table = evaluate_diversity(models, pictures, 3, progress=False, n_resamples=200)
    for name in models:
        values = table.per_picture[name]
        assert (values["pairwise_ab"] == 0).all()
        np.testing.assert_allclose(values["de76_one"], values["de76_best"], rtol=1e-5)
        np.testing.assert_allclose(values["de76_one"], plain, rtol=1e-5)


def test_the_table_is_written_and_read_again(pictures, tmp_path):
    before = torch.get_rng_state()
    options = {"progress": False, "n_resamples": 200}
    table = evaluate_diversity({"m": Painter()}, pictures, 3, **options)
    assert torch.equal(before, torch.get_rng_state())
    assert table.rows == evaluate_diversity({"m": Painter()}, pictures, 3, **options).rows
    assert table.provenance["draws"] == 3
    text = table.table()
    assert "energy score ↓" in text
    assert "3 samples an image" in text
    table.to_json(tmp_path / "t.json")
    again = Evaluation.read(tmp_path / "t.json")
    assert again.table() == text
    assert again.paired("energy", "m", "m") == (0, 0, 0)


def test_the_columns_of_lpips_are_the_metric_of_each_sample(lpips_backbone, monkeypatch):
    monkeypatch.setenv(perceptual.BACKBONE_VARIABLE, str(lpips_backbone))
    rgb = np.random.default_rng(0).integers(60, 200, size=(2, 64, 64, 3), dtype=np.uint8)
    few = Pictures(rgb, ("a", "b"), sha256="f00d", source="random:test")
    options = {"progress": False, "n_resamples": 50}
    table = evaluate_diversity(
        {"m": Painter(), "gray": Gray()}, few, 3, pairwise_lpips=True, **options
    )
    plain = evaluate({"gray": Gray()}, few, metrics=["lpips"], **options)
    found = table.per_picture["gray"]
    np.testing.assert_allclose(found["one_lpips"], plain.per_picture["gray"]["lpips"], rtol=1e-4)
    assert np.abs(found["pairwise_lpips"]).max() < 1e-6
    torch.manual_seed(0)  # that of the table
    truth = from_uint8(rgb[:1])
    draws = Painter().sample(lightness(truth), 3, picture_generator("cpu"))
    draws = round_to_8_bit(draws.flatten(0, 1)).unflatten(0, (3, 1))
    values = {name: float(v[0]) for name, v in table.per_picture["m"].items()}
    between = [float(lpips(draws[i], draws[j])) for i, j in ((0, 1), (0, 2), (1, 2))]
    assert values["pairwise_lpips"] == pytest.approx(np.mean(between), rel=1e-4)
    errors = [float(lpips(draw, truth)) for draw in draws]
    assert values["one_lpips"] == pytest.approx(np.mean(errors), rel=1e-4)


@pytest.mark.parametrize(
    ("models", "n", "words"),
    [
        ({"gray": Gray()}, 1, "at least 2 samples"),
        ({}, 8, "0 models"),
        ({"oracle64": Oracle()}, 8, "'oracle64' is no model"),
        ({"one": Sampled(Painter())}, 8, "'one' is no model"),
    ],
)
def test_what_has_no_draws_is_refused(models, n, words, pictures):
    with pytest.raises(ValueError, match=words):
        evaluate_diversity(models, pictures, n, progress=False)
