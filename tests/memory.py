"""How much memory a piece of work takes at most, as Linux counts it."""

import re
from pathlib import Path

import pytest


def peak() -> int:
    """Most memory the process has held since `forget_peak`, in bytes (Linux)."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


def forget_peak() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pytest.skip("memory is measured on Linux only")
