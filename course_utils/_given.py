"""Who is to blame when a function that was passed in fails? The errors say which one, on what, and what it said itself.

A network, a loss or a product is called from deep inside; torch's own error then speaks of matrices that the caller
never made. Here it becomes a ValueError that names the argument, with torch's error as its cause.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from course_utils._types import describe


def call_given(name: str, function: Callable[..., Any], on: str, *arguments: Any) -> Any:
    """Return `function(*arguments)`; what it raises becomes a ValueError.

    Args:
        name: of the argument that the function is.
        function: called.
        on: what it is called on, in the caller's words: "x", "the point w".
        arguments: passed on; the first is described in the message.
    """
    try:
        return function(*arguments)
    except Exception as error:
        raise ValueError(
            f"{name} failed on {on}, {describe(arguments[0])}: {type(error).__name__}: {error}"
        ) from error


def vector_function(name: str, function: Callable[[Tensor], Tensor], on: str) -> Callable[[Tensor], Tensor]:
    """Return a function of vectors that raises ValueError unless `function` gives a vector of the same kind."""

    def same_kind(v: Tensor) -> Tensor:
        result = call_given(name, function, on, v)
        if not isinstance(result, Tensor) or result.shape != v.shape or result.dtype != v.dtype:
            raise ValueError(
                f"{name} must return what it is given for {on}, {describe(v)}, got {describe(result)}."
            )
        return result

    return same_kind


def number_function(name: str, function: Callable[[Tensor], Tensor], on: str) -> Callable[[Tensor], Tensor]:
    """Return a function that raises ValueError unless `function` gives one real number, as a tensor."""
    return lambda w: check_number(name, call_given(name, function, on, w))


def check_number(name: str, result: object) -> Tensor:
    """Return a result without axes, or raise ValueError unless it is a tensor that holds one real number."""
    if not isinstance(result, Tensor) or result.numel() != 1 or not result.is_floating_point():
        raise ValueError(
            f"{name} must return one number, a floating-point tensor without axes, got {describe(result)}."
        )
    return result.reshape(())


def check_differentiable(name: str, number: Tensor, of: str) -> None:
    """Raise ValueError unless a result has a graph behind it."""
    if not number.requires_grad:
        raise ValueError(
            f"{name} must be computed from {of}, its result does not depend on it: .item(), .detach() and NumPy cut "
            "it off."
        )


def loss_of(
    model: nn.Module,
    state: Mapping[str, Tensor],
    x: Tensor,
    y: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    """Return loss(model(x), y) with `state` in place of the model's own parameters and buffers.

    Raises: ValueError: if the model cannot take x, the loss cannot compare its output with y, or gives no number.
    """
    output = call_given(
        "model", lambda inputs: torch.func.functional_call(model, dict(state), (inputs,)), "x", x
    )
    return check_number(
        "loss", call_given("loss", loss, f"y, {describe(y)}, and the model's output of x", output, y)
    )
