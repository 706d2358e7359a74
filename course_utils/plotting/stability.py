"""At which learning rate does it tip over? Factors per step, where runs end up, and the sharpness they end up with.

The prediction is in every figure: a factor of 1, a cycle, or the line 2/lr.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import ArrayLike, NDArray

from course_utils.plotting._base import (
    BLACK,
    BLUE,
    GREEN,
    METHOD_COLORS,
    VERMILION,
    axes_for,
    grid_for,
    method_look,
    styled,
)
from course_utils.plotting._records import (
    check_labels,
    check_most,
    check_numbers,
    check_some,
    curves_of,
    line_of,
    numbers,
    pairs_of,
    runs_of,
)


def _columns(
    name: str, values: ArrayLike, lrs: ArrayLike, *, rule: str = "finite", gaps: bool = False
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return the learning rates, the rate of every value, and the values, checked to have a column per rate."""
    rates = numbers("lrs", lrs, None, rule="> 0")
    table = numbers(name, values, None, ("lrs", rates.size), rule=rule, gaps=gaps)
    return rates, np.broadcast_to(rates, table.shape), table


def _label_1_2_5(axis: Axis) -> None:
    """Write 0.1, 0.2, 0.5, 1, ... along a logarithmic axis that spans too little for powers of ten."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


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
        limits: label -> learning rate at which the curve is predicted to cross 1; some may have no curve here.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if a measurement or every limit belongs to no curve, or a rate has not one finite factor.
    """
    rates = numbers("lrs", lrs, None, rule=">= 0")
    curves = curves_of("predicted", predicted, ("lrs", rates.size))
    check_labels("measured", measured, "predicted", predicted)
    pairs_of("measured", measured or None, x_rule=">= 0", runs=False)
    check_some("limits", limits, "predicted", predicted)
    curves_of("limits", limits or None, rule="> 0")
    ax = axes_for(ax)
    for name, factors in curves.items():
        (line,) = ax.plot(rates, factors, label=name, **method_look(name))
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
        visits: [steps, L], one coordinate at the last steps of each run; NaN for a run that diverged.
        predicted: (learning rates, amplitudes a) of a cycle from a to -a, drawn as two dashed lines.
        limit: learning rate beyond which nothing is predicted to settle, a dotted line.
        name: method, gives the colour.
        ylabel: what is visited.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if `visits` does not have one column per learning rate, or the rates do not increase.
    """
    rates, across, places = _columns("visits", visits, line_of("lrs", lrs), gaps=True)
    if predicted is not None:
        at = numbers("learning rates of predicted", predicted[0], None, rule="> 0")
        amplitude = numbers("amplitudes of predicted", predicted[1], ("its learning rates", at.size))
    check_numbers("> 0", limit=limit)
    ax = axes_for(ax)
    ax.plot(across.ravel(), places.ravel(), ",", color=METHOD_COLORS.get(name), alpha=0.6)
    if predicted is not None:
        ax.plot(at, amplitude, color=BLACK, linestyle="--", lw=1.3, label="predicted cycle")
        ax.plot(at, -amplitude, color=BLACK, linestyle="--", lw=1.3)
    if limit is not None:
        ax.axvline(limit, color=BLACK, linestyle=":", lw=1.6, label=f"predicted limit {limit:g}")
    ax.set(xlabel="learning rate", ylabel=ylabel, xlim=(rates.min(), rates.max()), title=name)
    if predicted is not None or limit is not None:
        ax.legend(loc="upper left", fontsize=9, frameon=True, framealpha=0.95)
    return ax


@styled
def plot_final_sharpness(
    lrs: ArrayLike,
    sharpness: ArrayLike,
    *,
    lowest: float | None = None,
    name: str = "SGD",
    ax: Axes | None = None,
) -> Axes:
    """Draw how sharp the minima are at which runs came to rest, one dot a run, below the line 2/lr.

    Args:
        lrs: [L].
        sharpness: [runs, L], the top eigenvalue of the Hessian at the end; NaN for a run that came to no rest.
        lowest: sharpness of the flattest minimum there is, a dotted line.
        name: method, gives the colour.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if `sharpness` does not have one column per learning rate, or a number is not positive.
    """
    rates, across, ends = _columns("sharpness", sharpness, lrs, rule="> 0", gaps=True)
    check_numbers("> 0", lowest=lowest)
    ax = axes_for(ax)
    label = f"{name}, one dot a run"
    ax.plot(across.ravel(), ends.ravel(), ".", ms=3, color=METHOD_COLORS.get(name), label=label)
    fine = np.geomspace(rates.min(), rates.max(), 200)
    ax.plot(fine, 2 / fine, color=BLACK, linestyle="--", lw=1.5, label="predicted limit 2/lr")
    if lowest is not None:
        ax.axhline(lowest, color=BLACK, linestyle=":", lw=1.5, label=f"flattest minimum, {lowest:g}")
    ax.set(xscale="log", yscale="log", xlabel="learning rate", ylabel="sharpness at the end")
    _label_1_2_5(ax.xaxis)
    _label_1_2_5(ax.yaxis)
    ax.legend(fontsize=10)
    return ax


@styled
def plot_sharpness(
    steps: ArrayLike,
    sharpness: Mapping[float, ArrayLike],
    losses: Mapping[float, ArrayLike],
    *,
    loss_name: str = "training loss (squared error)",
    axes: Sequence[Axes] | None = None,
) -> Axes:
    """Draw loss and sharpness against the step, with 2/lr drawn in for each learning rate, and return the left Axes.

    Args:
        steps: [points] at which the sharpness was measured.
        sharpness: learning rate -> [seeds, points], the top eigenvalue of the Hessian; three learning rates at most.
        losses: learning rate -> [seeds, T], the loss of every step; each seed is a thin line, with a gap where it is
            not finite.
        loss_name: which loss, with its unit.
        axes: two Axes, for the loss and for the sharpness; None makes a new figure.
    Raises: ValueError: if a learning rate or a loss is not positive, or a rate has no losses or no value for a point.
    """
    check_most("sharpness", sharpness, 3)
    check_labels("sharpness", sharpness, "losses", losses)
    check_labels("losses", losses, "sharpness", sharpness)
    numbers("learning rates of sharpness", list(sharpness), None, rule="> 0")
    side = ("steps", numbers("steps", steps, None, rule=">= 0").size)
    for lr, curves in sharpness.items():
        runs_of(f"sharpness[{lr:g}]", curves, side)
        runs_of(f"losses[{lr:g}]", losses[lr], None, rule="> 0", gaps=True)
    left, right = grid_for(axes, 1, 2, of="losses and sharpness", figsize=(9.6, 3.8))
    for color, (lr, runs) in zip((BLUE, VERMILION, GREEN), sharpness.items(), strict=False):
        for number, loss in enumerate(np.atleast_2d(np.asarray(losses[lr], dtype=float))):
            left.plot(loss, color=color, lw=0.8, alpha=0.7, label=None if number else f"lr {lr:g}")
        curves = np.atleast_2d(np.asarray(runs, dtype=float))
        right.plot(np.asarray(steps), curves.T, color=color, lw=1.3, alpha=0.8)
        right.plot([], [], color=color, label=f"lr {lr:g} (n = {len(curves)})")
        right.axhline(2 / lr, color=color, linestyle="--", lw=1.3)
        right.annotate(f" 2/lr = {2 / lr:g}", (1, 2 / lr), xycoords=right.get_yaxis_transform(), va="center",
                       color=color, annotation_clip=False)  # fmt: skip
    left.set(xlabel="step", ylabel=loss_name, yscale="log")
    right.set(xlabel="step", ylabel="sharpness (top Hessian eigenvalue)", ylim=(0, None))
    _label_1_2_5(left.yaxis)
    for ax in (left, right):
        ax.legend(fontsize=9)
    return left
