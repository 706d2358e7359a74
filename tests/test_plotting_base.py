"""Figures carry an alternative text, the course's style, and leave the reader's settings alone."""

import io
import itertools

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
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
    monkeypatch.setattr(IPython.display, "display", lambda image, metadata: shown.append((image, metadata)))
    return shown


def test_shown_figure_is_a_png_with_its_alternative_text_and_is_closed(displayed):
    ax = new_axes()
    ax.plot([1, 2], [3, 5])
    show(ax, alt="A line that rises from 3 to 5.")
    ((image, metadata),) = displayed
    assert metadata == {"image/png": {"alt": "A line that rises from 3 to 5."}}
    assert len(image.data) > 1000
    assert plt.get_fignums() == []


def test_same_figure_gives_the_same_bytes():
    def draw():
        ax = new_axes()
        ax.plot([1, 2, 4])
        return _base.png_of(ax.figure)

    assert draw() == draw()
    plt.close("all")


def test_palette_makes_a_figure_smaller_and_moves_no_pixel_far():
    ax = new_axes()
    ax.imshow(np.add.outer(np.arange(60), np.arange(90)), aspect="auto")
    drawn = io.BytesIO()
    with plt.style.context(_base.STYLE):
        ax.figure.savefig(drawn, format="png")
    stored = _base.png_of(ax.figure)
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


# How three kinds of colour blindness see linear RGB, at full severity: G. M. Machado, M. M. Oliveira and L. A. F.
# Fernandes 2009, IEEE Transactions on Visualization and Computer Graphics 15(6), 1291-1298.
SEEN_BY = {
    "all cones": np.eye(3),
    "protanopia": np.array([
        [0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    "deuteranopia": np.array([
        [0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
    "tritanopia": np.array([
        [1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]),
}  # fmt: skip


def lab(color, seen_by):
    """Return CIE L*a*b* of an sRGB colour after the eye's filter."""
    srgb = np.array(to_rgb(color))
    linear = seen_by @ np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4125, 0.3576, 0.1804], [0.2127, 0.7152, 0.0722], [0.0193, 0.1192, 0.9503]])
    x, y, z = np.cbrt(to_xyz @ linear.clip(1e-4, 1) / (0.9505, 1, 1.0888))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("group", METHOD_GROUPS)
@pytest.mark.parametrize("eye", SEEN_BY)
def test_two_methods_of_a_group_differ_for_every_eye_in_colour_or_at_least_in_line_style(group, eye):
    colors = METHOD_GROUPS[group]
    for one, other in itertools.combinations(colors, 2):
        difference = np.linalg.norm(lab(colors[one], SEEN_BY[eye]) - lab(colors[other], SEEN_BY[eye]))
        # 1 can just be told apart side by side; 9 is apart at a glance
        assert difference > 9 or METHOD_STYLES[one] != METHOD_STYLES[other], (one, other, difference)
