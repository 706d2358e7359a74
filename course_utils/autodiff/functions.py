"""Which functions can be differentiated? Each forward value stands beside its local derivative, as in `variable`.

Nobody looks at the numbers: where a value overflows or there is none, as in log(-1), NumPy warns with RuntimeWarning,
and infinity or NaN goes on.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from course_utils._checks import check_choice, check_shape
from course_utils._types import checked
from course_utils.autodiff.engine import Array
from course_utils.autodiff.variable import Operand, Variable, as_variable, record


@checked
def exp(x: Operand) -> Variable:
    """Return the exponential of x; it is its own derivative, so the result is what is kept."""
    a = as_variable(x)
    y = np.exp(a.value)
    return record("exp", y, (a, lambda g, y: g * y, y))


@checked
def log(x: Operand) -> Variable:
    """Return the natural logarithm of x > 0."""
    a = as_variable(x)
    return record("log", np.log(a.value), (a, lambda g, x: g / x, a.value))


@checked
def tanh(x: Operand) -> Variable:
    """Return the hyperbolic tangent y of x; its derivative 1 - y² needs the result only."""
    a = as_variable(x)
    y = np.tanh(a.value)
    return record("tanh", y, (a, lambda g, y: g * (1 - y**2), y))


@checked
def sigmoid(x: Operand) -> Variable:
    """Return y = 1 / (1 + exp(-x)) without overflow; its derivative y (1 - y) needs the result only."""
    a = as_variable(x)
    small = np.exp(-np.abs(a.value))  # in (0, 1]: exp never sees a positive argument
    y = np.where(a.value >= 0, 1.0, small) / (1.0 + small)
    return record("σ", y, (a, lambda g, y: g * y * (1 - y), y))


@checked
def relu(x: Operand) -> Variable:
    """Return y = max(x, 0); the derivative at 0 is taken as 0, as in torch. The result is kept: y > 0 where x > 0."""
    a = as_variable(x)
    y = np.maximum(a.value, 0.0)
    return record("relu", y, (a, lambda g, y: g * (y > 0), y))


@checked
def squared_norm(x: Operand) -> Variable:
    r"""Return the squared Frobenius norm, :math:`\|x\|_F^2 = \sum_i x_i^2`, a number; its gradient is 2x."""
    a = as_variable(x)
    return record("‖·‖²", np.asarray(np.square(a.value).sum()), (a, lambda g, x: 2 * g * x, a.value))


@checked
def cross_entropy(logits: Operand, targets: Operand, *, reduction: str = "mean") -> Variable:
    r"""Return the cross-entropy between targets and softmax(logits), without overflow.

    .. math:: \ell(o, y) = -\sum_k y_k \log p_k, \quad \log p_k = o_k - m - \log\sum_j e^{o_j - m}, \quad m = \max_k o_k
    .. math:: \frac{\partial \ell}{\partial o} = p - y

    Args:
        logits: shape (..., classes).
        targets: class numbers of shape (...), or probabilities of the shape of `logits` that sum to 1; constants.
        reduction: "mean" over all leading axes, or "sum".
    Returns: a number, in nats.
    Raises: ValueError: if the shapes disagree, a class number is out of range, or the reduction is unknown.
    Source: the derivation is in notebook 02, eq. 2.10.
    """
    check_choice("reduction", reduction, ("mean", "sum"))
    o = as_variable(logits)
    y = _as_probabilities(targets, o.shape)
    shifted = o.value - o.value.max(axis=-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    n = 1 if reduction == "sum" else log_p[..., 0].size
    value = np.asarray(-(y.value * log_p).sum() / n)
    # The targets are drawn in the graph, but nothing goes back to them.
    return record("ℓ", value, (o, lambda g, p, y: g * (p - y) / n, np.exp(log_p), y.value), (y, None))


def _as_probabilities(targets: Operand, shape: tuple[int, ...]) -> Variable:
    """Return targets as constant probabilities of `shape`: class numbers become one-hot rows."""
    if isinstance(targets, Variable) and targets.requires_grad:
        raise ValueError("targets must be constants: make them with requires_grad=False.")
    given: NDArray[Any] = targets.value if isinstance(targets, Variable) else np.asarray(targets)
    if np.issubdtype(given.dtype, np.integer):
        return Variable(_one_hot(given, shape), "y", requires_grad=False)
    check_shape("targets", given.shape, shape)
    if not (np.all(given >= 0) and np.allclose(given.sum(axis=-1), 1.0)):
        raise ValueError("targets given as probabilities must be >= 0, and must sum to 1 over the last axis.")
    return as_variable(targets)


def _one_hot(labels: NDArray[np.integer[Any]], shape: tuple[int, ...]) -> Array:
    *leading, classes = shape
    check_shape("targets", labels.shape, leading)
    if labels.size and not 0 <= labels.min() <= labels.max() < classes:
        raise ValueError(f"Class numbers must lie in [0, {classes}), got {labels.min()} to {labels.max()}.")
    rows: Array = np.eye(classes)[labels]
    return rows
