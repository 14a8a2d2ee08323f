"""Grade one submitted notebook: rerun it, with the lecturer's checks in place of the student's.

Student code is hostile until proven otherwise, and it shares a Python process with the objects that
a check looks at. So there are three lines of defence:

* The kernel is confined (`confinement`): it sees neither solutions nor hidden checks nor other
  submissions, writes in a temporary folder only, and ends with all that it started.
* A released check runs in the kernel, with a `check` that the grader sends along and a verdict that
  only the grader's own cell can give. Code that reaches into Python itself (`screening`) gets no
  points for it until a person has looked at it.
* A hidden check runs in this process. It sees of the student only values: `answer("name")`, or
  what a function returns, `answer("name", x, y)`. Its source and the right values never enter the
  kernel.

`python -m colorlab.grading.worker` reads a job from standard input and writes the rows to standard
output.
"""

from __future__ import annotations

import ast
import inspect
import json
import math
import os
import re
import secrets
import site
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from colorlab import exercises
from colorlab.data.cache import cache_dir, released_data
from colorlab.files import shown
from colorlab.grading import confinement
from colorlab.grading.screening import bound, imported, python, review

MIME = "application/x-colorlab-grade"
PACKAGE = Path(__file__).resolve().parents[1]
PASSED_ON = ("PATH", "LANG", "LC_ALL", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "TQDM_DISABLE")
GIVEN = ("COLORLAB_PHOTOS", "COLORLAB_LPIPS_BACKBONE")  # paths that lessons read
SYSTEM = "/usr /bin /sbin /lib /lib32 /lib64 /etc /proc /sys /dev/urandom /dev/random /dev/zero"

CHECK = """
from IPython.display import display as _display
_space, _verdicts = {{}}, []
exec({code!r}, _space)
def check(*claims):
    _verdicts.append(_space["first_wrong"](*claims))
    return _verdicts[-1] is None
{cell}
_display({{{mime!r}: {{"nonce": {nonce!r}, "verdicts": _verdicts}}}}, raw=True)
"""
# No module that student code has written is imported instead of another one.
START = "import sys\nsys.path[:] = [entry for entry in sys.path if entry]\ndel sys"
CALL = """
exec({code!r}, _space := {{}})
_space["reply"]({mime!r}, {nonce!r}, lambda: {name}, {given!r})
"""


class Stopped(BaseException):
    """The rest of a notebook cannot run; no Exception, so that no check takes it for a failure."""


# ---- notebooks


def source(cell: dict) -> str:
    """The text of a cell, which nbformat keeps as a list of lines."""
    return "".join(cell["source"])


def code_cells(notebook: dict) -> list[dict]:
    """The code cells in their order."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def pairs(notebook: dict) -> list[tuple[dict, dict]]:
    """Each exercise's cell with its check cell, the next one: in a lesson or in its solutions."""
    code = code_cells(notebook)
    checks = [i for i, cell in enumerate(code) if re.search(r"^_ = check\(", source(cell), re.M)]
    return [(code[i - 1], code[i]) for i in checks]


def hidden_checks(text: str) -> dict[int, str]:
    """Exercise number to code, of a script with a line ``# %% exercise N`` before each part."""
    parts = re.split(r"^# %% exercise (\d+)\b.*$", text, flags=re.M)
    return {int(number): code for number, code in zip(parts[1::2], parts[2::2], strict=True)}


def plan(submitted: dict, lesson: dict, solutions: dict, quick: bool) -> list[tuple[str, int]]:
    """What to run: pairs of a source and the exercise whose check it is, 0 for other cells.

    Of the submission everything but its check cells, and the released ones where these were. A
    check cell is known by its id or its text; if it is gone, it runs after the exercise's cell, and
    if that is gone too, at the end. ``quick``: instead the cells of the solutions notebook, with
    the student's exercise cells in place of the solved ones.
    """
    code, steps, after = code_cells(submitted), [], defaultdict(list)
    replaced, answers = set(), []

    def last(test: Callable[[dict], bool]) -> int | None:
        return next((i for i in reversed(range(len(code))) if test(code[i])), None)

    for number, (task, check) in enumerate(pairs(lesson), 1):
        there = last(
            lambda cell, check=check: (
                cell.get("id") == check["id"] or source(cell).strip() == source(check).strip()
            )
        )
        answer = last(lambda cell, task=task: cell.get("id") == task["id"])
        if there is not None:
            replaced.add(there)
            if answer is None and there > 0:
                answer = there - 1
        at = there if there is not None else answer if answer is not None else len(code) - 1
        after[at].append((source(check), number))
        answers.append("" if answer is None else source(code[answer]))
    if quick:
        solved = pairs(solutions)
        parts = {id(cell): (answers[k], 0) for k, (cell, _) in enumerate(solved)}
        parts |= {id(check): (source(check), k) for k, (_, check) in enumerate(solved, 1)}
        return [parts.get(id(cell), (source(cell), 0)) for cell in code_cells(solutions)]
    steps += after.pop(-1, [])  # a submission without code
    for i, cell in enumerate(code):
        steps += ([] if i in replaced else [(source(cell), 0)]) + after[i]
    return steps


def what_checks_use(lesson: dict, solutions: dict) -> tuple[set[str], set[str]]:
    """For `review`: names that the checks use and no exercise asks for; what the lesson imports."""
    used, made = {"check"}, set()
    for task, check in [*pairs(lesson), *pairs(solutions)]:
        tree = ast.parse(python(source(check)))
        used |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        made |= bound(python(source(check))) | bound(python(source(task)))
    code = [*code_cells(lesson), *code_cells(solutions)]
    return used - made, set().union(*(imported(ast.parse(python(source(c)))) for c in code))


# ---- values that cross between the kernel and this process


def encode(value: Any) -> Any:
    """Plain data, arrays and tensors as JSON; TypeError for all else. Runs on both sides."""
    import base64

    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) in (list, tuple, set):
        return {type(value).__name__: [encode(v) for v in value]}
    if type(value) is dict:
        return {"dict": [[encode(k), encode(v)] for k, v in value.items()]}
    name = f"{type(value).__module__}.{type(value).__name__}"
    if name in ("torch.Tensor", "torch.nn.parameter.Parameter"):
        return {"tensor": encode(value.detach().cpu().numpy())}
    if hasattr(value, "dtype") and hasattr(value, "tobytes") and name.startswith("numpy."):
        data = base64.b64encode(value.tobytes()).decode()
        return {"array": [value.dtype.str, list(value.shape), data]}
    raise TypeError(f"a {name} is no plain value")


def decode(data: Any) -> Any:
    """The value that `encode` made JSON of; whatever the JSON holds, no code in it runs."""
    import base64

    if not isinstance(data, dict):
        return data
    [(kind, held)] = data.items()
    if kind == "dict":
        return {decode(k): decode(v) for k, v in held}
    if kind == "tensor":
        import torch

        return torch.from_numpy(decode(held).copy())
    if kind == "array":
        import numpy as np

        array = np.frombuffer(base64.b64decode(held[2]), dtype=held[0]).reshape(held[1])
        return array if array.shape else array[()]
    return {"list": list, "tuple": tuple, "set": set}[kind](decode(v) for v in held)


def reply(mime: str, nonce: str, value: Callable[[], Any], given: str) -> None:
    """In the kernel: display a name's value, or what it returns for the given arguments."""
    import json

    from IPython.display import display

    try:
        found = value()
        if callable(found):
            positional, named = decode(json.loads(given))
            found = found(*positional, **named)
        told = {"value": encode(found)}
    except Exception as error:
        told = {"error": f"{type(error).__name__}: {error}"[:300]}
    display({mime: {"nonce": nonce, **told}}, raw=True)


CODEC = "from __future__ import annotations\nfrom typing import Any, Callable\n"
CODEC += "\n".join(inspect.getsource(function) for function in (encode, decode, reply))


# ---- the kernel


def readable() -> list[Path]:
    """What a confined kernel may read: Python, this package, the data of the course."""
    ours = [
        PACKAGE,
        released_data(),
        PACKAGE.parent / "README.md",
        PACKAGE.parent / "pyproject.toml",
    ]
    named = [os.environ.get(name) for name in GIVEN]
    prefixes = [sys.prefix, sys.base_prefix, *filter(None, named), *SYSTEM.split()]
    return [*ours, cache_dir(), *map(Path, prefixes), Path(site.getusersitepackages())]


def own_places(home: Path | str) -> dict[str, str]:
    """Environment of a process that keeps its settings in ``home`` and runs this very package."""
    names = ("HOME", "TMPDIR", "MPLCONFIGDIR", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR")
    own = {name: str(home) for name in names}
    return own | {"PYTHONPATH": str(PACKAGE.parent), "PYTHONUSERBASE": site.getuserbase()}


def furnish(folder: Path, lessons: Path) -> Path:
    """Lay out a course in a temporary folder; returns where the notebook runs.

    Files that student code only reads are links, so that nothing is copied but folders.
    """
    inside = folder / "course" / "notebooks"
    inside.mkdir(parents=True)
    for file in [*lessons.glob("*.ipynb"), *lessons.glob("*.md")]:
        (inside / file.name).symlink_to(file.resolve())
    for file in (PACKAGE.parent / "README.md", PACKAGE.parent / "pyproject.toml"):
        (inside.parent / file.name).symlink_to(file)
    (inside.parent / "data").mkdir()
    for entry in released_data().iterdir():
        if entry.name not in ("cache", "runs"):
            (inside.parent / "data" / entry.name).symlink_to(entry)
    for file in (cache := cache_dir()).rglob("*"):
        if file.is_file():
            place = folder / "cache" / file.relative_to(cache)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(file.resolve())
    return inside


def _client(folder: Path, lessons: Path, quick: bool, memory: int) -> Any:
    """An nbclient that keeps nothing of what student code displays, with a confined kernel."""
    from nbclient import NotebookClient
    from nbformat.v4 import new_notebook

    class Client(NotebookClient):
        displayed: list[dict]
        errors: list[str]

        def process_message(self, msg: dict, cell: Any, cell_index: int) -> Any:
            kind, content = msg["msg_type"], msg["content"]
            if kind == "status":
                return super().process_message(msg, cell, cell_index)
            # Endless output must not fill this process's memory.
            if kind == "error" and not self.errors:
                self.errors.append(f"{content['ename']}: {content['evalue']}"[:1000])
            if kind == "display_data" and len(self.displayed) < 5:
                told = content["data"].get(MIME)
                self.displayed += [told] if isinstance(told, dict) else []
            return None

    folder /= "student"  # beside what this process keeps in the folder
    inside = furnish(folder, lessons)
    if quick:  # the solutions notebook has paths of its own
        (inside := inside / "solutions").mkdir()
    home = folder / "home"
    home.mkdir()
    env = {name: os.environ[name] for name in (*PASSED_ON, *GIVEN) if name in os.environ}
    env |= own_places(home) | {"COLORLAB_CACHE": str(folder / "cache")}
    released = [file.resolve() for file in (*lessons.glob("*.ipynb"), *lessons.glob("*.md"))]
    writable = [folder, Path("/dev/null"), Path("/dev/shm")]
    limit = confinement.limiter([*readable(), *released], writable, [PACKAGE.parent], memory)
    client = Client(new_notebook(), kernel_name="python3", allow_errors=True, startup_timeout=120)
    client.create_kernel_manager()
    # Sockets that are files: a confined kernel has no network.
    client.km.transport = "ipc" if os.name == "posix" else "tcp"
    client.km.connection_file = str(folder / "k.json")
    client.start_new_kernel(cwd=str(inside), env=env, preexec_fn=limit)
    client.start_new_kernel_client()
    return client


class Kernel:
    """A confined kernel with a deadline."""

    def __init__(self, client: Any, seconds: float) -> None:
        self.client, self.seconds, self.end = client, seconds, time.monotonic() + seconds

    def run(self, code: str, name: str = "") -> tuple[list[dict], str]:
        """What a cell displayed under `MIME`, and the error that ended it, "" if none did."""
        from nbclient.exceptions import CellTimeoutError, DeadKernelError
        from nbformat.v4 import new_code_cell

        where = f" in the cell {name or code.strip()[:40]!r}"
        client = self.client
        client.timeout = max(1, math.ceil(self.end - time.monotonic()))
        client.nb.cells, client.displayed, client.errors = [new_code_cell(code)], [], []
        try:
            client.execute_cell(client.nb.cells[0], 0)
        except CellTimeoutError:
            raise Stopped(f"the notebook took longer than {self.seconds:.0f} s{where}") from None
        except DeadKernelError:
            raise Stopped(f"the kernel ended{where}: exit(), or too much memory") from None
        except Exception as error:  # student code can make the kernel send anything
            raise Stopped(f"the kernel does not answer{where}: {error}") from None
        return client.displayed, "".join(client.errors)

    def check(self, cell: str, name: str) -> str | None:
        """Run a released check; what is wrong, None if nothing is."""
        nonce, code = secrets.token_hex(16), Path(exercises.__file__).read_text("utf-8")
        displayed, error = self.run(
            CHECK.format(code=code, cell=cell, mime=MIME, nonce=nonce), name
        )
        verdicts = next((d["verdicts"] for d in displayed if d.get("nonce") == nonce), None)
        if not verdicts:
            return error or "the check did not come to an end"
        return next((str(verdict) for verdict in verdicts if verdict is not None), None)

    def hidden(self, code: str, name: str) -> str | None:
        """Run a hidden check in this process; what is wrong, None if nothing is."""
        verdicts: list[str | None] = []

        def check(*claims: tuple) -> bool:
            verdicts.append(exercises.first_wrong(*claims))
            return verdicts[-1] is None

        def answer(word: str, /, *given: Any, **named: Any) -> Any:
            if not word.isidentifier():
                raise ValueError(f"answer({word!r}) must name one variable or function")
            nonce = secrets.token_hex(16)
            filled = {"code": CODEC, "mime": MIME, "nonce": nonce, "name": word}
            filled["given"] = json.dumps(encode((list(given), named)))
            displayed, error = self.run(CALL.format(**filled), f"answer({word!r})")
            told = next((d for d in displayed if d.get("nonce") == nonce), {"error": error})
            if "value" not in told:
                raise RuntimeError(f"{word}: {told.get('error', 'no value')}")
            return decode(told["value"])

        try:
            exec(compile(code, name, "exec"), {"answer": answer, "check": check})
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        if not verdicts:
            return "the hidden check never calls check()"
        return next((verdict for verdict in verdicts if verdict is not None), None)


def grade(job: dict) -> list[dict]:
    """The rows of one notebook: exercise, hidden, points, message, failed (it could not be run).

    Args:
        job: ``notebook``, the submitted text; ``stem``, the lesson's name; ``lessons``, the folder
            of the released notebooks; ``hidden``, the text of the hidden checks; ``quick``;
            ``seconds``; ``memory`` in bytes; ``folder``, an empty temporary one.
    """
    import nbformat

    lessons, stem = Path(job["lessons"]), job["stem"]
    lesson, solutions = (
        json.loads(file.read_text("utf-8"))
        for file in (lessons / f"{stem}.ipynb", lessons / "solutions" / f"{stem}.ipynb")
    )
    hidden = hidden_checks(job["hidden"])
    rows: dict[tuple[int, bool], dict] = {}
    for number in range(1, len(pairs(lesson)) + 1):
        for secret in (False, True)[: 1 + (number in hidden)]:
            rows[number, secret] = {"exercise": number, "hidden": secret, "points": 0}

    def note(number: int, secret: bool, wrong: str | None) -> None:
        rows[number, secret] |= {"points": int(wrong is None), "message": wrong or "correct"}

    def rest(message: str, failed: bool = False) -> list[dict]:
        return [{"message": shown(message), "failed": failed, **row} for row in rows.values()]

    try:
        submitted = json.loads(nbformat.writes(nbformat.reads(job["notebook"], as_version=4)))
        steps = plan(submitted, lesson, solutions, job["quick"])
    except Exception as error:  # whatever a file that claims to be a notebook holds
        return rest(f"not a notebook: {type(error).__name__}: {error}", failed=True)
    known = {source(cell).strip() for cell in [*code_cells(lesson), *code_cells(solutions)]}
    own = [code for code, number in steps if not number and code.strip() not in known]
    held = review(own, *what_checks_use(lesson, solutions))
    try:
        client = _client(Path(job["folder"]), lessons, job["quick"], job["memory"])
    except (OSError, RuntimeError) as error:
        return rest(f"the kernel does not start: {error}", failed=True)
    kernel, fault, broken = Kernel(client, job["seconds"]), "", ""
    try:
        kernel.run(START)
        for code, number in steps:
            if not number:
                if error := kernel.run(code)[1]:
                    fault, broken = error, code
                continue
            name = f"check of exercise {number}"
            wrong = kernel.check(code, name)
            if wrong and fault:  # it may need what the check has made, as when run by hand
                fault = kernel.run(broken)[1]
                wrong = kernel.check(code, name)
            note(number, False, f"{wrong} (a cell above: {fault})" if wrong and fault else wrong)
            fault = ""
            if number in hidden:
                note(number, True, kernel.hidden(hidden[number], f"hidden check {number}"))
    except Stopped as stop:
        return _held_back(rest(f"not reached: {stop}"), held)
    return _held_back(rest("never run"), held)


def _held_back(rows: list[dict], why: list[str]) -> list[dict]:
    for row in rows:
        row["message"] = shown(row["message"])
        if why and row["points"] and not row["hidden"]:
            told = f"held back, read the notebook first: it {'; it '.join(why[:5])}"
            row |= {"points": 0, "message": shown(told, 600)}
    return rows


def main() -> None:
    """Grade the notebook of the job on standard input, and end all that it started."""
    # jsonschema's optional check of addresses takes a second to import, and no address is checked.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    import resource  # not on Windows

    confinement.adopt_orphans()
    job, out = json.load(sys.stdin), os.dup(1)
    most = 2 * job["memory"]  # a kernel can send all that it holds
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    os.dup2(2, 1)  # whatever prints here is no result
    try:
        rows = grade(job)
    finally:
        confinement.kill_below(os.getpid())
    with suppress(BrokenPipeError), open(out, "w", encoding="utf-8") as stream:
        json.dump(rows, stream)
    os._exit(0)  # nothing of nbclient's is worth waiting for


if __name__ == "__main__":
    main()
