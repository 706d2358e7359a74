"""Figures of functions of one variable: every seed, bend and switch that was handed in is drawn, and nothing else."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from course_utils.plotting._base import METHOD_COLORS, new_axes
from course_utils.plotting.functions import (
    plot_approximations,
    plot_missing,
    plot_patterns,
    plot_pieces,
    plot_runs,
    plot_scaling,
)

pytestmark = pytest.mark.usefixtures("close_figures")

X = np.linspace(-0.5, 1.5, 9)


def test_approximations_lie_over_the_target_and_show_their_seeds():
    runs = np.stack([X, X + 2.0])
    ax = plot_approximations(X, X**2, {"3x64 ReLU": runs})
    target, mean = ax.lines
    np.testing.assert_allclose(target.get_ydata(), X**2)
    np.testing.assert_allclose(mean.get_ydata(), X + 1.0)
    assert target.get_linewidth() > mean.get_linewidth()
    assert to_hex(mean.get_color()).upper() == METHOD_COLORS["ReLU"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["target f", "3x64 ReLU (n = 2)"]


def test_approximations_mark_knots_and_shade_what_nothing_is_promised_about():
    ax = plot_approximations(X, X, {"g": X}, knots=[0.25, 0.5], promised=(0.0, 1.0))
    np.testing.assert_allclose(ax.lines[-1].get_xdata(), [0.25, 0.5])
    spans = sorted((patch.get_x(), patch.get_x() + patch.get_width()) for patch in ax.patches)
    np.testing.assert_allclose(spans, [(-0.5, 0.0), (1.0, 1.5)])


def test_nothing_is_shaded_where_all_of_the_axis_is_promised():
    assert not plot_approximations(X, X, {"g": X}, promised=(-0.5, 1.5)).patches


def test_an_approximation_at_other_positions_is_refused():
    with pytest.raises(
        ValueError, match=r"approximations\['g'\] needs shape \(any, 9 as in x\), got \(1, 3\)"
    ):
        plot_approximations(X, X, {"g": [1.0, 2.0, 3.0]})


def test_a_power_law_is_straight_and_its_prediction_dashed():
    sizes = np.array([2, 4, 8])
    ax = plot_scaling(
        {"ReLU hats": (sizes, 1.0 / sizes**2)},
        predicted={"N to the -2": (sizes, 1.0 / sizes**2)},
        xlabel="pieces",
        ylabel="error",
    )
    measured, predicted = ax.lines
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    np.testing.assert_allclose(measured.get_ydata(), predicted.get_ydata())
    assert measured.get_linestyle() == "-"
    assert predicted.get_linestyle() == "--"


def test_every_run_is_a_dot_and_a_stuck_one_is_not_averaged_away():
    ax = plot_runs({"depth 1": [1e-3, 2e-3], "by hand": [1e-6]}, ylabel="error")
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [1e-3, 2e-3])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["depth 1\n(n = 2)", "by hand"]
    assert ax.get_yscale() == "log"


def test_runs_carry_their_interval_and_their_references():
    ax = plot_runs(
        {"a": [1.0, 3.0]}, intervals={"a": (0.5, 2.0, 4.0)}, references={"chance": 2.5}, ylabel="e", log=False
    )
    (bar,) = ax.collections[-1].get_segments()
    np.testing.assert_allclose(bar[:, 1], [0.5, 4.0])
    assert ax.lines[-1].get_ydata()[0] == 2.5
    assert ax.texts[-1].get_text() == "chance"
    assert ax.get_yscale() == "linear"


def test_an_interval_of_an_unknown_group_is_refused():
    with pytest.raises(ValueError, match=r"intervals has \['b'\], which results lacks"):
        plot_runs({"a": [1.0]}, intervals={"b": (0.0, 1.0, 2.0)}, ylabel="e")


def test_missing_shares_have_their_level_and_a_logarithmic_time():
    ax = plot_missing([1, 11, 21], {"ripple": [[1.0, 0.6, 0.2], [1.0, 0.8, 0.4]]}, level=0.25)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [1.0, 0.7, 0.3])
    assert ax.lines[1].get_ydata()[0] == 0.25
    assert ax.get_xscale() == "log"


def test_rising_and_falling_pieces_differ_in_colour_and_style():
    rising, falling, dots = plot_pieces([0.0, 0.5, 1.0], [0.0, 1.0, 0.25]).lines
    assert rising.get_color() != falling.get_color()
    assert rising.get_linestyle() != falling.get_linestyle()
    np.testing.assert_allclose(falling.get_ydata(), [1.0, 0.25])
    assert len(dots.get_xdata()) == 3


def test_patterns_have_one_row_per_unit_numbered_from_one():
    on = np.array([[True, False, False], [True, True, False]])
    ax = plot_patterns(on, extent=(0.0, 1.0))
    (image,) = ax.images
    np.testing.assert_array_equal(image.get_array(), on)
    assert tuple(image.get_extent()) == (0.0, 1.0, 2.5, 0.5)


def test_groups_of_columns_are_named_in_their_middle_and_parted_by_lines():
    ax = plot_patterns(np.ones((2, 6)), borders={"cat": 2, "dog": 6})
    np.testing.assert_allclose(ax.get_xticks(), [1.0, 4.0])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["cat", "dog"]
    assert [line.get_xdata()[0] for line in ax.lines] == [2]


@pytest.mark.parametrize(
    "draw",
    [
        lambda ax: plot_approximations(X, X, {"g": X}, ax=ax),
        lambda ax: plot_scaling({"a": ([1, 2], [1, 2])}, xlabel="n", ylabel="e", ax=ax),
        lambda ax: plot_runs({"a": [1.0, 2.0]}, ylabel="e", ax=ax),
        lambda ax: plot_missing([1, 2], {"a": [1.0, 0.5]}, ax=ax),
        lambda ax: plot_pieces([0, 1], [0, 1], ax=ax),
        lambda ax: plot_patterns(np.ones((2, 3)), ax=ax),
    ],
)
def test_plots_draw_into_the_axes_they_are_given(draw):
    ax = new_axes()
    assert draw(ax) is ax
