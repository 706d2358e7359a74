"""Figures of layers: a prediction per layer, a histogram per panel, an image per unit."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from course_utils.plotting._base import METHOD_COLORS, new_grid
from course_utils.plotting.layers import (
    plot_gains,
    plot_layer_distributions,
    plot_layer_profiles,
    plot_unit_images,
)

pytestmark = pytest.mark.usefixtures("close_figures")


def test_profile_shows_mean_range_and_prediction_of_each_start():
    runs = np.array([[1.0, 2.0, 4.0], [3.0, 2.0, 8.0]])
    ax = plot_layer_profiles({"Xavier": runs}, predicted={"Xavier": [2.1, 2.2, 5.0]}, target=1.5)
    mean, predicted, legend_entry, target = ax.lines
    np.testing.assert_allclose(mean.get_ydata(), [2.0, 2.0, 6.0])
    np.testing.assert_array_equal(mean.get_xdata(), [1, 2, 3])
    assert to_hex(mean.get_color()).upper() == METHOD_COLORS["Xavier"]
    np.testing.assert_allclose(predicted.get_ydata(), [2.1, 2.2, 5.0])
    assert target.get_ydata()[0] == 1.5
    assert legend_entry.get_label() == "predicted"
    low, high = ax.collections[0].get_paths()[0].get_extents().get_points()[:, 1]
    assert (low, high) == (1.0, 8.0)
    assert ax.get_yscale() == "log"
    assert ax.get_legend().get_texts()[0].get_text() == "Xavier (n = 2)"


@pytest.mark.parametrize(("num_layers", "marker"), [(12, "x"), (13, "None")])
def test_a_prediction_over_many_layers_is_a_line_and_over_few_is_crosses(num_layers, marker):
    values = np.linspace(1, 2, num_layers)
    ax = plot_layer_profiles({"a": values}, predicted={"a": values}, log_x=True)
    assert (ax.lines[1].get_marker() or "None") == marker
    assert ax.get_xscale() == "log"


def test_a_prediction_with_another_number_of_layers_is_refused():
    with pytest.raises(
        ValueError, match=r"predicted\['a'\] needs shape \(3 as in measured\['a'\]\), got \(2,\)"
    ):
        plot_layer_profiles({"a": [1.0, 2.0, 3.0]}, predicted={"a": [1.0, 2.0]})


def test_each_panel_is_a_density_under_its_predicted_normal_curve():
    rng = np.random.default_rng(0)
    layers = [rng.normal(0, 1, 4000), rng.normal(0, 0.5, 4000)]
    first = plot_layer_distributions(
        {"start": layers}, columns=["one", "two"], predicted_std={"start": np.array([1.0, 0.5])}
    )
    panels = first.figure.axes
    assert [ax.get_title() for ax in panels] == ["one", "two"]
    assert panels[0].get_xlim() == panels[1].get_xlim()
    for ax, std in zip(panels, (1.0, 0.5), strict=True):
        area = sum(bar.get_width() * bar.get_height() for bar in ax.patches)
        assert area == pytest.approx(1.0)
        assert ax.lines[0].get_ydata().max() == pytest.approx(1 / (std * np.sqrt(2 * np.pi)))
        assert max(bar.get_height() for bar in ax.patches) == pytest.approx(
            ax.lines[0].get_ydata().max(), rel=0.15
        )


def test_a_prediction_too_narrow_to_draw_is_left_out_and_rows_without_one_have_none():
    rows = {"a": [np.ones(9), np.zeros(9)], "b": [np.ones(9), np.ones(9)]}
    axes = new_grid(2, 2)
    plot_layer_distributions(rows, columns=["1", "2"], predicted_std={"a": [1.0, 1e-6]}, axes=axes)
    assert [len(ax.lines) for ax in axes] == [1, 0, 0, 0]


def test_a_row_without_one_array_per_column_is_refused():
    with pytest.raises(ValueError, match=r"rows\['a'\] needs 2 entries, one for each of columns, got 1"):
        plot_layer_distributions({"a": [np.ones(3)]}, columns=["1", "2"])


def test_units_of_a_row_share_a_scale_that_is_symmetric_about_zero():
    images = {"same": np.full((2, 3, 4), -2.0), "other": np.linspace(0, 1, 24).reshape(2, 3, 4)}
    first = plot_unit_images(images)
    shown = [ax.images[0] for ax in first.figure.axes]
    assert [image.get_clim() for image in shown] == [(-2, 2), (-2, 2), (-1, 1), (-1, 1)]
    np.testing.assert_array_equal(shown[3].get_array(), images["other"][1])
    assert [ax.get_title() for ax in first.figure.axes] == ["unit 1", "unit 2", "", ""]


def test_rows_with_different_numbers_of_units_are_refused():
    with pytest.raises(ValueError, match=r"same number of units, got \[1, 2\]"):
        plot_unit_images({"a": np.ones((1, 2, 2)), "b": np.ones((2, 2, 2))})


def test_a_gain_is_a_curve_and_torchs_number_a_horizontal_line_of_its_colour():
    std = [0.5, 1.0, 2.0]
    ax = plot_gains(std, {"ReLU": [1.4, 1.4, 1.4], "tanh": [1.2, 1.6, 2.6]}, torch_gains={"tanh": 5 / 3})
    relu, tanh, torchs, one = ax.lines
    np.testing.assert_array_equal(relu.get_xdata(), std)
    np.testing.assert_array_equal(tanh.get_ydata(), [1.2, 1.6, 2.6])
    assert to_hex(tanh.get_color()).upper() == METHOD_COLORS["tanh"]
    assert torchs.get_ydata()[0] == 5 / 3
    assert torchs.get_color() == tanh.get_color()
    assert one.get_xdata()[0] == 1.0
    assert [text.get_text() for text in ax.texts] == ["torch: tanh 1.67"]
    assert ax.get_xscale() == "log"


def test_a_gain_of_torch_without_a_curve_is_refused():
    with pytest.raises(ValueError, match=r"torch_gains has \['selu'\], which gains lacks"):
        plot_gains([1.0, 2.0], {"ReLU": [1.4, 1.4]}, torch_gains={"selu": 0.75})
