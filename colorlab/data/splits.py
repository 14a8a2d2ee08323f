"""Cut an archive of photographs into train, val and test: fixed, free of gray and of duplicates.

The rule, the same on every machine: take the file names in the order of SHA-256 of
`colorlab-split-1/NAME`; leave out a picture whose short side is under 200 pixels, whose aspect
ratio is over 2.2, whose mean Lab chroma is under 6 (gray or nearly so), or that resembles one
already taken; the first 64 left are test, the next 618 val, the next 3,600 train.

`decisions.jsonl` lists each decision as it falls, with its reason, so that a killed run goes on
where it was and a reader can see why a picture is missing. `manifest.csv` is written last: it
lists the pictures taken, and a set without it is not finished.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from colorlab.data.reading import UnreadableImageError, in_threads, mean_chroma, read_rgb, square
from colorlab.files import write_whole

SIZE = 256
COUNTS: Mapping[str, int] = {"test": 64, "val": 618, "train": 3600}
"""Pictures a split, in the order in which the splits are filled."""

SALT = "colorlab-split-1/"
NEAR_GRAY = 6.0
SHORT_SIDE = 200
ASPECT = 2.2
ALIKE = 5
"""Two pictures are duplicates when at most this many of their 64 hash bits differ."""

MAX_MEMBER = 64 << 20
MAX_TOTAL = 32 << 30

# What zipfile raises at bytes that are no archive, or at a member it cannot unpack.
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeDecodeError)

JOURNAL = "decisions.jsonl"
MANIFEST = "manifest.csv"


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


def build(
    archive: Path,
    out: Path,
    archive_sha256: str,
    counts: Mapping[str, int] = COUNTS,
    size: int = SIZE,
) -> dict[str, int]:
    """Write the photo set: PNG files, which every decoder reads alike, and `manifest.csv`.

    Args:
        archive: zip file of JPEG pictures.
        out: folder for the set; an interrupted build of the same archive is continued.
        archive_sha256: identity of the archive.
        counts: pictures a split, filled in this order; the last takes what is left.
        size: side of the pictures.

    Returns:
        Pictures written a split. The last split is short when the archive has too few.

    Raises:
        ValueError: not a zip file, unsafe or oversized members, too few pictures for the splits
            before the last, or `out` holds other pictures.
    """
    require_own_folder(out, archive_sha256, counts, size)
    for split in counts:
        (out / split).mkdir(parents=True, exist_ok=True)
    decisions = _resume(out, _settings(archive_sha256, counts, size))
    try:
        with zipfile.ZipFile(archive) as zipped, open(out / JOURNAL, "a") as journal:
            bar = tqdm(total=sum(counts.values()), desc="cutting the photo set", unit="picture")
            bar.update(sum(1 for decision in decisions if decision.split))
            for decision in _decide(zipped, decisions, out, counts, size):
                journal.write(json.dumps(asdict(decision)) + "\n")
                journal.flush()
                decisions.append(decision)
                bar.update(bool(decision.split))
            bar.close()
    except _DAMAGED as error:
        raise ValueError(f"{archive}: not a whole zip file ({error}); delete it") from error
    written = {split: sum(d.split == split for d in decisions) for split in counts}
    for split in list(counts)[:-1]:
        if written[split] < counts[split]:
            raise ValueError(
                f"{archive}: only {written[split]} pictures for {split}, want {counts[split]}; "
                "name an archive with more photographs"
            )
    _write_manifest(out, decisions)
    return written


def order_key(name: str) -> str:
    """Place of a file in the fixed order: SHA-256 of the salted name, hexadecimal."""
    return hashlib.sha256((SALT + name).encode()).hexdigest()


def difference_bits(rgb: np.ndarray) -> int:
    """Difference hash, 64 bits: each cell of a 9x8 gray thumbnail against its left neighbour.

    Survives resizing, JPEG and changes of brightness; see Krawetz, "Kind of like that" (2013).
    """
    small = Image.fromarray(rgb).convert("L").resize((9, 8), Image.Resampling.BOX)
    cells = np.asarray(small, dtype=np.int16)
    return int("".join("1" if bit else "0" for bit in (cells[:, 1:] > cells[:, :-1]).flat), 2)


def is_complete(out: Path) -> bool:
    """Say whether `out` holds a finished set, every file of the manifest in its place."""
    if not (out / MANIFEST).is_file():
        return False
    try:
        with open(out / MANIFEST, newline="", encoding="utf-8") as file:
            rows = [(row["split"], row["file"]) for row in csv.DictReader(file)]
        return bool(rows) and all((out / split / name).is_file() for split, name in rows)
    except (ValueError, KeyError, TypeError, csv.Error):  # damaged: build makes it again
        return False


def require_own_folder(
    out: Path, archive_sha256: str, counts: Mapping[str, int], size: int
) -> None:
    """Refuse a folder whose pictures come from elsewhere: two sets would mix.

    Raises:
        ValueError: `out` holds files of unknown origin, or a set made with other settings.
    """
    journal = out / JOURNAL
    if not journal.is_file():
        for split in counts:
            if (out / split).is_dir() and any((out / split).iterdir()):
                raise ValueError(f"{out / split} already holds other files; choose another --out")
        return
    with open(journal) as file:
        first = file.readline()
    if first.strip() != json.dumps(_settings(archive_sha256, counts, size)):
        raise ValueError(
            f"{out} holds pictures of another archive or size; choose another --out or delete it"
        )


def list_members(zipped: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The pictures of an archive in the fixed order. Members are never written under their path.

    Raises:
        ValueError: a member climbs out of the archive, unpacks to too much, is encrypted, or has
            the name of another.
    """
    members: dict[str, zipfile.ZipInfo] = {}
    total = 0
    for info in zipped.infolist():
        path = PurePosixPath(info.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", info.filename):
            raise ValueError(f"{zipped.filename}: unsafe member {info.filename!r}; do not use it")
        if info.is_dir() or path.suffix.lower() not in (".jpg", ".jpeg"):
            continue
        total += info.file_size
        if info.file_size > MAX_MEMBER or total > MAX_TOTAL:
            raise ValueError(f"{zipped.filename}: {info.filename!r} unpacks to too many bytes")
        if info.flag_bits & 1:
            raise ValueError(f"{zipped.filename}: {info.filename!r} is encrypted; do not use it")
        if path.name in members:
            raise ValueError(f"{zipped.filename}: two pictures named {path.name!r}; do not use it")
        members[path.name] = info
    return [members[name] for name in sorted(members, key=order_key)]


def _settings(archive_sha256: str, counts: Mapping[str, int], size: int) -> dict:
    return {"archive": archive_sha256, "counts": dict(counts), "size": size, "rule": SALT}


def _decide(zipped, done, out, counts, size) -> Iterator[Decision]:
    """Decide on the members that the journal does not hold, until the splits are full.

    Threads decode ahead; the decisions fall one by one, in the fixed order, since each depends
    on those before it.
    """
    judged = {decision.file for decision in done}
    filled = {split: sum(d.split == split for d in done) for split in counts}
    taken = np.array([int(d.bits, 16) for d in done if d.split], dtype=np.uint64)
    members = [m for m in list_members(zipped) if PurePosixPath(m.filename).name not in judged]
    for decision, png, codes in in_threads(lambda member: _judge(zipped, member, size), members):
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


def _judge(zipped, member, size) -> tuple[Decision, bytes, np.ndarray]:
    """Measure one member: the decision so far, PNG bytes, hashes plain and mirrored."""
    name = PurePosixPath(member.filename).name
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


def _resume(out: Path, settings: dict) -> list[Decision]:
    """Decisions of an interrupted build, or none, and a journal that holds just these."""
    journal = out / JOURNAL
    lines = journal.read_text().splitlines()[1:] if journal.is_file() else []
    decisions = []
    for line in lines:
        try:
            decision = Decision(**json.loads(line))
        except (ValueError, TypeError):  # cut while it was written; what stands before it is good
            break
        if decision.split and not (out / decision.split / _png_name(decision.file)).is_file():
            break
        decisions.append(decision)
    text = "".join(json.dumps(d) + "\n" for d in (settings, *map(asdict, decisions)))
    write_whole(journal, text.encode())
    return decisions


def _write_manifest(out: Path, decisions: list[Decision]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["split", "file", "source_file", "width", "height", "chroma", "sha256"])
    for d in decisions:
        if d.split:
            row = [d.split, _png_name(d.file), d.file, d.width, d.height, d.chroma, d.sha256]
            writer.writerow(row)
    write_whole(out / MANIFEST, text.getvalue().encode())
