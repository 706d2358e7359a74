"""What does the ground look like, and who arrives? Surfaces with the paths on them, maps and shares of outcomes.

Grids come in matrix order: `losses[i, j]` is the loss at (w1[i], w2[j]), as `torch.meshgrid(..., indexing="ij")`
gives them. Matplotlib puts the second index along the horizontal axis; the functions here transpose once, so that w1
is always drawn to the right and w2 upwards.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch
from numpy.typing import ArrayLike, NDArray

from course_utils.plotting._base import (
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    axes_for,
    method_look,
    styled,
)
from course_utils.plotting._records import (
    check_labels,
    check_numbers,
    curves_of,
    line_of,
    numbers,
)

Corner = Literal["upper right", "upper left", "lower left", "lower right"]
# The order of the style's cycle, so that an outcome has the colour of its curve in plot_share.
OUTCOME_COLORS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)


def _grid(
    w1: ArrayLike,
    w2: ArrayLike,
    losses: ArrayLike,
    names: tuple[str, ...] = ("w1", "w2", "losses"),
    *,
    gaps: bool = False,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return arrays, checked to be in matrix order: a square grid given the wrong way round cannot be told here."""
    x, y = line_of(names[0], w1), line_of(names[1], w2)
    z = numbers(names[2], losses, gaps=gaps)
    if z.shape != (x.size, y.size):
        raise ValueError(
            "{2} needs shape (len({0}), len({1})) = ".format(*names)
            + f"({x.size}, {y.size}), got {z.shape}: "
            "{2}[i, j] belongs to ({0}[i], {1}[j]); use torch.meshgrid({0}, {1}, indexing='ij').".format(
                *names
            )
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
    levels: int | Sequence[float] = 12,
    labels: tuple[str, str] = ("w1", "w2"),
    unit: str | None = "loss",
    legend_loc: Corner = "upper right",
    ax: Axes | None = None,
) -> Axes:
    """Draw a loss from above, dark where it is low, with the paths that runs took.

    Args:
        w1: values along the horizontal axis, [n1].
        w2: values along the vertical axis, [n2].
        losses: [n1, n2], `losses[i, j]` at (w1[i], w2[j]).
        paths: label -> array [T + 1, 2 or more], of which the first two columns are drawn; the start is a square.
        points: label -> places marked by a white cross, such as minima.
        levels: number of contour levels, 1 to 1000, or the levels, increasing.
        labels: of the two axes.
        unit: label of the colour bar; None leaves it out, where that of a neighbour says it.
        legend_loc: corner that no path passes.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if the losses are not in this order or not finite, or w1, w2 or the levels do not increase.
    """
    x, y, z = _grid(w1, w2, losses)
    walks = {name: _path(f"paths[{name!r}]", path, 2) for name, path in (paths or {}).items()}
    curves_of("points", points or None, None, 2)
    if isinstance(levels, int | np.integer):
        check_numbers("from 1 to 1000", levels=levels)
    else:
        line_of("levels", levels)
    ax = axes_for(ax, figsize=(5.8, 4.4))
    filled = ax.contourf(x, y, z.T, levels=levels, cmap="viridis", extend="both")
    if unit is not None:
        ax.figure.colorbar(filled, ax=ax, label=unit, pad=0.02)
    for name, path in walks.items():
        _draw_path(ax, name, path, clip_start=False)
    for name, places in (points or {}).items():
        ax.plot(*np.array(places).T, "X", color="white", mec="black", ms=9, linestyle="none", label=name)
    ax.set(xlabel=labels[0], ylabel=labels[1], xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    ax.grid(visible=False)
    if paths or points:
        ax.legend(fontsize=9, loc=legend_loc, frameon=True, framealpha=0.9)
    return ax


def _path(name: str, path: ArrayLike, columns: int) -> NDArray[Any]:
    """Return the columns of a path that are drawn; it may leave a gap where a run diverged."""
    table = numbers(name, path, None, None, gaps=True)
    if table.shape[1] < columns:
        raise ValueError(f"{name} needs {columns} columns or more, got shape {table.shape}.")
    return table[:, :columns].copy()


def _draw_path(ax: Any, name: str, path: NDArray[Any], *, clip_start: bool = True, **options: Any) -> None:
    """Draw one path with a light rim, so that it is seen on dark and on bright ground, and a square at its start."""
    look = {**method_look(name), **options}
    columns = path.T
    ax.plot(*columns, color="white", lw=3.4, alpha=0.8, **options)
    (line,) = ax.plot(*columns, lw=1.6, marker=".", ms=4, label=name, **look)
    ax.plot(*path[:1].T, "s", color=line.get_color(), mec="white", ms=8, clip_on=clip_start, **options)


@styled
def plot_surface(
    w1: ArrayLike,
    w2: ArrayLike,
    losses: ArrayLike,
    *,
    paths: Mapping[str, ArrayLike] | None = None,
    view: tuple[float, float] = (38.0, -60.0),
    opacity: float = 1.0,
    ax: Any = None,
) -> Any:
    """Draw a loss as a surface over the plane, with paths on it, and return the 3-D Axes.

    Args:
        w1: values along the first axis, [n1].
        w2: values along the second axis, [n2].
        losses: [n1, n2], `losses[i, j]` at (w1[i], w2[j]).
        paths: label -> array [T + 1, 3]: w1, w2, loss; what leaves the drawn square is cut off.
        view: elevation and azimuth in degrees.
        opacity: of the surface, > 0; below 1 what lies under a plain is seen through it.
        ax: 3-D Axes; None makes a new figure that holds nothing else.
    Raises: ValueError: if the losses are not in this order or not finite, or `ax` is not three-dimensional.
    """
    x, y, z = _grid(w1, w2, losses)
    walks = {name: _path(f"paths[{name!r}]", path, 3) for name, path in (paths or {}).items()}
    check_numbers("finite", **{"elevation of view": view[0], "azimuth of view": view[1]})
    if not 0 < opacity <= 1:
        raise ValueError(f"opacity needs 0 < opacity <= 1, got opacity={opacity!r}.")
    ax = axes_for(ax, projection="3d", figsize=(6.6, 4.8), subplot_kw={"projection": "3d"})
    ax.computed_zorder = False  # else Matplotlib hides whole paths behind the surface they lie on
    ax.plot_surface(
        *np.meshgrid(x, y, indexing="ij"), z, cmap="viridis", alpha=opacity, lw=0, rcount=60, ccount=60,
        antialiased=False, zorder=1,
    )  # fmt: skip
    for name, walked in walks.items():
        outside = (
            (walked[:, 0] < x[0]) | (walked[:, 0] > x[-1]) | (walked[:, 1] < y[0]) | (walked[:, 1] > y[-1])
        )
        walked[outside] = np.nan
        _draw_path(ax, name, walked, zorder=3)
    ax.set(xlabel="w1", ylabel="w2", xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    ax.set_zlabel("loss", labelpad=10)
    ax.locator_params(nbins=5)
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
    across, up, ends = _grid(x, y, outcomes, ("x", "y", "outcomes"))
    if log_y:
        numbers("y", y, rule="> 0")
    numbers("outcomes", ends + 1, rule="whole and >= 0")
    curves_of("limits", limits or None, rule="> 0" if log_y else "finite")
    if len(points):
        numbers("points", points, None, 2)
    if ends.max() >= len(names) or len(names) > len(OUTCOME_COLORS):
        raise ValueError(
            f"{len(names)} names for outcomes up to {int(ends.max())}: give one name per outcome, "
            f"{len(OUTCOME_COLORS)} at most."
        )
    ax = axes_for(ax, figsize=(6.8, 4.6))
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
    """Draw the share of runs that arrive against the learning rate, one curve per method, the legend beside it.

    Args:
        lrs: [L], drawn on a logarithmic axis.
        shares: method -> [L], each in [0, 1].
        limits: method -> the learning rate beyond which none is predicted to arrive, a dashed line of its colour.
        ylabel: what the share is of.
        ax: where to draw; None makes a new figure.
    Raises: ValueError: if a learning rate is not positive, a share lies outside [0, 1], or a limit has no curve.
    """
    rates = numbers("lrs", lrs, None, rule="> 0")
    curves = curves_of("shares", shares, ("lrs", rates.size), rule="in [0, 1]")
    check_labels("limits", limits, "shares", shares)
    curves_of("limits", limits or None, rule="> 0")
    ax = axes_for(ax, figsize=(7.4, 3.8))
    taken = {method_look(name).get("color") for name in shares}
    spare = itertools.cycle(color for color in OUTCOME_COLORS if color not in taken)
    for name, share in curves.items():
        look = method_look(name) or {"color": next(spare)}
        ax.plot(rates, share, marker=".", label=name, **look)
        if limits is not None and name in limits:
            ax.axvline(limits[name], color=look["color"], linestyle=(0, (4, 3)), lw=1.2)
    if limits:
        ax.plot([], [], color=BLACK, linestyle=(0, (4, 3)), lw=1.2, label="predicted limit")
    ax.set(xscale="log", xlabel="learning rate", ylabel=ylabel, ylim=(-0.03, 1.03))
    ax.legend(fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax
