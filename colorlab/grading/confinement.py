"""Limit what a child process may do: memory, files, network, signals; see `limiter`.

Linux confines a process without any privilege by Landlock: what it may not open stays closed, to
its children too, and no process outside may be traced or signalled. Elsewhere only the memory is
limited. https://docs.kernel.org/userspace-api/landlock.html
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446  # system calls, the same on all processors
_READ = 0b1101  # execute, read a file, list a folder
_OF_FILES = 0b111 | 1 << 14 | 1 << 15  # rights that a rule for a single file may name
_NO_NEW_PRIVILEGES, _ADOPT_ORPHANS, _DROP_CAPABILITY = 38, 36, 24  # for prctl
LARGEST_FILE = 2**30  # bytes


def landlock() -> int:
    """The version of Landlock that this system has, 0 where it has none."""
    if sys.platform != "linux":
        return 0
    return max(0, ctypes.CDLL(None).syscall(_CREATE, None, ctypes.c_size_t(0), 1))


def limiter(
    read: Iterable[Path], write: Iterable[Path], list_only: Iterable[Path], memory: int
) -> Callable[[], None]:
    """A function for `preexec_fn` of `subprocess.Popen` that takes rights away from the child.

    Args:
        read: files and folders with all below them that the child may read and execute.
        write: those that it may also change.
        list_only: folders whose names it may list.
        memory: bytes that each process may allocate.
    """
    import resource  # not on Windows

    version = landlock()
    rules, libc = -1, ctypes.CDLL(None, use_errno=True)
    if version:
        rights = (1 << 13) - 1  # each version of the kernel knows more of them
        rights |= (version >= 2) << 13 | (version >= 3) << 14 | (version >= 5) << 15
        network = 0b11 if version >= 4 else 0  # TCP: bind, connect
        scope = 0b11 if version >= 6 else 0  # abstract sockets, signals
        size = 24 if version >= 6 else 16 if version >= 4 else 8
        head = struct.pack("QQQ", rights, network, scope)[:size]
        rules = libc.syscall(_CREATE, head, ctypes.c_size_t(size), 0)
        for paths, allowed in ((read, _READ), (write, rights), (list_only, 0b1000)):
            for path in paths:
                with suppress(FileNotFoundError, NotADirectoryError):
                    folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
                    allowed_here = allowed if path.is_dir() else allowed & _OF_FILES
                    rule = struct.pack("=Qi", allowed_here, folder)
                    failed = libc.syscall(_ADD_RULE, rules, 1, rule, 0)
                    os.close(folder)
                    if failed:
                        raise OSError(ctypes.get_errno(), "cannot confine student code", str(path))

    def take_away() -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
        if version:
            for capability in range(64):  # of root, who could read the memory of others; else none
                libc.prctl(_DROP_CAPABILITY, capability, 0, 0, 0)
            libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
            if libc.syscall(_RESTRICT, rules, 0):
                raise OSError(ctypes.get_errno(), "cannot confine student code")

    return take_away


def adopt_orphans() -> None:
    """Keep processes whose parent has ended below this one, where `kill_below` finds them."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_ADOPT_ORPHANS, 1, 0, 0, 0)


def kill_below(pid: int) -> None:
    """Kill all that a process has started, directly or not, until nothing is left (Linux)."""
    for _ in range(200):  # a few are enough, but against processes that multiply faster
        if not (found := _below(pid)):
            return
        for child in found:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        with suppress(ChildProcessError):  # those that this process adopted
            while pid == os.getpid() and os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _below(pid: int) -> list[int]:
    """Living descendants, by the table of processes."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent = entry.read_text(errors="replace").rpartition(")")[2].split()[:2]
            if state not in "ZX":
                children.setdefault(int(parent), []).append(int(entry.parent.name))
    found, todo = [], [pid]
    while todo:
        more = children.get(todo.pop(), [])
        found += more
        todo += more
    return found
