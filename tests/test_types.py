"""Does `checked` refuse what an annotation excludes, by name, and leave everything else about a function alone?"""

import inspect
import pickle
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar, Union

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike, NDArray

from course_utils._types import checked, describe

T = TypeVar("T")


class Loss(Protocol):
    def __call__(self, output: torch.Tensor) -> torch.Tensor: ...


class Edge:
    """A class of ours, as an annotation and in a forward reference."""


Operand = Union["Edge", ArrayLike]


def takes(hint):
    """Return a checked function of one argument `x` with this annotation, which returns it."""

    def function(x):
        return x

    function.__annotations__ = {"x": hint, "return": int}
    return checked(function)


GOOD = [
    (int, (0, -3, 2**63, np.int8(3), np.uint64(2**64 - 1))),
    (float, (1, 0.5, np.float32(0.5), np.int64(2), float("nan"), float("inf"))),
    (bool, (True, np.bool_(False))),
    (str, ("", "relu", np.str_("relu"))),
    (None, (None,)),
    (int | None, (3, None)),
    (Any, (object(), None)),
    (object, ("x",)),
    (T, (object(), 3)),
    (int | Any, ("x",)),
    (Literal["epoch", "step"], ("step",)),
    (ArrayLike, (1, True, [1.0, 2], [[1], [2]], np.ones(3), torch.ones(3), range(3), np.float32(1))),
    (Operand, (Edge(), 1.5, [1.0])),
    (NDArray[np.float64], (np.ones(2), np.float64(1))),
    (torch.Tensor, (torch.ones(2), torch.nn.Parameter(torch.ones(1)))),
    (Sequence[int], ([1, 2], (1,), range(3), np.array([1, 2]), torch.tensor([1, 2]), [])),
    (Sequence[float], ([1, 0.5], np.array([0.5]), [float("nan")])),
    (Sequence[str], (["a"], ())),
    (Sequence[Any], ([None, "x"],)),
    (Sequence, ([None],)),
    (list[str], (["a"],)),
    (set[int], ({1, 2},)),
    (Iterable[int], ({1, 2}, [1], (number for number in (1, 2)))),
    (Iterable[torch.Tensor], (torch.ones(2, 3), iter([torch.ones(1)]))),
    (tuple[int, str], ((1, "a"), [1, "a"])),
    (tuple[int, Any], ((1, None),)),
    (tuple[int, ...], ((), (1, 2), [1])),
    (tuple[type[torch.nn.Module], ...], ((torch.nn.Linear,),)),
    (Mapping[str, float], ({}, {"a": 1.5})),
    (dict[str, Any], ({"a": None},)),
    (Mapping[str, Sequence[int]], ({"a": [1]},)),
    (Callable[[int], int], (abs, lambda: None, Edge)),
    (Loss, (torch.nn.functional.relu, torch.nn.ReLU())),
    (Path | str, (Path("x"), "x")),
]
BAD = [
    (int, (True, np.bool_(True), 1.0, np.float64(1), "1", None, 2**70, -(2**70), 10**5000), "a whole number"),
    (float, (False, np.bool_(True), "1", None, 1j, 2**70, [1.0], torch.tensor(1.0)), "a number"),
    (bool, (1, 0.0, "yes", None), "True or False"),
    (str, (3, None, b"relu", Path("x")), "a string"),
    (None, (0, ""), "None"),
    (int | None, ("x", 0.5, True), "a whole number or None"),
    (Literal["epoch", "step"], ("steps", 3, None, ["step"]), "one of 'epoch', 'step'"),
    (ArrayLike, ("x", None, {"a": 1}, {1}, 1j, ["a"], [[1], [1, 2]], object(), b"x"), "an array of numbers"),
    (Operand, ("x", None, [Edge()], 1j), "an Edge or an array of numbers"),
    (NDArray[np.float64], ([1.0], 1.0, torch.ones(2), np.array(["a"]), np.array([1j])), "a NumPy array"),
    (torch.Tensor, (np.ones(2), 1.0, torch.Tensor, None), "a Tensor"),
    (Sequence[int], ([1, 0.5], [True], ["a"], "ab", np.ones((2, 2)), np.array([0.5]), np.array(1), {1},
                     (number for number in (1, 2)), None, 3), "a sequence, each entry a whole number"),
    (Sequence[str], ("ab", [3], b"ab"), "a sequence, each entry a string"),
    (list[str], (("a",), "a", [3]), "a list, each entry a string"),
    (Iterable[torch.Tensor], (torch.tensor(1.0), [np.ones(1)], 3), "a sequence, each entry a Tensor"),
    (tuple[int, str], ((1,), ("a", 1), (1, "a", 1), "1a", None), "a tuple (a whole number, a string)"),
    (tuple[int, ...], ((0.5,), {1}, 1), "a tuple, each entry a whole number"),
    (Mapping[str, float], ({3: 1.0}, {"a": "b"}, {"a": None}, [("a", 1.0)], None),
     "a dict, each key a string, each value a number"),
    (Mapping[str, Any], ({3: 1.0}, "x"), "a dict, each key a string"),
    (Mapping[str, Sequence[int]], ({"a": 1}, {"a": [0.5]}),
     "a dict, each key a string, each value a sequence, each entry a whole number"),
    (Callable[[int], int], (3, "abs", None), "a function"),
    (Loss, (3, None), "a function"),
]  # fmt: skip


@pytest.mark.parametrize(("hint", "values"), GOOD, ids=[str(hint) for hint, *_ in GOOD])
def test_what_fits_its_annotation_passes_as_it_is(hint, values):
    assert all(takes(hint)(value) is value for value in values)


@pytest.mark.parametrize(("hint", "values", "rule"), BAD, ids=[str(hint) for hint, *_ in BAD])
def test_what_does_not_fit_is_refused_with_name_rule_and_value(hint, values, rule):
    for value in values:
        with pytest.raises(TypeError) as refused:
            takes(hint)(x=value)
        assert str(refused.value) == f"x must be {rule}, got x={describe(value)}."


def test_a_value_is_described_in_a_few_words():
    assert describe(np.ones((2, 3))) == "an array of shape (2, 3) and float64"
    assert describe(torch.ones(4)) == "a tensor of shape (4,) and float32"
    assert describe(0.5) == "0.5 (float)"
    assert "0.5" in describe(np.float32(0.5))
    assert describe([10**5000]) == "list that is too long to write"
    assert len(describe("x" * 1000)) < 50
    assert "Tensor" in describe(torch.Tensor)


def test_a_tensor_that_requires_a_gradient_is_told_to_be_detached():
    with pytest.raises(TypeError, match=r"array of numbers.*pass its \.detach\(\)"):
        takes(ArrayLike)(torch.ones(2, requires_grad=True))


@checked
def scale(x: float, *rest: int, by: float = "two", **named: str) -> Any:  # type: ignore[assignment]
    """Return everything; the default is wrong on purpose."""
    return x, rest, by, named


def test_arguments_are_checked_by_position_by_name_and_beyond_the_named_ones():
    assert scale(1.0, 2, 3, by=4.0) == (1.0, (2, 3), 4.0, {})
    for wrong, name in (
        (lambda: scale("x"), "x"),
        (lambda: scale(x="x"), "x"),
        (lambda: scale(1.0, 2, "x"), "rest"),
        (lambda: scale(1.0, by="x"), "by"),
    ):
        with pytest.raises(TypeError, match=f"^{name} must be"):
            wrong()


def test_a_default_is_not_checked():
    assert scale(1.0)[2] == "two"


def test_the_wrong_number_of_arguments_is_refused_by_python():
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'x'"):
        scale()
    with pytest.raises(TypeError, match="takes 1 positional argument but 2 were given"):
        takes(int)(1, 2)
    with pytest.raises(TypeError, match="unexpected keyword argument 'y'"):
        takes(int)(1, y=2)


def test_a_generator_is_not_used_up_by_the_check():
    numbers = (number for number in range(3))
    assert list(takes(Iterable[int])(numbers)) == [0, 1, 2]


def test_a_method_is_checked_and_its_self_is_not():
    class Box:
        @checked
        def __init__(self, size: int) -> None:
            self.size = size

    assert Box(3).size == 3
    with pytest.raises(TypeError, match="size must be a whole number, got size='x'"):
        Box("x")


def test_an_error_of_the_function_itself_comes_through():
    @checked
    def fails(x: int) -> int:
        raise KeyError(x)

    with pytest.raises(KeyError):
        fails(3)


def test_a_checked_function_shows_itself_and_not_the_check():
    assert str(inspect.signature(scale)) == "(x: float, *rest: int, by: float = 'two', **named: str) -> Any"
    assert inspect.getsource(scale).startswith("@checked\ndef scale(x: float")
    assert scale.__doc__.startswith("Return everything")
    assert (scale.__name__, scale.__module__) == ("scale", __name__)


def test_a_checked_function_travels_to_another_process():
    assert pickle.loads(pickle.dumps(scale)) is scale


def test_a_call_costs_a_few_microseconds_more():
    def plain(x: int, y: float, z: torch.Tensor, *, name: str) -> int:
        return x

    arguments = {"x": 3, "y": 0.5, "z": torch.ones(2), "name": "a"}

    def seconds(function):
        start = time.perf_counter()
        for _ in range(1_000):
            function(**arguments)
        return (time.perf_counter() - start) / 1_000

    # The least of ten: another process may take the processor meanwhile. 30 µs is ten times what a laptop needs.
    assert min(seconds(checked(plain)) for _ in range(10)) < 30e-6
