"""`colorlab train`: its options, the card that it writes, wrong arguments in one line."""

from __future__ import annotations

import argparse
import json
import os

import pytest
from tiny import SAVING, command

from colorlab import checkpoints
from colorlab.__main__ import main
from colorlab.commands import train
from colorlab.training import TrainConfig

WEIGHTS = "unet-ab-photos.safetensors"


def parsed(*words: str):
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    return train.make_job(parser.parse_args([*words, "--out", "runs"]))


def test_every_setting_of_training_has_a_flag_with_its_default():
    job = parsed("unet")
    assert (job.config, job.epochs, job.settings) == (TrainConfig(), 10, {"target": "ab"})
    words = "--steps 5 --ema 0.5 --crop-size 64 --augment crop --repeat a*=2 --precision bfloat16"
    words += " --checkpoint-every 3 --clip 2 --set fold=8 --set widths=[1,2] --loss l1"
    job = parsed("unet", *words.split())
    assert job.config == TrainConfig(
        steps=5,
        ema=0.5,
        crop_size=64,
        augment="crop",
        repeat="a*=2",
        precision="bfloat16",
        checkpoint_every=3.0,
        clip=2.0,
    )
    assert job.epochs is None
    assert job.settings == {"target": "ab", "loss": "l1", "fold": 8, "widths": [1, 2]}


def test_the_card_tells_the_run_and_fine_tuning_begins_with_its_weights(
    tiny_photos, tmp_path, capsys
):
    out, second = tmp_path / "first", tmp_path / "second"
    assert main(command(tiny_photos, out, *SAVING, "--peak-tflops", "0.01")) == 0
    told = capsys.readouterr().out
    assert "best validation Delta-E" in told
    assert "% of the peak" in told.splitlines()[-1]
    card = json.loads((out / "unet-ab-photos.json").read_text())
    assert (card["steps"], card["seed"], card["training"]["ema"]) == (6, 3, 0.9)
    assert card["trained_on"]["pictures"] == 8
    assert card["validation"]["delta_e_chroma"] > 0
    assert str(tiny_photos) not in json.dumps(card), "a card must not tell paths of a machine"
    assert checkpoints.load(str(out / WEIGHTS)).config.size == 32

    plain = ["train", "unet_gan", "--data", str(tiny_photos), "--out", str(second), *SAVING]
    assert main([*plain, "--start", str(out / WEIGHTS)]) == 0
    begun = json.loads((second / "unet_gan-ab-photos.json").read_text())
    assert begun["config"]["widths"] == [8, 16, 16, 16], "settings are inherited"
    assert begun["started_from"]["steps"] == 6


def test_a_budget_in_minutes_becomes_steps_that_stay(tiny_photos, tmp_path, capsys):
    words = ["--minutes", "0.01", "--size", "32", "--batch-size", "4", "--precision", "float32"]
    assert main(command(tiny_photos, tmp_path, *words)) == 0
    steps = json.loads((tmp_path / "unet-ab-photos.json").read_text())["steps"]
    assert steps >= 1
    assert f"{steps} steps" in capsys.readouterr().out
    weights = (tmp_path / WEIGHTS).read_bytes()
    assert main(command(tiny_photos, tmp_path, *words)) == 2
    assert "already holds a run" in capsys.readouterr().err
    assert main(command(tiny_photos, tmp_path, *words, "--resume")) == 0
    assert (tmp_path / WEIGHTS).read_bytes() == weights


@pytest.mark.parametrize(
    ("change", "tells"),
    [
        (["--data", "nowhere"], "nowhere"),
        (["--batch-size", "0"], "batch_size"),
        (["--steps", "0"], "--steps must be positive, got 0"),
        (["--limit", "-1"], "--limit must be positive"),
        (["--size", "0"], "--size must be positive"),
        (["--peak-tflops", "nan"], "--peak-tflops must be positive"),
        (["--seed", "-1"], "seed must be 0 or more"),
        (["--learning-rate", "0"], "learning_rate must be positive"),
        (["--warmup", "1"], "warmup must lie in [0, 1)"),
        (["--checkpoint-every", "-1"], "checkpoint_every must be 0 or more"),
        (["--set", "widths=[8,16,16,900]"], "MiB of a released checkpoint"),
        (["--set", "fold=x"], "must be JSON"),
        (["--set", "attention=3"], "attention is 3"),
    ],
)
def test_wrong_arguments_are_told_in_one_line(tiny_photos, tmp_path, capsys, change, tells):
    assert main([*command(tiny_photos, tmp_path, *SAVING), *change]) == 2
    (error,) = capsys.readouterr().err.strip().splitlines()
    assert error.startswith("colorlab: ")
    assert tells in error
    assert not os.listdir(tmp_path), "nothing is written"
