"""`colorlab progress`: what the outputs kept in notebooks say."""

from nbformat.v4 import new_code_cell, new_notebook, new_output, writes

from colorlab.__main__ import main


def check(text: str | None, ran: bool = True):
    outputs = [] if text is None else [new_output("stream", text=text)]
    return new_code_cell("_ = check()", outputs=outputs, execution_count=1 if ran else None)


def test_each_exercise_is_passed_failed_or_not_run(tmp_path, capsys):
    cells = [check("Correct.\n"), check("Not yet: no.\n"), check(None, ran=False)]
    cells += [check("Not yet: no.\nCorrect.\n"), check(None)]
    cells = [cell for task in cells for cell in (new_code_cell("x = 1"), task)]
    (tmp_path / "04_made.ipynb").write_text(writes(new_notebook(cells=cells)))
    (tmp_path / "notes.ipynb").write_text(writes(new_notebook()))
    (tmp_path / "05_bad.ipynb").write_text("{")
    assert main(["progress", str(tmp_path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    marks = "exercise 2 not yet, 3 not run, 4 not yet, 5 not yet"
    assert lines[0].split(maxsplit=1) == ["04_made", f"1 of 5 passed; {marks}"]
    assert lines[1].startswith("05_bad") and "cannot be read" in lines[1]
    assert lines[2].split(maxsplit=1) == ["together", "1 of 5 passed"] and len(lines) == 3
    assert main(["progress", str(tmp_path / "04_made.ipynb")]) == 0


def test_a_folder_without_notebooks_is_named(tmp_path, capsys):
    assert main(["progress", str(tmp_path)]) == 2
    assert "holds no notebook" in capsys.readouterr().err
