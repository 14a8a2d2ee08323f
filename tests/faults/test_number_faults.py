"""Training that meets NaN, interrupts, jumping clocks and damaged states: nothing is lost."""

from __future__ import annotations

import copy
import json
import math
import random
import re
import time

import pytest
import torch
from safetensors.torch import load_file
from tiny import FEW, SAVING, command, same, small_gan, small_unet

from colorlab.__main__ import main
from colorlab.training import Trainer, fit
from colorlab.training.runs import read_state

# ---- numbers that are none


def poison(monkeypatch, step: int, what: str) -> None:
    """From this step on (counted from 1) a loss or a gradient is NaN."""
    advance = Trainer.advance

    def poisoned(self, *args):
        bad = self.step + 1 >= step
        hooks = []
        if bad and what == "gradient":
            nan = float("nan")
            hooks = [p.register_hook(lambda grad: grad * nan) for p in self.model.parameters()]
        terms = advance(self, *args)
        for hook in hooks:
            hook.remove()
        if bad and what == "loss":
            with torch.no_grad():
                next(self.model.parameters()).fill_(float("nan"))
            last = list(terms)[-1]
            terms[last] = terms[last] * float("nan")
        return terms

    monkeypatch.setattr(Trainer, "advance", poisoned)


@pytest.mark.parametrize("what", ["loss", "gradient"])
@pytest.mark.parametrize("make", [small_unet, small_gan])
@pytest.mark.parametrize("step", [1, 7, 12])
def test_nan_stops_at_its_step_with_the_batch_and_the_good_weights(
    fault, tmp_path, few_pictures, make, step, what
):
    """The state kept is that of a run which was stopped just before, to the bit."""
    seen = []
    advance = Trainer.advance

    def look(self, *args):
        seen.append(copy.deepcopy(self.state()))
        return advance(self, *args)

    whole, model = make(), make()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "advance", look)
        fit(whole, few_pictures, few_pictures, FEW, progress=False)
    with fault("training", f"NaN in a {what}"):
        with pytest.MonkeyPatch.context() as patch:
            poison(patch, step, what)
            with pytest.raises(FloatingPointError) as raised:
                fit(model, few_pictures, few_pictures, FEW, tmp_path, progress=False)
        told = str(raised.value)
        batch = tmp_path / f"bad-batch-{step}.safetensors"
        assert f"of step {step} is not finite" in told
        assert batch.name in told and str(tmp_path) in told
        # A player whose weights are NaN makes its opponent's loss NaN in the same step.
        assert (
            "the gradient" in told if what == "gradient" and make is small_unet else "=nan" in told
        )
        state = read_state(tmp_path)
        assert same(state["trainer"], seen[step - 1])
        assert all(math.isfinite(v) for row in state["history"]["rows"] for v in row.values())
        want = Trainer(make(), few_pictures, FEW).batches.at(step - 1)
        got = load_file(batch)
        assert torch.equal(got["L"], want.L) and torch.equal(got["ab"], want.ab)
        assert got["rgb"].shape == (4, 32, 32, 3)
        assert all(v.isfinite().all() for v in model.state_dict().values())
        assert not model.training, "the model is left ready to colorize"
    with fault("training", "resumed after NaN"):
        resumed = make()
        fit(resumed, few_pictures, few_pictures, FEW, tmp_path, resume=True, progress=False)
        assert same(whole.state_dict(), resumed.state_dict())


def test_nan_that_does_not_come_back_stops_nothing(fault, few_pictures, monkeypatch):
    """Additions in another order, as on a GPU: the steps are repeated, and the run goes on."""
    whole, shaken = small_unet(), small_unet()
    want = fit(whole, few_pictures, few_pictures, FEW, progress=False)
    advance, left = Trainer.advance, [1]

    def once(self, *args):
        terms = advance(self, *args)
        if self.step == 3 and left:
            left.pop()
            return {name: value * float("nan") for name, value in terms.items()}
        return terms

    monkeypatch.setattr(Trainer, "advance", once)
    with fault("training", "NaN that does not come back"):
        got = fit(shaken, few_pictures, few_pictures, FEW, progress=False)
        assert same(whole.state_dict(), shaken.state_dict())
        assert got.rows == want.rows


# ---- interrupts, clocks, damage


@pytest.mark.parametrize("step", [0, 6, 11])
def test_an_interrupt_leaves_a_model_that_colors(fault, few_pictures, monkeypatch, step):
    advance = Trainer.advance

    def interrupted(self, *args):
        if self.step == step:
            raise KeyboardInterrupt
        return advance(self, *args)

    monkeypatch.setattr(Trainer, "advance", interrupted)
    model = small_unet()
    with fault("training", "interrupted in a notebook"):
        with pytest.raises(KeyboardInterrupt):
            fit(model, few_pictures, few_pictures, FEW, progress=False)
        assert not model.training
        assert model.colorize(torch.full((1, 1, 32, 32), 50.0)).isfinite().all()


def test_a_clock_set_back_or_forward_changes_no_time(fault, tiny_photos, tmp_path, monkeypatch):
    jumps = random.Random(0)
    for name in ("time", "time_ns"):
        monkeypatch.setattr(time, name, lambda: jumps.uniform(-1e9, 1e12))
    with fault("training", "the clock jumps"):
        assert main(command(tiny_photos, tmp_path, *SAVING)) == 0
        assert 0 <= read_state(tmp_path)["history"]["seconds"] < 600
        assert json.loads((tmp_path / "unet-ab-photos.json").read_text())["seconds"] < 600


def test_a_budget_in_minutes_survives_a_second_start(fault, tiny_photos, tmp_path, capsys):
    """The number of steps that was measured belongs to the run, whatever is tried meanwhile."""
    budget = ["--minutes", "0.01", "--size", "32", "--batch-size", "4"]
    assert main(command(tiny_photos, tmp_path, *budget)) == 0
    weights = (tmp_path / "unet-ab-photos.safetensors").read_bytes()
    with fault("training", "started a second time"):
        assert main(command(tiny_photos, tmp_path, *budget)) == 2
        assert "already holds a run" in capsys.readouterr().err
        assert main(command(tiny_photos, tmp_path, *budget, "--resume")) == 0
        assert (tmp_path / "unet-ab-photos.safetensors").read_bytes() == weights


def test_a_damaged_state_is_noticed_wherever_the_damage_lies(fault, tmp_path, few_pictures):
    fit(small_unet(), few_pictures, few_pictures, FEW, tmp_path, progress=False)
    file = tmp_path / "state.pt"
    whole, want = file.read_bytes(), read_state(tmp_path)
    places = random.Random(1)
    damages = [("cut", whole[: len(whole) * tenth // 10]) for tenth in range(10)]
    for _ in range(60):
        at = places.randrange(len(whole))
        damages.append(("flipped", whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]))
    told = 0
    for what, content in damages:
        with fault("training", f"the state is {what}"):
            file.write_bytes(content)
            try:
                got = read_state(tmp_path)
            except ValueError as error:
                message = str(error)
            else:  # between the records, where nothing is
                assert same(got, want)
                continue
            assert re.fullmatch(r"\S*state\.pt cannot be read \(.*\); delete it .*", message)
            told += 1
    assert told >= 60


def test_a_state_file_runs_no_code(fault, tmp_path, few_pictures):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was executed",))

    for content in (Bomb(), {"identity": Bomb()}, [1, 2], {"identity": {}}):
        with fault("training", "the state holds something else"):
            torch.save(content, tmp_path / "state.pt")
            with pytest.raises(ValueError, match=r"state\.pt cannot be read"):
                fit(small_unet(), few_pictures, None, FEW, tmp_path, resume=True)
