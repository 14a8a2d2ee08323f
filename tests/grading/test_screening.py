"""What is held back in student code, and that honest code is not."""

from __future__ import annotations

import pytest
from notebooks.course import FOLDER, SOLUTIONS, read

from colorlab.grading import worker as grading
from colorlab.grading.screening import review

PROTECTED = {"check", "math", "scenes", "all", ".isclose", ".abs"}
LESSON = {"math=None", "np=numpy", "torch=None"}


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
        "from __future__ import annotations\nx = getattr(net, 'head')\nprint(type(x))",
        "best = min((abs(all_ab - a), a) for a in range(3))\n[math for math in range(2)]",
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
        ("from colorlab import exercises\nexercises.first_wrong = print", "changes exercises"),
        ("def check(*claims):\n    pass", "assigns check"),
        ("def f():\n    global scenes\n    scenes = 1", "assigns scenes"),
        ("[scenes := 1 for _ in range(2)]", "assigns scenes"),
        ("import cmath as math", "assigns math"),
        ("from math import fsum as all", "assigns all"),
        ("T = torch.Tensor\nT.abs = print", "changes T.abs"),
        (
            "class A:\n    def f(self):\n        self.isclose = print\nA.f(math)",
            "changes self.isclose",
        ),
        ("match print:\n    case all:\n        pass", "assigns all"),
        ("from numpy import *", "imports *"),
        ("for math.isclose in [print]:\n    pass", "changes math.isclose"),
        ("from torch.utils.benchmark import Timer", "uses Timer"),
        ("setattr(math, 'isclose', print)", "uses setattr"),
        ("from builtins import setattr as s", "uses builtins"),
        ("class A:\n    def __lt__(self, other):\n        return True", "uses __lt__"),
        ("A = type('A', (), {'__' + 'lt__': print})", "uses type()"),
        ("T = type\nA = T('A', (), {})", "uses type()"),
        ("from dataclasses import make_dataclass as m", "uses make_dataclass"),
        ("A = dict(__eq__=print)", "uses __eq__"),
        ("getattr(torch, 's' + 'ys')", "uses getattr()"),
        ("getattr(torch, 'sys')", "uses getattr()"),
        ("list(map(getattr, [torch], ['sys']))", "uses getattr()"),
        ("torch.sys._getframe(1)", "uses sys"),
        ("import random\nrandom._os", "uses random._os"),
        ("try:\n    1 / 0\nexcept Exception as e:\n    e.__traceback__", "uses __traceback__"),
        ("ｅｘｅｃ('x = 1')", "uses exec"),
        ("%run helper.py", "uses get_ipython"),
        ("%%capture\nshare = 1", "uses get_ipython"),
        ("from IPython.core.interactiveshell import InteractiveShell", "imports IPython.core"),
        ("import IPython", "imports IPython"),
        ("import enum\nb = enum.bltns\nb.eval('1')", "uses bltns"),
        ("np.ma.core.warnings.linecache", "uses linecache"),
        ("import helper", "imports helper"),
        ("import os.path", "imports os"),
        ("from . import helper", "imports "),
        ("np.load('x.npy', None, True)", "may load a pickle"),
        ("np.load('x.npy', allow_pickle=True)", "uses allow_pickle"),
        ("import typing\ntyping.get_type_hints(A)", "uses get_type_hints"),
        ("torch.hub.load('.', 'x', source='local')", "uses hub"),
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
