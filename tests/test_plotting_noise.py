"""Figures of shattered gradients: shapes in units of their own size, correlations beside white noise."""

import numpy as np
import pytest

from course_utils.plotting._base import new_axes
from course_utils.plotting.noise import plot_autocorrelation, plot_input_gradients

pytestmark = pytest.mark.usefixtures("close_figures")

X = np.linspace(-2, 2, 5)
CURVES = {
    "plain": {"depth 1": [1.0, 2, 3, 4, 5], "depth 24": [1e-9, 0, 0, 0, -1e-9]},
    "centred": {"depth 1": np.ones(5), "depth 24": -np.ones(5)},
}


def test_every_curve_is_drawn_in_units_of_its_own_root_mean_square():
    axes = plot_input_gradients(X, CURVES).figure.axes
    assert len(axes) == 4
    for ax in axes:
        assert np.mean(ax.lines[0].get_ydata() ** 2) == pytest.approx(1)
    np.testing.assert_allclose(axes[3].lines[0].get_ydata(), -1)


def test_rows_are_networks_and_columns_are_depths():
    axes = plot_input_gradients(X, CURVES, xlabel="pixel").figure.axes
    assert [ax.get_title() for ax in axes] == ["depth 1", "depth 24", "", ""]
    assert [ax.get_ylabel().split("\n")[0] for ax in axes] == ["plain", "", "centred", ""]
    assert [ax.get_xlabel() for ax in axes] == ["", "", "pixel", "pixel"]


def test_networks_with_different_depths_are_refused():
    with pytest.raises(ValueError, match=r"columns \['a'\], 'two' has \['b'\]"):
        plot_input_gradients(X, {"one": {"a": X}, "two": {"b": X}})


def test_a_gradient_of_zero_is_refused_and_not_divided_by():
    with pytest.raises(ValueError, match=r"gradients\['dead'\]\['depth 3'\] is 0 everywhere"):
        plot_input_gradients(X, {"dead": {"depth 3": np.zeros(5)}})


def test_white_noise_is_a_strip_of_1_96_over_the_root_of_the_number_of_points():
    ax = plot_autocorrelation([1, 2], {"plain": [[0.9, 0.8]]}, num_points=256)
    (strip,) = (patch for patch in ax.patches if patch.get_label() == "white noise, 95 %")
    low, high = strip.get_extents().transformed(ax.transData.inverted()).get_points()[:, 1]
    assert (low, high) == pytest.approx((-0.1225, 0.1225))


def test_predictions_have_the_colour_of_what_they_predict():
    ax = plot_autocorrelation(
        [1, 2], {"a": [[0.9, 0.8], [0.7, 0.6]], "b": [[0.5, 0.4]]}, predicted={"b": [0.5, 0.5]}
    )
    a, b, prediction, _ = ax.lines
    np.testing.assert_allclose(a.get_ydata(), [0.8, 0.7])
    assert prediction.get_color() == b.get_color() != a.get_color()
    assert prediction.get_linestyle() == "--"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "a (n = 2)", "b", "from the co-activation",
    ]  # fmt: skip


def test_a_prediction_without_a_measurement_is_refused():
    with pytest.raises(ValueError, match=r"predicted has \['c'\], which measured lacks"):
        plot_autocorrelation([1], {"a": [[1.0]]}, predicted={"c": [1.0]})


def test_without_predictions_none_is_promised_and_the_axes_are_those_given():
    ax = new_axes()
    assert plot_autocorrelation([1, 2], {"a": [[1.0, 0.5]]}, ax=ax) is ax
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a"]
