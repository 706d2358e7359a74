"""Figures of normalization: what is drawn is what was handed in, with its prediction and its spread."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from conftest import legend_labels
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex
from matplotlib.patches import Circle, Rectangle
from matplotlib.quiver import Quiver

from course_utils.plotting._base import new_axes, new_grid
from course_utils.plotting.normalization import (
    NORM_LOOKS,
    plot_against,
    plot_clipping,
    plot_equilibrium,
    plot_matrices,
)

pytestmark = pytest.mark.usefixtures("close_figures")

RUNS = {"plain": [[3.0, 4.0, 5.0], [5.0, 4.0, 1.0]], "BatchNorm": [[2.0, 0.2, 0.02]]}


def against(ax=None, **options):
    return plot_against([0.1, 1.0, 10.0], RUNS, xlabel="factor", ylabel="norm", ax=ax, **options)


def test_a_setting_is_drawn_as_mean_and_range_with_the_formula_on_top():
    ax = against(predicted={"1 / factor": [2.0, 0.2, 0.02]}, log_y=True)
    plain, norm, formula = ax.lines
    np.testing.assert_allclose(plain.get_ydata(), [4.0, 4.0, 3.0])
    low, high = ax.collections[0].get_paths()[0].get_extents().get_points()[:, 1]
    assert (low, high) == (1.0, 5.0)
    np.testing.assert_allclose(norm.get_ydata(), formula.get_ydata())
    assert formula.get_zorder() > norm.get_zorder()
    assert legend_labels(ax) == ["plain (n = 2)", "BatchNorm", "1 / factor"]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_a_normalization_keeps_its_colour_and_other_labels_take_colours_that_are_free():
    runs = {"something else": [[1.0, 2.0]], "BatchNorm": [[1.0, 2.0]], "another": [[1.0, 2.0]]}
    ax = plot_against([1, 10], runs, xlabel="x", ylabel="y")
    colors = [to_hex(line.get_color()).upper() for line in ax.lines]
    assert colors[1] == NORM_LOOKS["BatchNorm"]["color"]
    assert len(set(colors)) == 3


def test_few_positions_are_labelled_each_and_a_reference_is_named():
    ax = against(reference=("guessing", 10.0))
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0.1", "1", "10"]
    assert ax.lines[-1].get_ydata()[0] == 10.0
    assert legend_labels(ax)[-1] == "guessing"


def test_a_missing_point_is_refused():
    with pytest.raises(
        ValueError, match=r"runs\['short'\] needs shape \(any, 3 as in positions\), got \(1, 2\)"
    ):
        plot_against([1, 2, 3], {"short": [[1.0, 2.0]]}, xlabel="x", ylabel="y")
    with pytest.raises(
        ValueError, match=r"predicted\['formula'\] needs shape \(3 as in positions\), got \(2,\)"
    ):
        against(predicted={"formula": [1.0, 2.0]})


def equilibrium(axes=None):
    norms = {"x 1": [[3.0, 2.0, 1.0, 1.0]], "x 9": [[27.0, 9.0, 3.0, 1.0], [29.0, 11.0, 3.0, 1.0]]}
    angles = {label: np.full((1, 3), 0.2) for label in norms}
    return plot_equilibrium(norms, angles, predicted_angle=0.25, axes=axes)


def test_equilibrium_draws_norms_left_and_angles_right_with_their_prediction():
    axes = new_grid(1, 2)
    left = equilibrium(axes)
    assert left is axes[0]
    np.testing.assert_allclose(left.lines[1].get_ydata(), [28.0, 10.0, 3.0, 1.0])
    np.testing.assert_allclose(axes[1].lines[0].get_ydata(), [0.2, 0.2, 0.2])
    assert axes[1].lines[-1].get_ydata()[0] == 0.25
    assert legend_labels(axes[1]) == ["x 1", "x 9", "predicted"]
    assert to_hex(left.lines[0].get_color()) == to_hex(axes[1].lines[0].get_color())


TABLES = {"before": [[4.0, -1.0], [0.5, 0.0], [1.0, 1.0]], "after": [[1.0, -1.0], [0.1, 0.0], [-1.0, 1.0]]}


def test_matrices_share_one_scale_around_zero_and_one_statistic_is_outlined():
    first = plot_matrices(TABLES, statistics={"after": "column"})
    images = [image for ax in first.figure.axes for image in ax.images]
    assert {image.get_clim() for image in images} == {(-4.0, 4.0)}
    np.testing.assert_allclose(images[1].get_array(), TABLES["after"])
    assert not first.patches
    (outline,) = first.figure.axes[1].patches
    assert (outline.get_width(), outline.get_height()) == (1, 3)  # one unit, all three examples


def test_a_row_is_outlined_along_the_units_and_other_statistics_are_refused():
    ax = plot_matrices({"after": TABLES["after"]}, statistics={"after": "row"})
    assert (ax.patches[0].get_width(), ax.patches[0].get_height()) == (2, 1)
    with pytest.raises(ValueError, match="over a 'column' or a 'row', got \\['batch'\\]"):
        plot_matrices(TABLES, statistics={"after": "batch"})


GRADS, BY_VALUE, BY_NORM = [[3.0, 1.0], [0.2, -0.1]], [[1.0, 1.0], [0.2, -0.1]], [[0.9, 0.3], [0.2, -0.1]]


def test_clipped_arrows_lie_over_the_ones_they_came_from_and_end_in_their_region():
    left = plot_clipping(GRADS, BY_VALUE, BY_NORM, limit=1.0)
    right = left.figure.axes[1]
    for ax, after in ((left, BY_VALUE), (right, BY_NORM)):
        before, clipped = (part for part in ax.collections if isinstance(part, Quiver))
        np.testing.assert_allclose(np.column_stack([before.U, before.V]), GRADS)
        np.testing.assert_allclose(np.column_stack([clipped.U, clipped.V]), after)
    square, circle = left.patches[0], right.patches[0]
    assert isinstance(square, Rectangle)
    assert (square.get_x(), square.get_width()) == (-1.0, 2.0)
    assert isinstance(circle, Circle)
    assert circle.get_radius() == 1.0
    assert left.get_xlim() == right.get_xlim()
    assert left.get_xlim()[1] > 3.0  # nothing is cut off


def test_one_run_has_a_band_without_width():
    ax = plot_against([1, 10], {"plain": [1.0, 2.0]}, xlabel="x", ylabel="y")
    (band,) = (part for part in ax.collections if isinstance(part, PolyCollection))
    points = band.get_paths()[0].vertices
    assert {tuple(point) for point in points} == {(1.0, 1.0), (10.0, 2.0)}


def test_plots_draw_into_the_axes_they_are_given():
    ax, *pairs = new_axes(), *(new_grid(1, 2) for _ in range(3))
    assert against(ax) is ax
    assert equilibrium(pairs[0]) is pairs[0][0]
    assert plot_matrices(TABLES, statistics={}, axes=pairs[1]) is pairs[1][0]
    assert plot_clipping(GRADS, BY_VALUE, BY_NORM, limit=1.0, axes=pairs[2]) is pairs[2][0]
    assert len(plt.get_fignums()) == 4
