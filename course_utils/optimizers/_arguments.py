"""What may a rule be given, and an optimizer? Checks that never look at a tensor's numbers.

NaN and infinities in gradients come out of every rule again: to search for them at each step would cost as much as it.
"""

import functools
import inspect
import math
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
from torch import Tensor

from course_utils._checks import check_positive, check_probability
from course_utils._types import checked, describe

P = ParamSpec("P")
R = TypeVar("R")

DECAYS = ("momentum", "beta1", "beta2")  # all of [0, 1): at 1 an average would never take in a gradient
RATES = ("lr", "eps", "l2", "weight_decay")  # all >= 0


def rule(function: Callable[P, R]) -> Callable[P, R]:
    """Return `function` with its arguments checked: types as by `checked`, hyper-parameters that are numbers, shapes.

    Raises: ValueError: if lr, eps or a decay is out of its range, a gradient is not of real floating point numbers, or
        it has another shape than what the state remembers.
    """
    names = list(inspect.signature(function).parameters)

    @functools.wraps(function)
    def ranged(*args: P.args, **kwargs: P.kwargs) -> R:
        given: dict[str, Any] = dict(zip(names, args, strict=False)) | kwargs
        for name, value in given.items():
            if not isinstance(value, Tensor):
                check_hyper(name, value)
            elif name in ("grad", "param"):
                check_real(name, value)
        if isinstance(given.get("grad"), Tensor):
            _check_state(given["grad"], given.get("state", ()))
        return function(*args, **kwargs)

    return checked(ranged)


def _check_state(grad: Tensor, state: Any) -> None:
    """Raise ValueError unless what a state remembers has the shape of the gradient, or those that it says itself."""
    is_own = hasattr(state, "shapes_for")
    shapes = state.shapes_for(grad) if is_own else [grad.shape] * len(state)
    for moment, shape in zip(state, shapes, strict=True):
        if isinstance(moment, Tensor) and moment.shape != shape:
            found = tuple(moment.shape)
            needs = f"{tuple(shape)} in place of the {found}" if is_own else f"the shape {found}"
            raise ValueError(
                f"grad needs {needs} that its state remembers, got {tuple(grad.shape)}. "
                "Begin with a new state of the parameter."
            )


def check_hyper(name: str, value: Any, largest: float = math.inf) -> None:
    """Raise TypeError or ValueError unless a hyper-parameter is a number in its range; other names pass.

    Args:
        name: of DECAYS or RATES, else nothing is known.
        value: what it is set to.
        largest: of a rate; a number that the parameters' dtype cannot hold would not be one to torch either.
    """
    if name not in DECAYS and name not in RATES:
        return
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise TypeError(f"{name} must be a number, got {name}={describe(value)}.")
    if name in DECAYS:
        check_probability(name, value, below_one=True)  # type: ignore[arg-type]
    else:
        check_positive(name, value, strict=False)  # type: ignore[arg-type]
        if value > largest:
            raise ValueError(
                f"{name} must be a number of the dtype of params, up to {largest:.3g}, got {value!r}."
            )


def check_real(name: str, tensor: Tensor) -> None:
    """Raise ValueError unless a tensor is of real floating point numbers."""
    if not tensor.is_floating_point():
        raise ValueError(f"{name} must hold real floating point numbers, got {describe(tensor)}. Use .float(), or "
                         "torch.view_as_real for complex ones.")  # fmt: skip


def check_matrix(name: str, matrix: Tensor) -> None:
    """Raise ValueError unless a tensor is a matrix of real numbers, or a stack of such."""
    check_real(name, matrix)
    if matrix.ndim < 2:
        raise ValueError(
            f"{name} must have two or more axes [..., m, n], got the shape {tuple(matrix.shape)}."
        )


def check_matrices(method: str, params: Iterable[Any]) -> None:
    """Raise ValueError unless all parameters of a checked list are matrices, which the method needs."""
    for param in map(tensor_of, params):
        if param.ndim != 2:
            raise ValueError(
                f"params of {method} must be matrices [m, n], got shape {tuple(param.shape)}; give biases to AdamW."
            )


def check_count(name: str, value: Any, largest: int, usual: int) -> None:
    """Raise ValueError unless a number of steps is a whole one from 1 to `largest`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 1 <= value <= largest:
        raise ValueError(
            f"{name} must be a whole number from 1 to {largest}, got {name}={value!r}: {usual} is usual."
        )


def least_range(params: Iterable[Any]) -> float:
    """Return the largest number that all parameters of a checked list can hold; infinite for none."""
    return min((torch.finfo(tensor_of(entry).dtype).max for entry in params), default=math.inf)


def tensor_of(entry: Any) -> Any:
    """Return what an entry of a list of parameters is about: itself, or the second of (name, parameter)."""
    return entry[1] if isinstance(entry, tuple) and len(entry) == 2 else entry


def list_parameters(params: Any) -> list[Any]:
    """Return parameters as a list, after checking that they are different leaves of real numbers.

    An entry may be (name, parameter), as for torch.optim, which says the same of leaves without saying which parameter
    it is, and only warns of one that comes twice.

    Raises: TypeError: if they are not tensors, or have no order; ValueError: if one cannot be moved by real numbers.
    """
    if not isinstance(params, Iterable) or isinstance(params, set):
        raise TypeError(f"params must be a list of tensors, got {describe(params)}.")
    entries = [params] if isinstance(params, Tensor) else list(params)
    seen: set[int] = set()
    for k, entry in enumerate(entries):
        param = tensor_of(entry)
        if not isinstance(param, Tensor):
            raise TypeError(f"params must hold tensors, number {k} is {describe(param)}.")
        check_real(f"params, number {k},", param)
        if not (param.is_leaf or param.retains_grad):
            raise ValueError(f"params must be leaves, number {k} was computed from other tensors: {describe(param)}. "
                             "Pass model.parameters(), or its .detach().requires_grad_().")  # fmt: skip
        if id(param) in seen:
            raise ValueError(
                f"params must hold each parameter once, number {k} came before: it would move twice."
            )
        seen.add(id(param))
    return entries
