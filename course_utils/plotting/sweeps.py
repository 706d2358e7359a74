"""How sure, and which configuration? Figures of intervals, of repeated runs and of searches, predictions drawn in."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from numpy.typing import ArrayLike

from course_utils.plotting._base import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    SKY,
    VERMILION,
    axes_for,
    styled,
)
from course_utils.plotting._records import (
    check_filled,
    check_labels,
    check_length,
    check_most,
    check_numbers,
    curves_of,
    line_of,
    numbers,
    pairs_of,
)

# Intervals and searches are no methods of training: they have colours of their own, the same in every figure here.
LOOKS: dict[str, dict[str, Any]] = {
    "Wald": {"color": VERMILION, "linestyle": "-"},
    "Wilson": {"color": BLUE, "linestyle": "-"},
    "Clopper-Pearson": {"color": GREEN, "linestyle": "--"},
    "random": {"color": ORANGE, "linestyle": "-"},
    "TPE": {"color": BLUE, "linestyle": "-"},
}


@styled
def plot_coverage(
    shares: ArrayLike,
    coverage: Mapping[str, ArrayLike],
    *,
    nominal: float = 0.95,
    simulated: Mapping[str, tuple[ArrayLike, ArrayLike]] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how often intervals contain the true share, against that share.

    Args:
        shares: true shares [points].
        coverage: name of the interval -> exact coverage [points].
        nominal: what was promised, drawn as a dashed line.
        simulated: name of `coverage` -> (shares, coverage) counted in a simulation, drawn as dots.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if a share or a coverage lies outside [0, 1], or what was simulated has no curve.
    """
    side = ("shares", numbers("shares", shares, None, rule="in [0, 1]").size)
    curves_of("coverage", coverage, side, rule="in [0, 1]")
    check_numbers("in [0, 1]", nominal=nominal)
    check_labels("simulated", simulated, "coverage", coverage)
    pairs_of("simulated", simulated or None, x_rule="in [0, 1]", rule="in [0, 1]", runs=False)
    ax = axes_for(ax)
    for name, values in coverage.items():
        ax.plot(shares, values, label=name, lw=1.5, **LOOKS.get(name, {}))
    for name, (places, values) in (simulated or {}).items():
        ax.plot(places, values, "o", color=LOOKS.get(name, {}).get("color", BLACK), mec="white", ms=7)
    ax.axhline(nominal, color=GREY, linestyle=":", label="promised")
    if simulated:
        ax.plot([], [], "o", color=GREY, mec="white", ms=7, label="simulated")
    ax.set(xlabel="true share of right answers", ylabel="share of intervals that contain it")
    ax.legend(loc="lower left", ncols=2)
    return ax


@styled
def plot_null_statistics(
    statistics: ArrayLike, *, predicted_sd: float, critical: float = 1.96, xlabel: str, ax: Axes | None = None
) -> Axes:
    """Draw a histogram of test statistics with the density they are tested against and one that is wider.

    Args:
        statistics: values [n] of pairs between which there is no difference in method.
        predicted_sd: standard deviation of the normal density that is predicted for them.
        critical: beyond plus or minus this value a test at 5 % rejects; shaded.
        xlabel: which statistic.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if a statistic is not finite, or the deviation or the critical value is not positive.
    """
    values = numbers("statistics", statistics, None)
    check_numbers("> 0", predicted_sd=predicted_sd, critical=critical)
    ax = axes_for(ax)
    end = float(np.ceil(max(np.abs(values).max(), 3 * predicted_sd)))
    z = np.linspace(-end, end, 400)
    ax.hist(
        values,
        bins=np.linspace(-end, end, 41).tolist(),
        density=True,
        color=SKY,
        label=f"pairs (n = {len(values)})",
    )
    for sd, color, style, label in (
        (1.0, BLACK, "--", "what the test assumes"), (predicted_sd, VERMILION, "-", f"normal, sd {predicted_sd:.2f}"),
    ):  # fmt: skip
        density = np.exp(-(z**2) / (2 * sd**2)) / (sd * np.sqrt(2 * np.pi))
        ax.plot(z, density, color=color, linestyle=style, label=label)
    ax.axvspan(critical, end, color=GREY, alpha=0.18, lw=0, zorder=0, label="called different at 5 %")
    ax.axvspan(-end, -critical, color=GREY, alpha=0.18, lw=0, zorder=0)
    ax.set(xlabel=xlabel, ylabel="density", xlim=(-end, end))
    ax.legend(loc="upper right", frameon=True, framealpha=0.9, edgecolor="none")
    return ax


@styled
def plot_against_prediction(
    x: ArrayLike,
    measured: Mapping[str, ArrayLike],
    *,
    predicted: Mapping[str, ArrayLike],
    xlabel: str,
    ylabel: str,
    ax: Axes | None = None,
) -> Axes:
    """Draw measured points and, in their colour, the line that was predicted for them.

    Args:
        x: positions [points].
        measured: name -> values [points], drawn as dots.
        predicted: name -> values [points], drawn as lines; the names of `measured`.
        xlabel: what x is.
        ylabel: what the values are, with their unit.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if the two have other names, or one has not a finite value per position.
    """
    side = ("x", numbers("x", x, None).size)
    curves_of("measured", measured, side)
    check_labels("predicted", predicted, "measured", measured, every=True)
    curves_of("predicted", predicted, side)
    ax = axes_for(ax)
    for name, values in measured.items():
        (dots,) = ax.plot(x, values, "o", ms=7, mec="white", label=name)
        ax.plot(x, predicted[name], color=dots.get_color(), lw=1.5)
    ax.plot([], [], color=GREY, lw=1.5, label="predicted")
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.legend()
    return ax


@styled
def plot_lr_range(
    runs: Sequence[tuple[Sequence[float], Sequence[float]]],
    *,
    minima: Sequence[float],
    divergences: Sequence[float],
    ax: Axes | None = None,
) -> Axes:
    """Draw the smoothed loss of learning-rate range tests, with the rates of their minima and of their divergence.

    Args:
        runs: (learning rates, smoothed losses) per seed.
        minima: learning rate of the lowest smoothed loss, per seed; the range is shaded.
        divergences: learning rate at which a run counts as diverged, per seed; the range is shaded.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if a rate or the first loss is not positive, or a run has not one finite loss per rate.
    """
    check_filled("runs", runs)
    for seed, (lrs, losses) in enumerate(runs):
        side = ("its rates", numbers(f"rates of runs[{seed}]", lrs, None, rule="> 0").size)
        numbers(f"losses of runs[{seed}]", losses, side)
        check_numbers("> 0", **{f"first loss of runs[{seed}]": losses[0]})
    for name, found in (("minima", minima), ("divergences", divergences)):
        numbers(name, found, ("runs", len(runs)), rule="> 0")
    ax = axes_for(ax)
    for number, (lrs, losses) in enumerate(runs):
        ax.plot(
            lrs, losses, color=BLUE, lw=1.2, alpha=0.7, label=None if number else f"runs (n = {len(runs)})"
        )
    for rates, color, label in ((minima, GREEN, "minimum"), (divergences, VERMILION, "4 times the minimum")):
        ax.axvspan(min(rates), max(rates), color=color, alpha=0.25, lw=0, label=label)
    highest = max(losses[0] for _, losses in runs)
    ax.set(xscale="log", xlabel="learning rate of the step", ylabel="smoothed training loss (nats)",
           ylim=(0, 1.5 * highest))  # fmt: skip
    ax.legend(loc="upper left")
    return ax


@styled
def plot_response_surface(
    lrs: Sequence[float],
    decays: Sequence[float],
    losses: ArrayLike,
    *,
    marked: Mapping[str, Sequence[tuple[float, float]]] | None = None,
    limits: tuple[float, float] | None = None,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw a loss over learning rate and weight decay, both on logarithmic axes, with points marked on it.

    Args:
        lrs: the columns' learning rates, in a geometric series.
        decays: the rows' weight decays, in a geometric series.
        losses: [decays, lrs].
        marked: label -> points (lr, decay); three labels at most.
        limits: losses at the ends of the colours, which are logarithmic between them; None takes those of `losses`.
        title: above the axes.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if a number is not positive, rates or decays do not increase, or the losses have another shape.
    """
    sides = [
        (name, line_of(name, line, rule="> 0").size) for name, line in (("decays", decays), ("lrs", lrs))
    ]
    values = numbers("losses", losses, *sides, rule="> 0")
    check_most("marked", marked or (), 3)
    curves_of("marked", marked or None, None, 2, rule="> 0")
    if limits is not None:
        line_of("limits", limits, rule="> 0")
    ax = axes_for(ax)
    low, high = (values.min(), values.max()) if limits is None else limits
    mesh = ax.pcolormesh(
        lrs, decays, values, shading="nearest", cmap="viridis_r", norm=LogNorm(vmin=low, vmax=high)
    )
    for marker, color, (label, points) in zip(
        "ox^", ("white", VERMILION, "black"), (marked or {}).items(), strict=False
    ):
        ax.plot(*zip(*points, strict=True), marker, ls="", color=color, mec=None if marker == "x" else "black", ms=8,
                mew=2 if marker == "x" else 0.8, label=label)  # fmt: skip
    ax.set(xscale="log", yscale="log", xlabel="learning rate", ylabel="weight decay", title=title)
    ax.grid(False)
    bar = ax.figure.colorbar(mesh, ax=ax, label="validation loss (nats)")
    ticks = [tick for tick in (0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0) if low <= tick <= high]
    bar.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    bar.minorticks_off()
    if marked:
        ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3)
    return ax


@styled
def plot_halving(
    units: Sequence[int],
    curves: ArrayLike,
    survivors: Sequence[Sequence[int]],
    *,
    best: int,
    ax: Axes | None = None,
) -> Axes:
    """Draw the loss of every configuration against the units it was given, ending where it was dropped.

    Args:
        units: of the rungs, ascending.
        curves: [configurations, rungs], what the whole runs would show.
        survivors: per rung the indices that took part in it: all in the first, and then no new one.
        best: index of the configuration with the lowest loss at the end; drawn whole, dashed where it was dropped.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if the units do not increase, a loss is not finite, or an index survives that is none.
    """
    rungs = ("units", line_of("units", units, rule="> 0").size)
    values = numbers("curves", curves, None, rungs)
    check_length("survivors", survivors, len(units), "units")
    known = set(range(len(values)))
    alive = [set(indices) for indices in survivors]
    if alive[0] != known or any(later - earlier for earlier, later in itertools.pairwise(alive)):
        raise ValueError(
            f"survivors begins with all indices of curves, 0 to {len(values) - 1}, and drops some, got {survivors}."
        )
    if best not in known:
        raise ValueError(f"best must be an index of curves, from 0 to {len(values) - 1}, got {best}.")
    ax = axes_for(ax)
    reached = [max(k for k, alive in enumerate(survivors) if i in alive) for i in range(len(values))]
    for i, last in enumerate(reached):
        color = GREEN if last == len(units) - 1 else GREY
        ax.plot(
            units[: last + 1], values[i, : last + 1], "o-", ms=4, lw=2.5 if color == GREEN else 1, color=color
        )
    ax.plot(units, values[best], "--", color=VERMILION, lw=1.8, label="the best, had it been kept")
    ax.plot([], [], color=GREEN, lw=2.5, label="kept to the end")
    ax.plot([], [], color=GREY, lw=1, label="dropped on the way")
    ax.set(xscale="log", xlabel="units of training (epochs)", ylabel="validation loss (nats)")
    ax.set_xticks(units, [str(u) for u in units])
    ax.minorticks_off()
    ax.legend(loc="upper right")
    return ax


@styled
def plot_search_progress(
    best_so_far: Mapping[str, ArrayLike], *, ylabel: str, ax: Axes | None = None
) -> Axes:
    """Draw the best result so far against the number of trials: median over searches as a line, quartiles as a band.

    Args:
        best_so_far: name of the search -> [searches, trials], not increasing along the trials.
        ylabel: which result, with its unit.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if a result is not finite, or increases along the trials.
    """
    records = curves_of("best_so_far", best_so_far, None, None)
    if wrong := [name for name, values in records.items() if (np.diff(values) > 0).any()]:
        raise ValueError(f"best_so_far[{wrong[0]!r}] increases along the trials: take its running minimum.")
    ax = axes_for(ax)
    for name, values in records.items():
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75], axis=0)
        trials = np.arange(1, values.shape[1] + 1)
        (line,) = ax.plot(trials, middle, label=f"{name} (n = {len(values)})", **LOOKS.get(name, {}))
        ax.fill_between(trials, low, high, color=line.get_color(), alpha=0.18, lw=0)
    ax.set(xlabel="trials", ylabel=ylabel)
    ax.legend()
    return ax
