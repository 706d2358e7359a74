"""Figures of losses, penalties and calibration: what is drawn is what was handed in, with its interval."""

import numpy as np
import pytest
from conftest import legend_labels
from matplotlib.colors import to_hex

from course_utils.plotting._base import METHOD_COLORS, METHOD_GROUPS, new_axes, new_grid
from course_utils.plotting.calibration import (
    TOOL_MARKS,
    plot_accuracy_calibration,
    plot_early_stopping,
    plot_expected_scores,
    plot_mixed_images,
    plot_reliability,
    plot_with_prediction,
)

pytestmark = pytest.mark.usefixtures("close_figures")


def test_points_are_the_means_over_seeds_with_their_range_and_the_prediction_is_drawn():
    runs = [[1.0, 4.0], [3.0, 6.0]]
    ax = plot_with_prediction(
        {"a": ([1, 10], runs)}, predicted={"a": ([1, 5, 10], [2, 3, 5])}, xlabel="n", ylabel="y", xscale="log"
    )
    points, prediction = ax.lines[:2]
    np.testing.assert_allclose(points.get_ydata(), [2.0, 5.0])
    assert (points.get_marker(), points.get_linestyle()) == ("o", "None")
    np.testing.assert_allclose(prediction.get_ydata(), [2, 3, 5])
    low, high = ax.collections[0].get_paths()[0].get_extents().get_points()[:, 1]
    assert (low, high) == (1.0, 6.0)
    assert legend_labels(ax) == ["a (n = 2)", "predicted"]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "linear")


def test_several_measurements_differ_in_colour_and_a_tool_has_its_own():
    ax = plot_with_prediction(
        {"a": ([1], [1]), "b": ([1], [2]), "dropout": ([1], [3])}, xlabel="x", ylabel="y"
    )
    colors = [to_hex(line.get_color()).upper() for line in ax.lines]
    assert colors[0] != colors[1]
    assert colors[2] == METHOD_COLORS["dropout"]
    assert "predicted" not in legend_labels(ax)


def test_a_prediction_of_something_that_was_not_measured_is_refused():
    with pytest.raises(ValueError, match=r"predicted has \['b'\], which measured lacks"):
        plot_with_prediction({"a": ([1], [1])}, predicted={"b": ([1], [1])}, xlabel="x", ylabel="y")


def test_a_lowest_point_is_a_disc_and_a_flat_minimum_is_a_band():
    q = np.array([0.0, 0.5, 1.0])
    ax = plot_expected_scores(q, {"proper": [3.0, 1.0, 2.0], "flat": [2.0, 0.5, 0.5]}, truth=0.5)
    _, disc, _, band, _ = ax.lines
    assert (disc.get_marker(), disc.get_xdata().tolist(), disc.get_ydata().tolist()) == ("o", [0.5], [1.0])
    assert (band.get_linewidth(), band.get_xdata().tolist()) == (7, [0.5, 1.0])
    assert ax.lines[-1].get_xdata()[0] == 0.5  # the truth
    assert legend_labels(ax) == ["proper", "flat"]


def test_a_reliability_diagram_leaves_empty_bins_out_and_writes_the_error_that_it_shows():
    ax = plot_reliability([np.nan, 0.6, 0.9], [np.nan, 0.5, 0.8], [0, 30, 10], title="none")
    discs = ax.collections[-1]
    np.testing.assert_allclose(discs.get_offsets(), [[0.6, 0.5], [0.9, 0.8]])
    assert discs.get_sizes()[0] == 400 > discs.get_sizes()[1]
    assert "10.0 %" in ax.texts[0].get_text()
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [0, 1])


def test_a_tool_is_a_cross_of_two_intervals_at_its_means_with_a_dot_per_seed():
    ax = plot_accuracy_calibration(
        {"none": [80.0, 84.0]}, {"none": [5.0, 7.0]}, half_widths={"none": (3.0, 1.0)}, floor=2.0
    )
    np.testing.assert_allclose(ax.lines[0].get_xydata(), [[80, 5], [84, 7]])
    ends = {tuple(np.ptp(segment, axis=0)) for part in ax.collections for segment in part.get_segments()}
    assert ends == {(6.0, 0.0), (0.0, 2.0)}
    assert 2.0 in [line.get_ydata()[0] for line in ax.lines if len(line.get_ydata()) == 2]
    assert sorted(legend_labels(ax)) == ["calibrated, by chance", "none (n = 2)"]
    assert ax.get_ylim()[0] == 0


def test_accuracy_and_error_must_name_the_same_tools():
    with pytest.raises(ValueError, match=r"error has \['mixup'\], which accuracy lacks"):
        plot_accuracy_calibration({"none": [1.0]}, {"mixup": [1.0]}, half_widths={})


def test_tools_differ_in_mark_and_all_have_a_colour():
    assert len(set(TOOL_MARKS.values())) == len(TOOL_MARKS)
    assert set(TOOL_MARKS) == set(METHOD_GROUPS["regularizers"])


def test_early_stopping_marks_the_epoch_kept_and_the_epoch_of_the_end_counted_from_1():
    ax = plot_early_stopping([3.0, 1.0, 2.0, 1.5], {"patience 2": (1, 3)}, expected=[3, 1, 1, 1])
    record, expected, kept, end = ax.lines
    np.testing.assert_allclose(record.get_xdata(), [1, 2, 3, 4])
    np.testing.assert_allclose(expected.get_ydata(), [3, 1, 1, 1])
    assert (kept.get_xdata()[0], kept.get_ydata()[0]) == (2, 1.0)
    assert end.get_xdata()[0] == 4


def test_mixed_images_share_one_grey_scale_and_need_a_title_each():
    images = np.stack([np.full((2, 2), value) for value in (0.0, 1.0, 4.0)])
    ax = plot_mixed_images(images, ["a", "b", "c"])
    assert [panel.images[0].get_clim() for panel in ax.figure.axes] == [(0.0, 4.0)] * 3
    assert ax.get_title() == "a"
    with pytest.raises(ValueError, match="titles needs 3 entries, one for each of images, got 1"):
        plot_mixed_images(images, ["a"])


@pytest.mark.parametrize(
    "draw",
    [
        lambda ax: plot_with_prediction({"a": ([1, 2], [1, 2])}, xlabel="x", ylabel="y", ax=ax),
        lambda ax: plot_expected_scores([0, 1], {"a": [0, 1]}, truth=0.5, ax=ax),
        lambda ax: plot_reliability([0.5], [0.5], [3], ax=ax),
        lambda ax: plot_accuracy_calibration({"a": [1.0]}, {"a": [1.0]}, half_widths={"a": (0.1, 0.1)}, ax=ax),
        lambda ax: plot_early_stopping([1.0, 2.0], {"patience 1": (0, 1)}, ax=ax),
    ],
)  # fmt: skip
def test_plots_draw_into_the_axes_they_are_given(draw):
    ax = new_axes()
    assert draw(ax) is ax


def test_images_go_into_the_axes_they_are_given():
    axes = new_grid(1, 2)
    assert plot_mixed_images(np.zeros((2, 3, 3)), ["a", "b"], axes=axes) is axes[0]
    assert len(axes[1].images) == 1
