"""How is a figure's function fuzzed? A refusal leaves no figure behind, an answer shows something, all are closed."""

import functools
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from fuzzing import Call
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# What is a good answer too, for these reasons:
LEFT_OUT = ("None", "empty", "key missing")  # what has no entry is not drawn
SEEDS = ("entry missing", "entry twice")  # any number of them
REAL = ("-1.0", "0.0")  # the axis is linear
REALS = ("entry -1.0", "entry 0.0")
STEPS = ("entry -1", "entry 0", "entry 0.5")
GAPS = ("entry nan", "entry inf", "entry -inf")  # the docstring says that they leave a gap
TEXT = ("empty text", "other text")  # any text is a label
TEXTS = ("entry empty text", "entry other text")
ALWAYS = {
    "*": ("entry True",),
    "ax": ("None",),
    "axes": ("None",),
}  # NumPy counts True as 1; None makes a new figure
RENDERED = 25  # one in so many figures is rendered: it takes longer than all the rest of the call

_calls = itertools.count()


def axes(projection: str = "rectilinear") -> Axes:
    """Return Axes of a new figure that pyplot does not know, as little as a closed one."""
    return Figure().add_subplot(projection=projection)


def grid(number: int) -> list[Axes]:
    """Return so many Axes of a new figure."""
    return list(Figure().subplots(1, number, squeeze=False).flat)


def drawing(
    plot: Callable[..., Any],
    arguments: Callable[[], dict[str, Any]],
    takes: Mapping[str, tuple[str, ...]] | None = None,
) -> Call:
    """Return the Call of a plot function; labels may be any text, and `ax` may be left out."""
    texts = {name: TEXT for name, value in arguments().items() if isinstance(value, str)}
    listed = {**texts, **(takes or {})}
    every = {name: (*ALWAYS.get(name, ()), *listed.get(name, ())) for name in (*ALWAYS, *listed)}
    return Call(_watched(plot), arguments, every)


def _watched(plot: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(plot)
    def call(**arguments: Any) -> Any:
        try:
            drawn = plot(**arguments)
        except Exception:
            left = plt.get_fignums()
            plt.close("all")
            assert not left, "refused, but an empty figure is left"
            raise
        try:
            _check_drawn(drawn[0] if isinstance(drawn, list) else drawn)
        finally:
            plt.close("all")
        return drawn

    return call


def _check_drawn(ax: Axes) -> None:
    """Refuse an empty figure, an axis without an end, and now and then what cannot be rendered."""
    assert isinstance(ax, Axes)
    assert any(map(_is_seen, (*ax.lines, *ax.patches, *ax.collections, *ax.images))), "nothing is seen"
    assert np.isfinite([*ax.get_xlim(), *ax.get_ylim()]).all(), "an axis has no end"
    if next(_calls) % RENDERED == 0:
        ax.figure.canvas.draw()


def _is_seen(artist: Any) -> bool:
    if hasattr(artist, "get_xydata"):
        return bool(np.isfinite(artist.get_xydata()).all(axis=1).any())
    return artist.get_visible()
