"""Files that appear whole or not at all, and places where one process at a time may write.

A process can be killed between any two lines. So new bytes go to a file beside the old one and
take its place in one move, which every operating system does whole or not at all.
"""

from __future__ import annotations

import errno
import os
import socket
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

DISK_FULL = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))
_NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)  # some network disks
_FAR = 1 << 30  # Windows locks bytes, and nobody can read those: lock one that is not there
_POLL = 0.1  # seconds


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, if absent.

    Raises:
        OSError: it cannot be made; the message says why and what to do.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(_told("make the folder", folder, error)) from error


def part_of(file: Path) -> Path:
    """Where the new bytes of ``file`` lie until they are whole.

    The same at each attempt, so that a killed one leaves nothing that the next does not clear.
    """
    return file.with_name(f"{file.name}.part")


def write_whole(file: Path, data: bytes) -> None:
    """Replace ``file`` by ``data`` in one move; raises as :func:`write_together`."""
    write_together({file: data})


def write_together(contents: Mapping[Path, bytes]) -> None:
    """Write all files beside their places, and only then move them there, one after the other.

    One process at a time, see :func:`locked`.

    Raises:
        OSError: the disk is full or not writable; the old files stay, and nothing half-written
            is left. Where a move fails after another went well, the rest waits, whole, at
            :func:`part_of`.
    """
    parts, moved = {}, False
    try:
        for file, data in contents.items():
            parts[file] = _stage(file, data)
        for file, part in parts.items():
            os.replace(part, file)
            moved = True
    except OSError as error:
        for staged in () if moved else parts.values():
            with suppress(OSError):
                staged.unlink()
        raise OSError(_told("write", file, error)) from error


def _stage(file: Path, data: bytes) -> Path:
    part = part_of(file)
    try:
        part.unlink(missing_ok=True)
        with open(part, "xb") as stream:  # never through a link that lies there
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError:
        with suppress(OSError):
            part.unlink()
        raise
    return part


def write_text(file: Path, text: str) -> None:
    """Replace ``file`` by ``text``, as :func:`write_whole`; folders on the way are made."""
    make_folder(file.parent)
    write_whole(file, text.encode())


@contextmanager
def locked(file: Path, wait: bool = False) -> Iterator[None]:
    """Hold the lock ``file`` while the body runs; the operating system frees it at any death.

    The file tells who holds it and goes away at the end. On a disk without locks nothing is held.

    Args:
        file: in an existing folder.
        wait: until it is free, instead of raising an error.

    Raises:
        BlockingIOError: another process holds it, or another run in this one; it is named.
        OSError: the folder is not writable.
    """
    told = False
    while (lock := _take(file)) is None:
        if not wait:
            raise BlockingIOError(
                f"{file.parent} is in use by {_holder(file)}; wait until that ends, or choose "
                "another folder"
            )
        if not told:
            warnings.warn(
                f"waiting for {_holder(file)}, which writes in {file.parent}", stacklevel=3
            )
            told = True
        time.sleep(_POLL)
    try:
        yield
    finally:
        # First the name, then the lock: who waits then finds that its file has no name any more.
        # Windows takes no name from an open file, so there the next holder's is safe as well.
        if os.name == "nt":
            os.close(lock)
        with suppress(OSError):
            file.unlink()
        if os.name != "nt":
            os.close(lock)


def _take(file: Path) -> int | None:
    """The open lock file, or None where another holds it."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    try:
        lock = os.open(file, flags, 0o644)
    except OSError as error:
        raise OSError(_told("write", file, error)) from error
    try:
        if not _lock(lock):
            os.close(lock)
            return None
        try:
            if not os.path.samestat(os.fstat(lock), os.stat(file)):
                raise FileNotFoundError
        except FileNotFoundError:  # its holder was just leaving and took the name away
            os.close(lock)
            return _take(file)
        os.ftruncate(lock, 0)
        os.write(lock, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
    except OSError as error:
        with suppress(OSError):
            os.close(lock)
        raise OSError(_told("write", file, error)) from error
    return lock


def _lock(lock: int) -> bool:
    try:
        if os.name == "nt":
            import msvcrt

            os.lseek(lock, _FAR, os.SEEK_SET)
            msvcrt.locking(lock, msvcrt.LK_NBLCK, 1)
            os.lseek(lock, 0, os.SEEK_SET)
        else:
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in _NO_LOCKS
    return True


def _holder(file: Path) -> str:
    try:
        return file.read_text("utf-8", errors="replace").strip() or "another process"
    except OSError:
        return "another process"


def _told(what: str, path: Path, error: OSError) -> str:
    remedy = (
        "free some space; what was saved before is kept"
        if error.errno in DISK_FULL
        else "choose a folder that you may write to"
    )
    return f"cannot {what} {path} ({error.strerror or error}): {remedy}"
