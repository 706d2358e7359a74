"""Figures of the race: lengths are amounts, heights are means, and what was promised is drawn in."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from course_utils.plotting._base import new_axes
from course_utils.plotting.speedrun import plot_iterates, plot_parts, plot_race

pytestmark = pytest.mark.usefixtures("close_figures")

BARS = {"slow": {"images": 6.0, "forward": 3.0, "update": 1.0}, "fast": {"forward": 3.0, "update": 0.1}}
COSTS = {"first": 2.0, "second": 0.5}
ACCURACIES = {"first": [90.0, 92.0], "second": [95.0, 95.0, 95.0]}
HALF_WIDTHS = {"first": 1.5, "second": 0.1}


def legend_of(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_parts_lie_end_to_end_and_each_is_as_long_as_its_amount():
    ax = plot_parts(BARS, xlabel="seconds")
    spans = [(bar.get_x(), bar.get_width()) for bar in ax.patches]
    assert spans == [(0, 6), (6, 3), (9, 1), (0, 3), (3, pytest.approx(0.1))]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["slow", "fast"]


def test_a_part_has_one_colour_and_one_line_of_the_legend():
    ax = plot_parts(BARS, xlabel="seconds")
    colors = [to_hex(bar.get_facecolor()) for bar in ax.patches]
    assert colors[1] == colors[3] != colors[0]
    assert legend_of(ax) == ["images", "forward", "update"]


def test_shares_are_of_the_own_bar_and_left_out_where_they_have_no_room():
    ax = plot_parts(BARS, xlabel="seconds")
    assert [text.get_text() for text in ax.texts] == ["60", "30", "10", "97"]


def test_a_prediction_crosses_its_bar_at_its_length():
    ax = plot_parts(BARS, xlabel="seconds", marks={"fast": 2.5})
    (mark,) = ax.collections
    np.testing.assert_allclose(mark.get_segments()[0], [[2.5, 0.58], [2.5, 1.42]])


@pytest.mark.parametrize(
    ("bars", "options", "message"),
    [
        ({"b": {str(k): 1.0 for k in range(8)}}, {}, "parts of bars may have 7 entries, .* got 8"),
        ({"b": {"a": -1.0}}, {}, r"bars\['b'\]\['a'\] must be >= 0, got -1"),
        (BARS, {"marks": {"none": 1.0}}, r"marks has \['none'\], which bars lacks"),
    ],
)
def test_what_cannot_be_drawn_is_refused(bars, options, message):
    with pytest.raises(ValueError, match=message):
        plot_parts(bars, xlabel="seconds", **options)


def test_recipes_stand_at_their_cost_and_the_mean_of_their_seeds():
    ax = plot_race(COSTS, ACCURACIES, HALF_WIDTHS, target=93.4)
    points = [(c.lines[0].get_xdata()[0], c.lines[0].get_ydata()[0]) for c in ax.containers]
    assert points == [(2.0, 91.0), (0.5, 95.0)]
    (bar,) = ax.containers[0].lines[2]
    np.testing.assert_allclose(bar.get_segments()[0][:, 1], [89.5, 92.5])
    assert legend_of(ax) == ["target, 93.40", "first (n = 2)", "second (n = 3)"]
    assert ax.get_xscale() == "log"


def test_target_and_levels_are_drawn_where_they_are():
    ax = plot_race(COSTS, ACCURACIES, HALF_WIDTHS, target=93.4, levels={"gold": 0.6, "silver": 1.5})
    across = [line.get_ydata()[0] for line in ax.lines if line.get_linestyle() == "--"]
    down = [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == ":"]
    assert (across, down) == ([93.4], [0.6, 1.5])
    assert [text.get_text() for text in ax.texts] == ["gold", "silver"]


def test_a_run_that_was_watched_is_a_curve_with_its_seeds():
    ax = new_axes()
    curves = {"S0": ([1, 2], [[80.0, 90.0], [82.0, 88.0]])}
    assert plot_race(COSTS, ACCURACIES, HALF_WIDTHS, target=93.4, curves=curves, ax=ax) is ax
    assert "S0 (n = 2)" in legend_of(ax)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [81.0, 89.0])


@pytest.mark.parametrize("missing", ["accuracies", "half_widths", "cost"])
def test_a_recipe_without_its_numbers_is_refused(missing):
    accuracies = {} if missing == "accuracies" else ACCURACIES
    half_widths = {} if missing == "half_widths" else HALF_WIDTHS
    costs = {"first": 0.0} if missing == "cost" else COSTS
    message = rf"costs has \['first', 'second'\], which {missing} lacks|costs\['first'\] must be > 0, got 0"
    with pytest.raises(ValueError, match=message):
        plot_race(costs, accuracies, half_widths, target=93.4)


def test_iterates_are_drawn_in_order_over_the_promised_band():
    ax = plot_iterates(
        [0.01, 0.1, 1.0], {"1 step": [0.03, 0.3, 0.7], "2 steps": [0.1, 0.9, 0.9]}, band=(0.68, 1.14)
    )
    assert legend_of(ax) == ["0.68 to 1.14", "1 step", "2 steps"]
    low, high = ax.patches[0].get_extents().transformed(ax.transData.inverted()).get_points()[:, 1]
    assert (low, high) == pytest.approx((0.68, 1.14))
    assert ax.lines[1].get_linewidth() > ax.lines[0].get_linewidth()
