"""A lesson as a reader meets it: opened in JupyterLab and run from top to bottom.

By default one short lesson. COLORLAB_BROWSER_LESSONS names others, separated by commas:
``COLORLAB_BROWSER_LESSONS=05_unet pytest tests/browser``.
"""

import os
import shutil
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
SHORT = ("01_color_and_data", "02_classical")  # the first that is there
MINUTES = 10


def lessons() -> list[str]:
    named = os.environ.get("COLORLAB_BROWSER_LESSONS", "")
    if named:
        return [name.strip().removesuffix(".ipynb") for name in named.split(",")]
    return [name for name in SHORT if (NOTEBOOKS / f"{name}.ipynb").exists()][:1]


@pytest.mark.parametrize("lesson", lessons())
def test_a_lesson_runs_in_jupyterlab(lab, lesson):
    # Laid out as in a checkout: lessons read measured tables from beside their folder.
    (lab.root / "notebooks").mkdir(exist_ok=True)
    shutil.copy(NOTEBOOKS / f"{lesson}.ipynb", lab.root / "notebooks")
    data = NOTEBOOKS.parent / "data"
    shutil.copytree(data / "results", lab.root / "data" / "results", dirs_exist_ok=True)
    for file in data.glob("*.json"):
        shutil.copy(file, lab.root / "data")
    page = lab.open(f"notebooks/{lesson}.ipynb")
    page.evaluate("window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    cells = lab.run_all(page, seconds=60 * MINUTES)
    errors = [
        f"{output['ename']}: {output['evalue']}\nin: {cell['source'][:200]}"
        for cell in cells
        for output in cell["outputs"]
        if output["output_type"] == "error"
        and "raises-exception" not in cell["metadata"].get("tags", ())
    ]
    assert not errors, "\n".join(errors)
    counts = [cell["execution_count"] for cell in cells if cell["source"].strip()]
    assert counts == sorted(counts) and counts[-1] >= len(counts)
    assert not lab.strangers()
    page.close()
