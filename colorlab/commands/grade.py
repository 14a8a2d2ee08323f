"""`colorlab grade`: rerun submitted notebooks with the lecturer's checks, and give points."""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from colorlab.commands import add_examples, check_positive
from colorlab.data.cache import checkout_data
from colorlab.files import progress_bar, shown, write_text
from colorlab.grading import confinement
from colorlab.grading import worker as grading

LARGEST = 50 * 2**20  # bytes of a notebook
GRACE = 120  # seconds beside the time of a notebook: a kernel's start and end


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    add_examples(
        parser,
        "colorlab grade submissions/ -o grades/",
        "colorlab grade submissions/ -o grades/ --quick --hidden hidden/",
    )
    parser.description += (
        "\n\nFOLDER holds a folder a student, with notebooks whose names contain the lesson's "
        "(04_resnet), or\nsuch files named after the student (ann_04_resnet.ipynb). Each check "
        "passed is a point.\n\nStudent code is untrusted: it can do what you can do. On Linux "
        "5.13 and newer it is confined by\nLandlock; elsewhere, and against a full disk or "
        "thousands of processes, use the container of\n.ci/grade.Dockerfile, whose first lines "
        "tell how."
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the submissions")
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        metavar="OUT",
        required=True,
        help="folder for grades.csv (student, exercise, points, message) and, for Gradescope, "
        "students/STUDENT/results.json",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="run only the students' exercise cells, in the solutions notebook: seconds instead "
        "of minutes, but what an answer needs must stand in its cell",
    )
    parser.add_argument(
        "--hidden",
        type=Path,
        metavar="FOLDER",
        help="more checks, in files such as 04_resnet.py: a line '# %%%% exercise 2', then code "
        "that calls check() on values such as answer('name') or answer('function', 1, 2)",
    )
    parser.add_argument(
        "--lessons", type=Path, help="the released notebooks, with solutions/ (default: these)"
    )
    parser.add_argument("--minutes", type=float, default=15, help="for each notebook (15)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="notebooks at a time (1)")
    parser.add_argument("--memory", type=float, default=8, help="GB for each process (8)")


def run(args: argparse.Namespace) -> int:
    """Grade all; the table is written after each notebook, so that a stop loses one only."""
    check_positive(args, "minutes", "memory", "jobs")
    lessons = args.lessons or _own_lessons()
    if os.name != "posix":
        raise OSError("colorlab grade runs on Linux and macOS; on Windows use WSL or the container")
    if not args.folder.is_dir():
        raise FileNotFoundError(f"{args.folder} is no folder; name the one with the submissions")
    if args.out.resolve().is_relative_to(args.folder.resolve()):
        raise ValueError(f"-o {args.out} lies in {args.folder}: results are no submissions")
    if not list((lessons / "solutions").glob("*.ipynb")):
        raise FileNotFoundError(f"{lessons} has no solutions/*.ipynb; name --lessons")
    if args.hidden is not None and not args.hidden.is_dir():
        raise FileNotFoundError(f"--hidden {args.hidden} is no folder")
    if not confinement.landlock():
        warnings.warn(
            "this system cannot confine student code (no Landlock): it can read the solutions and "
            "change your files; use the container, see colorlab grade --help",
            stacklevel=2,
        )
    for secret in filter(None, (args.hidden, args.folder, lessons / "solutions")):
        for open_to_all in grading.readable():
            if secret.resolve().is_relative_to(open_to_all.resolve()):
                raise ValueError(f"{secret} lies in {open_to_all}, which student code may read")
    # All are read before any student code runs, so that none can change another.
    found = [
        (*_named(file, args.folder, lessons), *_read(file)) for file in _notebooks(args.folder)
    ]
    if not found:
        raise FileNotFoundError(f"{args.folder} holds no notebook")
    table: dict[str, list[dict]] = {}
    taken, todo = set(), []
    for student, stem, text, wrong in found:
        if not stem:
            wrong = wrong or "the name of the file must contain the lesson's, such as 04_resnet"
        elif (student, stem) in taken:
            wrong = f"a second notebook of {stem}; only the first was graded"
        taken.add((student, stem))
        todo.append((student, stem, text, wrong))
    failed = False

    def graded(one: tuple[str, str, str, str]) -> list[dict]:
        _, stem, text, wrong = one
        rows = [] if wrong else _graded(args, lessons, stem, text)
        return rows or [
            {"exercise": 0, "points": 0, "message": wrong or "no result", "failed": True}
        ]

    pool = ThreadPoolExecutor(args.jobs)
    try:
        results = zip(todo, pool.map(graded, todo), strict=True)
        for (student, stem, *_), rows in progress_bar(results, total=len(todo), unit="notebook"):
            mine = table.setdefault(student, [])
            mine += [{"lesson": stem, "hidden": False, **row} for row in rows]
            failed |= rows[0]["failed"]
            _write(args.out, table)
    except BaseException:  # Ctrl-C: a notebook that runs on would hold up the end
        pool.shutdown(wait=False, cancel_futures=True)
        confinement.kill_below(os.getpid())
        raise
    pool.shutdown()
    print(f"written to {args.out}: grades.csv, and results.json for {len(table)} students")
    return int(failed)


def _own_lessons() -> Path:
    data = checkout_data()
    if data is None:
        raise ValueError("not in a checkout: name the folder of the lessons with --lessons")
    return data.parent / "notebooks"


def _notebooks(folder: Path) -> list[Path]:
    """The files to grade, none through a link."""
    files = (f for f in folder.rglob("*.ipynb") if f.is_file() and not f.is_symlink())
    return sorted(
        f for f in files if not any(p.startswith(".") for p in f.relative_to(folder).parts)
    )


def _named(file: Path, folder: Path, lessons: Path) -> tuple[str, str]:
    """The student and the lesson, by the file's place and name; "" for no lesson."""
    stems = [lesson.stem for lesson in lessons.glob("[0-9][0-9]_*.ipynb")]
    stem = max((s for s in stems if s in file.stem), key=len, default="")
    parts = file.relative_to(folder).parts
    before = file.stem.split(stem)[0].strip("_-. ") if stem else ""
    return shown(parts[0] if len(parts) > 1 else before or file.stem), stem


def _read(file: Path) -> tuple[str, str]:
    """The text of a notebook and what is wrong with it, "" for nothing."""
    try:
        if file.stat().st_size > LARGEST:
            return "", f"larger than {LARGEST >> 20} MiB: clear the outputs and submit again"
        return file.read_text("utf-8"), ""
    except (OSError, UnicodeDecodeError) as error:
        return "", f"cannot be read: {error}"


def _graded(args: argparse.Namespace, lessons: Path, stem: str, text: str) -> list[dict]:
    """The rows of one notebook, from a process of its own; none if that failed."""
    hidden = args.hidden / f"{stem}.py" if args.hidden else None
    with tempfile.TemporaryDirectory(prefix="grade-", ignore_cleanup_errors=True) as folder:
        job = {
            "notebook": text,
            "stem": stem,
            "lessons": str(lessons.resolve()),
            "hidden": hidden.read_text("utf-8") if hidden and hidden.is_file() else "",
            "quick": args.quick,
            "seconds": 60 * args.minutes,
            "memory": int(args.memory * 1e9),
            "folder": str(Path(folder).resolve()),
        }
        worker = subprocess.Popen(
            [sys.executable, "-P", "-m", "colorlab.grading.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | grading.own_places(folder),
            start_new_session=True,
        )
        try:
            told, _ = worker.communicate(json.dumps(job).encode(), job["seconds"] + GRACE)
            return json.loads(told)
        except (subprocess.TimeoutExpired, ValueError):
            return []
        finally:
            if worker.poll() is None:
                confinement.kill_below(worker.pid)
                worker.kill()
                worker.wait()


def _write(out: Path, table: dict[str, list[dict]]) -> None:
    """Write the CSV of all and the results.json of each student anew."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("student", "exercise", "points", "message"))
    for student, mine in table.items():
        tests = []
        for row in mine:
            name = f"{row['lesson']} {row['exercise'] or 'file'}{' hidden' * row['hidden']}".strip()
            rows.writerow(map(_cell, (student, name, row["points"], row["message"])))
            # What a hidden check asks for stays hidden.
            told = "a hidden check fails" if row["hidden"] and not row["points"] else row["message"]
            test = {"name": name, "score": row["points"], "max_score": int(row["exercise"] > 0)}
            tests.append({**test, "output": told})
        folder = re.sub(r"[^\w.@ -]", "_", student)
        told = json.dumps({"tests": tests}, indent=1) + "\n"
        write_text(out / "students" / folder / "results.json", told)
    write_text(out / "grades.csv", text.getvalue())


def _cell(value: object) -> str:
    """A cell that no spreadsheet takes for a formula: messages and names come from students."""
    text = str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text
