"""A run's folder: killed, crowded out, starved of disk or damaged, nothing is lost."""

import contextlib
import errno
import json
import os
import random
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from tiny import FEW, SAVING, command, same, small_unet

from colorlab import files
from colorlab.__main__ import main
from colorlab.data.cache import Pictures
from colorlab.models import MODELS
from colorlab.training import TrainConfig, Trainer, fit, runs
from colorlab.training.runs import read_state

KILLS = 3  # of each model
WEIGHTS = "unet-ab-photos.safetensors"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_anywhere_and_resumed_a_run_comes_to_the_same_bytes(tiny_photos, tmp_path):
    script = Path(__file__).with_name("killing.py")
    words = [sys.executable, script, str(KILLS), tiny_photos, tmp_path]
    done = subprocess.run(words, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-2000:]
    killed = json.loads(done.stdout.splitlines()[-1])
    assert killed.keys() == MODELS.keys()
    for model, kills in killed.items():
        assert len(kills) == KILLS
        for kill in kills:
            assert kill["same"], f"{model} killed {kill['event']}"


@pytest.mark.parametrize("number", [1, 3, 7, 8])
def test_a_full_disk_costs_no_saved_step(tiny_photos, tmp_path, capsys, monkeypatch, number):
    """Six states, then the weights and the card: whichever write fails, resuming makes it good."""
    opened = []

    class Failing:
        def __init__(self, path, mode):
            opened.append(path)
            self.file, self.fails = open(path, mode), len(opened) == number  # noqa: SIM115
            self.flush, self.fileno = self.file.flush, self.file.fileno

        def __enter__(self):
            return self

        def __exit__(self, *raised):
            self.file.close()

        def write(self, data):
            self.file.write(data[: len(data) // 2] if self.fails else data)
            if self.fails:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    whole, starved = tmp_path / "whole", tmp_path / "starved"
    assert main(command(tiny_photos, whole, *SAVING)) == 0
    monkeypatch.setattr(files, "open", Failing, raising=False)
    assert main(command(tiny_photos, starved, *SAVING)) == 2
    monkeypatch.delattr(files, "open")
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert re.fullmatch(r"colorlab: cannot write .*No space left.*: free some space; .*", error)
    assert not list(starved.glob("*.part")), "what is half-written takes no room"
    if number > 1:
        assert read_state(starved)["trainer"]["step"] == min(number - 1, 6)
    assert main(command(tiny_photos, starved, *SAVING, "--resume")) == 0
    assert (starved / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()


def test_a_folder_that_cannot_be_made_is_told_before_the_first_step(
    tiny_photos, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(Trainer, "advance", lambda *_: pytest.fail("trained in vain"))
    (tmp_path / "file").write_text("mine")
    assert main(command(tiny_photos, tmp_path / "file" / "out", *SAVING)) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.endswith(": choose a folder that you may write to")
    assert (tmp_path / "file").read_text() == "mine"


HOLDER = """
import sys
from pathlib import Path
from colorlab.files import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_second_trainer_of_a_folder_is_told_of_the_first(tmp_path, few_pictures):
    out = tmp_path / "out"
    out.mkdir()
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    words = [sys.executable, "-c", HOLDER, str(out / runs.LOCK_FILE)]
    train = partial(fit, small_unet(), few_pictures, None, FEW, out, progress=False)
    with subprocess.Popen(words, **pipes) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(BlockingIOError, match=rf"in use by process {other.pid} on "):
            train()
        assert os.listdir(out) == [runs.LOCK_FILE], "the second writes nothing"
        other.kill()
        other.wait()
    assert (out / runs.LOCK_FILE).exists(), "a killed process cannot tidy up"

    def second(step, model):
        with pytest.raises(BlockingIOError, match=f"process {os.getpid()} on"):
            fit(small_unet(), few_pictures, None, FEW, out, progress=False)

    train(on_validation=second)
    assert not (out / runs.LOCK_FILE).exists()


def test_a_link_in_the_way_of_a_file_is_not_written_through(tmp_path, few_pictures):
    precious = tmp_path / "precious"
    precious.write_text("mine")
    out = tmp_path / "out"
    out.mkdir()
    for name in (runs.LOCK_FILE, f"{runs.STATE_FILE}.part"):
        (out / name).symlink_to(precious)
        told = contextlib.nullcontext()
        if name == runs.LOCK_FILE:
            told = pytest.raises(OSError, match=r"cannot write .*in-use")
        with told:
            fit(small_unet(), few_pictures, None, FEW, out, progress=False)
        assert precious.read_text() == "mine"
        (out / name).unlink(missing_ok=True)


def test_a_folder_with_a_run_is_not_overwritten(tmp_path, few_pictures):
    fit(small_unet(), few_pictures, None, FEW, tmp_path, progress=False)
    state = (tmp_path / "state.pt").read_bytes()
    with pytest.raises(FileExistsError, match="resume"):
        fit(small_unet(), few_pictures, None, FEW, tmp_path, progress=False)
    other = TrainConfig(**{**vars(FEW), "seed": 9})
    with pytest.raises(ValueError, match="seed=0 not 9"):
        fit(small_unet(), few_pictures, None, other, tmp_path, resume=True, progress=False)
    changed = Pictures(few_pictures.rgb, few_pictures.names, "1" * 64, "test:other")
    with pytest.raises(ValueError, match="data="):
        fit(small_unet(), changed, None, FEW, tmp_path, resume=True, progress=False)
    # A finished run goes on to nothing.
    fit(small_unet(), few_pictures, None, FEW, tmp_path, resume=True, progress=False)
    assert (tmp_path / "state.pt").read_bytes() == state


def test_a_damaged_state_is_noticed_wherever_the_damage_lies(tmp_path, few_pictures):
    fit(small_unet(), few_pictures, few_pictures, FEW, tmp_path, progress=False)
    file = tmp_path / "state.pt"
    whole, want = file.read_bytes(), read_state(tmp_path)
    places = random.Random(1)
    damages = [whole[: len(whole) * tenth // 10] for tenth in range(0, 10, 3)]
    for _ in range(30):
        at = places.randrange(len(whole))
        damages.append(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    told = 0
    for content in damages:
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
    assert told >= 30


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was executed",))


@pytest.mark.parametrize("content", [Bomb(), {"identity": Bomb()}, [1, 2], {"identity": {}}])
def test_a_state_file_runs_no_code(tmp_path, content):
    torch.save(content, tmp_path / "state.pt")
    with pytest.raises(ValueError, match=r"state\.pt cannot be read"):
        read_state(tmp_path)
