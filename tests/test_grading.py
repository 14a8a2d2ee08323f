"""What the grader reads in student code, where it puts checks, and what values may cross."""

from __future__ import annotations

import json
from collections import OrderedDict

import numpy as np
import pytest
import torch
from notebooks.course import FOLDER, NOTEBOOKS, SOLUTIONS, read

from colorlab import grading

PROTECTED = {"check", "math", "scenes", "all", ".isclose", ".abs"}
LESSON = {"math=None", "np=numpy", "torch=None"}


def found(*cells: str) -> list[str]:
    return grading.review(cells, PROTECTED, LESSON)


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
        assert grading.review(solved, *rules) == [], file.name


def test_each_lesson_has_a_plan_with_every_check_in_both_modes():
    for file in NOTEBOOKS:
        lesson, solutions = read(file), read(FOLDER / "solutions" / file.name)
        count = len(grading.pairs(lesson))
        for submitted in (lesson, {"cells": []}):
            for quick in (False, True):
                steps = grading.plan(submitted, lesson, solutions, quick)
                assert [n for _, n in steps if n] == list(range(1, count + 1))
        # The submission's cells, each check in its old place.
        steps = grading.plan(lesson, lesson, solutions, False)
        assert [code for code, _ in steps] == [
            grading.source(c) for c in grading.code_cells(lesson)
        ]


@pytest.mark.parametrize(
    "value",
    [None, True, 3, -0.5, "x", [1, [2.0]], (1, 2), {"a": (1, None)}, {1, 2}, {(1, 2): [True]}],
)
def test_plain_values_cross_unchanged(value):
    back = grading.decode(json.loads(json.dumps(grading.encode(value))))
    assert back == value and type(back) is type(value)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8", "bool"])
def test_arrays_and_tensors_cross_unchanged(dtype):
    array = np.arange(6).reshape(2, 3).astype(dtype)
    for value in (array, array.T, array[:0], array[1, 2]):
        back = grading.decode(json.loads(json.dumps(grading.encode(value))))
        assert back.dtype == value.dtype and np.array_equal(back, value)
    tensor = torch.from_numpy(array)
    back = grading.decode(json.loads(json.dumps(grading.encode(tensor))))
    assert back.dtype == tensor.dtype and torch.equal(back, tensor)


class Lie(float):
    def __eq__(self, other):
        return True

    __hash__ = float.__hash__


@pytest.mark.parametrize("value", [Lie(1), OrderedDict(), object(), print, np.array([object()])])
def test_other_objects_do_not_cross(value):
    with pytest.raises((TypeError, ValueError)):
        grading.decode(json.loads(json.dumps(grading.encode(value))))


@pytest.mark.parametrize(
    "data",
    [{"array": ["|O", [1], "AAAAAAAAAAA="]}, {"array": ["<f8", [10**12], ""]}, {"exec": "1"}, {}],
)
def test_forged_data_are_an_error(data):
    with pytest.raises((TypeError, ValueError, KeyError)):
        grading.decode(data)
