"""Files written whole or not at all, locks between processes, names in messages, progress bars.

A process can be killed between any two lines. So new bytes go to a file beside the old one and
replace it in one move, which every operating system makes atomic.
"""

from __future__ import annotations

import errno
import os
import socket
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

if TYPE_CHECKING:
    from tqdm import tqdm

DISK_FULL = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))
_NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)  # some network disks


def shown(name: object, most: int = 300) -> str:
    """A name or a message as one printable line, whatever characters it is made of.

    Line breaks, control characters, marks that change the direction of writing, and bytes that
    are not text (surrogates) are written as escapes; of more than `most` characters the end is
    kept.
    """
    text = str(name)
    text = text if len(text) <= most else "..." + text[-most:]
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )


def progress_bar(*args: Any, show: bool = True, **settings: Any) -> tqdm:
    """A tqdm bar, hidden unless ``show``, or where the environment sets ``TQDM_DISABLE``.

    tqdm's own notebook bar is displayed before it reads that variable.
    """
    from tqdm.auto import tqdm  # here, since it asks for Jupyter, and `colorlab --help` is quick

    silenced = os.environ.get("TQDM_DISABLE", "") not in ("", "0")
    return tqdm(*args, disable=silenced or not show, **settings)


def make_folder(folder: Path, remedy: str = "") -> None:
    """Make a folder and those above it, if absent.

    Raises:
        OSError: it cannot be made; the message says why and what to do, ``remedy`` if told.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(_told("make the folder", folder, error, remedy)) from error


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
            part = parts[file] = part_of(file)
            part.unlink(missing_ok=True)
            with open(part, "xb") as stream:  # never through a link that lies there
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
        for file, part in parts.items():
            os.replace(part, file)
            moved = True
    except OSError as error:
        for staged in () if moved else parts.values():
            with suppress(OSError):
                staged.unlink()
        raise OSError(_told("write", file, error)) from error


def write_text(file: Path, text: str) -> None:
    """Replace ``file`` by ``text``, as :func:`write_whole`; folders on the way are made."""
    make_folder(file.parent)
    write_whole(file, text.encode())


@contextmanager
def locked(file: Path, wait: bool = False, remedy: str = "") -> Iterator[None]:
    """Hold the lock `file` while the body runs; the operating system frees it if the process dies.

    The file names its holder and is removed at the end. On a disk without locks nothing is held.

    Args:
        file: in an existing folder.
        wait: wait until the lock is free, with a warning, instead of raising an error.
        remedy: what to do where the folder is not writable; to choose another one unless told.

    Raises:
        BlockingIOError: another process holds it, or another run in this one; it is named.
        OSError: the folder is not writable.
    """
    lock = FileLock(file, fallback_to_soft=False)
    try:
        try:
            lock.acquire(blocking=False)
        except Timeout as error:
            if not wait:
                raise BlockingIOError(
                    f"{file.parent} is in use by {_holder(file)}; wait until that ends, or choose "
                    "another folder"
                ) from error
            warnings.warn(
                f"waiting for {_holder(file)}, which writes in {file.parent}", stacklevel=3
            )
            lock.acquire(poll_interval=0.1)
        with file.open("r+b") as stream:
            stream.seek(1)  # Windows lets nobody else read or write the first byte: it is locked
            stream.write(f"process {os.getpid()} on {socket.gethostname()}".encode())
            stream.truncate()
    except BlockingIOError:
        raise
    except OSError as error:
        lock.release()
        if error.errno not in _NO_LOCKS:
            raise OSError(_told("write", file, error, remedy)) from error
    try:
        yield
    finally:
        # First the name, then the lock: a process that waits then finds that its file has no name
        # any more, and opens the next one. Windows removes no open file, so there the lock first.
        if os.name == "nt":
            lock.release()
        with suppress(OSError):
            file.unlink()
        lock.release()


def _holder(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            stream.seek(1)
            return shown(stream.read(300).decode(errors="replace")) or "another process"
    except OSError:
        return "another process"


def _told(what: str, path: Path, error: OSError, remedy: str = "") -> str:
    if error.errno in DISK_FULL:
        remedy = "free some space; what was saved before is kept"
    remedy = remedy or "choose a folder that you may write to"
    return f"cannot {what} {path} ({error.strerror or error}): {remedy}"
