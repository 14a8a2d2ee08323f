"""A confined process reads, writes, connects, signals and allocates what it may, no more."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from colorlab.grading import confinement

VERSION = confinement.landlock()
TRY = """
import os, socket
from pathlib import Path
for name, attempt in {
    "write inside": lambda: Path("x").write_text("x"),
    "make inside": lambda: Path("folder").mkdir(),
    "write outside": lambda: Path("../x").write_text("x"),
    "through a link": lambda: (Path("link").symlink_to("../secret"), Path("link").read_text()),
    "read outside": lambda: Path("../secret").read_text(),
    "truncate": lambda: os.truncate("../secret", 0),
    "rename": lambda: os.rename("../secret", "mine"),
    "list": lambda: os.listdir(".."),
    "list elsewhere": lambda: os.listdir("/home"),
    "connect": lambda: socket.create_connection(("127.0.0.1", 9)),
    "signal": lambda: os.kill(os.getppid(), 0),
    "trace": lambda: open(f"/proc/{os.getppid()}/environ").read(),
    "memory": lambda: len([0] * 10**9),
}.items():
    try:
        attempt()
        print(name)
    except (OSError, MemoryError):
        pass
"""
SYSTEM = ("/usr", "/bin", "/lib", "/lib64", "/etc", "/proc")


@pytest.mark.skipif(VERSION < 6, reason="needs Landlock of Linux 6.12")
def test_only_what_is_allowed_succeeds(tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "secret").write_text("secret")
    read = [*map(Path, SYSTEM), Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable)]
    limit = confinement.limiter(read, [inside], [tmp_path], 10**9)
    words = [sys.executable, "-I", "-c", TRY]
    done = subprocess.run(
        words, preexec_fn=limit, cwd=inside, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["write inside", "make inside", "list"]
    assert (tmp_path / "secret").read_text() == "secret"
    other = tmp_path / "other"
    other.mkdir()
    words[-1] = TRY.replace("10**9", "10")
    free = subprocess.run(words, cwd=other, capture_output=True, text=True, check=True)
    assert {"write outside", "through a link", "signal", "trace"} <= set(free.stdout.splitlines())


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_what_hides_from_its_parent_is_killed():
    """A grandchild in a session of its own, whose parent has ended."""
    hide = "import subprocess, sys; subprocess.Popen(['sleep', '654'], start_new_session=True)"
    keep = (
        "import os, subprocess, sys, time; from colorlab.grading import confinement as c\n"
        f"c.adopt_orphans(); subprocess.run([sys.executable, '-c', {hide!r}])\n"
        "print(c._below(os.getpid()), flush=True); c.kill_below(os.getpid())\n"
        "print(c._below(os.getpid()))"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(confinement.__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", keep],
        env=env,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    before, after = done.stdout.splitlines()
    assert before.strip("[]").isdigit() and after == "[]"
    end = time.monotonic() + 5
    while Path(f"/proc/{before.strip('[]')}/cmdline").exists() and time.monotonic() < end:
        time.sleep(0.05)  # init takes its time to bury it
    assert not Path(f"/proc/{before.strip('[]')}/cmdline").exists()
