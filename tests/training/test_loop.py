"""Training: resume to the bit, the best weights kept, wrong settings named."""

import copy
import math
import time

import numpy as np
import pytest
import torch
from tiny import FEW, same, small_gan, small_unet

from colorlab.models import Player
from colorlab.training import fit, validate
from colorlab.training.loop import (
    Average,
    TrainConfig,
    Trainer,
    fastest_precision,
    learning_rate_factor,
)
from colorlab.training.runs import read_state


class Stop(Exception):
    pass


@pytest.mark.parametrize("stop_at", [1, 5, 11])
def test_stopped_anywhere_and_resumed_gives_the_same(tmp_path, few_pictures, stop_at):
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
    assert same(whole, resumed)
    assert again.rows == history.rows


def test_a_model_that_does_not_keep_its_best_ends_with_its_last_weights(few_pictures):
    seen = []
    model = small_unet()
    model.__class__ = type("Last", (type(model),), {"keeps_best": False})
    look = {"on_validation": lambda step, validated: seen.append(copy.deepcopy(validated))}
    fit(model, few_pictures, few_pictures, FEW, progress=False, **look)
    assert same(model, seen[-1])


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


def poison(monkeypatch, step: int, what: str) -> None:
    """From this step on (counted from 1) a loss or a gradient is NaN."""
    advance, nan = Trainer.advance, float("nan")

    def poisoned(self, *args):
        bad = self.step + 1 >= step
        hooks = []
        if bad and what == "gradient":
            hooks = [p.register_hook(lambda grad: grad * nan) for p in self.model.parameters()]
        terms = advance(self, *args)
        for hook in hooks:
            hook.remove()
        if bad and what == "loss":
            with torch.no_grad():
                next(self.model.parameters()).fill_(nan)
            last = list(terms)[-1]
            terms[last] = terms[last] * nan
        return terms

    monkeypatch.setattr(Trainer, "advance", poisoned)


@pytest.mark.parametrize(
    ("make", "step", "what"),
    [
        (small_unet, 1, "loss"),
        (small_unet, 7, "gradient"),
        (small_gan, 7, "loss"),
        (small_gan, 12, "gradient"),
    ],
)
def test_nan_stops_the_run_with_the_last_good_weights(tmp_path, few_pictures, make, step, what):
    """The state kept is that of a run which was stopped there, to the bit."""
    seen = []
    advance = Trainer.advance

    def look(self, *args):
        seen.append(copy.deepcopy(self.state()))
        return advance(self, *args)

    whole, model, resumed = make(), make(), make()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "advance", look)
        fit(whole, few_pictures, few_pictures, FEW, progress=False)
    with pytest.MonkeyPatch.context() as patch:
        poison(patch, step, what)
        with pytest.raises(FloatingPointError, match="not finite") as raised:
            fit(model, few_pictures, few_pictures, FEW, tmp_path, progress=False)
    told, good = str(raised.value), (step - 1) // 5 * 5  # validated, and so read, every 5 steps
    assert f"weights of step {good} are kept in {tmp_path}" in told
    assert "=nan" in told  # weights that are NaN make the next loss, or the opponent's, NaN
    state = read_state(tmp_path)
    assert same(state["trainer"], seen[good])
    assert all(math.isfinite(v) for row in state["history"]["rows"] for v in row.values())
    assert all(v.isfinite().all() for v in model.state_dict().values())
    assert not model.training, "the model is left ready to colorize"
    fit(resumed, few_pictures, few_pictures, FEW, tmp_path, resume=True, progress=False)
    assert same(whole, resumed)


def test_an_interrupt_leaves_a_model_that_colors(few_pictures, monkeypatch):
    advance = Trainer.advance

    def interrupted(self, *args):
        if self.step == 6:
            raise KeyboardInterrupt
        return advance(self, *args)

    monkeypatch.setattr(Trainer, "advance", interrupted)
    model = small_unet()
    with pytest.raises(KeyboardInterrupt):
        fit(model, few_pictures, few_pictures, FEW, progress=False)
    assert not model.training
    assert model.colorize(torch.full((1, 1, 32, 32), 50.0)).isfinite().all()


@pytest.mark.parametrize(
    ("slow", "seconds", "steps"),
    [("bfloat16", 0.3, 1), ("bfloat16", 0.06, 2), ("float32", 0.2, 4)],  # that has nothing to beat
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


def test_bfloat16_learns_about_the_same(few_pictures):
    scores = []
    for precision in ("float32", "bfloat16"):
        model = small_unet(dropout=0.0)
        config = TrainConfig(steps=40, batch_size=6, augment="none", ema=0, precision=precision)
        scores.append(fit(model, few_pictures, few_pictures, config, progress=False).best_score)
    assert np.ptp(scores) < 0.15 * np.mean(scores)


def test_the_first_step_replaces_nine_elevenths_of_the_average(few_pictures):
    model = small_unet()
    before = model.state_dict()["stem.block.0.weight"].clone()
    trainer = Trainer(model, few_pictures, TrainConfig(steps=2, batch_size=2, ema=0.9))
    trainer.advance("float32")
    now, kept = (m.state_dict()["stem.block.0.weight"] for m in (model, trainer.best_guess))
    torch.testing.assert_close(kept, before + 9 / 11 * (now - before))
