"""What did the run do, epoch by epoch, and what do broken ones look like? Curves, schedules, gaps and verdicts."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from course_utils.plotting._base import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    VERMILION,
    axes_for,
    draw_mean_and_range,
    new_grid,
    styled,
)
from course_utils.plotting._records import (
    check_labels,
    check_most,
    check_numbers,
    curves_of,
    numbers,
    runs_of,
)


@styled
def plot_run(
    running: Sequence[float],
    validation: Sequence[float],
    *,
    ylabel: str,
    best: int | None = None,
    end_of_epoch: Sequence[float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw one number of a run against the epoch: its running mean in training, its value on the validation set.

    Args:
        running: one value per epoch, averaged while the weights moved; drawn at the middle of the epoch it is from.
        validation: one value per epoch, taken at its end.
        ylabel: what is drawn, with its unit.
        best: epoch, counted from 0, that was selected; marked by a circle on the validation curve.
        end_of_epoch: the training value of the weights at the end of each epoch, if it was taken as well.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if the curves differ in length or are not finite, or the best epoch is not one of them.
    """
    side = ("validation", numbers("validation", validation, None).size)
    ends = np.arange(1, side[1] + 1)
    numbers("running", running, side)
    if end_of_epoch is not None:
        numbers("end_of_epoch", end_of_epoch, side)
    if best is not None and not 0 <= best < len(ends):
        raise ValueError(f"best is an epoch of validation, from 0 to {len(ends) - 1}, got {best}.")
    ax = axes_for(ax)
    ax.plot(ends - 0.5, running, "o-", color=BLUE, label="training, running mean")
    if end_of_epoch is not None:
        ax.plot(ends, end_of_epoch, "s--", color=ORANGE, label="training, end of epoch")
    ax.plot(ends, validation, "D-", color=VERMILION, label="validation")
    if best is not None:
        ax.plot(best + 1, validation[best], "o", ms=15, mfc="none", mec="black", mew=1.5, label="best epoch")
    ax.set(xlabel="epochs finished", ylabel=ylabel, xlim=(0, len(ends) + 0.3))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend()
    return ax


@styled
def plot_plateau(
    val_losses: Sequence[float],
    lrs: Sequence[float],
    *,
    predicted: Sequence[int] = (),
    ax: Axes | None = None,
) -> Axes:
    """Draw the validation loss after each epoch, the learning rate during it, and the cuts that a rule predicts.

    Args:
        val_losses: one per epoch; epochs are numbered from 1.
        lrs: learning rate during each of them, drawn as steps on a second, logarithmic axis.
        predicted: numbers of the epochs after which the rule predicts a cut, drawn as vertical lines.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if there are not as many rates as losses, a rate is not positive, or no epoch has the number.
    """
    epochs = np.arange(1, numbers("val_losses", val_losses, None).size + 1)
    numbers("lrs", lrs, ("val_losses", len(epochs)), rule="> 0")
    if outside := [epoch for epoch in predicted if not 1 <= epoch <= len(epochs)]:
        raise ValueError(f"predicted holds epochs of val_losses, from 1 to {len(epochs)}, got {outside[0]}.")
    ax = axes_for(ax)
    for k, epoch in enumerate(predicted):
        label = "cut predicted" if k == 0 else None
        ax.axvline(epoch + 0.5, color=GREY, linestyle=":", lw=1.5, label=label)
    ax.plot(epochs, val_losses, "D-", color=VERMILION, label="validation loss")
    ax.set(xlabel="epoch", ylabel="validation loss (nats)")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    rate = ax.twinx()
    rate.step(epochs, lrs, where="mid", color=BLUE, lw=2.5, label="learning rate")
    rate.set(yscale="log", ylabel="learning rate")
    rate.spines["right"].set_visible(True)
    rate.grid(False)
    handles = [h for a in (ax, rate) for h in a.get_legend_handles_labels()[0]]
    ax.figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return ax


@styled
def plot_gaps(
    gaps: Mapping[str, Sequence[float]],
    *,
    xlabel: str,
    threshold: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw absolute differences, one dot per seed, on a logarithmic axis; exact zeros stand at its left end.

    Args:
        gaps: what was left out -> one difference >= 0 per seed.
        xlabel: which difference, with its unit.
        threshold: drawn as a dashed line.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if no difference is positive, or one is negative or not finite.
    """
    curves_of("gaps", gaps, None, rule=">= 0")
    check_numbers("> 0", threshold=threshold)
    positive = [value for values in gaps.values() for value in values if value > 0]
    if not positive:
        raise ValueError("gaps are all 0: there is nothing to draw on a logarithmic axis.")
    ax = axes_for(ax)
    low = 10.0 ** (math.floor(math.log10(min([*positive, threshold or math.inf]))) - 1)
    for row, values in enumerate(gaps.values()):
        exact = max(values) == 0
        ax.plot(
            [value if value > 0 else low for value in values],
            np.full(len(values), row),
            "D" if exact else "o",
            color=GREEN if exact else VERMILION,
            ms=9,
            alpha=0.6,
            clip_on=False,
        )
        if exact:
            ax.annotate("0.0 in every seed", (low, row), (14, 0), textcoords="offset points", va="center")
    if threshold is not None:
        ax.axvline(threshold, color=GREY, linestyle="--", lw=1.2, label="bound that is claimed")
        ax.legend(loc="lower left")
    ax.set_yticks(range(len(gaps)), [f"{name} (n = {len(values)})" for name, values in gaps.items()])
    ax.set(xscale="log", xlabel=xlabel, ylim=(len(gaps) - 0.5, -0.5))
    ax.set_xlim(left=low)
    return ax


@styled
def plot_optimism(
    candidates: Sequence[int],
    optimism: Mapping[str, ArrayLike],
    *,
    predicted: Sequence[float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw by how much the score of the best of k candidates overstates, against k.

    Args:
        candidates: numbers k >= 1.
        optimism: label -> [repetitions, len(candidates)], in percentage points; three at most.
        predicted: one value per k, drawn as a dashed black line.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if a number of candidates has not one value, or a value is not finite.
    """
    side = ("candidates", numbers("candidates", candidates, None, rule="> 0").size)
    check_most("optimism", optimism, 3)
    curves_of("optimism", optimism, None, side)
    if predicted is not None:
        numbers("predicted", predicted, side)
    ax = axes_for(ax)
    for (label, runs), color in zip(optimism.items(), (BLUE, VERMILION, GREEN), strict=False):
        draw_mean_and_range(ax, candidates, runs, label=label, marker="o", color=color)
    if predicted is not None:
        ax.plot(candidates, predicted, "k--", lw=1.3, label="predicted, independent candidates")
    ax.axhline(0, color=GREY, lw=1)
    ax.set(xscale="log", xlabel="candidates to choose from",
           ylabel="score of the chosen one,\nvalidation minus test (points)")  # fmt: skip
    ax.set_xticks(candidates, [str(k) for k in candidates])
    ax.minorticks_off()
    ax.legend()
    return ax


@styled
def plot_symptoms(
    zoo: Mapping[str, ArrayLike],
    healthy: ArrayLike,
    *,
    guess: float,
    ceiling: float = 1e3,
    columns: int = 4,
) -> list[Axes]:
    """Draw the losses of broken runs, a panel for each, over the range of the healthy ones; one panel per cause.

    Args:
        zoo: name of the bug -> step losses [seeds, steps]; losses that are not finite leave a gap.
        healthy: step losses [seeds, steps] of the same seeds.
        guess: loss of guessing, drawn as a dashed line in every panel.
        ceiling: upper end of the axis; a panel whose losses go beyond says how far.
        columns: panels in a row.
    Returns: the Axes, row by row; those without a panel are switched off.
    Raises: ValueError: if a loss, the guess or the ceiling is not positive, or a run has no finite loss.
    """
    zoo = curves_of("zoo", zoo, None, None, rule="> 0", gaps=True)
    good = runs_of("healthy", healthy, None, rule="> 0")
    check_numbers("> 0", guess=guess, ceiling=ceiling)
    check_numbers("from 1 to 50", columns=columns)
    if ceiling <= 0.5 * np.nanmin(good):
        raise ValueError(f"ceiling must lie above half of the lowest of healthy, got {ceiling:g}.")
    rows = math.ceil(len(zoo) / columns)
    axes = new_grid(rows, columns, figsize=(3.0 * columns, 2.1 * rows), sharex=True, sharey=True)
    for ax in axes[len(zoo) :]:
        ax.set_axis_off()
    for ax, (name, runs) in zip(axes, zoo.items(), strict=False):
        steps = np.arange(1, good.shape[1] + 1)
        ax.fill_between(steps, good.min(axis=0), good.max(axis=0), color=GREY, alpha=0.45, lw=0)
        ax.axhline(guess, color="black", linestyle="--", lw=1)
        draw_mean_and_range(ax, np.arange(1, runs.shape[1] + 1), runs, color=VERMILION, lw=1.3)
        ax.set_title(name, fontsize=11)
        ax.set(yscale="log", ylim=(0.5 * np.nanmin(good), ceiling))
        if (highest := np.nanmax(runs)) > ceiling:
            ax.text(
                0.97, 0.93, f"up to {highest:.0e}", transform=ax.transAxes, ha="right", va="top", fontsize=10
            )
    axes[0].figure.supxlabel("step", fontsize=12)
    axes[0].figure.supylabel("loss on the batch (nats)", fontsize=12)
    return axes


@styled
def plot_verdicts(
    counts: ArrayLike,
    truths: Sequence[str],
    verdicts: Sequence[str],
    *,
    right: Mapping[str, str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how often each truth got each verdict: rows are truths, columns verdicts, empty cells are zeros.

    Args:
        counts: [truths, verdicts].
        truths: what was broken.
        verdicts: what was said.
        right: truth -> the verdict that would be right, framed.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if the counts have another shape, are no counts or all 0, or `right` has an unknown name.
    """
    sides = ("truths", len(truths)), ("verdicts", len(verdicts))
    if not (numbers("counts", counts, *sides, rule="whole and >= 0") > 0).any():
        raise ValueError("counts are all 0: there is nothing to draw.")
    table = np.asarray(counts)
    check_labels("right", right, "truths", truths)
    check_labels("right", (right or {}).values(), "verdicts", verdicts)
    ax = axes_for(ax, figsize=(11.5, 6.6))
    ax.imshow(np.where(table > 0, table, np.nan), cmap="Blues", vmin=0, vmax=1.6 * table.max(), aspect="auto")
    for row, column in zip(*np.nonzero(table), strict=True):
        ax.text(column, row, str(table[row, column]), ha="center", va="center", fontsize=12)
    for truth, verdict in (right or {}).items():
        corner = (verdicts.index(verdict) - 0.5, truths.index(truth) - 0.5)
        ax.add_patch(Rectangle(corner, 1, 1, fill=False, ec=VERMILION, lw=2))
    ax.set_xticks(
        range(len(verdicts)), verdicts, rotation=40, ha="right", rotation_mode="anchor", fontsize=10
    )
    ax.set_yticks(range(len(truths)), truths, fontsize=10)
    ax.set(xlabel="first verdict of the doctor", ylabel="what was broken")
    ax.grid(False)
    return ax
