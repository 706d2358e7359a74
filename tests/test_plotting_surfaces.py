"""A surface is drawn with w1 to the right and w2 upwards, paths start where they start, and outcomes have names."""

import numpy as np
import pytest
from conftest import legend_labels
from matplotlib.colors import to_hex, to_rgba

from course_utils.plotting import METHOD_COLORS, new_axes
from course_utils.plotting.surfaces import (
    OUTCOME_COLORS,
    plot_contour,
    plot_outcomes,
    plot_share,
    plot_surface,
)

pytestmark = pytest.mark.usefixtures("close_figures")

W1, W2 = np.linspace(-2, 2, 5), np.linspace(0, 3, 4)  # unequal sizes: a turned grid does not fit
LOSSES = W1[:, None] + 10 * W2[None, :]
PATH = np.array([[-2.0, 0.0, 5.0], [0.0, 1.0, 3.0], [1.0, 2.0, 1.0]])


@pytest.mark.parametrize(
    "plot",
    [plot_contour, plot_surface, lambda x, y, z: plot_outcomes(x, y, z, ["a"])],
    ids=["2-D", "3-D", "outcomes"],
)
def test_turned_grid_is_refused_with_the_way_out(plot):
    with pytest.raises(ValueError, match=r"\(5, 4\), got \(4, 5\).*indexing='ij'"):
        plot(W1, W2, np.zeros((4, 5)))


def test_contour_is_low_where_the_losses_are_low():
    ax = plot_contour(W1, W2, LOSSES, levels=[-5.0, 5.0, 40.0])
    (filled,) = (c for c in ax.collections if hasattr(c, "levels"))
    low, high = (filled.get_paths()[k].get_extents() for k in (1, 2))  # of -5 to 5, and of 5 to 40
    assert (low.y0, high.y1) == (0.0, 3.0)
    assert low.y1 < high.y1
    assert (ax.get_xlim(), ax.get_ylim()) == ((-2.0, 2.0), (0.0, 3.0))


@pytest.mark.parametrize(("unit", "num_axes"), [("loss", 2), (None, 1)])
def test_contour_without_a_unit_has_no_bar_of_colours(unit, num_axes):
    assert len(plot_contour(W1, W2, LOSSES, unit=unit).figure.axes) == num_axes


def test_contour_shows_a_path_in_the_colour_of_its_method_and_marks_its_start():
    ax = plot_contour(W1, W2, LOSSES, paths={"Adam": PATH})
    rim, line, start = ax.lines
    np.testing.assert_allclose(line.get_xydata(), PATH[:, :2])
    assert to_hex(line.get_color()).upper() == METHOD_COLORS["Adam"]
    assert rim.get_linewidth() > line.get_linewidth()
    np.testing.assert_allclose(start.get_xydata(), PATH[:1, :2])
    assert not start.get_clip_on()  # a start in the corner is drawn whole
    assert legend_labels(ax) == ["Adam"]


def test_contour_marks_points_and_puts_the_legend_where_it_is_told():
    ax = plot_contour(W1, W2, LOSSES, points={"minimum": [(1.0, 2.0), (0.0, 1.0)]}, legend_loc="lower left")
    np.testing.assert_allclose(ax.lines[0].get_xydata(), [[1.0, 2.0], [0.0, 1.0]])
    assert legend_labels(ax) == ["minimum"]
    assert ax.get_legend()._loc == 3  # Matplotlib's number of the lower left corner


def test_contour_without_paths_has_no_legend():
    assert plot_contour(W1, W2, LOSSES).get_legend() is None


def test_surface_carries_paths_at_their_height_and_cuts_off_what_leaves_the_square():
    leaving = np.vstack([PATH, [9.0, 1.0, 0.0]])
    ax = plot_surface(W1, W2, LOSSES, paths={"SGD": leaving})
    x, _, z = ax.lines[1].get_data_3d()
    np.testing.assert_allclose(z[:3], PATH[:, 2])
    assert np.isnan(x[3])
    assert leaving[3, 0] == 9.0  # the caller's path is left alone


def test_outcomes_have_one_colour_each_and_grey_for_nowhere():
    ends = np.full((5, 4), -1)
    ends[0, 0], ends[4, 3] = 0, 1
    ax = plot_outcomes(W1, W2, ends, ["left", "right"], elsewhere="lost")
    (mesh,) = ax.collections
    drawn = mesh.to_rgba(mesh.get_array())  # (up, across, 4)
    np.testing.assert_allclose(drawn[0, 0], to_rgba(OUTCOME_COLORS[0]))
    np.testing.assert_allclose(drawn[3, 4], to_rgba(OUTCOME_COLORS[1]))
    np.testing.assert_allclose(drawn[0, 4], to_rgba("0.9"))
    assert legend_labels(ax) == ["lost", "left", "right"]


def test_outcome_without_a_name_is_refused():
    with pytest.raises(ValueError, match="1 names for outcomes up to 2"):
        plot_outcomes(W1, W2, np.full((5, 4), 2), ["only"])


def test_outcomes_over_the_learning_rate_draw_the_predicted_limit():
    ax = plot_outcomes(W1, W2 + 1, np.zeros((5, 4)), ["a"], limits={"2/h": 2.0}, log_y=True, legend=False)
    assert ax.lines[0].get_ydata()[0] == 2.0
    assert ax.texts[0].get_text() == "2/h"
    assert (ax.get_yscale(), ax.get_legend()) == ("log", None)


def test_share_draws_the_limit_in_the_colour_of_its_method_and_names_it_once():
    ax = plot_share([0.1, 1.0], {"SGD": [1, 0], "momentum": [1, 1]}, limits={"SGD": 0.2, "momentum": 0.4})
    sgd, limit = ax.lines[:2]
    assert limit.get_xdata()[0] == 0.2
    assert sgd.get_color() == limit.get_color() == METHOD_COLORS["SGD"]
    assert legend_labels(ax) == ["SGD", "momentum", "predicted limit"]


def test_share_of_a_label_that_is_no_method_takes_a_colour_that_no_method_has():
    ax = plot_share([0.1, 1.0], {"SGD": [1, 0], "SGD, clipped": [1, 1], "Adam": [0, 1]})
    colours = [line.get_color() for line in ax.lines]
    assert len(set(colours)) == 3
    assert legend_labels(ax) == ["SGD", "SGD, clipped", "Adam"]


def test_shares_of_outcomes_have_the_colours_of_their_map():
    ax = plot_share([0.1, 1.0], {name: [0, 1] for name in ("a", "b", "c")})
    assert tuple(line.get_color() for line in ax.lines) == OUTCOME_COLORS[:3]


@pytest.mark.parametrize(
    "draw",
    [
        lambda ax: plot_contour(W1, W2, LOSSES, ax=ax),
        lambda ax: plot_outcomes(W1, W2, np.zeros((5, 4)), ["a"], ax=ax),
        lambda ax: plot_share([0.1, 1.0], {"SGD": [1, 0]}, ax=ax),
    ],
)
def test_plots_draw_into_the_axes_they_are_given(draw):
    ax = new_axes()
    assert draw(ax) is ax


def test_surface_draws_into_the_3d_axes_it_is_given():
    ax = new_axes(subplot_kw={"projection": "3d"})
    assert plot_surface(W1, W2, LOSSES, ax=ax) is ax
