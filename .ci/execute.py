"""Execute lessons from top to bottom and keep their outputs, as a release wants them.

    python .ci/execute.py 04 05    these lessons; all of them unless told

Each runs in a fresh kernel, in its folder, without progress bars (a bar shows on the first run
only, so that no later run could match it). A lesson whose cell fails is left as it was. Afterwards
`python .ci/slides.py --write` sets the slides' metadata, and `pytest --nbval` compares.
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


def execute(file: Path) -> None:
    """Run one notebook and write it back with its outputs.

    Raises:
        CellExecutionError: a cell failed; the file is unchanged.
    """
    notebook = nbformat.read(file, as_version=4)
    metadata = copy.deepcopy(notebook.metadata)
    client = NotebookClient(
        notebook,
        timeout=TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": str(file.parent)}},
        store_widget_state=False,  # tens of kilobytes that no static page can use
        record_timing=False,
        coalesce_streams=True,
    )
    client.execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    notebook.metadata = metadata  # of the course, not of the kernel that happened to run
    text = nbformat.writes(notebook, ensure_ascii=False)
    file.write_text(text.rstrip() + "\n", "utf-8")


def main() -> int:
    """Do what the module says."""
    names = arguments(__doc__).parse_args().names
    os.environ["TQDM_DISABLE"] = "1"
    failed = []
    for file in chosen(names):
        start = time.monotonic()
        try:
            execute(file)
        except CellExecutionError as error:
            failed.append(file.name)
            print(f"{file.name}: {error}", file=sys.stderr)
        print(f"{file.name}: {time.monotonic() - start:.0f} s", flush=True)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
