"""The protocol end to end: small pictures, and figures of 64 photographs measured elsewhere."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from colorlab.classical import Gray, Oracle
from colorlab.data import Pictures, load
from colorlab.metrics import METRICS, Evaluation, bootstrap, delta_e76, evaluate, perceptual, psnr

QUICK = ("ssim", "de76", "de00", "psnr", "colorfulness")


@pytest.fixture
def pictures():
    rgb = np.random.default_rng(0).integers(0, 256, size=(5, 16, 16, 3), dtype=np.uint8)
    return Pictures(rgb, tuple("abcde"), sha256="f00d", source="random:test")


@pytest.fixture
def result(pictures):
    models = {"gray": Gray(), "oracle64": Oracle()}
    return evaluate(models, pictures, metrics=QUICK, batch_size=2, n_resamples=500, progress=False)


class Constant:
    """Answers with one colour, whatever it sees."""

    def __init__(self, value: float) -> None:
        self.value = value

    def colorize(self, L):
        return torch.full((len(L), 3, *L.shape[-2:]), self.value)


class Noise:
    """Answers with chance."""

    def colorize(self, L):
        return torch.rand(len(L), 3, *L.shape[-2:])


def _evaluate(model, pictures, **options):
    return evaluate({"m": model}, pictures, metrics=["psnr"], progress=False, **options)


def test_rows_have_the_agreed_form(result, pictures):
    assert result.models == ("gray", "oracle64")
    assert result.metrics == QUICK
    for row in result.rows:
        assert list(row) == ["model", *QUICK]
        for metric in QUICK:
            cell = row[metric]
            assert set(cell) == {"mean", "low", "high"}
            values = result.per_picture[row["model"]][metric]
            assert values.shape == (5,)
            assert cell == bootstrap(values, n_resamples=500)._asdict()


def test_values_are_those_of_the_metric_on_8_bit(pictures):
    truth = torch.from_numpy(pictures.rgb).movedim(-1, 1) / 255
    # 0.5 is 127.5 of 255 and rounds to 128: measuring before rounding gives another number.
    rounded = torch.full_like(truth, 128 / 255)
    got = evaluate({"m": Constant(0.5)}, pictures, metrics=["de76", "psnr"], progress=False)
    np.testing.assert_allclose(got.per_picture["m"]["psnr"], psnr(rounded, truth), rtol=1e-6)
    np.testing.assert_allclose(got.per_picture["m"]["de76"], delta_e76(rounded, truth), rtol=1e-6)


def test_the_oracle_sees_the_truth_and_beats_gray(result):
    for metric, sign in (("ssim", 1), ("de76", -1), ("psnr", 1)):
        assert sign * result.paired(metric, "oracle64", "gray").low > 0


def test_chance_is_seeded_and_the_callers_is_left_alone(pictures):
    before = torch.get_rng_state()
    one = _evaluate(Noise(), pictures)
    options = {"metrics": ["psnr"], "progress": False, "batch_size": 16}
    two = evaluate({"first": Noise(), "m": Noise()}, pictures, **options)
    assert one.rows[0] == two.rows[1], "a row sees the same random numbers as if it were alone"
    assert torch.equal(before, torch.get_rng_state())
    assert _evaluate(Noise(), pictures, seed=1).rows != one.rows


class Half:
    def colorize(self, L):
        return torch.zeros(len(L), 3, 8, 8)


def test_a_wrong_answer_is_the_models_fault(pictures):
    for model, words in ((Constant(1.5), r"'m'.*\[1.5, 1.5\]"), (Half(), "'m' has shape .*8, 8")):
        with pytest.raises(ValueError, match=words):
            _evaluate(model, pictures)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"metrics": ["ssim", "fid"]}, "'fid'.*ssim, lpips"),
        ({"metrics": []}, "no metric"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_bad_options_are_named(options, words, pictures):
    with pytest.raises(ValueError, match=words):
        evaluate({"gray": Gray()}, pictures, progress=False, **options)
    with pytest.raises(ValueError, match=r"0 models, 5 pictures"):
        evaluate({}, pictures)


def test_json_round_trip_keeps_rows_and_pairs(result, tmp_path):
    path = tmp_path / "deep" / "table.json"
    result.to_json(path)
    assert [p.name for p in path.parent.iterdir()] == ["table.json"]
    plain = json.loads(path.read_text(encoding="utf-8"))
    assert plain["rows"] == result.rows
    facts = plain["provenance"]
    assert facts["data"] == {"source": "random:test", "sha256": "f00d", "pictures": 5, "size": 16}
    assert facts["bootstrap"] == {"n_resamples": 500, "seed": 0, "level": 0.95}
    assert set(facts["versions"]) == {"colorlab", "torch", "scikit-image", "lpips"}
    again = Evaluation.read(path)
    assert again.table() == result.table()
    assert again.names == result.names
    np.testing.assert_allclose(
        again.paired("psnr", "oracle64", "gray"),
        result.paired("psnr", "oracle64", "gray"),
        atol=1e-5,
    )


def test_infinite_psnr_survives_strict_json(pictures, tmp_path):
    black = Pictures(np.zeros_like(pictures.rgb), pictures.names, "0", "black:test")
    result = _evaluate(Gray(), black)
    result.to_json(tmp_path / "t.json")
    json.loads((tmp_path / "t.json").read_text(), parse_constant=pytest.fail)
    again = Evaluation.read(tmp_path / "t.json")
    assert again.interval("m", "psnr").mean == again.per_picture["m"]["psnr"][0] == float("inf")
    assert "∞" in result.table()


@pytest.mark.parametrize("text", ["", "[]", '{"rows": 3}', '{"rows": []}'])
def test_read_names_a_file_of_another_kind(tmp_path, text):
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"other.json is not an evaluation"):
        Evaluation.read(path)


def test_without_lpips_the_column_says_so(pictures, tmp_path, monkeypatch):
    monkeypatch.setenv(perceptual.BACKBONE_VARIABLE, str(tmp_path / "absent"))
    result = evaluate({"gray": Gray()}, pictures, metrics=["psnr", "lpips"], progress=False)
    assert result.rows[0]["lpips"] is None
    assert result.interval("gray", "lpips") is None
    assert "n/a" in result.table()
    assert "absent" in result.table().splitlines()[-1]
    result.to_json(tmp_path / "t.json")
    again = Evaluation.read(tmp_path / "t.json")
    assert (again.rows, again.notes) == (result.rows, result.notes)
    with pytest.raises(KeyError, match=r"lpips"):
        result.paired("lpips", "gray", "gray")


def test_every_printed_form_holds_every_row(result):
    lines = result.table().splitlines()
    assert len({len(line) for line in lines[:4]}) == 1  # head, rule, two rows: aligned
    for text in (result.table(), result.to_markdown(), result._repr_html_(), result.to_csv()):
        assert "gray" in text
        assert "oracle64" in text
    assert METRICS["ssim"].heading == "SSIM ↑"
    assert METRICS["de00"].heading == "ΔE00 ↓"
    with pytest.raises(KeyError, match=r"rows gray, oracle64"):
        result.interval("unet", "ssim")


# Measured in floating point; rounding to 8 bit moves them by less than the tolerances.
FIGURES = {
    "gray": {"ssim": 0.913, "lpips": 0.263, "de76": 19.9, "de00": 12.9, "psnr": 20.2},
    "half": {"ssim": 0.962, "lpips": 0.068, "de76": 9.9, "de00": 5.4, "psnr": 25.9},
    "oracle64": {"ssim": 0.972, "lpips": 0.019, "de76": 2.6, "de00": 1.8, "psnr": 36.3},
}
TOLERANCES = {"ssim": 0.003, "lpips": 0.003, "de76": 0.1, "de00": 0.1, "psnr": 0.15}


def test_rows_that_need_no_training_have_the_known_figures(photos_dir, lpips_backbone, monkeypatch):
    monkeypatch.setenv(perceptual.BACKBONE_VARIABLE, str(lpips_backbone))
    rows = {"gray": Gray(), "half": Oracle(stride=1, strength=0.5), "oracle64": Oracle()}
    result = evaluate(rows, load(photos_dir, "test"), metrics=TOLERANCES, progress=False)
    for name, figures in FIGURES.items():
        for metric, figure in figures.items():
            mean = result.interval(name, metric).mean
            assert mean == pytest.approx(figure, abs=TOLERANCES[metric]), (name, metric)
