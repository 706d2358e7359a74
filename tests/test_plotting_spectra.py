"""Figures of spectra hold the exact value they are measured against, and count the copies of an eigenvalue."""

import numpy as np
import pytest
from conftest import legend_labels

from course_utils.plotting import new_axes
from course_utils.plotting.spectra import plot_density, plot_errors, plot_ritz_values, plot_top_eigenvalues

pytestmark = pytest.mark.usefixtures("close_figures")

GRID = np.linspace(-1.0, 4.0, 6)


def test_copies_of_an_eigenvalue_are_counted_and_single_ones_are_not():
    ax = plot_ritz_values([[1.5], [2.0, 1.0], [2.0, 1.9999, 1.0]], exact=[2.0, 1.0])
    assert [(text.get_text(), text.xy) for text in ax.texts] == [(" × 2", (3.5, 2.0))]


def test_ritz_values_stand_above_their_step():
    ax = plot_ritz_values([[1.5], [2.0, 1.0]], exact=[2.0, 1.0])
    assert [list(line.get_xdata()) for line in ax.lines] == [[1], [2, 2]]
    np.testing.assert_allclose(ax.lines[1].get_ydata(), [2.0, 1.0])


def test_density_is_logarithmic_and_outliers_have_the_colour_of_their_curve():
    ax = plot_density(GRID, {"before": np.ones(6), "after": np.full(6, 2.0)}, outliers={"after": [3.0, 2.5]})
    _, after, marks = ax.lines
    assert (ax.get_yscale(), marks.get_color(), marks.get_marker()) == ("log", after.get_color(), "|")
    assert list(marks.get_xdata()) == [3.0, 2.5]
    assert legend_labels(ax) == ["before", "after"]


def test_exact_density_is_dashed_and_named_once():
    ax = plot_density(GRID, {"a": np.ones(6), "b": np.ones(6)}, exact={"a": np.ones(6), "b": np.ones(6)})
    assert (
        sum(line.get_linestyle() == "--" for line in ax.lines) == 3
    )  # two curves and the entry of the legend
    assert legend_labels(ax) == ["a", "b", "exact"]


def test_errors_are_averaged_as_logarithms_and_a_zero_can_be_drawn():
    ax = plot_errors([1, 2], {"Lanczos": [[1e-2, 0.0], [1e-4, 0.0]]})
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [1e-3, 1e-17])
    assert legend_labels(ax) == ["Lanczos (n = 2)"]


def test_prediction_of_an_error_is_dashed():
    ax = plot_errors([1, 2], {"power": [0.1, 0.01]}, predicted={"power": [0.2, 0.02]})
    assert ax.lines[1].get_linestyle() == "--"
    assert legend_labels(ax) == ["power", "predicted"]


def test_each_eigenvalue_is_one_curve_below_the_limit():
    values = np.array([[[4.0, 1.0], [6.0, 3.0]], [[2.0, 1.0], [8.0, 5.0]]])
    ax = plot_top_eigenvalues([0, 10], values, limit=20.0)
    np.testing.assert_allclose([line.get_ydata() for line in ax.lines[:2]], [[3.0, 7.0], [1.0, 4.0]])
    assert legend_labels(ax) == ["λ1 (n = 2)", "λ2 (n = 2)", "2/lr = 20"]


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 6)])
def test_eigenvalues_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"needs shape \(seeds, 3 as in steps, k <= 5\)"):
        plot_top_eigenvalues([0, 1, 2], np.zeros(shape))


def test_curves_without_a_partner_are_refused():
    with pytest.raises(ValueError, match=r"outliers has \['c'\], which densities lacks; known: \['a'\]"):
        plot_density(GRID, {"a": np.ones(6)}, outliers={"c": [1.0]})
    with pytest.raises(ValueError, match=r"predicted has \['c'\], which errors lacks; known: \['a'\]"):
        plot_errors([1], {"a": [1.0]}, predicted={"c": [1.0]})


def test_given_axes_are_used():
    ax = new_axes()
    assert plot_ritz_values([[1.0]], exact=[1.0], ax=ax) is ax
    assert plot_top_eigenvalues([0], np.ones((1, 1, 1)), ax=ax) is ax
    logarithmic = new_axes()
    assert plot_density(GRID, {"a": np.ones(6)}, ax=logarithmic) is logarithmic
    assert plot_errors([1], {"a": [1.0]}, ax=logarithmic) is logarithmic


def test_density_below_the_lowest_is_not_drawn_and_the_ticks_have_a_strip_of_their_own():
    ax = plot_density(GRID, {"a": [1e-9, 1, 1, 1, 1, 2]}, outliers={"a": [3.0]}, lowest=1e-3)
    assert np.isnan(ax.lines[0].get_ydata()[0])
    assert ax.get_ylim() == (1e-3 / 30, 6.0)
