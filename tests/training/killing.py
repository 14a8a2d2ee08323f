"""Kill `colorlab train` again and again, resume it, and compare with a run that nothing disturbed.

    python killing.py KILLS PICTURES OUT

One process imports torch; each run of a tiny model is a fork of it that dies by SIGKILL at the n-th
event. Events stand before and after everything that a later run could notice: steps, the players'
moves, and each operation on a file, half a write among them. Prints one JSON line: by model the
kills, each an event and whether the run that went on from it came to the same bytes.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from tiny import SAVING, command

import colorlab.commands.train  # noqa: F401 - before the fork, so that runs start at once
from colorlab import cards, files
from colorlab.__main__ import main
from colorlab.models import MODELS
from colorlab.training import loop, runs

LAST = 16  # events at the end of a run, while the weights and the card are written


class Events:
    """Counts what happens in a run, and dies at the event that was chosen."""

    def __init__(self, die_at: int, among: str, tell: int) -> None:
        self.count, self.die_at, self.among, self.tell = 0, die_at, among, tell

    def happens(self, what: str) -> None:
        if not what.startswith(self.among):
            return
        self.count += 1
        if self.count == self.die_at:
            os.write(self.tell, what.encode())
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, owner, name: str) -> None:
        """Let an event happen before and after each call of a function."""
        function = getattr(owner, name)

        def watched(*args, **kwargs):
            self.happens(f"before {name}")
            result = function(*args, **kwargs)
            self.happens(f"after {name}")
            return result

        setattr(owner, name, watched)

    def watch(self) -> None:
        for owner, name in ((loop.Trainer, "advance"), (torch.optim.AdamW, "step")):
            self.around(owner, name)
        self.around(loop.Average, "update")
        self.around(loop, "validate")
        for name in ("fsync", "replace", "mkdir"):
            self.around(os, name)
        files.open = self.open_in_halves

    def open_in_halves(self, path: Path, mode: str) -> Halves:
        return Halves(open(path, mode), self)


class Halves:
    """A file to which each write goes in two halves, with an event after each."""

    def __init__(self, file, events: Events) -> None:
        self.file, self.events = file, events
        self.flush, self.fileno = file.flush, file.fileno

    def __enter__(self) -> Halves:
        return self

    def __exit__(self, *raised: object) -> None:
        self.file.close()

    def write(self, data: bytes) -> None:
        half = len(data) // 2
        for part, event in ((data[:half], "half written"), (data[half:], "written")):
            self.file.write(part)
            self.file.flush()
            self.events.happens(event)


def run(arguments: list[str], die_at: int = 0, among: str = "") -> tuple[int, str]:
    """One run in a fork: its number of events and "", or 0 and the event at which it died."""
    heard, tell = os.pipe()
    child = os.fork()
    if not child:
        os.close(heard)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        events = Events(die_at, among, tell)
        events.watch()
        code = main(arguments)
        os.write(tell, str(events.count).encode())
        os._exit(code)
    os.close(tell)
    with os.fdopen(heard, "rb") as stream:
        told = stream.read().decode()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == -signal.SIGKILL:
        return 0, told
    if status:
        raise SystemExit(f"{' '.join(arguments)} ended with {status}")
    return int(told), ""


def result(out: Path) -> tuple:
    """What a run came to: weights, card without its times, and the rows of its history."""
    (weights,) = out.glob("*.safetensors")
    card = cards.read_card(weights)
    return weights.read_bytes(), {**card, "seconds": 0}, runs.read_state(out)["history"]["rows"]


def kill_and_resume(model: str, kills: int, photos: Path, out: Path) -> list[dict]:
    """The kills as dicts: event, chain (a run from its start to its end), same."""
    whole = command(photos, out / "whole", *SAVING, model=model)
    total, _ = run(whole)
    want = result(out / "whole")
    choose = random.Random(model)
    done: list[dict] = []
    chain = 0
    while len(done) < kills or "same" not in done[-1]:
        killed = out / f"killed-{chain}"
        # The first dies while the weights are written, every other one in mid-write, the rest
        # anywhere; the last comes through.
        among = "half written" if len(done) % 2 else ""
        die_at = (
            choose.randint(1, 4 if among else total) if done else total - choose.randrange(LAST)
        )
        words = command(photos, killed, *SAVING, "--resume", model=model)
        _, event = run(words, die_at if len(done) < kills else 0, among)
        if event:
            done.append({"event": event, "chain": chain})
            continue
        for kill in done:
            if kill["chain"] == chain:
                kill["same"] = result(killed) == want
        chain += 1
    return done


if __name__ == "__main__":
    count, photos, out = int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    torch.set_num_threads(1)
    # Here, not in a fork: it decodes the pictures and wakes torch up for all that follow.
    main(command(photos, out / "first", *SAVING))
    killed = {model: kill_and_resume(model, count, photos, out / model) for model in MODELS}
    print(json.dumps(killed))
