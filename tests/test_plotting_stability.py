"""Figures of stability carry their prediction: the crossing of 1, the cycle, and the line 2/lr."""

import numpy as np
import pytest
from conftest import legend_labels
from matplotlib.colors import to_hex

from course_utils.plotting import METHOD_COLORS, METHOD_STYLES, new_axes, new_grid
from course_utils.plotting.stability import (
    plot_attractor,
    plot_final_sharpness,
    plot_rates,
    plot_sharpness,
)

pytestmark = pytest.mark.usefixtures("close_figures")

LRS = np.array([0.25, 0.5, 1.0])


def test_measured_factors_are_dots_in_the_colour_of_their_formula():
    ax = plot_rates(LRS, {"SGD": [0.5, 0.0, 1.0]}, measured={"SGD": ([0.25, 1.0], [0.51, 0.99])})
    curve, dots = ax.lines[:2]
    assert (dots.get_marker(), dots.get_linestyle(), dots.get_color()) == ("o", "None", curve.get_color())
    np.testing.assert_allclose(dots.get_ydata(), [0.51, 0.99])
    assert to_hex(curve.get_color()).upper() == METHOD_COLORS["SGD"]


def test_limits_are_marked_where_the_factor_is_one():
    ax = plot_rates(LRS, {"SGD": [0.5, 0.0, 1.0]}, limits={"SGD": 1.0, "Adam": 3.0})
    marks = [line for line in ax.lines if line.get_marker() == "D"]
    assert [(mark.get_xdata(), mark.get_ydata()) for mark in marks] == [([1.0], [1.0])]


def test_methods_with_equal_factors_can_be_told_apart_by_their_line_style():
    ax = plot_rates(LRS, {"momentum": [0.9] * 3, "momentum (EMA)": [0.9] * 3})
    assert [line.get_linestyle() for line in ax.lines[:2]] == [
        METHOD_STYLES["momentum"], METHOD_STYLES["momentum (EMA)"],
    ]  # fmt: skip


def test_attractor_draws_every_visit_above_its_learning_rate():
    ax = plot_attractor(LRS, [[1, 2, 3], [-1, -2, -3]])
    np.testing.assert_allclose(ax.lines[0].get_xdata(), [*LRS, *LRS])
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [1, 2, 3, -1, -2, -3])


def test_predicted_cycle_is_drawn_on_both_sides_and_the_limit_is_named():
    ax = plot_attractor(LRS, np.zeros((2, 3)), predicted=([0.25, 0.5], [0.1, 0.2]), limit=1.0)
    np.testing.assert_allclose([line.get_ydata() for line in ax.lines[1:3]], [[0.1, 0.2], [-0.1, -0.2]])
    assert legend_labels(ax) == ["predicted cycle", "predicted limit 1"]


@pytest.mark.parametrize(
    ("plot", "name"),
    [(plot_attractor, "visits"), (plot_final_sharpness, "sharpness")],
    ids=["visits", "sharpness"],
)
def test_runs_the_wrong_way_round_are_refused(plot, name):
    with pytest.raises(ValueError, match=rf"{name} needs shape \(any, 3 as in lrs\), got \(3, 2\)"):
        plot(LRS, np.zeros((3, 2)))


def test_final_sharpness_lies_under_the_line_two_over_lr():
    ax = plot_final_sharpness(LRS, [[7.0, 3.0, np.nan], [2.0, 2.5, 2.0]], lowest=2.0)
    dots, limit, lowest = ax.lines
    np.testing.assert_allclose(np.asarray(limit.get_xdata()) * limit.get_ydata(), 2.0)
    assert (limit.get_xdata()[0], limit.get_xdata()[-1]) == pytest.approx((0.25, 1.0))
    np.testing.assert_allclose(dots.get_ydata(), [7.0, 3.0, np.nan, 2.0, 2.5, 2.0])
    assert lowest.get_ydata()[0] == 2.0
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_sharpness_has_its_edge_drawn_in_the_colour_of_its_runs():
    sharp = {0.05: [[10, 40], [12, 38]], 0.2: [[9, 10], [8, 11]]}
    losses = {lr: np.ones((2, 5)) for lr in sharp}
    left = plot_sharpness([0, 4], sharp, losses)
    right = left.figure.axes[1]
    edges = [line for line in right.lines if line.get_linestyle() == "--"]
    assert [line.get_ydata()[0] for line in edges] == pytest.approx([40.0, 10.0])
    assert [line.get_color() for line in edges] == [right.lines[0].get_color(), right.lines[4].get_color()]
    assert [text.get_text().strip() for text in right.texts] == ["2/lr = 40", "2/lr = 10"]
    assert legend_labels(right) == ["lr 0.05 (n = 2)", "lr 0.2 (n = 2)"]


def test_every_seed_has_its_loss_curve_and_every_rate_one_entry_in_the_legend():
    left = plot_sharpness([0, 4], {0.1: [[9, 20], [8, 21]]}, {0.1: [[4, 3, 2], [5, 4, 3]]})
    np.testing.assert_allclose([line.get_ydata() for line in left.lines], [[4, 3, 2], [5, 4, 3]])
    assert legend_labels(left) == ["lr 0.1"]
    assert left.get_yscale() == "log"


@pytest.mark.parametrize(
    "draw",
    [
        lambda ax: plot_rates(LRS, {"SGD": LRS}, ax=ax),
        lambda ax: plot_attractor(LRS, np.zeros((2, 3)), limit=1.0, ax=ax),
        lambda ax: plot_final_sharpness(LRS, np.ones((2, 3)), ax=ax),
    ],
)
def test_plots_draw_into_the_axes_they_are_given(draw):
    ax = new_axes()
    assert draw(ax) is ax


def test_sharpness_draws_into_two_given_axes():
    axes = new_grid(1, 2)
    assert plot_sharpness([0], {0.1: [[20]]}, {0.1: [[1.0, 2.0]]}, axes=axes) is axes[0]
