"""At which learning rate does it tip over? Contraction per step, and where runs end up, against the learning rate."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from course_utils.plotting._base import BLACK, METHOD_COLORS, new_axes, styled


@styled
def plot_rates(
    lrs: ArrayLike,
    predicted: Mapping[str, ArrayLike],
    *,
    measured: Mapping[str, tuple[ArrayLike, ArrayLike]] | None = None,
    limits: Mapping[str, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw by which factor a step shrinks the distance to the minimum: the formula as a line, runs as dots on it.

    Args:
        lrs: [L], of the predicted curves.
        predicted: label -> [L], the factor per step; above 1 the distance grows.
        measured: label -> (learning rates, factors), drawn as dots in the colour of the curve of this label.
        limits: label -> learning rate at which the curve is predicted to cross 1.
        ax: where to draw; None makes a new figure.
    """
    ax = new_axes() if ax is None else ax
    for name, factors in predicted.items():
        (line,) = ax.plot(np.asarray(lrs), np.asarray(factors), label=name, color=METHOD_COLORS.get(name))
        if measured is not None and name in measured:
            ax.plot(
                *(np.asarray(values) for values in measured[name]),
                "o",
                color=line.get_color(),
                mec="white",
                ms=7,
            )
        if limits is not None and name in limits:
            ax.plot(
                limits[name], 1.0, "D", color=line.get_color(), mec="black", ms=8, clip_on=False, zorder=4
            )
    ax.axhline(1.0, color=BLACK, linestyle="--", lw=1.2)
    ax.annotate("no progress", (0.01, 1.0), xycoords=ax.get_yaxis_transform(), va="bottom", fontsize=10)
    ax.set(xlabel="learning rate", ylabel="factor per step")
    ax.legend(fontsize=10)
    return ax


@styled
def plot_attractor(
    lrs: ArrayLike,
    visits: ArrayLike,
    *,
    predicted: tuple[ArrayLike, ArrayLike] | None = None,
    limit: float | None = None,
    name: str = "SGD",
    ylabel: str = "w1 at the last steps",
    ax: Axes | None = None,
) -> Axes:
    """Draw every place that late steps visit against the learning rate: one dot where it settles, a cloud where not.

    Args:
        lrs: [L].
        visits: [steps, L], one coordinate at the last steps of each run.
        predicted: (learning rates, amplitudes a) of a cycle from a to -a, drawn as two dashed lines.
        limit: learning rate beyond which nothing is predicted to settle, a dotted line.
        name: method, gives the colour.
        ylabel: what is visited.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if `visits` does not have one column per learning rate.
    """
    rates, places = np.asarray(lrs, dtype=float), np.asarray(visits, dtype=float)
    if places.ndim != 2 or places.shape[1] != rates.size:
        raise ValueError(
            f"visits needs shape (steps, {rates.size}), one column per learning rate, got {places.shape}."
        )
    ax = new_axes() if ax is None else ax
    across = np.broadcast_to(rates, places.shape)
    ax.plot(across.ravel(), places.ravel(), ",", color=METHOD_COLORS.get(name), alpha=0.6)
    if predicted is not None:
        at, amplitude = (np.asarray(values, dtype=float) for values in predicted)
        ax.plot(at, amplitude, color=BLACK, linestyle="--", lw=1.3, label="predicted cycle")
        ax.plot(at, -amplitude, color=BLACK, linestyle="--", lw=1.3)
    if limit is not None:
        ax.axvline(limit, color=BLACK, linestyle=":", lw=1.6, label=f"predicted limit {limit:g}")
    ax.set(xlabel="learning rate", ylabel=ylabel, xlim=(rates.min(), rates.max()), title=name)
    ax.legend(loc="upper left", fontsize=10)
    return ax
