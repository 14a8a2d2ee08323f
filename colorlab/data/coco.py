"""Make a photo set from COCO photographs: val2017, the course's, or train2017, 24 times as many.

The archive is downloaded over an unreliable connection: a cut or a killed run loses only what was
in transit, since the next attempt asks for the rest (HTTP Range). It is used only if its SHA-256
is right, so nothing else that a server sends has to be checked.

Then it is split into train, val and test by a fixed rule, the same on every machine: take the file
names in the order of SHA-256 of `colorlab-split-1/NAME`; leave out an image whose short side is
under 200 pixels, whose aspect ratio is over 2.2, whose mean Lab chroma is under 6 (gray or nearly
so), or that resembles one already taken; the first 64 left are test, the next 618 val, the next
3,600 train.

`decisions.jsonl` lists each decision as it is made, with its reason, so that a killed run continues
where it was and a reader can see why an image is missing. `manifest.csv` is written last: it lists
the images taken, and a set without it is not finished.
"""

from __future__ import annotations

import csv
import hashlib
import http.client
import io
import json
import os
import re
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from colorlab.data.reading import UnreadableImageError, in_threads, mean_chroma, read_rgb, square
from colorlab.files import DISK_FULL, locked, make_folder, part_of, progress_bar, shown, write_whole

SIZE = 256
COUNTS: Mapping[str, int] = {"test": 64, "val": 618, "train": 3600}
"""Images in each split, in the order in which the splits are filled."""

SALT = "colorlab-split-1/"
NEAR_GRAY = 6.0
SHORT_SIDE = 200
ASPECT = 2.2
ALIKE = 5
"""Two images are duplicates when at most this many of their 64 hash bits differ."""

JOURNAL = "decisions.jsonl"
MANIFEST = "manifest.csv"


@dataclass(frozen=True)
class Archive:
    """A file on the web, identified by its checksum.

    Attributes:
        url: http or https address.
        sha256: SHA-256 of the whole file, 64 hexadecimal digits.
        size: its length in bytes, or None when not known beforehand.
    """

    url: str
    sha256: str
    size: int | None = None


COCO_VAL2017 = Archive(  # MD5 442b8da7639aecaf257c1dceb8ba8c80, as often quoted
    url="http://images.cocodataset.org/zips/val2017.zip",
    sha256="4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05",
    size=815_585_330,
)
COCO_TRAIN2017 = Archive(  # MD5 cced6f7f71b7629ddf16f17bbcfab6b2
    url="http://images.cocodataset.org/zips/train2017.zip",
    sha256="69a8bb58ea5f8f99d24875f21416de2e9ded3178e903f1f7603e283b9e06d929",
    size=19_336_861_798,
)
# The archive and how many photographs are in it.
SETS = {"val2017": (COCO_VAL2017, 5_000), "train2017": (COCO_TRAIN2017, 118_287)}


def counts_of(name: str, limit: int | None = None) -> dict[str, int]:
    """Images in each split of the set `name` of `SETS`: 64, 618 and at most `limit` for training.

    Without a limit: 3,600 of val2017, all of train2017.
    """
    rest = SETS[name][1] - COUNTS["test"] - COUNTS["val"]
    most = COUNTS["train"] if name == "val2017" else rest
    return {**COUNTS, "train": most if limit is None else min(limit, rest)}


def download_coco(
    out: str | os.PathLike,
    archive: Archive = COCO_VAL2017,
    counts: Mapping[str, int] = COUNTS,
    size: int = SIZE,
    keep_archive: bool = False,
) -> None:
    """Make a photo set in `out`: `train`, `val`, `test`, of PNG files, and `manifest.csv`.

    Every step continues where it was when a run is cut or killed. A finished set is left alone.

    Args:
        out: folder for the set, made if absent; about 1.5 GB in all, 0.6 GB when done.
        archive: zip file of JPEG images.
        counts: images in each split, filled in this order; the last takes what is left, and is
            short when the archive has too few.
        size: side of the images.
        keep_archive: leave the zip file in `out` when the set is done.

    Raises:
        DownloadError: see `fetch`.
        ValueError: not a zip file, two images of one name, too few images for the splits before
            the last, or `out` holds other images.
        BlockingIOError: another run is at work in `out`.
    """
    out = Path(out)
    settings = {"archive": archive.sha256, "counts": dict(counts), "size": size, "rule": SALT}
    _known_decisions(out, settings)  # refuses a folder of other images
    if is_complete(out):
        return
    make_folder(out)
    with locked(out / "in-use"):
        # A PNG photograph takes at most about its pixels; most shrink by a third or more.
        path = fetch(archive, out, spare=sum(counts.values()) * size * size * 3)
        _split(path, out, settings)
        if not keep_archive:
            path.unlink()


# ---- the download


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
    """Fetch a file into `folder`, continuing where an earlier run was cut.

    The bytes go to `NAME.part`, which becomes `NAME` only when its SHA-256 is right.

    Args:
        archive: what to fetch.
        folder: an existing folder.
        spare: bytes that must stay free on the disk beside the file.
        timeout: seconds without a byte after which the connection counts as cut.
        tries: attempts in a row that may bring nothing.
        pause: seconds before the second attempt; doubled at each further one.

    Raises:
        DownloadError: refused by the server, cut for good, of the wrong checksum, or the disk is
            too small.
        ValueError: the address is not http or https.
    """
    address = urllib.parse.urlsplit(archive.url)
    if address.scheme not in ("http", "https") or not address.netloc:
        raise ValueError(f"{archive.url!r} is no http or https address; correct --url")
    name = Path(urllib.parse.unquote(address.path)).name
    whole = folder / (name if re.fullmatch(r"\w[\w.-]*", name) else "archive.zip")
    part = part_of(whole)
    if whole.is_file():
        if _sha256(whole) == archive.sha256:
            return whole
        whole.unlink()  # damaged since, or of another release
    failures, best = 0, _length(part)
    while True:
        try:
            _receive(archive, part, timeout, spare)
            break
        except (DownloadError, PermissionError):
            raise
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, urllib.error.HTTPError) and error.code not in _BUSY:
                raise DownloadError(
                    f"{archive.url}: the server answers {error.code} {shown(error.reason)}; "
                    "check the address or name a mirror with --url"
                ) from error
            # Only more bytes than ever before count: a server without Range begins again each time.
            failures = 0 if _length(part) > best else failures + 1
            best = max(best, _length(part))
            if failures >= tries or getattr(error, "errno", None) in DISK_FULL:
                raise DownloadError(
                    f"{archive.url}: cut after {_length(part):,} bytes ({shown(error)}); check "
                    "the network and the disk, and run the same command again, it resumes"
                ) from error
            time.sleep(pause * 2**failures if failures else pause)
    got = _sha256(part)
    if got != archive.sha256:
        part.unlink()
        raise DownloadError(
            f"{archive.url}: wrong SHA-256 {got[:12]}..., want {archive.sha256[:12]}...; "
            "the file was deleted, run again or name a mirror with --url"
        )
    os.replace(part, whole)
    return whole


_BUSY = (408, 425, 429, 500, 502, 503, 504)  # HTTP statuses after which another attempt is made


def _receive(archive: Archive, part: Path, timeout: float, spare: int) -> None:
    """Append what is missing of the archive to `part`; whether it is right, SHA-256 will tell."""
    have = _length(part)
    if have == archive.size:
        return
    # A gzip encoding would change the bytes that Range counts.
    headers = {"User-Agent": "colorlab", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    request = urllib.request.Request(archive.url, headers=headers)
    try:
        answer = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # nothing is left to send
            return
        raise
    with answer:
        got = have if answer.status == 206 else 0  # a server that ignores Range sends all
        total = archive.size or (None if answer.length is None else got + answer.length)
        need, free = (total or 0) - have + spare, shutil.disk_usage(part.parent).free
        if free < need:
            raise DownloadError(
                f"{part.parent} has {free / 1e6:,.0f} MB free and {need / 1e6:,.0f} MB are "
                "needed: free some space or choose another disk with --out"
            )
        bar = progress_bar(total=total, initial=got, unit="B", unit_scale=True, desc=part.stem)
        with bar, open(part, "ab" if got else "wb") as file:
            # read1 gives what has come, so that a cut loses nothing.
            while chunk := answer.read1(min(2**18, total - got) if total else 2**18):
                got += file.write(chunk)
                bar.update(len(chunk))
    if total and got < total:
        raise ConnectionError(f"{total - got:,} bytes are missing")


def _length(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# ---- the split


@dataclass(frozen=True)
class Decision:
    """What became of one file: its split, or "" and why it was left out."""

    file: str
    split: str = ""
    why: str = ""
    width: int = 0
    height: int = 0
    chroma: float = 0.0
    bits: str = ""
    sha256: str = ""


# What zipfile raises at bytes that are not an archive, or at a member it cannot unpack.
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeDecodeError)


def _split(archive: Path, out: Path, settings: dict) -> None:
    """Write the images and the manifest; what an interrupted run decided is kept."""
    counts = settings["counts"]
    decisions = _known_decisions(out, settings)
    lines = "".join(json.dumps(line) + "\n" for line in (settings, *map(asdict, decisions)))
    write_whole(out / JOURNAL, lines.encode())
    for split in counts:
        (out / split).mkdir(exist_ok=True)
    bar = progress_bar(total=sum(counts.values()), desc="cutting the photo set", unit="picture")
    try:
        with bar, zipfile.ZipFile(archive) as zipped, open(out / JOURNAL, "a") as journal:
            bar.update(sum(1 for decision in decisions if decision.split))
            for decision in _decide(zipped, decisions, out, counts, settings["size"]):
                journal.write(json.dumps(asdict(decision)) + "\n")
                journal.flush()
                decisions.append(decision)
                bar.update(bool(decision.split))
    except _DAMAGED as error:
        raise ValueError(f"{archive}: not a whole zip file ({error}); delete it") from error
    for split in list(counts)[:-1]:
        written = sum(decision.split == split for decision in decisions)
        if written < counts[split]:
            raise ValueError(
                f"{archive}: only {written} pictures for {split}, want {counts[split]}; "
                "name an archive with more photographs"
            )
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["split", "file", "source_file", "width", "height", "chroma", "sha256"])
    for d in decisions:
        if d.split:
            row = [d.split, _png_name(d.file), d.file, d.width, d.height, d.chroma, d.sha256]
            writer.writerow(row)
    write_whole(out / MANIFEST, text.getvalue().encode())


def order_key(name: str) -> str:
    """Rank of a file in the fixed order."""
    return hashlib.sha256((SALT + name).encode()).hexdigest()


def difference_bits(rgb: np.ndarray) -> int:
    """Difference hash, 64 bits: each pixel of a 9x8 gray thumbnail against its left neighbour.

    Survives resizing, JPEG and changes of brightness; see Krawetz, "Kind of like that" (2013).
    """
    small = Image.fromarray(rgb).convert("L").resize((9, 8), Image.Resampling.BOX)
    cells = np.asarray(small, dtype=np.int16)
    return int("".join("1" if bit else "0" for bit in (cells[:, 1:] > cells[:, :-1]).flat), 2)


def is_complete(out: Path) -> bool:
    """Whether `out` holds a finished set, with every file that the manifest lists."""
    if not (out / MANIFEST).is_file():
        return False
    try:
        with open(out / MANIFEST, newline="", encoding="utf-8") as file:
            rows = [(row["split"], row["file"]) for row in csv.DictReader(file)]
        return bool(rows) and all((out / split / name).is_file() for split, name in rows)
    except (ValueError, KeyError, TypeError, csv.Error):  # damaged: build makes it again
        return False


def _known_decisions(out: Path, settings: dict) -> list[Decision]:
    """Decisions of an interrupted build; a folder of other images is refused: two sets would mix.

    The first line of the journal holds the settings.
    """
    if not (out / JOURNAL).is_file():
        for split in settings["counts"]:
            if (out / split).is_dir() and any((out / split).iterdir()):
                raise ValueError(f"{out / split} already holds other files; choose another --out")
        return []
    first, *lines = (out / JOURNAL).read_text().splitlines() or [""]
    if first.strip() != json.dumps(settings):
        raise ValueError(
            f"{out} holds pictures of another archive or size; choose another --out or delete it"
        )
    decisions = []
    for line in lines:
        try:
            decision = Decision(**json.loads(line))
        except (ValueError, TypeError):  # cut while it was written; the lines before it are good
            break
        if decision.split and not (out / decision.split / _png_name(decision.file)).is_file():
            break
        decisions.append(decision)
    return decisions


def _decide(zipped, done, out, counts, size) -> Iterator[Decision]:
    """Decide on the members that the journal does not hold, until the splits are full.

    Threads decode ahead; the decisions are made one by one, in the fixed order, since each depends
    on those before it.
    """
    judged = {decision.file for decision in done}
    filled = {split: sum(d.split == split for d in done) for split in counts}
    taken = np.array([int(d.bits, 16) for d in done if d.split], dtype=np.uint64)
    members = [pair for pair in _list_members(zipped) if pair[0] not in judged]
    for decision, png, codes in in_threads(lambda member: _judge(zipped, *member, size), members):
        split = next((s for s in counts if filled[s] < counts[s]), None)
        if split is None:
            return
        if decision.why:
            yield decision
        elif len(taken) and np.bitwise_count(taken[:, None] ^ codes).min() <= ALIKE:
            yield replace(decision, why="duplicate")
        else:
            write_whole(out / split / _png_name(decision.file), png)
            filled[split] += 1
            taken = np.append(taken, codes[0])
            yield replace(decision, split=split, sha256=hashlib.sha256(png).hexdigest())


def _list_members(zipped: zipfile.ZipFile) -> list[tuple[str, zipfile.ZipInfo]]:
    """The images of an archive in the fixed order, under their names; their paths are not used."""
    members: dict[str, zipfile.ZipInfo] = {}
    for info in zipped.infolist():
        path = PurePosixPath(info.filename.replace("\\", "/"))
        if info.is_dir() or path.suffix.lower() not in (".jpg", ".jpeg"):
            continue
        if path.name in members:
            raise ValueError(f"{zipped.filename}: two pictures named {path.name!r}; do not use it")
        members[path.name] = info
    return sorted(members.items(), key=lambda member: order_key(member[0]))


def _judge(zipped, name, member, size) -> tuple[Decision, bytes, np.ndarray]:
    """Measure one member: the decision so far, PNG bytes, hashes plain and mirrored."""
    none = (b"", np.empty(0, dtype=np.uint64))
    try:
        whole = read_rgb(io.BytesIO(zipped.read(member)), name)
    except UnreadableImageError:
        return Decision(name, why="unreadable"), *none
    height, width = whole.shape[:2]
    decision = Decision(name, width=width, height=height)
    if min(height, width) < SHORT_SIDE:
        return replace(decision, why="small"), *none
    if max(height, width) > ASPECT * min(height, width):
        return replace(decision, why="long"), *none
    rgb = square(whole, size, name)
    decision = replace(decision, chroma=round(mean_chroma(rgb), 3))
    if decision.chroma < NEAR_GRAY:
        return replace(decision, why="gray"), *none
    codes = [difference_bits(rgb), difference_bits(np.ascontiguousarray(rgb[:, ::-1]))]
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG")
    decision = replace(decision, bits=f"{codes[0]:016x}")
    return decision, buffer.getvalue(), np.array(codes, dtype=np.uint64)


def _png_name(file: str) -> str:
    return f"{PurePosixPath(file).stem}.png"
