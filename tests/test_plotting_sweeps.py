"""Figures of intervals and searches: what is drawn is what was handed in, beside its prediction."""

import numpy as np
import pytest
from conftest import legend_labels

from course_utils.plotting._base import new_axes
from course_utils.plotting.sweeps import (
    plot_against_prediction,
    plot_coverage,
    plot_halving,
    plot_lr_range,
    plot_null_statistics,
    plot_response_surface,
    plot_search_progress,
)

pytestmark = pytest.mark.usefixtures("close_figures")

SHARES = np.array([0.8, 0.9, 0.99])
COVERAGE = {"Wald": np.array([0.94, 0.92, 0.6]), "Wilson": np.array([0.95, 0.96, 0.94])}


def test_coverage_is_drawn_beside_what_was_promised_and_what_was_counted():
    ax = plot_coverage(SHARES, COVERAGE, nominal=0.9, simulated={"Wald": ([0.9], [0.91])})
    wald, wilson, dots, promised = ax.lines[:4]
    np.testing.assert_allclose(wald.get_ydata(), COVERAGE["Wald"])
    np.testing.assert_allclose(wilson.get_ydata(), COVERAGE["Wilson"])
    assert dots.get_color() == wald.get_color()
    assert promised.get_ydata()[0] == 0.9
    assert legend_labels(ax) == ["Wald", "Wilson", "promised", "simulated"]


def test_nothing_simulated_means_no_such_entry():
    assert "simulated" not in legend_labels(plot_coverage(SHARES, COVERAGE))


def test_the_histogram_of_statistics_is_a_density_and_so_are_both_curves():
    values = np.random.default_rng(0).normal(0, 1.5, 500)
    ax = plot_null_statistics(values, predicted_sd=1.5, xlabel="z")
    assert sum(
        bar.get_width() * bar.get_height() for bar in ax.patches if bar.get_height() < 1
    ) == pytest.approx(1)
    for line in ax.lines:
        assert np.trapezoid(line.get_ydata(), line.get_xdata()) == pytest.approx(1, abs=0.01)
    assumed, predicted = (line.get_ydata().max() for line in ax.lines)
    assert assumed / predicted == pytest.approx(1.5, rel=1e-3)
    assert "pairs (n = 500)" in legend_labels(ax)


def test_measured_points_lie_beside_the_line_of_their_prediction_in_its_colour():
    ax = plot_against_prediction(
        [1, 2], {"a": [3.0, 4.0]}, predicted={"a": [3.5, 3.5]}, xlabel="n", ylabel="gain"
    )
    dots, line = ax.lines[:2]
    assert dots.get_color() == line.get_color()
    np.testing.assert_allclose(line.get_ydata(), [3.5, 3.5])


def test_a_measurement_without_prediction_is_refused():
    with pytest.raises(ValueError, match=r"predicted needs an entry for each of measured; missing: \['b'\]"):
        plot_against_prediction([1], {"b": [1.0]}, predicted={}, xlabel="x", ylabel="y")


def test_range_tests_shade_where_minima_and_divergences_lie():
    runs = [([1e-3, 1e-2, 1e-1], [2.0, 1.0, 3.0]), ([1e-3, 1e-2], [2.5, 0.9])]
    ax = plot_lr_range(runs, minima=[0.01, 0.02], divergences=[0.1, 0.3])
    assert ax.get_xscale() == "log"
    assert legend_labels(ax) == ["runs (n = 2)", "minimum", "4 times the minimum"]
    spans = [patch.get_extents().transformed(ax.transData.inverted()).intervalx for patch in ax.patches]
    np.testing.assert_allclose(spans, [[0.01, 0.02], [0.1, 0.3]])


def test_a_surface_has_its_losses_and_its_marks_where_they_belong():
    losses = np.array([[1.0, 0.5, 2.0], [0.9, 0.4, 1.5]])
    ax = plot_response_surface(
        [0.01, 0.1, 1.0], [1e-3, 1e-2], losses, marked={"lowest": [(0.1, 1e-2)]}, limits=(0.4, 2.3)
    )
    np.testing.assert_allclose(np.ravel(ax.collections[0].get_array()), losses.ravel())
    assert ax.collections[0].get_clim() == (0.4, 2.3)
    (mark,) = ax.lines
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == (0.1, 1e-2)
    assert legend_labels(ax) == ["lowest"]


def test_halving_draws_each_configuration_as_far_as_it_came():
    curves = np.array([[1.0, 0.8, 0.7], [1.1, 0.9, 0.5], [2.0, 1.9, 1.8]])
    ax = plot_halving([1, 2, 4], curves, [(0, 1, 2), (0, 1), (0,)], best=1)
    kept, second, dropped, best = ax.lines[:4]
    assert [len(line.get_xdata()) for line in (kept, second, dropped)] == [3, 2, 1]
    assert kept.get_color() != dropped.get_color() == second.get_color()
    np.testing.assert_allclose(best.get_ydata(), curves[1])


def test_the_progress_of_searches_is_their_median_between_quartiles():
    runs = np.array([[5.0, 4.0], [3.0, 3.0], [4.0, 1.0]])
    ax = plot_search_progress({"random": runs}, ylabel="loss")
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [4.0, 3.0])
    low, high = ax.collections[0].get_paths()[0].get_extents().get_points()[:, 1]
    assert (low, high) == (2.0, 4.5)
    assert legend_labels(ax) == ["random (n = 3)"]


@pytest.mark.parametrize(
    "draw",
    [
        lambda ax: plot_coverage(SHARES, COVERAGE, ax=ax),
        lambda ax: plot_null_statistics([0.1, -2.0], predicted_sd=1.0, xlabel="z", ax=ax),
        lambda ax: plot_against_prediction(
            [1], {"a": [1.0]}, predicted={"a": [1.0]}, xlabel="x", ylabel="y", ax=ax
        ),
        lambda ax: plot_lr_range([([1.0], [1.0])], minima=[1.0], divergences=[2.0], ax=ax),
        lambda ax: plot_response_surface([0.1, 1.0], [0.1, 1.0], np.eye(2) + 1, ax=ax),
        lambda ax: plot_halving([1, 2], np.ones((2, 2)), [(0, 1), (0,)], best=0, ax=ax),
        lambda ax: plot_search_progress({"TPE": np.ones((2, 3))}, ylabel="y", ax=ax),
    ],
)
def test_plots_draw_into_the_axes_they_are_given(draw):
    ax = new_axes()
    assert draw(ax) is ax
