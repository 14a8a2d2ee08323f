"""`colorlab ablate`: one change a row, a run that goes on, differences in pairs."""

from __future__ import annotations

import argparse
import json

import numpy as np
import pytest
import torch
from PIL import Image

from colorlab import checkpoints
from colorlab.__main__ import main
from colorlab.ablation import BASE, CHANGES, FLIPPED, RECIPE, FlipAveraged
from colorlab.commands import ablate, train
from colorlab.metrics import Evaluation
from colorlab.models import build


def parsed(change):
    """What `colorlab train` understands of the words of a row's trainings."""
    parser = argparse.ArgumentParser()
    ablate.add_arguments(parser)
    mine = parser.parse_args(["--out", "runs"])
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    return [vars(parser.parse_args(words)) for words in ablate.trainings(mine, change)]


ONE_TRAINING = [change for change in CHANGES[1:] if not change.first]


@pytest.mark.parametrize("change", ONE_TRAINING, ids=lambda change: change.name)
def test_a_row_differs_from_the_base_in_one_setting(change):
    [base], [other] = parsed(CHANGES[0]), parsed(change)
    assert other.pop("out") != base.pop("out")
    assert len([name for name in base if base[name] != other[name]]) == 1


def test_a_first_training_takes_of_the_row_s_own_steps():
    [base] = parsed(CHANGES[0])
    [change] = [change for change in CHANGES if change.first]
    first, rest = parsed(change)
    assert first["steps"] + rest["steps"] == base["steps"]
    assert rest["start"] == str(first["out"] / "unet-ab-photos.safetensors")
    assert (first["augment"], rest["augment"]) == ("mask", base["augment"])


def test_rows_are_chosen_by_name_and_stand_beside_the_base():
    assert [c.name for c in ablate.choose("mse,450 pictures")] == [BASE, "450 pictures", "mse"]
    assert len(ablate.choose(None)) == len(CHANGES) == len({c.name for c in CHANGES})
    with pytest.raises(ValueError, match=r"no change l2; there are base, .*mse"):
        ablate.choose("l2")


def test_the_recipe_is_one_that_training_knows():
    assert {word for word in RECIPE if word.startswith("--")} == {
        *("--loss", "--dropout", "--weight-decay", "--augment"),
        *("--batch-size", "--learning-rate", "--ema"),
    }


def test_the_flipped_answer_is_the_mean_of_both_and_blind_to_mirroring():
    torch.manual_seed(0)
    model = build("unet", size=64).eval()
    torch.nn.init.normal_(model.head.project.weight, std=0.05)  # zeros answer gray
    L = torch.rand(2, 1, 64, 64) * 60 + 20
    both = FlipAveraged(model)
    one, other = both.colorize(L), both.colorize(L.flip(-1)).flip(-1)
    assert (model.colorize(L) - model.colorize(L.flip(-1)).flip(-1)).abs().max() > 0.002
    torch.testing.assert_close(one, other, atol=2e-5, rtol=0)
    plain = model.answers(L, 1)[0]
    mirrored = model.answers(L.flip(-1), 1)[0].flip(-1)
    torch.testing.assert_close(one, model.finish(L, (plain + mirrored) / 2))


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(0)
    for split, n in (("train", 4), ("val", 3)):
        (tmp_path / "set" / split).mkdir(parents=True)
        for i in range(n):
            coarse = Image.fromarray(random.integers(0, 256, (4, 4, 3), dtype=np.uint8))
            coarse.resize((64, 64)).save(tmp_path / "set" / split / f"{i}.png")
    return tmp_path / "set"


def test_a_table_is_made_once_and_goes_on(folder, tmp_path, capsys):
    out, table = tmp_path / "out", tmp_path / "ablation.json"
    words = ["ablate", "--data", str(folder), "--steps", "6", "--only", "mse,masked start"]
    words += ["--precision", "float32", "--device", "cpu", "--out", str(out), "--json", str(table)]
    assert main(words) == 0
    first = table.read_bytes()
    result = Evaluation.read(table)
    assert result.models == (BASE, "masked start", "mse", FLIPPED)
    two = checkpoints.read_card(out / "masked start" / "unet-ab-photos.safetensors")
    assert (two["steps"], two["started_from"]["training"]["augment"]) == (4, "mask")
    both = two["seconds"] + two["started_from"]["seconds"]
    assert result.provenance["seconds"]["masked start"] == both
    changed = out / "mse" / "unet-ab-photos.safetensors"
    assert checkpoints.read_card(changed)["config"]["loss"] == "mse"
    means = {row["model"]: row["de76"]["mean"] for row in result.rows}
    for name, differences in result.details["difference"].items():
        one = differences["de76"]
        assert one["mean"] == pytest.approx(means[name] - means[BASE])
        assert one["low"] <= one["mean"] <= one["high"]
    assert set(result.provenance["rows"]) == set(result.models)
    assert result.provenance["command"].startswith("colorlab ablate --data ")
    assert result.provenance["data"]["source"].endswith("val")

    capsys.readouterr()
    assert main(words) == 0  # nothing is trained again, and the digits stay
    assert "mse is there" in capsys.readouterr().out
    again = json.loads(table.read_text("utf-8"))
    assert again["rows"] == json.loads(first)["rows"]

    (out / BASE / "unet-ab-photos.safetensors").write_bytes(b"damaged")
    assert main(words) == 2
    assert "unet-ab-photos.safetensors" in capsys.readouterr().err


def test_an_unknown_row_is_told_before_anything_is_written(folder, tmp_path, capsys):
    words = ["ablate", "--data", str(folder), "--only", "wider", "--out", str(tmp_path / "out")]
    assert main(words) == 2
    assert "no change wider" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
