"""Which tool for which goal? Figures of losses, penalties and calibration, each with its prediction or its interval."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from course_utils.plotting._base import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    METHOD_COLORS,
    PURPLE,
    VERMILION,
    axes_for,
    draw_mean_and_range,
    grid_for,
    styled,
)
from course_utils.plotting._records import (
    check_labels,
    check_length,
    check_most,
    check_numbers,
    check_scale,
    curves_of,
    line_of,
    numbers,
    pairs_of,
)

# The same tool has the same mark in every figure, beside its colour in METHOD_COLORS.
TOOL_MARKS = {
    "none": "o",
    "weight decay": "s",
    "dropout": "D",
    "label smoothing": "^",
    "mixup": "v",
    "early stopping": "P",
    "temperature": "X",
}


@styled
def plot_with_prediction(
    measured: Mapping[str, tuple[ArrayLike, ArrayLike]],
    *,
    predicted: Mapping[str, tuple[ArrayLike, ArrayLike]] | None = None,
    xlabel: str,
    ylabel: str,
    mark: str = "o",
    xscale: str = "linear",
    yscale: str = "linear",
    ax: Axes | None = None,
) -> Axes:
    """Draw measured points, mean and range over seeds, over the dashed curve that a formula predicts for them.

    Args:
        measured: label -> (x [points], y [points] or [seeds, points]).
        predicted: label of `measured` -> (x, y), each with its own number of points.
        xlabel: what is varied, with its unit.
        ylabel: what is measured, with its unit.
        mark: Matplotlib's name of the marker; "" joins the points by a line instead.
        xscale: "linear" or "log".
        yscale: "linear" or "log".
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if a prediction belongs to no measurement, x and y differ in length, or an axis cannot show one.
    """
    check_labels("predicted", predicted, "measured", measured)
    x_rule, rule = (check_scale(name, scale) for name, scale in (("xscale", xscale), ("yscale", yscale)))
    points = pairs_of("measured", measured, x_rule=x_rule, rule=rule)
    predicted = pairs_of("predicted", predicted, x_rule=x_rule, rule=rule, runs=False) if predicted else {}
    if mark not in ("", *Line2D.markers):
        raise ValueError(f"mark must be the name of one of Matplotlib's markers, such as 'o', got {mark!r}.")
    ax = axes_for(ax)
    for label, (x, y) in points.items():
        look: dict[str, Any] = {"marker": mark, "linestyle": ""} if mark else {"lw": 4, "alpha": 0.55}
        draw_mean_and_range(ax, x, y, label=label, **look)
        if label in predicted:
            ax.plot(*predicted[label], color=BLACK, ls="--", lw=1.2)
    if predicted:
        ax.plot([], [], color=BLACK, ls="--", lw=1.2, label="predicted")
    ax.set(xlabel=xlabel, ylabel=ylabel, xscale=xscale, yscale=yscale)
    ax.legend()
    return ax


@styled
def plot_expected_scores(
    reports: ArrayLike, scores: Mapping[str, ArrayLike], *, truth: float, ax: Axes | None = None
) -> Axes:
    """Draw the expected score of each rule against the probability reported, with its minimum marked by a disc.

    Args:
        reports: probabilities reported, [points], increasing.
        scores: rule -> expected score [points]; the lowest is the best. A flat minimum is a broad band, and one that is
            not finite leaves a gap.
        truth: the true probability, a dashed line: where a proper rule has its minimum.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if a probability lies outside [0, 1], or a rule has not one score per report.
    """
    q = line_of("reports", reports, rule="in [0, 1]")
    curves = curves_of("scores", scores, ("reports", q.size), gaps=True)
    check_numbers("in [0, 1]", truth=truth)
    ax = axes_for(ax)
    for name, score in curves.items():
        (line,) = ax.plot(q, score, label=name)
        lowest = np.flatnonzero(np.isclose(score, np.nanmin(score), rtol=0, atol=1e-12))
        look = {"marker": "o", "ms": 9, "mec": "white"} if len(lowest) == 1 else {"lw": 7, "alpha": 0.35}
        ax.plot(q[lowest], score[lowest], color=line.get_color(), zorder=4, **look)
    ax.axvline(truth, color=GREY, ls="--", lw=1.2)
    ax.text(
        truth, 1.0, f" true probability {truth:g}", transform=ax.get_xaxis_transform(), va="top", color=GREY
    )
    ax.set(xlabel="probability reported", ylabel="expected score", xlim=(0, 1.01))
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), title="disc, band: lowest")
    return ax


@styled
def plot_reliability(
    confidence: ArrayLike, accuracy: ArrayLike, counts: ArrayLike, *, title: str = "", ax: Axes | None = None
) -> Axes:
    """Draw accuracy against confidence, one disc per bin, its area the number of examples; calibrated is the diagonal.

    Vertical lines are the gaps whose weighted mean is the calibration error, written into the corner.

    Args:
        confidence: mean confidence of each bin, NaN where it is empty.
        accuracy: share of right answers of each bin, NaN where it is empty.
        counts: examples of each bin.
        title: whose predictions they are.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if the bins differ in number, all are empty, or one with examples has no share in [0, 1].
    """
    n = numbers("counts", counts, None, rule=">= 0")
    full, side = n > 0, ("counts", n.size)
    if not full.any():
        raise ValueError("counts are all 0: there is nothing to draw.")
    conf = numbers("confidence", confidence, side, rule="in [0, 1]", gaps=True)[full]
    acc = numbers("accuracy", accuracy, side, rule="in [0, 1]", gaps=True)[full]
    if missing := int((np.isnan(conf) | np.isnan(acc)).sum()):
        raise ValueError(f"confidence and accuracy are NaN in {missing} bins that have examples by counts.")
    n = n[full]
    ax = axes_for(ax, figsize=(4.4, 4.4))
    ax.plot([0, 1], [0, 1], color=GREY, ls="--", lw=1.2)
    ax.vlines(conf, conf, acc, color=VERMILION, lw=2)
    ax.scatter(conf, acc, s=20 + 380 * n / n.max(), color=BLUE, alpha=0.75, edgecolor="white", zorder=3)
    error = float((n * np.abs(acc - conf)).sum() / n.sum())
    ax.text(0.97, 0.05, f"calibration error\n{100 * error:.1f} %", transform=ax.transAxes, ha="right")
    ax.set(
        xlabel="confidence", ylabel="accuracy", xlim=(0, 1.04), ylim=(0, 1.04), title=title, aspect="equal"
    )
    return ax


@styled
def plot_accuracy_calibration(
    accuracy: Mapping[str, Sequence[float]],
    error: Mapping[str, Sequence[float]],
    *,
    half_widths: Mapping[str, tuple[float, float]],
    floor: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw calibration error against accuracy, a cross of two 95 % intervals and a faint dot per seed for each tool.

    Args:
        accuracy: tool -> one accuracy per seed, percent.
        error: tool -> one calibration error per seed, percent.
        half_widths: tool -> half of the 95 % intervals of the two means.
        floor: the error that a calibrated network would have by chance, a dashed line.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if the mappings do not name the same tools, or a number is no percentage.
    """
    check_labels("error", error, "accuracy", accuracy, every=True)
    check_labels("half_widths", accuracy, "accuracy", half_widths)
    for name, seeds in curves_of("accuracy", accuracy, None, rule="in [0, 100]").items():
        numbers(f"error[{name!r}]", error[name], ("accuracy", seeds.size), rule="in [0, 100]")
    curves_of("half_widths", half_widths, 2, rule=">= 0")
    check_numbers(">= 0", floor=floor)
    ax = axes_for(ax)
    for name, values in accuracy.items():
        color, mark = METHOD_COLORS.get(name, GREY), TOOL_MARKS.get(name, "o")
        x, y = half_widths[name]
        ax.plot(values, error[name], mark, ms=4, color=color, alpha=0.35)
        ax.errorbar(np.mean(values), np.mean(error[name]), xerr=x, yerr=y, fmt=mark, ms=9,
                    color=color, capsize=4, label=f"{name} (n = {len(values)})", zorder=4)  # fmt: skip
    if floor is not None:
        ax.axhline(floor, color=GREY, ls="--", lw=1.4, label="calibrated, by chance")
    ax.set(xlabel="test accuracy (%)", ylabel="calibration error (%)")
    ax.set_ylim(bottom=0)
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=10)
    return ax


@styled
def plot_early_stopping(
    losses: ArrayLike,
    stops: Mapping[str, tuple[int, int]],
    *,
    expected: ArrayLike | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a record of validation losses with the epochs that rules keep (disc) and end at (vertical line).

    Args:
        losses: one per epoch.
        stops: rule -> (best, last), counted from 0; four at most.
        expected: the losses without their noise, a dashed line.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if a rule keeps or ends at an epoch that is none, or a loss is not finite.
    """
    record = numbers("losses", losses, None)
    epochs = np.arange(1, len(record) + 1)
    for rule, (best, last) in stops.items():
        if not 0 <= best <= last < len(record):
            raise ValueError(
                f"stops[{rule!r}] needs 0 <= best <= last < {len(record)} losses, got {best}, {last}."
            )
    check_most("stops", stops, 4)
    if expected is not None:
        numbers("expected", expected, ("losses", len(record)))
    ax = axes_for(ax)
    ax.plot(epochs, record, color=GREY, marker=".", lw=1.2, label="validation loss")
    if expected is not None:
        ax.plot(
            epochs, np.asarray(expected, dtype=float), color=BLACK, ls="--", lw=1.2, label="without noise"
        )
    for (rule, (best, last)), color in zip(stops.items(), (VERMILION, BLUE, GREEN, PURPLE), strict=False):
        ax.plot(best + 1, record[best], "o", ms=11, color=color, mec="white", zorder=4, label=f"{rule}: kept")
        ax.axvline(last + 1, color=color, lw=1.5, label=f"{rule}: ends")
    ax.set(xlabel="epoch", ylabel="validation loss (nats)")
    ax.legend()
    return ax


@styled
def plot_mixed_images(
    images: ArrayLike, titles: Sequence[str], *, axes: Sequence[Axes] | None = None
) -> Axes:
    """Draw images side by side with a title each, on one grey scale, and return the first Axes.

    Args:
        images: [images, height, width].
        titles: one per image.
        axes: one per image; None makes a new figure.
    Raises: ValueError: if there is not one title per image.
    """
    pictures = numbers("images", images, None, None, None)
    check_length("titles", titles, len(pictures), "images")
    grid = grid_for(axes, 1, len(titles), of="images and titles", figsize=(1.9 * len(titles), 2.6))
    for ax, picture, title in zip(grid, pictures, titles, strict=True):
        ax.imshow(picture, cmap="gray_r", vmin=pictures.min(), vmax=pictures.max())
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
        ax.set_title(title, fontsize=11)
    return grid[0]
