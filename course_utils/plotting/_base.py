"""What do all figures of the course share? Style, colours of methods, and an alternative text for every one."""

import functools
import importlib.resources
import io
import itertools
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from course_utils._types import checked
from course_utils.plotting._records import check_numbers

P = ParamSpec("P")
T = TypeVar("T")

STYLE = str(importlib.resources.files(__package__) / "course.mplstyle")

# Okabe and Ito (2008), "Color Universal Design". The same method has the same colour in every notebook.
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK, GREY = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F",
)  # fmt: skip
METHOD_GROUPS = {
    "optimizers": {
        "SGD": BLUE,
        "momentum": VERMILION,
        "momentum (EMA)": ORANGE,
        "Nesterov": PURPLE,
        "AdaGrad": SKY,
        "RMSProp": GREY,
        "Adam": GREEN,
        "AdamW": BLACK,
        "Muon": PURPLE,
        "Shampoo": SKY,
        "AMSGrad": GREEN,
        "Lion": ORANGE,
        "SOAP": VERMILION,
        "schedule-free SGD": BLUE,
        "schedule-free Adam": BLACK,
        "SAM": GREY,
    },
    "initializers": {
        "constant": BLACK,
        "std 0.01": SKY,
        "std 0.1": ORANGE,
        "std 0.3": GREY,
        "fan-out": GREY,
        "LeCun (fan-in)": PURPLE,
        "Xavier": BLUE,
        "He": VERMILION,
        "orthogonal": GREEN,
        "PyTorch default": ORANGE,
        "orthogonal √2": BLACK,
    },
    "activations": {
        "identity": BLACK,
        "SELU": BLACK,
        "sigmoid": BLUE,
        "tanh": GREEN,
        "ReLU": VERMILION,
        "LeakyReLU": ORANGE,
        "ELU": PURPLE,
        "GELU": GREY,
        "Swish": SKY,
    },
    "regularizers": {
        "none": BLACK,
        "weight decay": BLUE,
        "dropout": VERMILION,
        "label smoothing": GREEN,
        "mixup": PURPLE,
        "early stopping": ORANGE,
        "temperature": SKY,
    },
    "normalizations": {
        "plain": BLUE,
        "BatchNorm": VERMILION,
        "RMSNorm": PURPLE,
        "LayerNorm": GREEN,
    },
}
METHOD_COLORS = {name: color for group in METHOD_GROUPS.values() for name, color in group.items()}
# Within a group line styles tell methods apart where colour cannot (print, projection, colour blindness).
_STYLES = ["-", "--", ":", "-.", "-", "--", "-", ":"]
METHOD_STYLES = {
    name: style for group in METHOD_GROUPS.values() for name, style in zip(group, itertools.cycle(_STYLES))
}


def method_look(name: str) -> dict[str, Any]:
    """Return the colour and the line style of a method; a label of another kind takes the next of the cycle."""
    if name not in METHOD_COLORS:
        return {}
    return {"color": METHOD_COLORS[name], "linestyle": METHOD_STYLES[name]}


def draw_mean_and_range(
    ax: Axes, x: ArrayLike, runs: ArrayLike, *, label: str | None = None, **look: Any
) -> Line2D:
    """Draw the mean over seeds as a line and their range as a band of its colour, and return the line.

    Args:
        ax: where to draw.
        x: positions [points].
        runs: [seeds, points]; with one seed the band has no width.
        label: for the legend, which gets the number of seeds as well if there are several.
        look: colour, style and marker of the line; without them, those of the method that `label` names.
    """
    values = np.atleast_2d(np.asarray(runs, dtype=float))
    counted = f"{label} (n = {len(values)})" if label is not None and len(values) > 1 else label
    (line,) = ax.plot(x, values.mean(axis=0), label=counted, **{**method_look(label or ""), **look})
    ax.fill_between(x, values.min(axis=0), values.max(axis=0), color=line.get_color(), alpha=0.18, lw=0)
    return line


def styled(plot: Callable[P, T]) -> Callable[P, T]:
    """Run a plot function under the course's style, with its arguments checked; the reader's own rcParams stay."""
    plot = checked(plot)

    @functools.wraps(plot)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        with plt.style.context(STYLE):
            return plot(*args, **kwargs)

    return wrapper


@styled
def new_axes(**figure_kwargs: Any) -> Axes:
    """Return the Axes of a new figure in the course's style, not yet shown."""
    ax: Axes = plt.subplots(**figure_kwargs)[1]
    return ax


@styled
def new_grid(rows: int, columns: int, **figure_kwargs: Any) -> list[Axes]:
    """Return rows x columns Axes of a new figure in the course's style, row by row.

    Raises: ValueError: if there are none, or more than 1000 in all.
    """
    check_numbers("from 1 to 1000", rows=rows, columns=columns, **{"rows times columns": rows * columns})
    _, axes = plt.subplots(rows, columns, squeeze=False, **figure_kwargs)
    return list(axes.flat)


def axes_for(
    ax: Axes | None, *, name: str = "ax", projection: str = "rectilinear", **figure_kwargs: Any
) -> Axes:
    """Return `ax`, or new Axes where it is None.

    Raises: ValueError: if `ax` has been removed from its figure, or is of another kind, such as polar.
    """
    if ax is None:
        return new_axes(**figure_kwargs)
    if getattr(ax, "figure", None) is None or ax.name != projection:
        kind = ax.name if getattr(ax, "figure", None) is not None else "removed from their figure"
        raise ValueError(f"{name} must be {projection} Axes of a figure, got Axes that are {kind}.")
    return ax


def grid_for(
    axes: Sequence[Axes] | None,
    rows: int,
    columns: int,
    *,
    of: str,
    least: int | None = None,
    **figure_kwargs: Any,
) -> list[Axes]:
    """Return `axes` as a list, or rows x columns new ones where they are None.

    Raises: ValueError: if there are not so many (`least` or more where it is given), or one is no place to draw.
    """
    if axes is None:
        return new_grid(rows, columns, **figure_kwargs)
    wanted = rows * columns if least is None else least
    if len(axes) < wanted or (least is None and len(axes) > wanted):
        raise ValueError(f"axes needs {wanted} Axes, one for each panel of {of}, got {len(axes)}.")
    return [axes_for(ax, name=f"axes[{k}]") for k, ax in enumerate(axes)]


@checked
def show(figure: Figure | Axes, *, alt: str) -> None:
    """Store the figure as a PNG with an alternative text, and close it.

    Args:
        figure: the figure, or any Axes in it.
        alt: what a reader who cannot see the figure needs: what is drawn against what, and what it shows. At least
            20 characters; the form test refuses figures without one.
    """
    from IPython.display import Image, display

    if len(alt.strip()) < 20:
        raise ValueError(f"alt must describe the figure in a sentence of 20 or more characters, got {alt!r}.")
    fig = figure.figure if isinstance(figure, Axes) else figure
    display(Image(png_of(fig.figure)), metadata={"image/png": {"alt": alt}})  # IPython 7's Image takes no alt
    plt.close(fig.figure)


def png_of(figure: Any, *, kmeans: int = 0) -> bytes:
    """Render to PNG bytes with a palette of 256 colours: a third of the size, and no difference that an eye would see.

    The software tag is left out: it would change with every Matplotlib release.

    Args:
        figure: a Matplotlib figure.
        kmeans: rounds that adapt the palette to how often a colour occurs; one keeps tints of a surface apart.
    """
    from PIL import Image  # Matplotlib brings it

    drawn, stored = io.BytesIO(), io.BytesIO()
    with plt.style.context(STYLE):
        figure.savefig(drawn, format="png")
    method, dither = Image.Quantize.MAXCOVERAGE, Image.Dither.NONE
    palette = Image.open(drawn).convert("RGB").quantize(256, method=method, kmeans=kmeans, dither=dither)
    palette.save(stored, format="png", optimize=True)
    return stored.getvalue()
