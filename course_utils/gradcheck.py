"""Is this gradient right? Compare it with a difference quotient, entry by entry.

Works on NumPy arrays and on torch tensors, in float64 only: a difference quotient loses two thirds of the digits, and
float32 has seven. The step is derived and not tuned: `default_step` balances the two errors of the quotient.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from course_utils._checks import check_positive, check_same_shape
from course_utils._types import checked, describe

Array = NDArray[np.float64]
_EPS = float(np.finfo(np.float64).eps)
_ROW = "{:<12} {:>13} {:>13}  {:<12} {:>14} {:>14}"


@checked
def default_step(x: Array) -> Array:
    r"""Return the step that balances truncation and rounding of a central difference, entry by entry.

    .. math:: E(h) \approx \tfrac{h^2}{6}|f'''| + \tfrac{\varepsilon}{h}|f|
              \quad\Rightarrow\quad h^* = \Bigl(\tfrac{3\varepsilon|f|}{|f'''|}\Bigr)^{1/3}
              \sim \varepsilon^{1/3}\max(1, |x_i|)

    The last step takes f and f''' to be of the same order once x is measured in its own unit; the error is then of
    order :math:`\varepsilon^{2/3} \approx 4\cdot10^{-11}` relative to f. Notebook 02, eq. 2.27.
    """
    step: Array = _EPS ** (1 / 3) * np.maximum(1.0, np.abs(x))
    return step


@checked
def numerical_gradient(f: Callable[[Any], Any], x: Any, *, step: float | None = None) -> Any:
    r"""Estimate the gradient of a scalar function by central differences, one entry at a time.

    .. math:: \frac{\partial f}{\partial x_i} = \frac{f(x + h e_i) - f(x - h e_i)}{2h} + O(h^2)

    Costs two evaluations of f per entry: a check for small arrays, never a way to train.

    Args:
        f: maps an array of the kind and shape of `x` to one number. What it raises comes through.
        x: NumPy array or torch tensor, float64, finite, any shape; left as it is.
        step: h > 0 for every entry; None takes `default_step(x)`.
    Returns: the gradient, of the kind (and device) and shape of `x`.
    Raises: ValueError: if `x` is not float64 or not finite, the step is not positive, or f returns more than one
        number.
    """
    start = _as_array("x", x)
    if not np.isfinite(start).all():
        raise ValueError("x must be finite: no difference quotient exists at infinity or NaN.")
    if step is not None:
        check_positive("step", step)
    steps = default_step(start) if step is None else np.full(start.shape, step)
    gradient = np.empty_like(start)
    for index in np.ndindex(start.shape):
        above, below = start.copy(), start.copy()
        above[index] += steps[index]
        below[index] -= steps[index]
        # Divide by the distance that was reached: x + h is rounded, and h itself is not what lies between the points.
        distance = above[index] - below[index]
        gradient[index] = (_evaluate(f, above, x) - _evaluate(f, below, x)) / distance
    return _like(x, gradient)


@checked
def relative_error(a: Any, b: Any) -> Array:
    r"""Return :math:`|a-b| / \max(|a|, |b|)` entry by entry, 0 where both are 0; in [0, 2].

    It is NaN where one of them is not finite.

    Raises: ValueError: if the shapes differ, or one is not float64.
    """
    first, second = _as_array("a", a), _as_array("b", b)
    check_same_shape(a=first, b=second)
    with np.errstate(invalid="ignore"):  # infinity minus infinity
        difference, scale = np.abs(first - second), np.maximum(np.abs(first), np.abs(second))
        # `~(scale <= 0)` and not `scale > 0`: NaN stays NaN
        return np.divide(difference, scale, out=np.zeros_like(difference), where=~(scale <= 0))


@dataclass(frozen=True)
class GradientRow:
    """How far one gradient is from its reference. `index` is where the absolute error is largest."""

    name: str
    max_abs_error: float
    max_rel_error: float
    index: tuple[int, ...]
    value: float
    reference: float


@dataclass(frozen=True)
class GradientReport:
    """The rows of a comparison, one per parameter; printing it shows a table."""

    rows: tuple[GradientRow, ...]

    @property
    def max_abs_error(self) -> float:
        """Largest absolute error over all parameters; NaN if any entry is NaN."""
        return float(np.max([row.max_abs_error for row in self.rows]))

    @property
    def max_rel_error(self) -> float:
        """Largest relative error over all entries of all parameters; NaN if any entry is NaN."""
        return float(np.max([row.max_rel_error for row in self.rows]))

    def __str__(self) -> str:
        lines = [_ROW.format("name", "max abs error", "max rel error", "at index", "value", "reference")]
        lines += [
            _ROW.format(row.name, f"{row.max_abs_error:.1e}", f"{row.max_rel_error:.1e}", _place(row.index),
                        f"{row.value:.6g}", f"{row.reference:.6g}")
            for row in self.rows
        ]  # fmt: skip
        return "\n".join(line.rstrip() for line in lines)


@checked
def compare_gradients(gradients: Any, reference: Any) -> GradientReport:
    """Compare gradients with their reference and return a table: errors, where the worst one is, both values.

    Args:
        gradients: {name: array or tensor}, or one array; float64.
        reference: the same names and shapes.
    Returns: a report; `report.max_abs_error` and `report.max_rel_error` are what a test compares with its band.
    Raises: ValueError: if the names differ, or a shape does: a gradient has the shape of its parameter.
    """
    mine = _named(gradients)
    theirs = _named(reference)
    if mine.keys() != theirs.keys():
        raise ValueError(
            f"Both sides need the same names, got gradients {[*mine]} and reference {[*theirs]}. "
            "A parameter without a gradient took no part in the loss."
        )
    return GradientReport(tuple(_compare(name, mine[name], theirs[name]) for name in mine))


def _compare(name: str, gradient: Any, reference: Any) -> GradientRow:
    a, b = _as_array(name, gradient), _as_array(name, reference)
    if a.shape != b.shape:
        raise ValueError(
            f"The gradient of {name} has shape {a.shape}, its reference {b.shape}. A gradient has the shape of its "
            "parameter: look for a missing transpose or a missing sum over the batch."
        )
    if a.size == 0:
        raise ValueError(f"{name} has no entries: shape {a.shape}. Leave it out of the comparison.")
    with np.errstate(invalid="ignore"):  # infinity minus infinity is NaN, and the worst error
        difference = np.abs(a - b)
    index = tuple(int(i) for i in np.unravel_index(np.argmax(difference), a.shape))
    return GradientRow(name, float(difference[index]), float(np.max(relative_error(a, b))), index, float(a[index]),
                       float(b[index]))  # fmt: skip


def _place(index: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, index))}]"


def _named(gradients: Any) -> dict[str, Any]:
    return dict(gradients) if isinstance(gradients, Mapping) else {"gradient": gradients}


def _as_array(name: str, value: Any) -> Array:
    """Return a float64 view or copy of an array or tensor; refuse other precisions instead of widening them."""
    array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    if array.dtype != np.float64:
        raise ValueError(
            f"{name} must be float64, got {array.dtype}: a difference quotient loses two thirds of the digits. "
            "Use x.double() or x.astype(float)."
        )
    return array


def _like(x: Any, values: Array) -> Any:
    """Return `values` as the kind of `x`: a tensor on its device, or an array."""
    return x.new_tensor(values) if hasattr(x, "new_tensor") else values


def _evaluate(f: Callable[[Any], Any], point: Array, x: Any) -> float:
    value = f(_like(x, point))
    result = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    if result.size != 1 or result.dtype.kind not in "biuf":
        raise ValueError(f"f must return one number, got {describe(value)}. Sum or average its outputs.")
    number = float(result.reshape(()))
    if not math.isfinite(number):
        raise ValueError(f"f returned {number} near x: no difference quotient exists there.")
    return number
