"""Training that meets NaN, interrupts, jumping clocks and damaged states: nothing is lost."""

from __future__ import annotations

import copy
import math
import random
import re
import time

import pytest
import torch
from safetensors.torch import load_file

from colorlab.models import build
from colorlab.training import TrainConfig, Trainer, fit
from colorlab.training.runs import read_state

FEW = TrainConfig(
    steps=12, batch_size=4, precision="float32", validate_every=5, device="cpu", ema=0.9
)


def unet():
    torch.manual_seed(0)
    return build("unet", size=32, widths=(8, 16, 16, 16), dropout=0.3)


def gan():
    torch.manual_seed(0)
    return build("gan", size=32, widths=(8, 16, 16), discriminator_widths=(8, 16, 16))


def same(a, b) -> bool:
    """Two states, down to the bit."""
    if isinstance(a, torch.Tensor):
        return a.shape == b.shape and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def poison(monkeypatch, step: int, what: str) -> None:
    """From this step on (counted from 1) a loss or a gradient is NaN."""
    advance, nan = Trainer.advance, float("nan")

    def poisoned(self, *args):
        bad = self.step + 1 >= step
        wanted = self.model.parameters() if bad and what == "gradient" else ()
        hooks = [p.register_hook(lambda grad: grad * nan) for p in wanted]
        terms = advance(self, *args)
        for hook in hooks:
            hook.remove()
        if bad and what == "loss":
            with torch.no_grad():
                next(self.model.parameters()).fill_(nan)
            terms[list(terms)[-1]] *= nan
        return terms

    monkeypatch.setattr(Trainer, "advance", poisoned)


@pytest.mark.parametrize(
    ("make", "what", "step"), [(unet, "gradient", 1), (unet, "loss", 7), (gan, "gradient", 12)]
)
def test_nan_stops_at_its_step_and_the_run_can_go_on(
    make, what, step, tmp_path, few_pictures, monkeypatch
):
    """The state kept is that of a run which was stopped just before, to the bit."""
    states, advance = [], Trainer.advance

    def look(self, *args):
        states.append(copy.deepcopy(self.state()))
        return advance(self, *args)

    whole, model = make(), make()
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "advance", look)
        fit(whole, few_pictures, few_pictures, FEW, progress=False)
    with monkeypatch.context() as patch:
        poison(patch, step, what)
        with pytest.raises(FloatingPointError, match=f"of step {step} is not finite") as raised:
            fit(model, few_pictures, few_pictures, FEW, tmp_path, progress=False)
    batch = tmp_path / f"bad-batch-{step}.safetensors"
    assert str(batch.name) in str(raised.value)
    state = read_state(tmp_path)
    assert same(state["trainer"], states[step - 1])
    assert all(math.isfinite(v) for row in state["history"]["rows"] for v in row.values())
    want, got = Trainer(make(), few_pictures, FEW).batches.at(step - 1), load_file(batch)
    assert torch.equal(got["L"], want.L) and torch.equal(got["ab"], want.ab)
    assert all(v.isfinite().all() for v in model.state_dict().values())
    assert not model.training, "the model is left ready to colorize"
    resumed = make()
    fit(resumed, few_pictures, few_pictures, FEW, tmp_path, resume=True, progress=False)
    assert same(whole.state_dict(), resumed.state_dict())


def test_nan_that_does_not_come_back_and_a_jumping_clock_change_nothing(
    few_pictures, monkeypatch, tmp_path
):
    """Additions in another order, as on a GPU: the steps are repeated, and the run goes on."""
    whole, shaken = unet(), unet()
    want = fit(whole, few_pictures, few_pictures, FEW, progress=False)
    advance, left = Trainer.advance, [1]

    def once(self, *args):
        terms = advance(self, *args)
        if self.step == 3 and left:
            left.pop()
            return {name: value * float("nan") for name, value in terms.items()}
        return terms

    jumps = random.Random(0)
    monkeypatch.setattr(Trainer, "advance", once)
    for name in ("time", "time_ns"):
        monkeypatch.setattr(time, name, lambda: jumps.uniform(-1e9, 1e12))
    got = fit(shaken, few_pictures, few_pictures, FEW, tmp_path, progress=False)
    assert same(whole.state_dict(), shaken.state_dict())
    assert got.rows == want.rows
    assert 0 <= read_state(tmp_path)["history"]["seconds"] < 600


def test_an_interrupt_leaves_a_model_that_colors(few_pictures, monkeypatch):
    advance = Trainer.advance

    def interrupted(self, *args):
        if self.step == 6:
            raise KeyboardInterrupt
        return advance(self, *args)

    monkeypatch.setattr(Trainer, "advance", interrupted)
    model = unet()
    with pytest.raises(KeyboardInterrupt):
        fit(model, few_pictures, few_pictures, FEW, progress=False)
    assert not model.training
    assert model.colorize(torch.full((1, 1, 32, 32), 50.0)).isfinite().all()


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was executed",))


def test_a_damaged_state_is_noticed_wherever_the_damage_lies(tmp_path, few_pictures):
    fit(unet(), few_pictures, few_pictures, FEW, tmp_path, progress=False)
    file = tmp_path / "state.pt"
    whole, want = file.read_bytes(), read_state(tmp_path)
    places = random.Random(1)
    damages = [whole[: len(whole) * tenth // 10] for tenth in range(10)]
    for at in (places.randrange(len(whole)) for _ in range(30)):
        damages.append(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    told = 0
    for content in damages:
        file.write_bytes(content)
        try:
            got = read_state(tmp_path)
        except ValueError as error:
            told += bool(
                re.fullmatch(r"\S*state\.pt cannot be read \(.*\); delete it .*", str(error))
            )
        else:  # between the records, where nothing is
            told += same(got, want)
    assert told == len(damages)
    for content in (Bomb(), {"identity": Bomb()}, [1, 2], {"identity": {}}):
        torch.save(content, file)
        with pytest.raises(ValueError, match=r"state\.pt cannot be read"):
            fit(unet(), few_pictures, None, FEW, tmp_path, resume=True)
