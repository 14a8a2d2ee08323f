"""Execute lessons from top to bottom and keep their outputs, as a release wants them.

    python .ci/execute.py 04 05             these lessons; all of them unless told
    python .ci/execute.py --states 04 05    keep only their widgets' states for the web site

Each runs in a fresh kernel, in its folder, without progress bars (a bar shows on the first run
only, so that no later run could match it). A lesson whose cell fails is left as it was. Afterwards
`python .ci/slides.py --write` sets the slides' metadata, and `pytest --nbval` compares. What their
widgets show on the web site is kept in site/widgets, see widget_states.py.
"""

from __future__ import annotations

import copy
import os
import sys
import time
from pathlib import Path

import nbformat
from lessons import arguments, chosen
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

TIMEOUT = 1200  # seconds a cell


def execute(file: Path, write: bool = True) -> None:
    """Run one notebook, keep its widgets' states, and write it back with its outputs if ``write``.

    Raises:
        CellExecutionError: a cell failed; the file is unchanged.
    """
    notebook = nbformat.read(file, as_version=4)
    metadata = copy.deepcopy(notebook.metadata)
    here = str(Path(__file__).parent)
    watch = f"import sys; sys.path.append({here!r}); import widget_states as states"
    client = NotebookClient(
        notebook,
        extra_arguments=[f"--IPKernelApp.exec_lines={watch}; states.watch({str(file)!r})"],
        timeout=TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": str(file.parent)}},
        store_widget_state=False,  # it holds each script again; see widget_states.py
        record_timing=False,
        coalesce_streams=True,
    )
    client.execute()
    if not write:
        return
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    notebook.metadata = metadata  # of the course, not of the kernel that happened to run
    text = nbformat.writes(notebook, ensure_ascii=False)
    file.write_text(text.rstrip() + "\n", "utf-8")


def main() -> int:
    """Do what the module says."""
    parser = arguments(__doc__)
    parser.add_argument("--states", action="store_true", help="leave the lessons as they are")
    options = parser.parse_args()
    os.environ["TQDM_DISABLE"] = "1"
    failed = []
    for file in chosen(options.names):
        start = time.monotonic()
        try:
            execute(file, write=not options.states)
        except CellExecutionError as error:
            failed.append(file.name)
            print(f"{file.name}: {error}", file=sys.stderr)
        print(f"{file.name}: {time.monotonic() - start:.0f} s", flush=True)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
