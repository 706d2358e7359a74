"""What does the loss do along one direction? Profiles over seeds, on training and on other images, with a prediction.

A slice is one direction of thousands. What a figure of this file shows is true of that direction and of no other.
"""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from course_utils.plotting._base import BLACK, GREY, axes_for, draw_mean_and_range, styled
from course_utils.plotting._records import check_labels, curves_of, numbers


@styled
def plot_profiles(
    t: ArrayLike,
    profiles: Mapping[str, ArrayLike],
    *,
    dotted: Mapping[str, ArrayLike] | None = None,
    dotted_name: str = "on held-out images",
    predicted: Mapping[str, ArrayLike] | None = None,
    predicted_name: str = "predicted",
    marks: Mapping[str, float] | None = None,
    xlabel: str = "position t on the line",
    ylabel: str = "loss (nats)",
    ax: Axes | None = None,
) -> Axes:
    """Draw losses along a line: mean over seeds as a curve, their range as a band.

    Args:
        t: positions [points].
        profiles: label -> [points], or [seeds, points].
        dotted: label of `profiles` -> the same line measured on other data, [points] or [seeds, points]; its mean is
            dotted in the colour of the curve.
        dotted_name: what is dotted, for the legend.
        predicted: label of `profiles` -> [points] of a formula, thin and dashed over the curve.
        predicted_name: which formula, for the legend.
        marks: label -> position of a vertical line, such as the two ends; the label stands above the axes.
        xlabel: what the position is.
        ylabel: which loss, with its unit.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if a dotted or a predicted curve belongs to no profile, or has not one finite loss per position.
    """
    dotted, predicted = dotted or {}, predicted or {}
    where = numbers("t", t, None)
    curves_of("profiles", profiles, None, ("t", where.size))
    check_labels("dotted", dotted, "profiles", profiles)
    check_labels("predicted", predicted, "profiles", profiles)
    other_data = curves_of("dotted", dotted or None, None, ("t", where.size))
    curves_of("predicted", predicted or None, ("t", where.size))
    curves_of("marks", marks or None)
    ax = axes_for(ax)
    for name, values in profiles.items():
        line = draw_mean_and_range(ax, where, values, label=name)
        if name in dotted:
            ax.plot(where, other_data[name].mean(axis=0), linestyle=":", color=line.get_color())
        if name in predicted:
            ax.plot(where, np.asarray(predicted[name], dtype=float), color=BLACK, linestyle="--", lw=1.0)
    if dotted:
        ax.plot([], [], color=GREY, linestyle=":", label=dotted_name)
    if predicted:
        ax.plot([], [], color=BLACK, linestyle="--", lw=1.0, label=predicted_name)
    for name, position in (marks or {}).items():
        ax.axvline(position, color=GREY, linestyle=":", lw=1.2)
        ax.annotate(
            name, (position, 1.01), xycoords=ax.get_xaxis_transform(), va="bottom", ha="center", fontsize=10
        )
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.legend(fontsize=9)
    return ax
