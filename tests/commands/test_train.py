"""`colorlab train` as a user runs it: in a process of its own, killed and resumed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from colorlab import checkpoints
from colorlab.__main__ import main

KILLS = 5
SETTINGS = "--size 32 --batch-size 4 --steps 40 --seed 3 --precision float32 --dropout 0.2"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder of 24 small colour pictures in splits."""
    root = tmp_path_factory.mktemp("pictures")
    values = np.random.default_rng(0)
    for split, count in (("train", 16), ("val", 4), ("test", 4)):
        (root / split).mkdir()
        for i in range(count):
            coarse = values.integers(0, 256, (4, 4, 3), dtype=np.uint8)
            Image.fromarray(coarse).resize((32, 32)).save(root / split / f"{i}.png")
    return root


def command(folder: Path, out: Path, *more: str) -> list[str]:
    words = [sys.executable, "-m", "colorlab", "train", "unet", "--data", str(folder)]
    return [*words, "--out", str(out), *SETTINGS.split(), *more]


def saved_step(out: Path) -> int:
    return torch.load(out / "state.pt", weights_only=True)["trainer"]["step"]


def test_killed_at_random_steps_and_resumed_the_weights_are_the_same(folder, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    small = ("--set", "widths=[8,16,16,16]")  # a state is saved at each step
    subprocess.run(command(folder, whole, *small), check=True, **quiet)

    when = random.Random(time.time_ns())
    steps = []
    resuming = command(folder, killed, *small, "--resume", "--checkpoint-every", "0")
    for _ in range(KILLS):
        before = saved_step(killed) if (killed / "state.pt").exists() else 0
        process = subprocess.Popen(resuming, **quiet)
        # A few steps further than the last time, then somewhere within a step or a save.
        while process.poll() is None:
            if (killed / "state.pt").exists() and saved_step(killed) >= min(before + 4, 38):
                time.sleep(when.uniform(0, 0.3))
                break
            time.sleep(0.02)
        process.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
        process.wait()
        steps.append(saved_step(killed))
    print(f"killed at steps {steps}")
    subprocess.run(resuming, check=True, **quiet)

    name = "unet-ab-photos.safetensors"
    want, got = load_file(whole / name), load_file(killed / name)
    assert want.keys() == got.keys()
    assert all(torch.equal(want[key], got[key]) for key in want)


def test_the_card_tells_the_run_and_the_weights_load(folder, tmp_path, capsys):
    arguments = command(folder, tmp_path, "--checkpoint-every", "0", "--ema", "0.9")[3:]
    assert main(arguments) == 0
    assert "best validation Delta-E" in capsys.readouterr().out
    card = json.loads((tmp_path / "unet-ab-photos.json").read_text())
    assert card["steps"] == 40
    assert card["seed"] == 3
    assert card["training"]["ema"] == 0.9
    assert card["trained_on"]["pictures"] == 16
    assert card["validation"]["delta_e_chroma"] > 0
    assert str(folder) not in json.dumps(card), "a card must not tell paths of a machine"
    model = checkpoints.load(str(tmp_path / "unet-ab-photos.safetensors"))
    assert model.config.size == 32


def test_a_budget_in_minutes_becomes_steps(folder, tmp_path, capsys):
    arguments = command(folder, tmp_path)[3:]
    arguments[arguments.index("--steps") : arguments.index("--steps") + 2] = ["--minutes", "0.05"]
    assert main(arguments) == 0
    steps = json.loads((tmp_path / "unet-ab-photos.json").read_text())["steps"]
    assert steps >= 1
    assert f"{steps} steps" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "tells"),
    [
        (["--data", "nowhere"], "nowhere"),
        (["--batch-size", "0"], "batch_size"),
        (["--ema", "1"], "ema"),
        (["--dropout", "0.5", "--model", "resnet"], "dropout"),
    ],
)
def test_wrong_arguments_are_told_in_one_line(folder, tmp_path, capsys, change, tells):
    arguments = command(folder, tmp_path)[3:]
    if "--model" in change:
        arguments[1] = change[-1]
        change = change[:2]
    for name, value in zip(change[::2], change[1::2], strict=True):
        arguments += [name, value]
    assert main(arguments) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("colorlab: ")
    assert tells in error
    assert not os.listdir(tmp_path), "nothing is written"


def test_fine_tuning_begins_with_given_weights(folder, tmp_path, capsys):
    first, second = tmp_path / "first", tmp_path / "second"
    assert main(command(folder, first, "--set", "widths=[8,16,16,16]")[3:]) == 0
    weights = str(first / "unet-ab-photos.safetensors")
    assert main(command(folder, second, "--start", weights)[3:]) == 0
    card = json.loads((second / "unet-ab-photos.json").read_text())
    assert card["config"]["widths"] == [8, 16, 16, 16]
    assert card["started_from"]["steps"] == 40
    assert main(command(folder, tmp_path / "third", "--set", "fold=x")[3:]) == 2
    assert "must be JSON" in capsys.readouterr().err
