"""Figures carry an alternative text, the course's style, and leave the reader's settings alone."""

import io
import itertools

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from course_utils.plotting import _base
from course_utils.plotting._base import (
    METHOD_COLORS,
    METHOD_GROUPS,
    METHOD_STYLES,
    draw_mean_and_range,
    new_axes,
    new_grid,
    show,
)


@pytest.fixture
def displayed(monkeypatch):
    import IPython.display

    shown = []
    monkeypatch.setattr(IPython.display, "display", shown.append)
    return shown


def test_shown_figure_is_a_png_with_its_alternative_text_and_is_closed(displayed):
    ax = new_axes()
    ax.plot([1, 2], [3, 5])
    show(ax, alt="A line that rises from 3 to 5.")
    data, metadata = displayed[0]._repr_mimebundle_()
    assert metadata["image/png"]["alt"] == "A line that rises from 3 to 5."
    assert len(data["image/png"]) > 1000
    assert plt.get_fignums() == []


def test_same_figure_gives_the_same_bytes():
    def draw():
        ax = new_axes()
        ax.plot([1, 2, 4])
        return _base._png(ax.figure)

    assert draw() == draw()
    plt.close("all")


def test_palette_makes_a_figure_smaller_and_moves_no_pixel_far():
    ax = new_axes()
    ax.imshow(np.add.outer(np.arange(60), np.arange(90)), aspect="auto")
    drawn = io.BytesIO()
    with plt.style.context(_base.STYLE):
        ax.figure.savefig(drawn, format="png")
    stored = _base._png(ax.figure)
    plt.close("all")
    before, after = (
        np.asarray(Image.open(file).convert("RGB"), dtype=int) for file in (drawn, io.BytesIO(stored))
    )
    assert len(stored) < len(drawn.getvalue()) / 2
    assert before.shape == after.shape
    assert np.abs(before - after).max() <= 16


def test_short_alternative_text_is_refused():
    with pytest.raises(ValueError, match="alt must describe the figure"):
        show(plt.figure(), alt="a plot")
    plt.close("all")


def test_style_does_not_leak_into_the_readers_settings():
    before = dict(mpl.rcParams)
    new_grid(1, 2, figsize=(8, 3))
    plt.close("all")
    assert dict(mpl.rcParams) == before


def test_methods_of_a_group_differ_in_colour_or_in_line_style():
    for group in METHOD_GROUPS.values():
        looks = [(METHOD_COLORS[name], METHOD_STYLES[name]) for name in group]
        assert all(a != b for a, b in itertools.combinations(looks, 2))


def test_a_method_belongs_to_one_group():
    assert sum(map(len, METHOD_GROUPS.values())) == len(METHOD_COLORS)


def test_seeds_are_a_line_of_their_mean_and_a_band_of_their_range():
    ax = new_axes()
    line = draw_mean_and_range(ax, [1, 2], [[1.0, 4.0], [3.0, 5.0]], label="Adam")
    assert list(line.get_ydata()) == [2.0, 4.5]
    assert (line.get_color(), line.get_label()) == (METHOD_COLORS["Adam"], "Adam (n = 2)")
    corners = {tuple(point) for point in ax.collections[0].get_paths()[0].vertices}
    assert corners == {(1, 1), (1, 3), (2, 4), (2, 5)}
    plt.close("all")


def test_one_seed_is_not_counted_in_the_legend():
    line = draw_mean_and_range(new_axes(), [1, 2], [1.0, 4.0], label="measured", color="black")
    assert (line.get_label(), line.get_color()) == ("measured", "black")
    plt.close("all")
