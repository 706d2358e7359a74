"""What does a recorded sweep say between its points? It answers at once where a training run would take time."""

from torch import Tensor

from course_utils._checks import check_floating
from course_utils._types import checked


@checked
def read_surface(table: Tensor, u: Tensor, v: Tensor) -> Tensor:
    r"""Return the values of a table at fractions of its axes, by bilinear interpolation.

    .. math:: f(u, v) = \sum_{i, j} \max(0, 1 - |u\,(m-1) - i|)\, \max(0, 1 - |v\,(n-1) - j|)\; T_{ij}

    Args:
        table: [..., m, n], m and n at least 2; rows are at u = 0, 1/(m-1), ..., 1, columns likewise.
        u: fractions [points] of the rows' axis, in [0, 1]; for a geometric axis, of its logarithm.
        v: fractions [points] of the columns' axis.
    Returns: [..., points].
    Raises: ValueError: if a fraction lies outside of [0, 1] or an axis has one point: nothing is extrapolated; or if u
        and v have different shapes. TypeError: if one of the three holds no floating-point numbers.
    """
    check_floating(table=table, u=u, v=v)
    if table.ndim < 2 or min(table.shape[-2:]) < 2:
        raise ValueError(
            f"table needs two rows and columns or more, [..., m, n], got shape {tuple(table.shape)}."
        )
    if u.shape != v.shape:
        raise ValueError(
            f"u and v need one shape, a pair a point, got {tuple(u.shape)} and {tuple(v.shape)}."
        )
    for name, f in (("u", u), ("v", v)):
        if not bool(((f >= 0) & (f <= 1)).all()):
            raise ValueError(f"{name} needs fractions in [0, 1] of its axis: nothing is extrapolated.")
    m, n = table.shape[-2:]
    rows, columns = u * (m - 1), v * (n - 1)
    i, j = rows.long().clamp(max=m - 2), columns.long().clamp(max=n - 2)
    a, b = rows - i, columns - j
    upper = table[..., i, j] * (1 - b) + table[..., i, j + 1] * b
    lower = table[..., i + 1, j] * (1 - b) + table[..., i + 1, j + 1] * b
    return upper * (1 - a) + lower * a
