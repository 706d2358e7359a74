"""What does a recorded sweep say between its points? It answers at once where a training run would take time."""

from torch import Tensor


def read_surface(table: Tensor, u: Tensor, v: Tensor) -> Tensor:
    r"""Return the values of a table at fractions of its axes, by bilinear interpolation.

    .. math:: f(u, v) = \sum_{i, j} \max(0, 1 - |u\,(m-1) - i|)\, \max(0, 1 - |v\,(n-1) - j|)\; T_{ij}

    Args:
        table: [..., m, n], m and n at least 2; rows are at u = 0, 1/(m-1), ..., 1, columns likewise.
        u: fractions [points] of the rows' axis, in [0, 1]; for a geometric axis, of its logarithm.
        v: fractions [points] of the columns' axis.
    Returns: [..., points].
    Raises: ValueError: if a fraction lies outside of [0, 1] or an axis has one point: nothing is extrapolated.
    """
    m, n = table.shape[-2:]
    if min(m, n) < 2 or any(bool((f < 0).any() or (f > 1).any()) for f in (u, v)):
        raise ValueError("a surface is read at fractions in [0, 1] of axes of two or more points.")
    rows, columns = u * (m - 1), v * (n - 1)
    i, j = rows.long().clamp(max=m - 2), columns.long().clamp(max=n - 2)
    a, b = rows - i, columns - j
    upper = table[..., i, j] * (1 - b) + table[..., i, j + 1] * b
    lower = table[..., i + 1, j] * (1 - b) + table[..., i + 1, j + 1] * b
    return upper * (1 - a) + lower * a
