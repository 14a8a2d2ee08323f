"""`colorlab evaluate`: names, where the fitted rows come from, the printed table and the file."""

from __future__ import annotations

import argparse
import json

import numpy as np
import pytest
import torch
from PIL import Image

from colorlab import checkpoints
from colorlab.classical import FITTED
from colorlab.commands import evaluate as command
from colorlab.metrics import perceptual


@pytest.fixture
def folder(tmp_path):
    """Six pictures for training and three for testing, smooth and colourful."""
    random = np.random.default_rng(0)
    for split, n in (("train", 6), ("test", 3)):
        (tmp_path / "set" / split).mkdir(parents=True)
        for i in range(n):
            coarse = Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8))
            coarse.resize((256, 256)).save(tmp_path / "set" / split / f"{i}.png")
    return tmp_path / "set"


@pytest.fixture(autouse=True)
def _without_lpips(tmp_path, monkeypatch):
    monkeypatch.setenv(perceptual.BACKBONE_VARIABLE, str(tmp_path / "absent"))


def _run(*words) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args([*map(str, words), "--device", "cpu"]))


def test_standing_rows_are_printed_and_written(folder, tmp_path, capsys):
    file = tmp_path / "out" / "table.json"
    assert _run("--data", folder, "--json", file, "--limit", 2) == 0
    printed = capsys.readouterr().out
    assert "n/a" in printed
    assert "absent" in printed
    assert "2 pictures" in printed
    content = json.loads(file.read_text(encoding="utf-8"))
    assert [row["model"] for row in content["rows"]] == list(command.STANDING_ROWS)
    assert all(row["lpips"] is None for row in content["rows"])
    facts = content["provenance"]
    assert "6 pictures" in facts["rows"]["lut"]
    assert facts["split"] == "test"
    # The command can be repeated, and tells nothing of this machine.
    assert str(folder) not in file.read_text(encoding="utf-8")
    assert "--models gray,mean,lut,oracle64 --limit 2" in facts["command"]


def test_data_without_training_split_takes_the_released_tables(
    folder, tmp_path, monkeypatch, capsys
):
    released = tmp_path / "released"
    monkeypatch.setattr(checkpoints, "FOLDER", released)
    names = ["mean", "lut", *FITTED]
    trained, origins = command.make_rows(names, str(folder), "photos", "cpu")
    assert all("6 pictures" in origin for origin in origins.values())
    for row in trained.values():
        checkpoints.save(row, "photos", {}, released)
    for file in (folder / "train").iterdir():
        file.unlink()
    (folder / "train").rmdir()
    rows, origins = command.make_rows(names, str(folder / "none"), "photos", "cpu")
    L = torch.linspace(0, 100, 64 * 64).view(1, 1, 64, 64)
    for name in names:
        assert type(rows[name]) is type(trained[name])
        # Released in half precision; a neighbour at a tie may change with it.
        difference = (rows[name].colorize(L) - trained[name].colorize(L)).abs()
        assert difference.median() < 0.01
        assert origins[name].startswith(f"{name}-ab-photos.safetensors, sha256")


def test_rows_with_hints_know_how_many(folder):
    rows, origins = command.make_rows(["levin20", "guided5"], str(folder), "photos", "cpu")
    assert (rows["levin20"].n, rows["levin20"].guided) == (20, False)
    assert (rows["guided5"].n, rows["guided5"].guided) == (5, True)
    assert "20 random pixels" in origins["levin20"]
    with pytest.raises(ValueError, match="levin0"):
        command.row_names("levin0", "photos")


def test_released_stands_for_the_networks_of_the_world(monkeypatch):
    stems = ["resnet-ab-photos", "unet-ab-photos", "unet-ab-scenes", "unet-rgb-photos"]
    monkeypatch.setattr(checkpoints, "released", lambda: stems)
    names = command.row_names("gray, released,gray", "photos")
    assert names == ["gray", "resnet", "unet", "unet-rgb"]
    assert command.row_names("released", "scenes") == ["unet"]


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (["--models", "gray,unett"], ValueError, "'unett'; known: gray, mean, lut, oracle64.*unet"),
        (["--models", ","], ValueError, "nothing to measure"),
        (["--limit", "0"], ValueError, "--limit"),
        (["--models", "nowhere.safetensors"], FileNotFoundError, "nowhere.safetensors"),
    ],
)
def test_user_errors_are_one_clear_line(folder, words, error, message):
    with pytest.raises(error, match=message):
        _run("--data", folder, *words)


def test_unknown_device_is_named():
    with pytest.raises(ValueError, match=r"--device nonsense"):
        command._device("nonsense")
