"""What does the ground look like, and who arrives? Surfaces with the paths on them, maps of outcomes, sharpness.

Grids come in matrix order: `losses[i, j]` is the loss at (w1[i], w2[j]), as `torch.meshgrid(..., indexing="ij")`
gives them. Matplotlib puts the second index along the horizontal axis; the functions here transpose once, so that w1
is always drawn to the right and w2 upwards.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch
from numpy.typing import ArrayLike, NDArray

from course_utils.plotting._base import (
    BLUE,
    GREEN,
    GREY,
    METHOD_COLORS,
    METHOD_STYLES,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    new_axes,
    new_grid,
    styled,
)

OUTCOME_COLORS = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION)


def _look(name: str) -> dict[str, Any]:
    """Return the colour and the line style of a method; a label of another kind takes the next of the cycle."""
    if name not in METHOD_COLORS:
        return {}
    return {"color": METHOD_COLORS[name], "linestyle": METHOD_STYLES[name]}


def _grid(w1: ArrayLike, w2: ArrayLike, losses: ArrayLike) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return arrays, checked to be in matrix order: a square grid given the wrong way round cannot be told here."""
    x, y, z = (np.asarray(values, dtype=float) for values in (w1, w2, losses))
    if z.shape != (x.size, y.size):
        raise ValueError(
            f"losses needs shape (len(w1), len(w2)) = ({x.size}, {y.size}), got {z.shape}: losses[i, j] belongs to "
            "(w1[i], w2[j]); use torch.meshgrid(w1, w2, indexing='ij')."
        )
    return x, y, z


@styled
def plot_contour(
    w1: ArrayLike,
    w2: ArrayLike,
    losses: ArrayLike,
    *,
    paths: Mapping[str, ArrayLike] | None = None,
    points: Mapping[str, Sequence[tuple[float, float]]] | None = None,
    levels: int | Sequence[float] = 18,
    labels: tuple[str, str] = ("w1", "w2"),
    unit: str = "loss",
    ax: Axes | None = None,
) -> Axes:
    """Draw a loss from above, dark where it is low, with the paths that runs took.

    Args:
        w1: values along the horizontal axis, [n1].
        w2: values along the vertical axis, [n2].
        losses: [n1, n2], `losses[i, j]` at (w1[i], w2[j]).
        paths: label -> array [T + 1, 2 or more], of which the first two columns are drawn; the start is a square.
        points: label -> places marked by a white cross, such as minima.
        levels: number of contour levels, or the levels.
        labels: of the two axes.
        unit: label of the colour bar.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if the losses are not in this order.
    """
    x, y, z = _grid(w1, w2, losses)
    ax = new_axes(figsize=(6.4, 5)) if ax is None else ax
    filled = ax.contourf(x, y, z.T, levels=levels, cmap="viridis", extend="both")
    ax.figure.colorbar(filled, ax=ax, label=unit, pad=0.02)
    for name, path in (paths or {}).items():
        _draw_path(ax, name, np.asarray(path, dtype=float)[:, :2])
    for name, places in (points or {}).items():
        ax.plot(*np.array(places).T, "X", color="white", mec="black", ms=9, linestyle="none", label=name)
    ax.set(xlabel=labels[0], ylabel=labels[1], xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    ax.grid(visible=False)
    if paths or points:
        ax.legend(fontsize=9, loc="upper right", frameon=True, framealpha=0.85)
    return ax


def _draw_path(ax: Any, name: str, path: NDArray[Any], **options: Any) -> None:
    """Draw one path with a light rim, so that it is seen on dark and on bright ground, and a square at its start."""
    look = {**_look(name), **options}
    columns = path.T
    ax.plot(*columns, color="white", lw=3.4, alpha=0.8, **options)
    (line,) = ax.plot(*columns, lw=1.6, marker=".", ms=4, label=name, **look)
    ax.plot(*path[:1].T, "s", color=line.get_color(), mec="white", ms=8, **options)


@styled
def plot_surface(
    w1: ArrayLike,
    w2: ArrayLike,
    losses: ArrayLike,
    *,
    paths: Mapping[str, ArrayLike] | None = None,
    view: tuple[float, float] = (38.0, -60.0),
    ax: Any = None,
) -> Any:
    """Draw a loss as a surface over the plane, with paths on it, and return the 3-D Axes.

    Args:
        w1: values along the first axis, [n1].
        w2: values along the second axis, [n2].
        losses: [n1, n2], `losses[i, j]` at (w1[i], w2[j]).
        paths: label -> array [T + 1, 3]: w1, w2, loss; what leaves the drawn square is cut off.
        view: elevation and azimuth in degrees.
        ax: 3-D Axes; None makes a new figure that holds nothing else.
    Raises: ValueError: if the losses are not in this order.
    """
    x, y, z = _grid(w1, w2, losses)
    ax = new_axes(figsize=(7.4, 5.4), subplot_kw={"projection": "3d"}) if ax is None else ax
    ax.computed_zorder = False  # else Matplotlib hides whole paths behind the surface they lie on
    ax.plot_surface(
        *np.meshgrid(x, y, indexing="ij"), z, cmap="viridis", alpha=0.75, lw=0, rcount=80, ccount=80, zorder=1
    )
    for name, path in (paths or {}).items():
        walked = np.asarray(path, dtype=float)[:, :3].copy()
        outside = (
            (walked[:, 0] < x[0]) | (walked[:, 0] > x[-1]) | (walked[:, 1] < y[0]) | (walked[:, 1] > y[-1])
        )
        walked[outside] = np.nan
        _draw_path(ax, name, walked, zorder=3)
    ax.set(xlabel="w1", ylabel="w2", zlabel="loss", xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    ax.view_init(*view)
    if paths:
        ax.legend(fontsize=9, loc="upper left")
    return ax


@styled
def plot_outcomes(
    x: ArrayLike,
    y: ArrayLike,
    outcomes: ArrayLike,
    names: Sequence[str],
    *,
    labels: tuple[str, str] = ("w1 of the start", "w2 of the start"),
    limits: Mapping[str, float] | None = None,
    points: Sequence[tuple[float, float]] = (),
    log_y: bool = False,
    legend: bool = True,
    elsewhere: str = "nowhere",
    ax: Axes | None = None,
) -> Axes:
    """Draw where each run ended, as one colour per outcome.

    Args:
        x: [n1], along the horizontal axis.
        y: [n2], along the vertical axis: another coordinate of the start, or the learning rate.
        outcomes: whole numbers [n1, n2]; -1 did not arrive and is light grey, k is `names[k]`.
        names: of outcomes 0, 1, ...
        labels: of the two axes.
        limits: label -> value of y, drawn as a dashed line: the prediction.
        points: places marked by a white cross, in the order of `names` where they are the outcomes.
        log_y: draw y on a logarithmic axis.
        legend: name the colours beside the map.
        elsewhere: name of the outcome -1.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if the outcomes are not in matrix order, or there is one without a name.
    """
    across, up, ends = _grid(x, y, outcomes)
    if ends.max() >= len(names) or len(names) > len(OUTCOME_COLORS):
        raise ValueError(
            f"{len(names)} names for outcomes up to {int(ends.max())}: give one name per outcome, "
            f"{len(OUTCOME_COLORS)} at most."
        )
    ax = new_axes(figsize=(6.8, 4.6)) if ax is None else ax
    colors = ["0.9", *OUTCOME_COLORS[: len(names)]]
    ax.pcolormesh(across, up, ends.T, cmap=ListedColormap(colors), vmin=-1.5, vmax=len(names) - 0.5)
    for label, value in (limits or {}).items():
        ax.axhline(value, color="black", linestyle="--", lw=1.5)
        ax.annotate(label, (0.02, value), xycoords=ax.get_yaxis_transform(), va="bottom", fontsize=10)
    for place in points:
        ax.plot(*place, "X", color="white", mec="black", ms=9)
    ax.set(xlabel=labels[0], ylabel=labels[1], yscale="log" if log_y else "linear")
    ax.grid(visible=False)
    if legend:
        handles = [
            Patch(color=color, label=label) for color, label in zip(colors, [elsewhere, *names], strict=True)
        ]
        ax.legend(handles=handles, fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax


@styled
def plot_share(
    lrs: ArrayLike,
    shares: Mapping[str, ArrayLike],
    *,
    limits: Mapping[str, float] | None = None,
    ylabel: str = "share of starts that arrive",
    ax: Axes | None = None,
) -> Axes:
    """Draw the share of runs that arrive against the learning rate, one curve per method.

    Args:
        lrs: [L], drawn on a logarithmic axis.
        shares: method -> [L], each in [0, 1].
        limits: method -> the learning rate beyond which none is predicted to arrive, a dashed line of its colour.
        ylabel: what the share is of.
        ax: where to draw; None makes a new figure.
    """
    ax = new_axes() if ax is None else ax
    for name, share in shares.items():
        (line,) = ax.plot(np.asarray(lrs), np.asarray(share), marker=".", label=name, **_look(name))
        if limits is not None and name in limits:
            label = f"predicted limit, {name}"
            ax.axvline(limits[name], color=line.get_color(), linestyle=(0, (4, 3)), lw=1.2, label=label)
    ax.set(xscale="log", xlabel="learning rate", ylabel=ylabel, ylim=(-0.03, 1.03))
    ax.legend(fontsize=9)
    return ax


@styled
def plot_profiles(
    t: ArrayLike,
    profiles: Mapping[str, ArrayLike],
    *,
    marks: Mapping[str, float] | None = None,
    xlabel: str = "position t on the line",
    ylabel: str = "loss (nats)",
    ax: Axes | None = None,
) -> Axes:
    """Draw losses along a line: mean over seeds as a curve, their range as a band.

    Args:
        t: positions [points].
        profiles: label -> [points], or [seeds, points].
        marks: label -> position of a vertical line, such as the two ends.
        xlabel: what the position is.
        ylabel: which loss, with its unit.
        ax: where to draw; None makes a new figure.
    """
    ax = new_axes() if ax is None else ax
    where = np.asarray(t, dtype=float)
    for name, values in profiles.items():
        runs = np.atleast_2d(np.asarray(values, dtype=float))
        label = f"{name} (n = {len(runs)})" if len(runs) > 1 else name
        (line,) = ax.plot(where, runs.mean(axis=0), label=label)
        ax.fill_between(where, runs.min(axis=0), runs.max(axis=0), color=line.get_color(), alpha=0.18, lw=0)
    for name, position in (marks or {}).items():
        ax.axvline(position, color=GREY, linestyle=":", lw=1.2)
        ax.annotate(name, (position, 0.98), xycoords=ax.get_xaxis_transform(), va="top", ha="center", fontsize=9,
                    bbox={"color": "white", "alpha": 0.8, "pad": 1})  # fmt: skip
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.legend(fontsize=9)
    return ax


@styled
def plot_sharpness(
    steps: ArrayLike,
    sharpness: Mapping[float, ArrayLike],
    losses: Mapping[float, ArrayLike],
    *,
    axes: Sequence[Axes] | None = None,
) -> Axes:
    """Draw loss and sharpness against the step, with 2/lr drawn in for each learning rate, and return the left Axes.

    Args:
        steps: [points] at which the sharpness was measured.
        sharpness: learning rate -> [seeds, points], the top eigenvalue of the Hessian.
        losses: learning rate -> [seeds, T], the loss of every step; each seed is a thin line.
        axes: two Axes, for the loss and for the sharpness; None makes a new figure.
    """
    left, right = new_grid(1, 2, figsize=(11, 4.4)) if axes is None else axes
    for color, (lr, runs) in zip((*OUTCOME_COLORS[:2], GREEN), sharpness.items(), strict=False):
        for number, loss in enumerate(np.atleast_2d(np.asarray(losses[lr], dtype=float))):
            left.plot(loss, color=color, lw=0.8, alpha=0.7, label=None if number else f"lr {lr:g}")
        curves = np.atleast_2d(np.asarray(runs, dtype=float))
        right.plot(np.asarray(steps), curves.T, color=color, lw=1.3, alpha=0.8)
        right.plot([], [], color=color, label=f"lr {lr:g} (n = {len(curves)})")
        right.axhline(2 / lr, color=color, linestyle="--", lw=1.3)
        right.annotate(f"2/lr = {2 / lr:g}", (0.99, 2 / lr), xycoords=right.get_yaxis_transform(), ha="right",
                       va="bottom", color=color)  # fmt: skip
    left.set(xlabel="step", ylabel="training loss (squared error)", yscale="log")
    right.set(xlabel="step", ylabel="sharpness (top Hessian eigenvalue)", ylim=(0, None))
    left.legend()
    right.legend(loc="lower right")
    return left
