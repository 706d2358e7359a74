"""The statements that a piece of code needs are found, and no others."""

import ast

import pytest

from course_utils.authoring.names import needed_statements

LESSON = """
import math
from torch import nn
x, y = 1, 2
def double(n):
    y = 2 * n
    return y
def area(r):
    return math.pi * double(r)
x = y + 1
for i in range(3):
    total = [i for j in range(i)]
class Net(nn.Module):
    size = x
unused = double(5)
"""


@pytest.mark.parametrize(
    ("code", "defined"),
    [
        ("area(2)", ["import math", "def double", "def area"]),
        ("y", ["x, y = (1"]),
        ("x", ["x, y = (1", "x = y + 1"]),
        ("x = 3\nx", []),
        ("x += 1", ["x, y = (1", "x = y + 1"]),
        ("total", ["for i in"]),
        ("Net()", ["from torch", "x, y = (1", "x = y + 1", "class Net"]),
        ("def f(x):\n    y = x\n    return y", []),
        ("[y for y in range(3)]", []),
        ("lambda x: x + y", ["x, y = (1"]),
    ],
)
def test_what_is_needed_is_found_in_its_order(code, defined):
    found = needed_statements(ast.parse(LESSON).body, ast.parse(code).body)
    assert [ast.unparse(statement).startswith(begin) or ast.unparse(statement)
            for statement, begin in zip(found, defined, strict=True)] == [True] * len(defined)  # fmt: skip
