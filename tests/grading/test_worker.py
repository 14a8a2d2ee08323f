"""Where the grader puts checks, and what values may cross between it and student code."""

import json
from collections import OrderedDict

import numpy as np
import pytest
import torch
from notebooks.course import FOLDER, NOTEBOOKS, read

from colorlab.grading import worker as grading


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
