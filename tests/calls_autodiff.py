"""Calls of `autodiff` and `gradcheck`, for the fuzzer.

The engine does not look at its numbers: NaN and infinities come out again, and NumPy warns where it makes one.
"""

import numpy as np
import torch
from fuzzing import Call
from taken import NUMBERS, SHAPES, entries

from course_utils import autodiff
from course_utils.autodiff import (
    Variable,
    as_variable,
    cross_entropy,
    record,
    topological_order,
    unbroadcast,
)
from course_utils.gradcheck import compare_gradients, default_step, numerical_gradient, relative_error


def x():
    return np.array([[0.5, 1.0, 2.0], [1.5, 0.25, 0.75]])


def covering(name):
    """Say which public function the decorated helper calls."""

    def note(helper):
        helper.covers = name
        return helper

    return note


def there_and_back(function):
    """Return a function of an array: the value, and the gradient of its sum."""

    @covering(f"{function.__module__.removeprefix('course_utils.')}.{function.__name__}")
    def value_and_gradient(x):
        variable = Variable(x, "x")
        y = function(variable)
        y.sum().backward()
        return y.value, variable.grad

    value_and_gradient.__qualname__ = f"{function.__name__}, there and back"
    return value_and_gradient


@covering("autodiff.engine.Node")
def node_and_backward(value, name, requires_grad, seed):
    variable = Variable(value, name, requires_grad=requires_grad)
    variable.backward(seed)
    return variable.grad


def operator(name, symbol):
    @covering(f"autodiff.variable.{name}")
    def both_ways(a, b):
        left, right = Variable(a), Variable(b)
        results = [symbol(left, right), symbol(left, b), symbol(a, right)]
        sum((r.sum() for r in results[1:]), results[0].sum()).backward()
        return [r.value for r in results], left.grad, right.grad

    both_ways.__qualname__ = name
    return both_ways


def method(name):
    """Return a function that calls a method of a variable with one argument, and goes back."""

    def call_and_backward(x, argument):
        variable = Variable(x)
        y = (
            getattr(variable, name)(*argument)
            if name in ("reshape", "transpose")
            else getattr(variable, name)(argument)
        )
        y.sum().backward()
        return y.value, variable.grad

    call_and_backward.__qualname__ = f"Variable.{name}"
    return call_and_backward


@covering("autodiff.variable.record")
def recorded(op, value, pull):
    result = record(op, value, pull)
    result.sum().backward()
    return result.value, pull[0].grad


def network():
    W, b = Variable(x(), "W"), Variable([0.5, -0.5], "b")
    return autodiff.tanh(W @ np.array([1.0, -1.0, 0.5]) + b).sum()


@covering("autodiff.records.stored_bytes")
def bytes_of_a_kind(node, kind):
    return autodiff.stored_bytes(node, kind)


ENTRIES = ("empty", "entry missing")
ANY_ARRAY = (*NUMBERS, *SHAPES)
FUNCTIONS = [getattr(autodiff, name) for name in ("exp", "log", "tanh", "sigmoid", "relu", "squared_norm")]
ANY_TEXT = ("empty text", "other text")
OPERATORS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
}
METHODS = [  # (name, argument, how messages speak of it, the spoilings that are good)
    ("__pow__", 2.5, ("exponent",), ("-1.0", "0.0", "nan")),
    ("__getitem__", (0, 1), ("index",), ("None", *ENTRIES, *entries("None", "-1", "0", "True"))),
    ("sum", 1, ("axis",), ("None", "-1", "0")),
    ("mean", (0, 1), ("axis", "mean"), ("None", *ENTRIES, *entries("0"))),
    ("reshape", (3, 2), ("shape",), entries("-1")),
    ("transpose", (1, 0), ("axes", "axis"), ("empty", *entries("-1"))),
]
CALLS = [
    *(Call(f, lambda: {"x": x()}, takes={"x": ANY_ARRAY}, raises=(RuntimeWarning,)) for f in FUNCTIONS),
    *(
        Call(
            there_and_back(f),
            lambda: {"x": x()},
            takes={"x": ANY_ARRAY},
            names={"x": ("value",)},
            raises=(RuntimeWarning,),
        )
        for f in FUNCTIONS
    ),
    Call(as_variable, lambda: {"x": x()}, takes={"x": ANY_ARRAY}, names={"x": ("value",)}),
    Call(
        node_and_backward,
        lambda: {"value": x(), "name": "W", "requires_grad": True, "seed": x() - 1},
        takes={"value": (*NUMBERS, "nan vanishes"), "name": ANY_TEXT, "seed": NUMBERS},
        names={"value": ("seed",)},
    ),
    Call(
        cross_entropy,
        lambda: {"logits": x(), "targets": np.array([0, 2]), "reduction": "mean"},
        takes={"logits": NUMBERS},
        names={"logits": ("targets",), "targets": ("Class numbers",)},
        raises=(RuntimeWarning,),
    ),
    Call(
        cross_entropy,
        lambda: {"logits": x(), "targets": np.array([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0]])},
        takes={"logits": NUMBERS},
        names={"logits": ("targets",)},
        raises=(RuntimeWarning,),
    ),
    *(
        Call(
            operator(name, symbol),
            lambda: {"a": x(), "b": x() + 1},
            takes={"*": ANY_ARRAY},  # shapes are broadcast
            names=dict.fromkeys("ab", ("x", "value", "operands")),  # an operator has no names for its sides
            raises=(RuntimeWarning,),
        )
        for name, symbol in OPERATORS.items()
    ),
    Call(
        operator("@", lambda a, b: a @ b),
        lambda: {"a": x(), "b": x().T + 1},
        takes={"*": ANY_ARRAY},
        names=dict.fromkeys("ab", ("x", "value", "shapes", "operands")),
        raises=(RuntimeWarning,),
    ),
    *(
        Call(
            method(name),
            lambda argument=argument: {"x": x(), "argument": argument},
            takes={"x": (*ANY_ARRAY, "nan vanishes"), "argument": takes},  # an index may leave it out
            names={"x": ("value", *words), "argument": words},
            raises=(RuntimeWarning, IndexError),
        )
        for name, argument, words, takes in METHODS
    ),
    Call(
        recorded,
        lambda: {"op": "twice", "value": 2 * x(), "pull": (Variable(x()), lambda g: 2 * g)},
        takes={"op": ANY_TEXT, "value": (*NUMBERS, "one more dimension")},
        names={"value": ("gradient",), "pull": ("pulls", "lambda")},
    ),
    Call(topological_order, lambda: {"node": network()}),
    Call(autodiff.stored_arrays, lambda: {"node": network()}),
    Call(autodiff.graph, lambda: {"node": network()}),
    Call(bytes_of_a_kind, lambda: {"node": network(), "kind": "parameter"}, names={"kind": ("kinds",)}),
    Call(
        unbroadcast,
        lambda: {"gradient": x(), "shape": (1, 3)},
        takes={"gradient": ANY_ARRAY, "shape": ("empty", "entry missing")},
    ),
    Call(default_step, lambda: {"x": x()}, takes={"x": ANY_ARRAY}),
    Call(
        numerical_gradient,
        lambda: {"f": lambda x: (x**2).sum(), "x": x(), "step": 1e-5},
        takes={"x": ("negative", *SHAPES), "step": ("None",)},
        names={"f": ("lambda",)},  # it is the reader's, and so are its errors
        raises=(RuntimeWarning,),
    ),
    Call(
        numerical_gradient,
        lambda: {"f": lambda x: (x**2).sum(), "x": torch.tensor(x())},
        takes={"x": ("negative", "huge", "number", *SHAPES)},
        names={"f": ("lambda",)},
    ),
    Call(relative_error, lambda: {"a": x(), "b": x() + 1}, takes={"*": NUMBERS}),
    Call(
        compare_gradients,
        lambda: {"gradients": {"W": x()}, "reference": {"W": x() + 1e-9}},
        takes={"*": entries(*NUMBERS)},
        names={"*": (), "gradients": ("W", "gradient"), "reference": ("W",)},
    ),
]
EXEMPT = {
    "gradcheck.GradientRow": "a record: `compare_gradients` makes it",
    "gradcheck.GradientReport": "a record: `compare_gradients` makes it",
}
