"""Training: resume to the bit, the best weights kept, wrong settings named."""

from __future__ import annotations

import copy
import math
import time

import numpy as np
import pytest
import torch

from colorlab.data.pictures import Pictures
from colorlab.models import Player, build
from colorlab.training import fit, validate
from colorlab.training.loop import (
    Average,
    TrainConfig,
    Trainer,
    fastest_precision,
    learning_rate_factor,
)

FEW = TrainConfig(steps=12, batch_size=4, precision="float32", validate_every=5, device="cpu")


def small_unet(**settings):
    torch.manual_seed(0)
    settings = {"size": 32, "widths": (8, 16, 16, 16), "dropout": 0.3, **settings}
    return build("unet", **settings)


def same_weights(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


class Stop(Exception):
    pass


@pytest.mark.parametrize("stop_at", [1, 5, 7, 10, 11])
def test_stopped_anywhere_and_resumed_gives_the_same_weights(tmp_path, few_pictures, stop_at):
    whole = small_unet()
    history = fit(whole, few_pictures, few_pictures, FEW, progress=False)

    config = TrainConfig(**{**vars(FEW), "checkpoint_every": 0.0})
    advance = Trainer.advance

    def advance_until(self, *args):
        if self.step == stop_at:
            raise Stop
        return advance(self, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "advance", advance_until)
        with pytest.raises(Stop):
            fit(small_unet(), few_pictures, few_pictures, config, tmp_path, progress=False)
    resumed = small_unet()
    again = fit(resumed, few_pictures, few_pictures, config, tmp_path, resume=True, progress=False)
    assert same_weights(whole, resumed)
    assert again.rows == history.rows


def test_resuming_a_finished_run_changes_nothing(tmp_path, few_pictures):
    first, second = small_unet(), small_unet()
    fit(first, few_pictures, few_pictures, FEW, tmp_path, progress=False)
    state = (tmp_path / "state.pt").read_bytes()
    fit(second, few_pictures, few_pictures, FEW, tmp_path, resume=True, progress=False)
    assert same_weights(first, second)
    assert (tmp_path / "state.pt").read_bytes() == state


def test_a_model_that_does_not_keep_its_best_ends_with_its_last_weights(few_pictures):
    seen = []
    model = small_unet()
    type_ = type("Last", (type(model),), {"keeps_best": False})
    last = type_(model.config)
    last.load_state_dict(model.state_dict())
    fit(
        last,
        few_pictures,
        few_pictures,
        FEW,
        progress=False,
        on_validation=lambda step, m: seen.append(copy.deepcopy(m)),
    )
    assert same_weights(last, seen[-1])


def test_training_leaves_the_global_generator_alone(few_pictures):
    model = small_unet()
    torch.manual_seed(5)
    want = torch.rand(3)
    torch.manual_seed(5)
    fit(model, few_pictures, None, FEW, progress=False)
    assert torch.equal(torch.rand(3), want)


def test_training_lowers_the_loss_and_keeps_the_best_weights(few_pictures):
    model = small_unet(dropout=0.0)
    config = TrainConfig(
        steps=60, batch_size=6, augment="none", ema=0.0, precision="float32", validate_every=20
    )
    before = validate(model, few_pictures)
    history = fit(model, few_pictures, few_pictures, config, progress=False)
    assert history.rows[-1]["mse"] < 0.7 * history.rows[0]["mse"]
    assert history.best_score < 0.8 * before
    assert history.best_score == min(row["score"] for row in history.rows)
    assert validate(model, few_pictures) == pytest.approx(history.best_score, abs=1e-5)


def test_the_average_of_weights_and_statistics_follows_the_closed_form():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    average = Average(model, decay=0.6)
    names = ("0.weight", "1.running_mean", "1.running_var")
    want = {name: model.state_dict()[name].clone() for name in names}
    for step in range(1, 15):
        with torch.no_grad():
            model[0].weight.add_(torch.randn_like(model[0].weight))
        model(torch.randn(8, 3))  # moves the statistics
        average.update(model, step)
        decay = min(0.6, (1 + step) / (10 + step))
        now = model.state_dict()
        want = {name: decay * want[name] + (1 - decay) * now[name] for name in names}
    kept = average.model.state_dict()
    for name in names:
        torch.testing.assert_close(kept[name], want[name])
    assert kept["1.num_batches_tracked"] == 14


def test_schedule_rises_then_falls_to_zero():
    factors = [learning_rate_factor(step, 100, 0.1) for step in range(100)]
    assert factors[9] == 1.0
    assert all(a < b for a, b in zip(factors[:9], factors[1:10], strict=True))
    assert all(a >= b for a, b in zip(factors[10:-1], factors[11:], strict=True))
    assert factors[55] == pytest.approx(0.5 * (1 + math.cos(math.pi / 2)))
    assert factors[-1] < 0.001


def test_two_players_move_only_what_is_theirs(few_pictures):
    class Game(type(small_unet())):
        def players(self):
            def loss(module):
                return lambda batch: {"sum": self(batch.L).square().mean() + 0 * batch.L.mean()}

            return [
                Player("encoder", self.stem, loss(self.stem)),
                Player("head", self.head, loss(self.head), rate=0.0),
            ]

    game = Game(small_unet().config)
    torch.nn.init.normal_(game.head.project.weight)
    before = copy.deepcopy(dict(game.named_parameters()))
    trainer = Trainer(game, few_pictures, TrainConfig(steps=2, batch_size=2, weight_decay=0))
    trainer.advance("float32")
    moved = {k.split(".")[0] for k, v in game.named_parameters() if not torch.equal(v, before[k])}
    assert moved == {"stem"}, "the head's rate is zero and nobody owns the rest"


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_state(tmp_path, few_pictures):
    config = TrainConfig(**{**vars(FEW), "checkpoint_every": 0.0})
    advance = Trainer.advance

    def poisoned(self, *args):
        terms = advance(self, *args)
        return terms if self.step < 6 else {"mse": terms["mse"] * float("nan")}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "advance", poisoned)
        with pytest.raises(FloatingPointError, match="step 6"):
            fit(small_unet(), few_pictures, few_pictures, config, tmp_path, progress=False)
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert state["trainer"]["step"] == 5


def test_a_folder_with_a_run_is_not_overwritten(tmp_path, few_pictures):
    fit(small_unet(), few_pictures, None, FEW, tmp_path, progress=False)
    with pytest.raises(FileExistsError, match="resume"):
        fit(small_unet(), few_pictures, None, FEW, tmp_path, progress=False)
    other = TrainConfig(**{**vars(FEW), "seed": 9})
    with pytest.raises(ValueError, match="seed=0 not 9"):
        fit(small_unet(), few_pictures, None, other, tmp_path, resume=True, progress=False)
    changed = Pictures(few_pictures.rgb, few_pictures.names, "1" * 64, "test:other")
    with pytest.raises(ValueError, match="data="):
        fit(small_unet(), changed, None, FEW, tmp_path, resume=True, progress=False)


def test_a_damaged_state_is_named(tmp_path, few_pictures):
    fit(small_unet(), few_pictures, None, FEW, tmp_path, progress=False)
    file = tmp_path / "state.pt"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"state\.pt cannot be read"):
        fit(small_unet(), few_pictures, None, FEW, tmp_path, resume=True, progress=False)


def test_precision_is_measured_and_kept(few_pictures):
    config = TrainConfig(steps=2, batch_size=2)
    history = fit(small_unet(), few_pictures, None, config, progress=False)
    assert history.precision in ("float32", "bfloat16")


@pytest.mark.parametrize(
    ("slow", "seconds", "steps"),
    [("bfloat16", 0.3, 1), ("bfloat16", 0.06, 2), ("float32", 0.3, 4)],  # that has nothing to beat
)
def test_a_hopeless_precision_is_given_up_early(few_pictures, monkeypatch, slow, seconds, steps):
    tried = []

    def advance(trial, precision):
        tried.append(precision)
        time.sleep(seconds if precision == slow else 0.02)
        return {"loss": torch.zeros(())}

    monkeypatch.setattr(Trainer, "advance", advance)
    best, _ = fastest_precision(small_unet(), few_pictures, TrainConfig(batch_size=2))
    assert best != slow
    assert tried.count(slow) == steps
    assert tried.count(best) == 4


@pytest.mark.parametrize(
    ("setting", "value"), [("steps", 0), ("batch_size", -1), ("learning_rate", 0.0), ("ema", 1.0)]
)
def test_wrong_settings_are_named(setting, value):
    with pytest.raises(ValueError, match=setting):
        TrainConfig(**{setting: value})


def test_bfloat16_learns_about_the_same(few_pictures):
    scores = []
    for precision in ("float32", "bfloat16"):
        model = small_unet(dropout=0.0)
        config = TrainConfig(steps=40, batch_size=6, augment="none", ema=0, precision=precision)
        scores.append(fit(model, few_pictures, few_pictures, config, progress=False).best_score)
    assert np.ptp(scores) < 0.15 * np.mean(scores)
