"""Fetch one large file over an unreliable line.

A cut or a killed run costs what was on the wire, no more: the next attempt asks for the rest (HTTP
Range). Nothing is handed over but the whole file with the right SHA-256.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import shutil
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from tqdm.auto import tqdm

from colorlab.files import DISK_FULL

CHUNK = 1 << 18
LARGEST = 16 << 30  # bytes of a file whose length nobody tells


@dataclass(frozen=True)
class Archive:
    """A file on the web, known by its checksum.

    Attributes:
        url: http or https address.
        sha256: SHA-256 of the whole file, 64 hexadecimal digits.
        size: its length in bytes, or None when not known beforehand.
    """

    url: str
    sha256: str
    size: int | None = None


class DownloadError(OSError):
    """The file could not be fetched, or is not the one that was asked for."""


def fetch(
    archive: Archive,
    folder: Path,
    spare: int = 0,
    timeout: float = 30.0,
    tries: int = 6,
    pause: float = 1.0,
) -> Path:
    """Fetch a file into `folder`, going on where an earlier run was cut.

    The bytes go to `NAME.part`, which becomes `NAME` only when its length and SHA-256 are right.

    Args:
        archive: what to fetch.
        folder: an existing folder.
        spare: bytes that must stay free on the disk beside the file.
        timeout: seconds without a byte after which the line counts as cut.
        tries: attempts in a row that may bring nothing.
        pause: seconds before the second attempt; doubled at each further one.

    Raises:
        DownloadError: refused by the server, cut for good, wrong length or wrong checksum.
        OSError: the disk is too small.
        ValueError: the address is not http or https.
    """
    name = _file_name(archive.url)
    whole, part = folder / name, folder / f"{name}.part"
    if whole.is_file():
        if _sha256(whole) == archive.sha256:
            return whole
        whole.unlink()  # damaged since, or of another release
    _check_disk(folder, archive.size or 0, part, spare)
    failures, best = 0, min(_length(part), archive.size or LARGEST)
    while True:
        try:
            _receive(archive, part, timeout, spare)
            break
        except _RETRY as error:
            if isinstance(error, urllib.error.HTTPError) and error.code not in _BUSY:
                raise DownloadError(
                    f"{archive.url}: the server answers {error.code} {_line(error.reason)}; "
                    "check the address or name a mirror with --url"
                ) from error
            # More than ever before: a server that begins again each time brings nothing new.
            failures = 0 if _length(part) > best else failures + 1
            best = max(best, _length(part))
            if failures >= tries:
                raise DownloadError(
                    f"{archive.url}: cut after {_length(part):,} bytes ({_line(error)}); "
                    "check the network and run the same command again, it resumes"
                ) from error
            time.sleep(pause * 2**failures if failures else pause)
        except OSError as error:
            if error.errno not in DISK_FULL:
                raise
            raise DownloadError(
                f"{folder} is full after {_length(part):,} bytes ({error.strerror}): free some "
                "space and run the same command again, it resumes"
            ) from error
    got = _sha256(part)
    if got != archive.sha256:
        part.unlink()
        raise DownloadError(
            f"{archive.url}: wrong SHA-256 {got[:12]}..., want {archive.sha256[:12]}...; "
            "the file was deleted, run again or name a mirror with --url"
        )
    os.replace(part, whole)
    return whole


class _CutError(OSError):
    """The answer ended before its end."""


_RETRY = (
    urllib.error.URLError,
    http.client.HTTPException,
    ConnectionError,
    TimeoutError,
    ssl.SSLError,
    _CutError,
)
_BUSY = (408, 425, 429, 500, 502, 503, 504)


class _HttpOnly(urllib.request.HTTPRedirectHandler):
    """Follow a redirect to http or https only."""

    def redirect_request(self, request, file, code, message, headers, new_url):
        if urllib.parse.urlsplit(new_url).scheme not in ("http", "https"):
            raise DownloadError(
                f"{request.full_url}: redirected to {new_url}, which is not http or https"
            )
        return super().redirect_request(request, file, code, message, headers, new_url)


def _receive(archive: Archive, part: Path, timeout: float, spare: int) -> None:
    """Append what is missing of the archive to `part`."""
    have = _length(part)
    if archive.size is not None and have > archive.size:
        part.unlink()
        have = 0
    if archive.size is not None and have == archive.size:
        return
    # A gzip encoding would change the bytes that Range counts.
    headers = {"User-Agent": "colorlab", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    request = urllib.request.Request(archive.url, headers=headers)
    try:
        answer = urllib.request.build_opener(_HttpOnly).open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not have:
            raise
        # Nothing is left to send: `part` is whole (the checksum will tell) or of another file.
        if _total(error.headers) != have:
            part.unlink()
            raise _CutError("the part does not fit the file; starting again") from error
        return
    except ValueError as error:
        raise DownloadError(
            f"{archive.url}: leads to no address ({error}); name a mirror with --url"
        ) from error
    with answer:
        start = _start(answer) if answer.status == 206 else 0
        if start != have and answer.status == 206:
            part.unlink()
            raise _CutError("the server sent another range")
        length = answer.headers.get("Content-Length")
        total = start + int(length) if length and length.isdecimal() else archive.size
        if archive.size is not None and total != archive.size:
            raise DownloadError(
                f"{archive.url}: the server offers {total:,} bytes, want {archive.size:,}; "
                "name a mirror with --url"
            )
        _check_disk(part.parent, total or 0, part, spare)
        # A server that ignores Range sends all: then write from the start.
        _copy(answer, part, "ab" if start else "wb", start, total)


def _copy(answer, part: Path, mode: str, start: int, total: int | None) -> None:
    got = start
    with (
        open(part, mode) as file,
        tqdm(total=total, initial=start, unit="B", unit_scale=True, desc=part.stem) as bar,
    ):
        while chunk := answer.read1(CHUNK):  # what has come, so that a cut loses nothing
            got += len(chunk)
            if got > (LARGEST if total is None else total):
                raise DownloadError(
                    f"{answer.url}: the server sends more than {total or LARGEST:,} bytes; "
                    "name a mirror with --url"
                )
            file.write(chunk)
            bar.update(len(chunk))
    if total is not None and got < total:
        raise _CutError(f"{total - got:,} bytes are missing")


def _start(answer) -> int:
    match = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    return int(match[1]) if match else -1


def _total(headers) -> int:
    match = re.search(r"/(\d+)$", headers.get("Content-Range", ""))
    return int(match[1]) if match else -1


def _file_name(url: str) -> str:
    address = urllib.parse.urlsplit(url)
    if address.scheme not in ("http", "https") or not address.netloc:
        raise ValueError(f"{url!r} is no http or https address; correct --url")
    name = Path(urllib.parse.unquote(address.path)).name
    return name if re.fullmatch(r"[\w][\w.-]*", name) else "archive.zip"


def _check_disk(folder: Path, size: int, part: Path, spare: int) -> None:
    need = size - _length(part) + spare
    free = shutil.disk_usage(folder).free
    if free < need:
        raise DownloadError(
            f"{folder} has {free / 1e6:,.0f} MB free and {need / 1e6:,.0f} MB are needed: "
            "free some space or choose another disk with --out"
        )


def _line(text: object) -> str:
    return " ".join(str(text).split())


def _length(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
