"""`colorlab evaluate`: names, where the fitted rows come from, the printed table and the file."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import small_unet

from colorlab import checkpoints
from colorlab.classical import FITTED
from colorlab.commands import evaluate as command
from colorlab.commands import name_of
from colorlab.metrics import BestOf, Evaluation, MeanOf
from colorlab.metrics.rows import BASELINES

pytestmark = pytest.mark.usefixtures("no_lpips")


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


@pytest.fixture(scope="module")
def unet(tmp_path_factory):
    """An untrained UNet, saved."""
    return checkpoints.save(small_unet(), "photos", {}, tmp_path_factory.mktemp("weights"))


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
    assert [row["model"] for row in content["rows"]] == list(BASELINES)
    assert all(row["lpips"] is None for row in content["rows"])
    facts = content["provenance"]
    assert "6 pictures" in facts["rows"]["lut"]
    assert facts["split"] == "test"
    # The command can be repeated, and tells nothing of this machine.
    assert str(folder) not in file.read_text(encoding="utf-8")
    assert "--models gray,mean,lut,oracle64 --limit 2" in facts["command"]


def test_the_table_is_exported_with_what_the_models_cost(folder, unet, tmp_path, capsys):
    files = {kind: tmp_path / "deep" / f"table.{kind}" for kind in ("csv", "markdown")}
    words = [word for kind, file in files.items() for word in (f"--{kind}", file)]
    assert _run("--data", folder, "--models", f"gray,{unet},oracle64", "--limit", 2, *words) == 0
    printed = capsys.readouterr().out
    assert all(f"written to {file}" in printed for file in files.values())
    head, gray, network, oracle = files["csv"].read_text(encoding="utf-8").splitlines()
    cells = dict(zip(head.split(","), network.split(","), strict=True))
    assert float(cells["de76_low"]) <= float(cells["de76_mean"]) <= float(cells["de76_high"])
    assert int(cells["parameters"]) > 1e4
    assert gray.endswith(",") and oracle.endswith(",")
    text = files["markdown"].read_text(encoding="utf-8")
    assert "▲" in text and "▲" not in text.splitlines()[4], "no mark in the oracle's row"
    assert cells["parameters"] in text


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


def test_rows_of_draws_share_one_network_and_say_what_they_are(unet):
    names = [f"{unet}{made}" for made in ("", ":sample", ":mean3", ":best12")]
    assert command.row_names(",".join(names), "photos") == names
    others = ["unet:best8", "unet-rgb:sample", "boost", "unet:boost1.6", "unet-scratch"]
    assert command.row_names(",".join(others), "photos") == others
    rows, origins = command.make_rows(names, "skimage", "photos", torch.device("cpu"))
    plain, sample, mean, best = rows.values()
    assert sample.model is mean.model is best.model is plain
    assert isinstance(mean, MeanOf)
    assert isinstance(best, BestOf)
    assert (sample.n, mean.n, best.n) == (1, 3, 12)
    assert origins[names[3]].startswith("best of 12 draws by Delta-E 76 to the truth, which it")
    assert origins[names[2]].startswith("mean of 3 draws; ")


@pytest.mark.parametrize(
    "name", ["unet:best", "unet:best0", "unet-rgb:worst8", "unet:boostx", "gray:best8"]
)
def test_draws_of_what_has_none_are_refused(name):
    with pytest.raises(ValueError, match=f"unknown model '{name}'.*:best8"):
        command.row_names(name, "photos")


@pytest.mark.parametrize(
    ("words", "says", "models"),
    [
        ("--diversity 3", "3 samples an image", "gray unet"),
        ("--diversity 2 --pairwise-lpips", "LPIPS of one", "gray unet"),
        ("--consistency", "mirrored", "gray unet"),
        ("--film ortho,blue", "gray, blue", "gray gray gray unet unet unet"),
        ("--data scenes --known 2", "samples of the world itself", "gray world"),
    ],
)
def test_another_table_is_printed_and_written(words, says, models, unet, folder, tmp_path, capsys):
    file, plain = tmp_path / "table.json", "scenes" in words
    rows = "gray" if plain else f"gray,{unet}"
    more = ["--models", rows, "--limit", 2, "--json", file, *words.split()]
    assert _run("--data", folder, *more) == 0
    assert says in capsys.readouterr().out
    table = Evaluation.read(file)
    short = [Path(name.split(",")[0]).stem.removesuffix("-ab-photos") for name in table.models]
    assert short == models.split()
    assert table.provenance["data"]["pictures"] == 2
    assert table.provenance["command"].endswith(words.removeprefix("--data scenes "))
    if "diversity" in words:
        assert table.interval("gray", "pairwise_ab").mean == 0
    if "consistency" in words:
        assert table.interval("gray", "ortho").mean < 0.01 < table.interval("gray", "de76").mean


def test_a_table_of_scenes_tells_how_its_networks_were_trained(tmp_path):
    told = {"steps": 7, "seconds": 3, "device": "CPU, 1 thread", "seed": 5}
    begun = checkpoints.save(small_unet(), "scenes", told, tmp_path / "first")
    told |= {"steps": 9, "started_from": checkpoints.read_card(begun)}
    checkpoints.save(small_unet(), "scenes", told, tmp_path)
    names = ["gray", "unet", "unet-rgb:sample"]
    (now, before) = command.training_facts(names, "scenes", tmp_path)["unet"]
    assert (now["steps"], before["steps"], now["seed"], now["model"]) == (9, 7, 5, "unet")


def test_released_stands_for_the_networks_of_the_world(monkeypatch):
    stems = ["resnet-ab-photos", "unet-ab-photos", "unet-ab-scenes", "unet-rgb-photos"]
    monkeypatch.setattr(checkpoints, "released", lambda folder=None: stems)
    names = command.row_names("gray, released,gray", "photos")
    assert names == ["gray", "resnet", "unet", "unet-rgb"]
    assert command.row_names("released", "scenes") == ["unet"]


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (["--models", "gray,unett"], ValueError, "'unett'; known: gray, mean, lut, oracle64.*unet"),
        (["--models", ","], ValueError, "nothing to measure"),
        (["--limit", "0"], ValueError, "--limit must be positive, got 0"),
        (["--batch-size", "-1"], ValueError, "--batch-size must be positive"),
        (["--known", "0"], ValueError, "--known must be positive"),
        (["--pairwise-lpips"], ValueError, "--diversity N"),
        (["--known", "9"], ValueError, "--known N is for --data scenes"),
        (["--csv", "."], IsADirectoryError, "--csv .* is a folder"),
        (["--markdown", "."], IsADirectoryError, "--markdown .* is a folder"),
        (["--film", "lith"], ValueError, "unknown film 'lith'"),
        (["--consistency", "--diversity", "2"], ValueError, "--consistency is a table by itself"),
        (["--film", "blue", "--diversity", "2"], ValueError, "--film is a table by itself"),
        (["--answers", "nowhere", "--models", "gray"], FileNotFoundError, "nowhere: no such fold"),
        (["--diversity", "1"], ValueError, "at least 2 samples"),
        (["--diversity", "2", "--models", "oracle64"], ValueError, "'oracle64' is no model"),
        (["--models", "nowhere.safetensors"], FileNotFoundError, "nowhere.safetensors"),
    ],
)
def test_user_errors_are_one_clear_line(folder, words, error, message):
    with pytest.raises(error, match=message):
        _run("--data", folder, *words)


def test_a_folder_that_names_divide_is_told(tmp_path, capsys):
    for i in range(8):  # 5.png alone is hashed to "test"
        values = np.random.default_rng(i).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(values).resize((256, 256)).save(tmp_path / f"{i}.png")
    assert _run("--data", tmp_path, "--models", "gray") == 0
    told = capsys.readouterr().out
    assert "1 of 8 pictures are test; --split all measures every one" in told
    assert _run("--data", tmp_path, "--models", "gray", "--split", "all") == 0
    told = capsys.readouterr().out
    assert "8 pictures" in told and "--split all" not in told


def test_the_folder_that_one_stands_in_has_a_name(folder, tmp_path, monkeypatch, capsys):
    (tmp_path / "plain").mkdir()
    for i in range(8):
        shutil.copy(folder / "train" / "0.png", tmp_path / "plain" / f"{i}.png")
    monkeypatch.chdir(tmp_path / "plain")
    assert _run("--data", ".", "--models", "gray", "--json", "table.json") == 0
    assert "plain has no folders of splits" in capsys.readouterr().out
    command = Evaluation.read("table.json").provenance["command"]
    assert command == "colorlab evaluate --data plain --split test --models gray"
    for name in ("photos", "scenes", "skimage"):
        assert name_of(name) == name


def test_sets_are_printed_and_written(folder, tmp_path, capsys):
    file = tmp_path / "table.json"
    count = len(list((folder / "train").glob("*.png")))
    words = ["--data", folder, "--split", "train", "--models", "gray", "--json", file]
    assert _run(*words, "--sets", 4) == 0
    assert f"{count // 4} sets of 4 pictures" in capsys.readouterr().out
    table = Evaluation.read(file)
    assert table.models == ("truth", "gray")
    assert table.provenance["command"].endswith("--models gray --sets 4")
    with pytest.raises(ValueError, match="even number of 4"):
        _run(*words, "--sets", 3)


def test_each_nth_picture_is_measured(folder, tmp_path):
    file = tmp_path / "table.json"
    words = ["--data", folder, "--split", "train", "--models", "gray", "--json", file]
    assert _run(*words, "--every", 2) == 0
    table = Evaluation.read(file)
    assert table.names == ("0.png", "2.png", "4.png") and table.provenance["data"]["pictures"] == 3
    assert table.provenance["command"].endswith("--models gray --every 2")
    with pytest.raises(ValueError, match="--every must be positive"):
        _run(*words, "--every", 0)


def test_another_tool_is_measured_from_the_grays_that_it_was_given(folder, tmp_path, capsys):
    app = tmp_path / "app"
    assert _run("--data", folder, "--limit", 2, "--grays", app) == 0
    assert "2 gray pictures written to" in capsys.readouterr().out
    words = ["--data", folder, "--limit", 2, "--models", "gray", "--json", tmp_path / "table.json"]
    assert _run(*words, "--answers", app) == 0
    assert "app: its L differs from the photographs' by 0." in capsys.readouterr().out
    table = Evaluation.read(tmp_path / "table.json")
    assert table.models == ("gray", "app", "app, own L")
    assert abs(table.paired("de76", "gray", "app").mean) < 0.2, "gray is what it was given"
    assert table.provenance["command"].endswith("--models gray --limit 2 --answers app")
    app.rename(tmp_path / "gray")
    with pytest.raises(ValueError, match="is called as the row 'gray'; rename the folder"):
        _run(*words, "--answers", tmp_path / "gray")


def test_rows_are_not_fitted_on_the_pictures_that_are_measured(folder):
    _, origins = command.make_rows(["mean"], str(folder), "photos", "cpu", split="all")
    assert origins["mean"].startswith("mean-ab-photos.safetensors, sha256")
    _, origins = command.make_rows(["mean"], str(folder), "photos", "cpu", split="test")
    assert "6 pictures" in origins["mean"]
