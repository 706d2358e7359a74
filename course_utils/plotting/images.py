"""What did the network see, what did it answer, and how sure can we be? Figures of a first classifier."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from course_utils.plotting._base import BLACK, BLUE, GREY, METHOD_COLORS, ORANGE, VERMILION, axes_for, styled
from course_utils.plotting._records import (
    check_length,
    check_most,
    check_numbers,
    curves_of,
    numbers,
)

_BEFORE_AFTER = (GREY, BLUE, VERMILION, ORANGE)  # of groups of bars, in the order in which they are given
_GAP = 0.12  # between two images of a grid, in image widths
_TITLE = 0.26  # room for the words above an image, in image heights


@styled
def plot_image_grid(
    images: ArrayLike,
    titles: Sequence[str],
    *,
    columns: int = 10,
    wrong: Sequence[bool] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw grey images in rows, dark on white, with a few words above each.

    Args:
        images: [N, H, W], >= 0; 0 is drawn white and the largest value of all black.
        titles: one for each image; two lines fit.
        columns: images in a row, 1 to 50.
        wrong: marks the images whose title is drawn in red and with a frame; None marks none.
        ax: where to draw; None makes a new figure of the right height.
    Raises: ValueError: if there is not one title, or not one mark, for each image, or a value is not finite.
    """
    images = numbers("images", images, None, None, None, rule=">= 0")
    check_length("titles", titles, len(images), "images")
    check_length("wrong", titles if wrong is None else wrong, len(images), "images")
    check_numbers("from 1 to 50", columns=columns)
    lines = 1 + max(title.count("\n") for title in titles)
    width, height = 1 + _GAP, 1 + _GAP + lines * _TITLE
    rows = -(-len(images) // columns)
    ax = axes_for(ax, figsize=(11, 11 * rows * height / (columns * width)))
    for k, (image, title) in enumerate(zip(images, titles, strict=True)):
        left, top = (k % columns) * width, (k // columns) * height
        extent = (left, left + 1, top + height - _GAP, top + height - _GAP - 1)
        ax.imshow(image, cmap="gray_r", vmin=0, vmax=images.max(), extent=extent)
        marked = wrong is not None and wrong[k]
        color = VERMILION if marked else BLACK
        ax.text(left + 0.5, extent[3] - 0.06, title, ha="center", va="bottom", fontsize=10, color=color)
        line_width = 1.6 if marked else 0.4
        ax.add_patch(Rectangle((left, extent[3]), 1, 1, fill=False, edgecolor=color, lw=line_width))
    ax.set(xlim=(-_GAP, columns * width), ylim=(rows * height, 0), aspect="equal")
    ax.axis("off")
    return ax


@styled
def plot_image(
    image: ArrayLike,
    *,
    label: str = "",
    centre: float | None = None,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw one image, a grey one with a scale beside it.

    Args:
        image: [H, W], or [H, W, 3] in colour with values in [0, 1]: the channel comes last.
        label: what a value is, with its unit, written along the scale.
        centre: a value that is special, 0 for instance: drawn white between blue (below) and red (above). None takes
            a grey scale from 0, dark for large values, none of them negative.
        title: above the image.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if a value is not finite, has no colour on the scale, or lies outside [0, 1] in colour.
    """
    in_colour = np.ndim(image) == 3
    rule = "in [0, 1]" if in_colour else ">= 0" if centre is None else "finite"
    image = numbers("image", image, *((None, None, 3) if in_colour else (None, None)), rule=rule)
    check_numbers("finite", centre=centre)
    ax = axes_for(ax, figsize=(4.6, 4.2))
    if in_colour:
        ax.imshow(image)
    else:
        reach = float(np.abs(image - (centre or 0.0)).max())
        limits = (0.0, reach) if centre is None else (centre - reach, centre + reach)
        drawn = ax.imshow(
            image, cmap="gray_r" if centre is None else "RdBu_r", vmin=limits[0], vmax=limits[1]
        )
        ax.figure.colorbar(drawn, ax=ax, label=label, shrink=0.8)
    ax.set(title=title, xlabel="column", ylabel="row")
    ax.grid(visible=False)
    return ax


@styled
def plot_class_scores(
    scores: Mapping[str, ArrayLike],
    classes: Sequence[str],
    *,
    xlabel: str,
    true_class: int | None = None,
    reference: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw one number for each class as bars, one group of bars for each network.

    Args:
        scores: label -> [classes], logits or probabilities; four at most.
        classes: names, written beside the bars from the top.
        xlabel: what the numbers are.
        true_class: index of the class whose name is set in bold.
        reference: a value that all classes would have if the network knew nothing, drawn as a dashed line.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if a class has no finite score, there are more labels than colours, or no class is the true one.
    """
    curves_of("scores", scores, ("classes", len(classes)))
    check_most("scores", scores, len(_BEFORE_AFTER))
    check_numbers("finite", reference=reference)
    if true_class is not None and not 0 <= true_class < len(classes):
        raise ValueError(
            f"true_class must be from 0 to {len(classes) - 1}, an index of classes, got {true_class}."
        )
    ax = axes_for(ax)
    rows = np.arange(len(classes))
    height = 0.8 / len(scores)
    for k, (label, values) in enumerate(scores.items()):
        middle = rows + (k - (len(scores) - 1) / 2) * height
        ax.barh(middle, np.asarray(values, dtype=float), height, color=_BEFORE_AFTER[k], label=label)
    ax.axvline(0, color=BLACK, lw=0.8)
    if reference is not None:
        ax.axvline(reference, color=BLACK, linestyle="--", lw=1.2, label=f"know nothing: {reference:g}")
    ax.set_yticks(rows, classes)
    ax.set(xlabel=xlabel, ylim=(len(classes) - 0.4, -0.6))
    ax.grid(visible=False, axis="y")
    if true_class is not None:
        ax.get_yticklabels()[true_class].set_fontweight("bold")
    ax.legend(fontsize=9.5, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(scores) + 1)
    return ax


@styled
def plot_confusion(
    counts: ArrayLike, classes: Sequence[str], *, title: str = "", ax: Axes | None = None
) -> Axes:
    """Draw how often each class (row) was taken for each class (column), with the counts written in.

    The colour shows the mistakes only; the diagonal, which would outshine them, is left pale.

    Args:
        counts: [classes, classes], rows are true classes, columns decisions.
        classes: names of both.
        title: above the table.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if `counts` is not square with one row for each class, or holds what is no count.
    """
    side = ("classes", len(classes))
    counts = numbers("counts", counts, side, side, rule="whole and >= 0").astype(int)
    ax = axes_for(ax, figsize=(7, 6))
    mistakes = np.where(np.eye(len(classes), dtype=bool), 0, counts)
    top = max(int(mistakes.max()), 1)
    ax.imshow(mistakes, cmap="Oranges", vmin=0, vmax=1.6 * top)  # pale enough for black digits
    for (row, column), count in np.ndenumerate(counts):
        if count:
            weight = "bold" if row == column else "normal"
            ax.text(column, row, f"{count}", ha="center", va="center", fontsize=9.5, fontweight=weight)
    slanted = max(len(name) for name in classes) > 2
    ax.set_xticks(
        range(len(classes)), classes, rotation=45 if slanted else 0, ha="right" if slanted else "center"
    )
    ax.set_yticks(range(len(classes)), classes)
    ax.set(xlabel="decision of the network", ylabel="true class", title=title)
    ax.grid(visible=False)
    return ax


@styled
def plot_epochs(
    running: Mapping[str, ArrayLike],
    at_end: Mapping[str, ArrayLike] | None = None,
    *,
    steps: ArrayLike | None = None,
    final: Mapping[str, tuple[float, float]] | None = None,
    ylabel: str,
    ax: Axes | None = None,
) -> Axes:
    """Draw what an epoch reports where it belongs: a running mean over the whole epoch, an evaluation at its end.

    Args:
        running: label -> [epochs] or [seeds, epochs], means over an epoch: level lines as long as the epoch, with the
            range of the seeds as a band.
        at_end: label -> [epochs] or [seeds, epochs], measured after each epoch: marks at its end, with the range; three
            at most. Numbers that are not finite leave a gap.
        steps: [epochs * steps an epoch], the value of every step: grey dots.
        final: label -> (value, half of its 95 % interval), drawn after the last epoch.
        ylabel: what is drawn, with its unit.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if a number is not finite, or there are more marks than looks, or more than epochs.
    """
    means_of = curves_of("running", running, None, None)
    num_epochs = max(values.shape[1] for values in means_of.values())
    ends_of = curves_of("at_end", at_end, None, None, gaps=True) if at_end else {}
    check_most("at_end", ends_of, 3)
    if longest := [label for label, ends in ends_of.items() if ends.shape[1] > num_epochs]:
        raise ValueError(f"at_end[{longest[0]!r}] has more than the {num_epochs} epochs of running.")
    for label, (_, half_width) in curves_of("final", final or None, 2).items():
        check_numbers(">= 0", **{f"half width of final[{label!r}]": half_width})
    ax = axes_for(ax)
    if steps is not None:
        values = numbers("steps", steps, None)
        time = (np.arange(len(values)) + 0.5) * num_epochs / len(values)
        ax.plot(time, values, ".", color=GREY, ms=4, alpha=0.6, label="one batch", zorder=1)
    for k, (label, runs) in enumerate(means_of.items()):
        color = (BLUE, ORANGE)[k % 2]
        for epoch, values in enumerate(runs.T):
            span = [epoch, epoch + 1]
            ax.plot(span, [values.mean()] * 2, color=color, lw=2.6, label=label if epoch == 0 else None)
            ax.fill_between(span, values.min(), values.max(), color=color, alpha=0.2, lw=0)
    for (label, runs), (color, marker) in zip(
        ends_of.items(), ((VERMILION, "o"), (BLACK, "s"), (METHOD_COLORS["Adam"], "^")), strict=False
    ):
        middle = runs.mean(axis=0)
        reach = np.stack([middle - runs.min(axis=0), runs.max(axis=0) - middle])
        ax.errorbar(range(1, runs.shape[1] + 1), middle, yerr=reach if len(runs) > 1 else None, fmt=marker, color=color,
                    ms=7, capsize=4, label=label, zorder=3)  # fmt: skip
    for k, (label, (value, half_width)) in enumerate((final or {}).items()):
        ax.errorbar(num_epochs + 0.25 * (k + 1), value, yerr=half_width, fmt="D^"[k % 2], ms=8, capsize=5,
                    color=(BLACK, METHOD_COLORS["Adam"])[k % 2], label=label)  # fmt: skip
    ax.set(xlabel="epoch", ylabel=ylabel)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(fontsize=9.5)
    return ax
