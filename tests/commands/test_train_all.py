"""`colorlab train --all`: the plan, a run that is cut off and goes on, the table at its end."""

from __future__ import annotations

import argparse
import json

import numpy as np
import pytest
from PIL import Image

from colorlab import checkpoints
from colorlab.__main__ import main
from colorlab.commands import train, train_all
from colorlab.metrics import perceptual
from colorlab.models import MODELS
from colorlab.training.recipes import RECIPES, choose


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    return parser.parse_args(list(map(str, words)))


def test_every_listed_model_has_a_recipe():
    assert {recipe.model for recipe in RECIPES} == set(MODELS)
    rows = [recipe.row for recipe in RECIPES]
    assert len(set(rows)) == len(rows)


def test_the_plan_spends_the_budget_and_begins_with_what_others_need(tmp_path):
    planned = train_all.stages(arguments("--all", "--budget", 60, "--out", tmp_path))
    assert sum(minutes for _, minutes, _ in planned) == pytest.approx(60)
    order = [recipe.row for recipe, _, _ in planned]
    for recipe, _, words in planned:
        if recipe.start:
            assert order.index(recipe.start) < order.index(recipe.row)
            assert words[words.index("--start") + 1].endswith(".safetensors")


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.row)
def test_every_recipe_is_a_command_that_makes_its_model(recipe, tmp_path):
    args = arguments("--all", "--budget", 1, "--size", 64, "--out", tmp_path)
    (words,) = (words for one, _, words in train_all.stages(args) if one is recipe)
    one = arguments(*words)
    one.start = None  # its weights do not exist yet
    model = train.make_model(one, 64)
    assert type(model) is MODELS[recipe.model][0]
    assert model.config.target == recipe.target


def test_what_is_asked_for_wins_over_the_recipe(tmp_path):
    for asked, size in (((), 128), (("--size", "64"), 64)):
        args = arguments(
            "--all", "--only", "unet,unet-rgb", "--budget", 1, "--out", tmp_path, *asked
        )
        planned = {recipe.row: arguments(*words) for recipe, _, words in train_all.stages(args)}
        assert planned["unet-rgb"].size == size
        assert [planned[row].eight_bit for row in ("unet", "unet-rgb")] == [False, True]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--all"], "--budget MINUTES"),
        (["--all", "--budget", "-1"], "--budget MINUTES"),
        (["--all", "--budget", "1", "--only", "unet,welsh"], "no recipe for welsh; there are"),
        (["--all", "--budget", "1", "--only", "vae"], "vae begins with resnet; ask for that too"),
        (["--all", "unet"], "name one model"),
        ([], "name one model"),
    ],
)
def test_what_cannot_be_trained_is_told(words, told, tmp_path, capsys):
    assert main(["train", *words, "--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_rows_are_chosen_in_the_order_of_the_list():
    assert [recipe.row for recipe in choose(["unet_gan", "unet"])] == ["unet", "unet_gan"]


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(0)
    for split, n in (("train", 6), ("val", 2), ("test", 2)):
        (tmp_path / "set" / split).mkdir(parents=True)
        for i in range(n):
            coarse = Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8))
            coarse.resize((128, 128)).save(tmp_path / "set" / split / f"{i}.png")
    return tmp_path / "set"


def test_a_run_that_is_cut_off_goes_on_and_ends_in_a_table(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(perceptual.BACKBONE_VARIABLE, str(tmp_path / "absent"))
    out = tmp_path / "out"
    words = ["train", "--all", "--only", "unet,diffusion,classifier", "--budget", "0.001"]
    words += ["--data", str(folder), "--size", "64", "--precision", "float32", "--out", str(out)]

    fit, calls = train.fit, []

    def cut(*args, **kwargs):
        calls.append(kwargs["out"].name)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return fit(*args, **kwargs)

    monkeypatch.setattr(train, "fit", cut)
    assert main(words) == 130
    first = (out / "checkpoints" / "unet-ab-photos.safetensors").read_bytes()
    assert not (out / "results").exists()

    assert main(words) == 0
    assert calls == ["unet", "diffusion", "diffusion", "classifier"]
    assert "1 of 3: unet is there" in capsys.readouterr().out
    assert (out / "checkpoints" / "unet-ab-photos.safetensors").read_bytes() == first
    card = checkpoints.read_card(out / "checkpoints" / "diffusion-ab-photos.safetensors")
    assert card["stands_on"]["unet"]["checkpoint"] == "unet-ab-photos"

    table = json.loads((out / "results" / "photos-test.json").read_text("utf-8"))
    rows = [row["model"] for row in table["rows"]]
    draws = [f"diffusion:{made}" for made in ("sample", "mean8", "best8")]
    assert rows == ["gray", "mean", "lut", "oracle64", "unet", "diffusion", *draws, "classifier"]
    assert str(out) not in json.dumps(table)


def test_a_damaged_network_is_told_of_not_skipped(folder, tmp_path, capsys):
    out = tmp_path / "out"
    words = ["train", "--all", "--only", "unet", "--budget", "0.001", "--data", str(folder)]
    words += ["--size", "64", "--precision", "float32", "--out", str(out)]
    file = out / "checkpoints" / "unet-ab-photos.safetensors"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"nothing")
    assert main(words) == 2
    assert "unet-ab-photos" in capsys.readouterr().err
    assert file.read_bytes() == b"nothing"
