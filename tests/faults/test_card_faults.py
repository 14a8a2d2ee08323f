"""Cards that lie, names that climb out, links in the way, saves that end half-way."""

from __future__ import annotations

import errno
import json
import os

import pytest
import torch
from forging import GROUP, refused, resealed
from PIL import Image

from colorlab import cards, checkpoints
from colorlab.__main__ import main
from colorlab.models import build


def test_cards_that_are_none(fault, files, place, tmp_path):
    weights, card = files
    fields = json.loads(card)
    cases = {
        "a list": b"[]",
        "a number": b"3",
        "nothing": b"",
        "NaN": json.dumps({**fields, "seed": float("nan")}).encode(),
        "infinity in digits": card.replace(b'"seed": 0', b'"seed": 1e999'),
        "fields twice": card.replace(b'"seed": 0', b'"seed": 0, "seed": 1'),
        "another encoding": json.dumps({**fields, "world": "sceñes"}, ensure_ascii=False).encode(
            "latin-1"
        ),
        "brackets": b"[" * 1_000_000,
        "brackets without end": b"[" * 100_000_000,
        "digits without end": card.replace(b'"seed": 0', b'"seed": ' + b"9" * 100_000),
    }
    for field in ("format", "model", "target", "world", "config", "sha256"):
        cases[f"no {field}"] = resealed(weights, card).replace(f'"{field}"'.encode(), b'"other"', 1)
        for wrong in (None, [], {"a": 1}, "../../x", -1, True):
            if wrong != {"a": 1} or field != "config":
                text = json.dumps({**fields, field: wrong}).encode()
                cases[f"{field}: {json.dumps(wrong)}"] = text
    for kind, text in cases.items():
        with fault(GROUP, f"card: {kind}"):
            told = refused(place(weights, text))
            assert "fetch it again" in told or "than" in told
    with fault(GROUP, "card: of a newer format"):
        refused(place(weights, resealed(weights, card, format=2)), "newer than this code; update")
    with fault(GROUP, "card: none"):
        file = place(weights, card)
        file.with_suffix(".json").unlink()
        with pytest.raises(FileNotFoundError, match="is missing"):
            checkpoints.load(str(file))


@pytest.mark.parametrize(
    "bases",
    [
        [],
        "unet",
        {"unet": None},
        {"unet": {}},
        {"unet": {"checkpoint": "unet-ab-scenes"}},
        {"unet": {"checkpoint": 3, "sha256": "0" * 64}},
        {"unet": {"checkpoint": "../../unet-ab-scenes", "sha256": "0" * 64}},
        {"unet": {"checkpoint": "/etc/passwd", "sha256": "0" * 64}},
        {"unet": {"checkpoint": "diffusion-ab-scenes", "sha256": "0" * 64}},
        {"unet": {"checkpoint": "unet-ab-scenes", "sha256": "x"}},
        {"encoder": {"checkpoint": "unet-ab-scenes", "sha256": "0" * 64}},
        {"unet": {"checkpoint": "unet-ab-nowhere", "sha256": "0" * 64}},
    ],
    ids=json.dumps,
)
def test_a_network_to_stand_on_that_is_none(fault, files, place, bases):
    with fault(GROUP, "card: stands on what is none"):
        changes = {"model": "diffusion", "config": {}, "stands_on": bases}
        refused(place(files[0], resealed(*files, **changes)), "stands on")


def test_files_past_the_limit_are_not_read(fault, files, place, monkeypatch):
    weights, card = files
    with fault(GROUP, "weights too large"):
        file = place(weights, card)
        with open(file, "r+b") as stream:
            stream.truncate(1 << 40)  # a terabyte of holes
        refused(file, "more than 8,388,608 bytes")
    with fault(GROUP, "card too large"):
        file = place(weights, card)
        with open(file.with_suffix(".json"), "r+b") as stream:
            stream.truncate(1 << 40)
        refused(file, "more than 1,048,576 bytes")


@pytest.mark.parametrize(
    "name",
    ["../../x", "/etc/passwd", "unet\0", "unet-ab-../x", "unet-ab-a/b", "un et", "a\nb", "~", "."],
)
def test_names_that_climb_out(fault, tmp_path, name):
    inside = tmp_path / "inside"
    with fault(GROUP, "a name that climbs out: load"):
        with pytest.raises(ValueError, match="is no checkpoint's name"):
            checkpoints.load(name, folder=inside)
        with pytest.raises(ValueError, match="is no checkpoint's name"):
            checkpoints.load("unet", target=name, folder=inside)
        for path in (f"{name}\0.safetensors", f"{tmp_path}/{name.strip('/')}.safetensors"):
            with pytest.raises(FileNotFoundError, match="no checkpoint"):
                checkpoints.load(path, folder=inside)
    with fault(GROUP, "a name that climbs out: save"):
        with pytest.raises(ValueError, match=r"world|for"):
            checkpoints.save(build("unet", size=32, widths=(8,) * 4), name, {}, inside)
        assert not inside.exists()


def test_links(fault, files, place, tmp_path):
    file = place(*files)
    with fault(GROUP, "links: to another file"):
        other = tmp_path / "resnet-ab-scenes.safetensors"
        other.symlink_to(file)
        other.with_suffix(".json").symlink_to(file.with_suffix(".json"))
        assert type(checkpoints.load(str(other))).__name__ == "UNet"
    with fault(GROUP, "links: in a circle, and to nothing"):
        for target in ("vae-ab-scenes.safetensors", "nothing"):
            (tmp_path / "vae-ab-scenes.safetensors").symlink_to(tmp_path / target)
            with pytest.raises(FileNotFoundError, match="no checkpoint"):
                checkpoints.load("vae-ab-scenes", folder=tmp_path)
            (tmp_path / "vae-ab-scenes.safetensors").unlink()
    with fault(GROUP, "links: in the place of what is saved"):
        precious = tmp_path / "precious"
        precious.write_text("mine")
        for name in ("safetensors", "safetensors.part", "json", "json.part"):
            (tmp_path / f"gan-ab-scenes.{name}").symlink_to(precious)
        model = build("gan", size=32, widths=(8, 8, 8), discriminator_widths=(8, 8, 8))
        checkpoints.save(model, "scenes", {}, tmp_path)
        checkpoints.load("gan-ab-scenes", folder=tmp_path)
        assert precious.read_text() == "mine"


class Killed(BaseException):
    pass


@pytest.mark.parametrize("moves", [0, 1, 2])
def test_a_save_killed_between_two_moves_leaves_a_pair_that_fits(
    fault, files, place, tmp_path, moves, monkeypatch
):
    """Before the first move all is old; after it the new card waits beside the old one."""
    old = checkpoints.load(str(place(*files)))
    torch.manual_seed(1)
    model = build("unet", size=64, widths=(8, 8, 8, 8))
    replace, done = os.replace, 0

    def killed(*paths):
        nonlocal done
        if done == moves:
            raise Killed
        done += 1
        replace(*paths)

    monkeypatch.setattr(os, "replace", killed)
    if moves < 2:
        with pytest.raises(Killed):
            checkpoints.save(model, "scenes", {"seed": 1}, tmp_path)
    else:
        checkpoints.save(model, "scenes", {"seed": 1}, tmp_path)
    monkeypatch.undo()
    with fault(GROUP, "a save killed between weights and card"):
        got = checkpoints.load("unet-ab-scenes", folder=tmp_path)
        card = cards.read_card(checkpoints.find("unet-ab-scenes", folder=tmp_path))
        new = {k: v.half().float() for k, v in model.state_dict().items()}
        want = new if moves else old.state_dict()
        assert all(torch.equal(got.state_dict()[k], want[k]) for k in want)
        assert card["seed"] == (1 if moves else 0)
        checkpoints.save(model, "scenes", {"seed": 2}, tmp_path)
        checkpoints.load("unet-ab-scenes", folder=tmp_path)
        assert sorted(p.suffix for p in tmp_path.iterdir()) == [".json", ".safetensors"]


@pytest.mark.parametrize("moves", [0, 1])
def test_a_move_that_fails_leaves_a_pair_that_fits(
    fault, files, place, tmp_path, moves, monkeypatch
):
    place(*files)
    model = build("unet", size=64, widths=(8, 8, 8, 8))
    replace, done = os.replace, 0

    def fails(*paths):
        nonlocal done
        if done == moves:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        done += 1
        replace(*paths)

    with fault(GROUP, "a move that fails"):
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", fails)
            with pytest.raises(OSError, match=r"cannot write .*unet-ab-scenes"):
                checkpoints.save(model, "scenes", {"seed": 1}, tmp_path)
        checkpoints.load("unet-ab-scenes", folder=tmp_path)
        card = cards.read_card(tmp_path / "unet-ab-scenes.safetensors")
        assert card["seed"] == moves
        assert len(os.listdir(tmp_path)) == 2


def test_a_save_that_fails_overwrites_nothing(fault, files, place, tmp_path, monkeypatch):
    file = place(*files)
    model = build("unet", size=64, widths=(8, 8, 8, 8))
    for code in (errno.ENOSPC, errno.EROFS, errno.EIO):

        def fails(_, code=code):
            raise OSError(code, os.strerror(code))

        with monkeypatch.context() as patch, fault(GROUP, "a save that fails"):
            patch.setattr(os, "fsync", fails)
            with pytest.raises(OSError, match=r"cannot write .*unet-ab-scenes"):
                checkpoints.save(model, "scenes", {}, tmp_path)
            assert (file.read_bytes(), file.with_suffix(".json").read_bytes()) == files
            assert len(os.listdir(tmp_path)) == 2
    for what, facts in (("NaN", {"loss": float("nan")}), ("a megabyte", {"told": "x" * 2**20})):
        with fault(GROUP, f"facts that no card can hold: {what}"):
            with pytest.raises(ValueError, match="card of this unet"):
                checkpoints.save(model, "scenes", facts, tmp_path)
            assert file.read_bytes() == files[0]
    with fault(GROUP, "weights that half precision cannot hold"):
        with torch.no_grad():
            model.head.project.weight.fill_(1e6)
        with pytest.raises(ValueError, match="not finite"):
            checkpoints.save(model, "scenes", {}, tmp_path)
        assert file.read_bytes() == files[0]


def test_a_name_that_commands_the_terminal(fault, files, tmp_path, capsys):
    with fault(GROUP, "card: a name that commands the terminal"):
        file = tmp_path / "\x1b[31m\nred\u202e.safetensors"
        file.write_bytes(files[0])
        file.with_suffix(".json").write_bytes(b"{")
        picture = tmp_path / "gray.png"
        Image.new("L", (32, 32)).save(picture)
        words = ("colorize", str(picture), "-o", str(tmp_path / "out"), "--model", str(file))
        assert main(list(words)) == 2
        told = capsys.readouterr().err
        assert told.endswith("\n") and told[:-1].isprintable()
        assert r"\x1b[31m\nred\u202e.json is not a model card" in told
