"""Training that is killed, crowded out or starved of disk: nothing is lost."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from tiny import FEW, SAVING, TINY, command, options, small_unet

from colorlab import files
from colorlab.__main__ import main
from colorlab.models import MODELS
from colorlab.training import Trainer, fit, runs
from colorlab.training.runs import read_state

KILLS = 50  # over all models
SEED = 0
WEIGHTS = "unet-ab-photos.safetensors"


def test_every_model_has_a_tiny_one():
    assert TINY.keys() == MODELS.keys()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("model", list(TINY))
def test_killed_anywhere_and_resumed_a_run_comes_to_the_same_bytes(
    fault, tiny_photos, tmp_path, model
):
    place = list(TINY).index(model)
    kills = KILLS // len(TINY) + (place < KILLS % len(TINY))
    script = Path(__file__).with_name("killing.py")
    words = [
        sys.executable,
        script,
        model,
        kills,
        SEED,
        tiny_photos,
        tmp_path,
        *SAVING,
        *options(model),
    ]
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=550)
    assert done.returncode == 0, done.stderr[-2000:]
    died = json.loads(done.stdout.splitlines()[-1])
    assert len(died) == kills
    for kill in died:
        with fault("training", f"killed: {model}"):
            assert kill["same"], f"killed {kill['event']}"


# ---- disks that are full or closed


@pytest.fixture(scope="module")
def whole(tiny_photos, tmp_path_factory) -> Path:
    """The folder of a run that nothing disturbed."""
    out = tmp_path_factory.mktemp("whole")
    assert main(command(tiny_photos, out, *SAVING)) == 0
    return out


def fail_write_number(monkeypatch, number: int, code: int) -> None:
    """Let the n-th file that the package writes end half-way with an error."""
    count = 0

    class Failing:
        def __init__(self, path, mode):
            nonlocal count
            count += 1
            self.file = open(path, mode)  # noqa: SIM115 - closed on leaving
            self.fails = count == number
            self.flush, self.fileno = self.file.flush, self.file.fileno

        def __enter__(self):
            return self

        def __exit__(self, *raised):
            self.file.close()

        def write(self, data):
            if self.fails:
                self.file.write(data[: len(data) // 2])
                raise OSError(code, os.strerror(code))
            self.file.write(data)

    monkeypatch.setattr(files, "open", Failing, raising=False)


@pytest.mark.parametrize("number", range(1, 9))
def test_a_full_disk_costs_no_saved_step(fault, tiny_photos, whole, tmp_path, capsys, number):
    """Six states, then the weights and the card: whichever write fails, resuming makes it good."""
    starved = tmp_path / "starved"
    with fault("training", f"disk full: {'a state' if number < 7 else 'the weights'}"):
        with pytest.MonkeyPatch.context() as patch:
            fail_write_number(patch, number, errno.ENOSPC)
            assert main(command(tiny_photos, starved, *SAVING)) == 2
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert re.fullmatch(r"colorlab: cannot write .*No space left.*: free some space; .*", error)
        assert not list(starved.glob("*.part")), "what is half-written takes no room"
        if number > 1:
            assert read_state(starved)["trainer"]["step"] == min(number - 1, 6)
        assert main(command(tiny_photos, starved, *SAVING, "--resume")) == 0
        assert (starved / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()


LIMITED = """
import resource, sys
from colorlab.__main__ import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.skipif(os.name == "nt", reason="needs a limit of file sizes")
def test_a_real_limit_of_file_size_is_told_and_keeps_the_last_state(
    fault, tiny_photos, whole, tmp_path
):
    """The kernel's own refusal, in the middle of a write."""
    limit = (whole / "state.pt").stat().st_size // 2
    out = tmp_path / "out"
    words = [sys.executable, "-c", LIMITED, str(limit), *command(tiny_photos, out, *SAVING)]
    with fault("training", "file size limited by the system"):
        done = subprocess.run(words, capture_output=True, text=True, timeout=300)
        assert done.returncode == 2, done.stderr
        assert "File too large): free some space" in done.stderr.strip().splitlines()[-1]
        assert os.listdir(out) == [], "nothing half-written"
        assert main(command(tiny_photos, out, *SAVING, "--resume")) == 0
        assert (out / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()


def test_a_folder_that_cannot_be_made_is_told_before_the_first_step(
    fault, tiny_photos, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(Trainer, "advance", lambda *_: pytest.fail("trained in vain"))
    (tmp_path / "file").write_text("mine")
    with fault("training", "out below a file"):
        assert main(command(tiny_photos, tmp_path / "file" / "out", *SAVING)) == 2
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert error.endswith(": choose a folder that you may write to")
        assert (tmp_path / "file").read_text() == "mine"
    real = os.open

    def read_only(path, flags, *mode, **more):
        if flags & os.O_CREAT and str(path).startswith(str(tmp_path / "closed")):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return real(path, flags, *mode, **more)

    monkeypatch.setattr(os, "open", read_only)
    with fault("training", "out on a read-only disk"):
        assert main(command(tiny_photos, tmp_path / "closed", *SAVING)) == 2
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert error.endswith("(Read-only file system): choose a folder that you may write to")


# ---- two trainers


HOLDER = """
import sys
from pathlib import Path
from colorlab.files import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(out: Path) -> subprocess.Popen:
    """Another process that is at work in the folder."""
    out.mkdir(exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(out / runs.LOCK_FILE)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    return process


def test_the_second_trainer_of_a_folder_is_told_of_the_first(
    fault, tiny_photos, tmp_path, few_pictures, capsys
):
    out = tmp_path / "out"
    with holder(out) as other:
        with fault("training", "two trainers: two processes"):
            assert main(command(tiny_photos, out, *SAVING)) == 2
            error = capsys.readouterr().err.strip().splitlines()[-1]
            assert f"{out} is in use by process {other.pid} on " in error
            assert os.listdir(out) == [runs.LOCK_FILE], "the second writes nothing"
        with fault("training", "two trainers: the first is killed"):
            other.kill()
            other.wait()
            assert (out / runs.LOCK_FILE).exists(), "a killed process cannot tidy up"
            assert main(command(tiny_photos, out, *SAVING)) == 0
            assert not (out / runs.LOCK_FILE).exists()

    def second(step, model):
        fit(small_unet(), few_pictures, None, FEW, tmp_path / "two", progress=False)

    with (
        fault("training", "two trainers: one process"),
        pytest.raises(BlockingIOError, match=f"process {os.getpid()} on"),
    ):
        fit(
            small_unet(),
            few_pictures,
            None,
            FEW,
            tmp_path / "two",
            progress=False,
            on_validation=second,
        )


def test_a_lock_that_is_no_file_of_ours_is_not_written_through(fault, tmp_path, few_pictures):
    precious = tmp_path / "precious"
    precious.write_text("mine")
    out = tmp_path / "out"
    out.mkdir()
    for name in (runs.LOCK_FILE, f"{runs.STATE_FILE}.part"):
        with fault("training", "a link in the way of a file"):
            (out / name).symlink_to(precious)
            told = contextlib.nullcontext()
            if name == runs.LOCK_FILE:
                told = pytest.raises(OSError, match=r"cannot write .*in-use")
            with told:
                fit(small_unet(), few_pictures, None, FEW, out, progress=False)
            assert precious.read_text() == "mine"
            (out / name).unlink(missing_ok=True)


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
def test_a_run_ended_by_a_polite_signal_can_be_resumed(fault, tiny_photos, tmp_path):
    """Ctrl-C in a terminal: told in a line, and what was saved is kept."""
    out = tmp_path / "out"
    words = [sys.executable, "-m", "colorlab", *command(tiny_photos, out, *SAVING)]
    words[words.index("--steps") + 1] = "100000"
    with fault("training", "Ctrl-C"):
        # Whoever starts tests in the background of a shell lets them ignore Ctrl-C.
        heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        process = subprocess.Popen(words, preexec_fn=heard, **quiet)
        try:
            while process.poll() is None and not (out / "state.pt").exists():
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            error = process.communicate(timeout=300)[1].decode()
        finally:
            process.kill()
        assert process.returncode == 130, error
        assert "colorlab: stopped; what was saved is kept" in error
        assert read_state(out)["trainer"]["step"] >= 1
        assert not (out / runs.LOCK_FILE).exists()
