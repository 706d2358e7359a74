"""Which operators can be differentiated? Each forward value stands beside its local derivatives.

The pattern of every method: `record(label, forward value, (parent, local derivative, *what it keeps), ...)`. In a local
derivative, `g` is the gradient of the result, and the arguments after it are what was kept from the forward pass.
"""

import reprlib
from typing import Any, Union

import numpy as np
from numpy.typing import ArrayLike

from course_utils._types import checked
from course_utils.autodiff.engine import Array, Node, Pull

Operand = Union["Variable", ArrayLike]
Axis = int | tuple[int, ...] | None


def as_variable(x: Operand) -> "Variable":
    """Return `x` itself, or a constant (no gradient) that holds it."""
    return x if isinstance(x, Variable) else Variable(x, requires_grad=False)


def record(op: str, value: Array, *pulls: tuple[Any, ...]) -> "Variable":
    """Return the result of an operation with its local derivatives.

    Args:
        op: short label of the operation, drawn in graphs.
        value: the forward value.
        pulls: one (parent, vjp, *kept) per parent, in order. `kept` is dropped where the parent needs no gradient:
            this is why data and frozen weights save memory.
    Raises: TypeError: if the label or a pull is something else.
    """
    if not isinstance(op, str):
        raise TypeError(f"op must be a string, got op={reprlib.repr(op)}.")
    for pull in pulls:
        if not (isinstance(pull, tuple) and len(pull) > 1 and isinstance(pull[0], Node)):
            raise TypeError(
                f"pulls must be (parent, vjp, *kept), the parent a Node, got {reprlib.repr(pull)}."
            )
    result = Variable(value, requires_grad=any(parent.requires_grad for parent, *_ in pulls))
    result.op = op
    result.pulls = tuple(
        Pull(parent, vjp, tuple(kept) if parent.requires_grad else ()) for parent, vjp, *kept in pulls
    )
    return result


class Variable(Node):
    """A float64 array with NumPy's operators, which can be differentiated: `Variable(value, name="")`."""

    __array_ufunc__ = None  # lets `array * variable` reach __rmul__ below instead of NumPy's elementwise loop

    def __add__(self, other: Operand) -> "Variable":
        a, b = self, as_variable(other)
        return record("+", a.value + b.value, (a, lambda g: g), (b, lambda g: g))

    def __sub__(self, other: Operand) -> "Variable":
        a, b = self, as_variable(other)
        return record("−", a.value - b.value, (a, lambda g: g), (b, lambda g: -g))

    def __mul__(self, other: Operand) -> "Variable":
        a, b = self, as_variable(other)
        return record(
            "⊙", a.value * b.value,
            (a, lambda g, b: g * b, b.value),
            (b, lambda g, a: g * a, a.value),
        )  # fmt: skip

    def __truediv__(self, other: Operand) -> "Variable":
        a, b = self, as_variable(other)
        return record(
            "÷", a.value / b.value,
            (a, lambda g, b: g / b, b.value),
            (b, lambda g, a, b: -g * a / b**2, a.value, b.value),
        )  # fmt: skip

    def __neg__(self) -> "Variable":
        return record("neg", -self.value, (self, lambda g: -g))

    def __pow__(self, exponent: Any) -> "Variable":
        if isinstance(exponent, bool) or not isinstance(exponent, int | float | np.integer | np.floating):
            raise ValueError(
                f"The exponent must be a number, got {reprlib.repr(exponent)}. Write exp(y * log(x))."
            )
        return record(
            f"^{exponent:g}", self.value**exponent,
            (self, lambda g, a: g * exponent * a ** (exponent - 1), self.value),
        )  # fmt: skip

    def __matmul__(self, other: Operand) -> "Variable":
        r"""Return the product of matrices, vectors or broadcast stacks of matrices.

        .. math:: C = AB \;\Rightarrow\; \bar A = \bar C B^\top, \quad \bar B = A^\top \bar C
        """
        a, b = self, as_variable(other)
        # A vector is a matrix of one row (left) or one column (right); the gradient is taken in that form.
        rows, columns = np.atleast_2d(a.value), b.value[:, None] if b.value.ndim == 1 else b.value
        _check_matmul(a.value, b.value)
        c = rows @ columns
        full, extra = c.shape, (-2,) * (a.value.ndim == 1) + (-1,) * (b.value.ndim == 1)

        def pull_a(g: Array, columns: Array) -> Array:
            return g.reshape(full) @ columns.swapaxes(-1, -2)

        def pull_b(g: Array, rows: Array) -> Array:
            grad: Array = rows.swapaxes(-1, -2) @ g.reshape(full)
            return grad.squeeze(-1) if -1 in extra else grad

        return record("@", c.squeeze(extra), (a, pull_a, columns), (b, pull_b, rows))

    def __getitem__(self, index: Any) -> "Variable":
        """Return the entries picked by `index`, copied; an entry picked twice receives both gradients."""
        shape = self.shape

        def pull(g: Array, index: Any) -> Array:
            gradient = np.zeros(shape)
            np.add.at(gradient, index, g)
            return gradient

        return record("[ ]", np.array(self.value[index]), (self, pull, index))

    def __radd__(self, other: ArrayLike) -> "Variable":
        return as_variable(other) + self

    def __rsub__(self, other: ArrayLike) -> "Variable":
        return as_variable(other) - self

    def __rmul__(self, other: ArrayLike) -> "Variable":
        return as_variable(other) * self

    def __rtruediv__(self, other: ArrayLike) -> "Variable":
        return as_variable(other) / self

    def __rmatmul__(self, other: ArrayLike) -> "Variable":
        return as_variable(other) @ self

    @checked
    def sum(self, axis: Axis = None, *, keepdims: bool = False) -> "Variable":
        """Return the sum over `axis` (None: all axes); every summand receives the gradient of its sum."""
        shape, kept = self.shape, self.value.sum(axis=axis, keepdims=True)
        value = kept if keepdims else np.asarray(kept.squeeze(axis))
        kept_shape = kept.shape  # the derivative keeps the shape and not the array
        return record("Σ", value, (self, lambda g: np.broadcast_to(g.reshape(kept_shape), shape)))

    @checked
    def mean(self, axis: Axis = None, *, keepdims: bool = False) -> "Variable":
        """Return the mean over `axis` (None: all axes); every entry receives 1/n of the gradient."""
        if self.value.size == 0:
            raise ValueError(f"A mean needs an entry, got an array of shape {self.shape}.")
        total = self.sum(axis, keepdims=keepdims)
        return total * (total.value.size / self.value.size)

    @checked
    def reshape(self, *shape: int) -> "Variable":
        """Return the same entries in another shape; -1 stands for the size that fits."""
        before = self.shape
        return record("reshape", self.value.reshape(shape), (self, lambda g: g.reshape(before)))

    @checked
    def transpose(self, *axes: int) -> "Variable":
        """Return the array with its axes permuted; without `axes` they are reversed."""
        order = axes or tuple(reversed(range(self.value.ndim)))
        value = self.value.transpose(order)
        back = tuple(int(i) for i in np.argsort([i % self.value.ndim for i in order]))
        return record("ᵀ", value, (self, lambda g: g.transpose(back)))

    @property
    def T(self) -> "Variable":
        """The array with its axes reversed."""
        return self.transpose()


def _check_matmul(a: Array, b: Array) -> None:
    if a.ndim == 0 or b.ndim == 0:
        raise ValueError(
            f"@ needs vectors or matrices, got shapes {a.shape} and {b.shape}. Use * for numbers."
        )
    inner = b.shape[0] if b.ndim == 1 else b.shape[-2]
    if a.shape[-1] != inner:
        raise ValueError(
            f"@ needs equal inner sizes, got shapes {a.shape} and {b.shape}: {a.shape[-1]} against {inner}. "
            "Is a transpose missing?"
        )
