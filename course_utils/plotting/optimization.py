"""Which optimizer, at which learning rate, by how much? Figures of optimizers that show the spread they rest on."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from course_utils.plotting._base import (
    GREY,
    METHOD_COLORS,
    axes_for,
    draw_mean_and_range,
    method_look,
    styled,
)
from course_utils.plotting._records import (
    Numbers,
    check_filled,
    check_labels,
    check_length,
    check_numbers,
    check_some,
    curves_of,
    numbers,
)


@styled
def plot_lr_sensitivity(
    curves: Mapping[str, Sequence[tuple[float, Sequence[float]]]],
    *,
    chosen: Mapping[str, float] | None = None,
    chance: float | None = None,
    ylabel: str = "validation loss (nats)",
    ax: Axes | None = None,
) -> Axes:
    """Draw the final result against the learning rate: mean over seeds as a line, their range as a band.

    Args:
        curves: method -> [(lr > 0, one result per seed), ...]; results that are not finite leave a gap.
        chosen: method -> the learning rate selected, marked by a large dot on its curve; some may have no curve here.
        chance: the result of guessing, drawn as a dashed line; the axis goes from 0 to a little beyond it.
        ylabel: what the results are, with their unit.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if a learning rate is not positive, or a method has other numbers of seeds, or no finite result.
    """
    check_filled("curves", curves)
    drawn = {name: _points(name, points) for name, points in curves.items()}
    check_some("chosen", chosen, "curves", curves)
    curves_of("chosen", chosen or None, rule="> 0")
    check_numbers("> 0", chance=chance)
    ax = axes_for(ax)
    for name, (lrs, values) in drawn.items():
        mean = values.mean(axis=1)
        line = draw_mean_and_range(ax, lrs, values.T, label=name, marker=".")
        if chosen is not None and name in chosen:
            best = int(np.argmin(np.abs(np.log(lrs / chosen[name]))))
            ax.plot(lrs[best], mean[best], "o", ms=10, color=line.get_color(), mec="white")
    if chance is not None:
        ax.axhline(chance, color=GREY, linestyle="--", lw=1.2)
        ax.text(0.01, chance, "guessing", transform=ax.get_yaxis_transform(), va="bottom", color=GREY)
        ax.set_ylim(0, 1.15 * chance)
    ax.set(xscale="log", xlabel="learning rate", ylabel=ylabel)
    # the curves are valleys: the middle of the top is the emptiest place
    ax.legend(fontsize=9, loc="upper center", frameon=True, framealpha=0.85, edgecolor="none")
    return ax


def _points(name: str, points: Sequence[tuple[float, Sequence[float]]]) -> tuple[Numbers, Numbers]:
    """Return the learning rates and the results [lrs, seeds] of one method, checked."""
    lrs = numbers(f"learning rates of curves[{name!r}]", [lr for lr, _ in points], None, rule="> 0")
    seeds = len(points[0][1])
    for lr, results in points:
        check_length(f"curves[{name!r}] at {lr:g}", results, seeds, "the first learning rate's results")
    return lrs, numbers(f"curves[{name!r}]", [results for _, results in points], None, None, gaps=True)


@styled
def plot_loss_bands(
    losses: Mapping[str, ArrayLike],
    *,
    xlabel: str = "epoch",
    ylabel: str = "validation loss (nats)",
    ax: Axes | None = None,
) -> Axes:
    """Draw losses against time: mean over seeds as a line, their range as a band.

    Args:
        losses: method -> array [seeds, points], or [points]; the points are numbered from 1.
        xlabel: what is counted along the points.
        ylabel: which loss, with its unit.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if a method has no runs, or a loss is not finite.
    """
    curves = curves_of("losses", losses, None, None)
    ax = axes_for(ax)
    for name, runs in curves.items():
        time = np.arange(1, runs.shape[1] + 1)
        draw_mean_and_range(ax, time, runs, label=name)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(fontsize=9, ncols=2)
    return ax


@styled
def plot_effective_step(
    steps: Mapping[str, ArrayLike],
    *,
    predicted: Mapping[str, ArrayLike] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the size of each step in units of lr against its number, both on logarithmic axes.

    Args:
        steps: label -> array [T], |delta| / lr > 0 of step 1 to T.
        predicted: label of `steps` -> array [T] of the formula, drawn as a thin black line over the measurement.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if a size is not positive, or a prediction has other steps than its measurement.
    """
    curves = curves_of("steps", steps, None, rule="> 0")
    check_labels("predicted", predicted, "steps", steps)
    for label, formula in (predicted or {}).items():
        numbers(f"predicted[{label!r}]", formula, (f"steps[{label!r}]", len(curves[label])), rule="> 0")
    ax = axes_for(ax)
    for label, sizes in curves.items():
        t = np.arange(1, len(sizes) + 1)
        ax.plot(t, sizes, lw=5, alpha=0.55, label=label, **{**method_look(label), "linestyle": "-"})
        if predicted is not None and label in predicted:
            ax.plot(t, np.asarray(predicted[label], dtype=float), color="black", lw=1, linestyle="--")
    if predicted:
        ax.plot([], [], color="black", lw=1, linestyle="--", label="predicted")
    ax.set(xscale="log", yscale="log", xlabel="step t", ylabel="|Δ| / lr")
    ax.legend()
    return ax


@styled
def plot_paired_differences(
    differences: Mapping[str, Sequence[float]],
    half_widths: Mapping[str, float],
    *,
    xlabel: str,
    ax: Axes | None = None,
) -> Axes:
    """Draw paired differences, one dot per seed, with their mean and its interval; 0 is where nothing differs.

    Args:
        differences: name -> one difference per seed.
        half_widths: name -> half of the 95 % interval of the mean, one for each name of `differences`.
        xlabel: which difference, in which unit and sense.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if a name has no half width, or a difference is not finite.
    """
    curves_of("differences", differences, None)
    check_labels("differences", differences, "half_widths", half_widths)
    curves_of("half_widths", half_widths, rule=">= 0")
    ax = axes_for(ax)
    for row, (name, values) in enumerate(differences.items()):
        color = METHOD_COLORS.get(name, "black")
        ax.plot(values, np.full(len(values), row - 0.18), "o", color=color, alpha=0.4)
        ax.errorbar(np.mean(values), row, xerr=half_widths[name], fmt="D", color=color, capsize=5, lw=2)
    labels = [f"{name} (n = {len(values)})" for name, values in differences.items()]
    ax.set_yticks(range(len(labels)), labels)
    ax.axvline(0, color=GREY, linestyle="--", lw=1.2)
    ax.set(xlabel=xlabel, ylim=(len(labels) - 0.5, -0.6))
    return ax
