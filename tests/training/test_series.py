"""The series and the ablation: their lists, a run that is cut off and goes on, their tables."""

import dataclasses
import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from tiny import small_unet
from torch import nn

from colorlab import checkpoints
from colorlab.__main__ import main
from colorlab.metrics import Evaluation
from colorlab.models import MODELS, Regressor
from colorlab.training import TrainConfig, series
from colorlab.training.recipes import (
    BASE,
    BASE_SETTINGS,
    BASE_TRAINING,
    CHANGES,
    FLIPPED,
    RECIPES,
    choose,
    choose_changes,
)
from colorlab.training.runs import LOCK_FILE
from colorlab.training.series import (
    FlipAveraged,
    Job,
    make_model,
    peak_tflops,
    plan,
    speed,
    step_flops,
    trainings,
)

pytestmark = pytest.mark.usefixtures("no_lpips")

BASE_JOB = Job("unet", Path("runs"), "photos", BASE_SETTINGS, BASE_TRAINING, size=64, resume=True)


def test_each_released_network_of_photographs_has_a_recipe():
    released = {stem.split("-")[0] for stem in checkpoints.released() if stem.endswith("photos")}
    assert {recipe.model for recipe in RECIPES} == released
    assert len({recipe.row for recipe in RECIPES}) == len(RECIPES)
    assert [recipe.row for recipe in choose(["unet_gan", "unet"])] == ["unet", "unet_gan"]


def test_the_plan_spends_the_budget_and_begins_with_what_others_need(tmp_path):
    jobs = plan(RECIPES, tmp_path, 60, {}, "photos")
    assert sum(job.minutes for job in jobs) == pytest.approx(60)
    files = [str(job.file) for job in jobs]
    for i, (recipe, job) in enumerate(zip(RECIPES, jobs, strict=True)):
        assert bool(job.start) == bool(recipe.start)
        assert not job.start or job.start in files[:i]
        assert job.eight_bit == (recipe.target == "rgb")
    assert jobs[1].minutes == pytest.approx(2.5 * jobs[0].minutes), "shares of 10 and 4"


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.row)
def test_every_recipe_makes_its_model(recipe, tmp_path):
    job = Job(recipe.model, tmp_path, settings={"target": recipe.target, **recipe.settings})
    model = make_model(job, 64)
    assert type(model) is MODELS[recipe.model][0]
    assert model.config.target == recipe.target


def test_what_is_asked_for_wins_over_the_recipe(tmp_path):
    recipes = choose(["unet", "unet-rgb"])
    asked = {"seed": 4, "precision": "float32"}
    for size, got in ((None, [None, 128]), (64, [64, 64])):
        jobs = plan(recipes, tmp_path, 1, asked, "photos", size, limit=7)
        assert [job.size for job in jobs] == got
    assert jobs[0].config == TrainConfig(weight_decay=0.05, learning_rate=1.5e-3, **asked)
    assert jobs[0].limit == 7


def differing(one: dict, other: dict) -> list[str]:
    """The names whose values differ; those of a model's settings by themselves."""
    one, other = ({**job.pop("settings"), **job.pop("config"), **job} for job in (one, other))
    return [name for name in one | other if one.get(name) != other.get(name)]


@pytest.mark.parametrize(
    "change", [c for c in CHANGES[1:] if not c.first], ids=lambda change: change.name
)
def test_a_row_differs_from_the_base_in_one_setting(change):
    (base,), (other,) = (trainings(c, BASE_JOB) for c in (CHANGES[0], change))
    names = differing(dataclasses.asdict(base), dataclasses.asdict(other))
    assert "out" in names and len(names) == 2


def test_a_first_training_takes_of_the_row_s_own_steps():
    base = replace(BASE_JOB, config=replace(BASE_TRAINING, steps=900))
    first, rest = trainings(*(c for c in CHANGES if c.first), base)
    assert (first.config.steps, rest.config.steps) == (300, 600)
    assert rest.start == str(first.file) and first.out != rest.out
    assert (first.config.augment, rest.config.augment) == ("mask", BASE_TRAINING.augment)
    assert (first.config.validate_every, rest.config.validate_every) == (300, 600)


def test_rows_are_chosen_by_name_and_stand_beside_the_base():
    assert [c.name for c in choose_changes("mse,450 pictures")] == [BASE, "450 pictures", "mse"]
    assert len(choose_changes(None)) == len(CHANGES) == len({c.name for c in CHANGES})


def test_the_flipped_answer_is_the_mean_of_both_and_blind_to_mirroring():
    model = small_unet().eval()
    torch.nn.init.normal_(model.head.project.weight, std=0.05)  # zeros answer gray
    L = torch.rand(2, 1, 32, 32) * 60 + 20
    both = FlipAveraged(model)
    one, other = both.colorize(L), both.colorize(L.flip(-1)).flip(-1)
    assert (model.colorize(L) - model.colorize(L.flip(-1)).flip(-1)).abs().max() > 0.002
    torch.testing.assert_close(one, other, atol=2e-5, rtol=0)
    mirrored = model.answers(L.flip(-1), 1)[0].flip(-1)
    torch.testing.assert_close(one, model.finish(L, (model.answers(L, 1)[0] + mirrored) / 2))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["train", "--all", "--budget", "-1"], "--budget must be positive"),
        (["train", "--all", "--budget", "1", "--only", "unet,welsh"], "no recipe for welsh"),
        (["train", "--all", "--budget", "1", "--only", "vae"], "vae begins with resnet; ask for"),
        (["train", "--all", "unet"], "name one model"),
        (["train"], "name one model"),
        (["ablate", "--only", "wider"], "no change wider; there are base, .*mse"),
    ],
)
def test_what_cannot_be_trained_is_told(words, told, tmp_path, capsys):
    assert main([*words, "--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert re.search(told, capsys.readouterr().err)
    assert not (tmp_path / "out").exists()


def test_a_series_that_is_cut_off_goes_on_and_ends_in_a_table(
    tiny_photos, tmp_path, monkeypatch, capsys
):
    out = tmp_path / "out"
    words = ["train", "--all", "--only", "unet,diffusion", "--budget", "0.001", "--size", "64"]
    words += ["--data", str(tiny_photos), "--precision", "float32", "--out", str(out)]
    fit, calls = series.fit, []

    def cut(*args, **kwargs):
        calls.append(kwargs["out"].name)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return fit(*args, **kwargs)

    monkeypatch.setattr(series, "fit", cut)
    assert main(words) == 130
    assert "colorlab: stopped; what was saved is kept" in capsys.readouterr().err
    assert not list(out.rglob(LOCK_FILE))
    file = out / "checkpoints" / "unet-ab-photos.safetensors"
    first = file.read_bytes()
    assert not (out / "results").exists()

    assert main(words) == 0
    assert calls == ["unet", "diffusion", "diffusion"]
    assert "1 of 2: unet is there" in capsys.readouterr().out
    assert file.read_bytes() == first
    card = checkpoints.read_card(out / "checkpoints" / "diffusion-ab-photos.safetensors")
    assert card["stands_on"]["unet"]["checkpoint"] == "unet-ab-photos"
    assert card["started_from"]["model"] == "unet"

    table = json.loads((out / "results" / "photos-test.json").read_text("utf-8"))
    rows = [row["model"] for row in table["rows"]]
    draws = [f"diffusion:{made}" for made in ("sample", "mean8", "best8")]
    assert rows == ["gray", "mean", "lut", "oracle64", "unet", "diffusion", *draws]
    assert str(out) not in json.dumps(table)

    file.write_bytes(b"damaged")
    assert main(words) == 2
    assert "unet-ab-photos" in capsys.readouterr().err, "told of, not skipped"
    assert file.read_bytes() == b"damaged"


def test_an_ablation_is_made_once_and_goes_on(tiny_photos, tmp_path, capsys):
    out, table = tmp_path / "out", tmp_path / "ablation.json"
    words = ["ablate", "--data", str(tiny_photos), "--steps", "3", "--only", "mse,masked start"]
    words += ["--precision", "float32", "--device", "cpu", "--out", str(out), "--json", str(table)]
    assert main(words) == 0
    first = table.read_bytes()
    result = Evaluation.read(table)
    assert result.models == (BASE, "masked start", "mse", FLIPPED)
    two = checkpoints.read_card(out / "masked start" / "unet-ab-photos.safetensors")
    assert (two["steps"], two["started_from"]["training"]["augment"]) == (2, "mask")
    both = two["seconds"] + two["started_from"]["seconds"]
    assert result.provenance["seconds"]["masked start"] == both
    changed = out / "mse" / "unet-ab-photos.safetensors"
    assert checkpoints.read_card(changed)["config"]["loss"] == "mse"
    means = {row["model"]: row["de76"]["mean"] for row in result.rows}
    for name, differences in result.details["difference"].items():
        assert differences["de76"]["mean"] == pytest.approx(means[name] - means[BASE])
    assert set(result.provenance["rows"]) == set(result.models)
    assert result.provenance["command"].startswith("colorlab ablate --data ")
    assert result.provenance["data"]["source"].endswith("val")

    capsys.readouterr()
    assert main(words) == 0  # nothing is trained again, and the digits stay
    assert "mse is there" in capsys.readouterr().out
    assert json.loads(table.read_text("utf-8"))["rows"] == json.loads(first)["rows"]


# ---- arithmetic is counted right, and set against the right peak

PLAIN = TrainConfig(steps=6, batch_size=4, device="cpu", augment="none")


class OneConvolution(Regressor):
    """L (N, 1, 32, 32) to ab (N, 2, 8, 8) by one convolution of 4x4."""

    def __init__(self):
        super().__init__(SimpleNamespace(target="ab", size=32, loss="mse"))
        self.conv = nn.Conv2d(1, 2, 4, stride=4)

    def forward(self, L):
        return self.conv(L)


def test_a_known_convolution_is_counted(few_pictures):
    model = OneConvolution()
    before = model.conv.weight.clone()
    random_state = torch.get_rng_state()
    # A multiplication and an addition for each weight at each place. The gradient of the weights
    # costs as much; none of the input is wanted.
    forward = 2 * (2 * 1 * 4 * 4) * (8 * 8) * PLAIN.batch_size
    assert step_flops(model, few_pictures, PLAIN, "float32") == 2 * forward
    assert torch.equal(model.conv.weight, before), "a copy takes the step"
    assert torch.equal(torch.get_rng_state(), random_state)


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA L4", 121),
        ("NVIDIA L40", None),
        ("CPU, 2 threads", None),
    ],
)
def test_peaks_go_by_whole_names(name, peak):
    assert peak_tflops(name) == peak


def test_the_share_is_of_the_time_of_all_steps():
    # 6 steps of 4 pictures in 3 s: 2 steps/s of 0.25 TFLOP are half a TFLOP/s, of a peak of 2.
    told = "8 pictures/s, 0.50 TFLOP/s"
    assert (
        speed(PLAIN, flops=250_000_000_000, seconds=3.0, peak=2.0) == f"{told}, 25.0% of the peak"
    )
    assert speed(PLAIN, flops=250_000_000_000, seconds=3.0, peak=None) == told
