"""What is held back in student code, and that honest code is not."""

import pytest
from notebooks.course import FOLDER, SOLUTIONS, read

from colorlab.grading import worker as grading
from colorlab.grading.screening import review

PROTECTED = {"check", "math", "scenes", "all"}
LESSON = {"math=math", "np=numpy", "torch=torch", "nn=torch.nn", "display=IPython.display.display"}


def found(*cells: str) -> list[str]:
    return review(cells, PROTECTED, LESSON)


@pytest.mark.parametrize(
    "code",
    [
        "share = sum(p**2 for p in (0.3, 0.5, 0.2))",
        "def middle(values):\n    scenes = sorted(values)\n    return scenes[len(scenes) // 2]",
        "import math\nfrom torch import nn\nimport numpy as np\nimport torch.nn.functional as F",
        "class Net(torch.nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.head = torch.nn.Linear(2, 2)",
        "for p in net.parameters():\n    p.requires_grad = False\n    p.grad = None",
        "from __future__ import annotations\nprint(type(net))",
        "best = min((abs(all_ab - a), a) for a in range(3))",
        "from IPython.display import display, Markdown",
        "x = = 2",
        "net.eval()\nsignal = torch.compile(net)\nfrom scipy.ndimage import label",
    ],
)
def test_honest_code_is_not_held_back(code):
    assert found(code) == []


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("from colorlab import exercises\nexercises.first_wrong = print", "imports colorlab"),
        ("def check(*claims):\n    pass", "assigns check"),
        ("def f():\n    global scenes\n    scenes = 1", "assigns scenes"),
        ("[scenes := 1 for _ in range(2)]", "assigns scenes"),
        ("match print:\n    case all:\n        pass", "assigns all"),
        ("import cmath as math", "imports math"),
        ("from math import fsum as all", "imports all"),
        ("from numpy import *", "imports *"),
        ("T = torch.Tensor\nT.abs = print", "changes T.abs"),
        ("for math.isclose in [print]:\n    pass", "changes math.isclose"),
        ("setattr(math, 'isclose', print)", "uses setattr"),
        ("class A:\n    def __lt__(self, other):\n        return True", "uses __lt__"),
        ("A = type('A', (), {'__' + 'lt__': print})", "uses type()"),
        ("A = dict(__eq__=print)", "uses __eq__"),
        ("getattr(torch, 's' + 'ys')", "uses getattr"),
        ("torch.sys._getframe(1)", "uses sys"),
        ("try:\n    1 / 0\nexcept Exception as e:\n    e.__traceback__", "uses __traceback__"),
        ("(x for x in ()).gi_frame", "uses gi_frame"),
        ("ｅｘｅｃ('x = 1')", "uses exec"),
        ("%run helper.py", "uses get_ipython"),
        ("from IPython.core.interactiveshell import InteractiveShell", "imports IPython.core"),
        ("import IPython", "imports IPython"),
        ("import helper", "imports helper"),
        ("import os.path", "imports os"),
        ("from . import helper", "imports "),
        ("np.load('x.npy', allow_pickle=True)", "uses allow_pickle"),
        ("x = " + "-" * 100_000 + "1", "nested too deeply"),
    ],
)
def test_code_that_tampers_is_held_back(code, why):
    assert any(why in reason for reason in found(code)), found(code)


def test_solutions_and_lessons_are_read_as_honest_code():
    """Every solved exercise, as a student would hand it in; nothing in them is held back."""
    for file in SOLUTIONS:
        lesson, solutions = read(FOLDER / file.name), read(file)
        rules = grading.what_checks_use(lesson, solutions)
        solved = [grading.source(task) for task, _ in grading.pairs(solutions)]
        assert review(solved, *rules) == [], file.name
