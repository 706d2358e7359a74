"""Figures of optimizers: what is drawn is what was handed in, with its spread, in the colour of its method."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from course_utils.plotting._base import METHOD_COLORS, new_axes
from course_utils.plotting.optimization import (
    plot_effective_step,
    plot_loss_bands,
    plot_lr_sensitivity,
    plot_paired_differences,
)

pytestmark = pytest.mark.usefixtures("close_figures")


CURVES = {
    "SGD": [(0.01, [2.0, 2.2]), (0.1, [1.0, 1.2]), (1.0, [np.nan, 5.0])],
    "Adam": [(1e-3, [0.9, 0.8]), (1e-2, [1.1, 1.0])],
}


def test_sensitivity_curves_are_the_means_and_the_chosen_rate_is_marked():
    ax = plot_lr_sensitivity(CURVES, chosen={"SGD": 0.1}, chance=2.303)
    sgd, mark, adam, chance = ax.lines
    np.testing.assert_allclose(sgd.get_ydata()[:2], [2.1, 1.1])
    assert np.isnan(sgd.get_ydata()[2])
    assert mark.get_xdata() == [0.1]
    assert mark.get_ydata() == pytest.approx([1.1])
    assert to_hex(adam.get_color()).upper() == METHOD_COLORS["Adam"]
    assert chance.get_ydata()[0] == 2.303
    assert ax.get_xscale() == "log"
    assert ax.get_ylim()[1] == pytest.approx(1.15 * 2.303)


def test_bands_span_the_range_of_the_seeds_and_the_legend_counts_them():
    runs = np.array([[3.0, 2.0, 1.0], [4.0, 2.5, 0.5], [5.0, 3.0, 0.0]])
    ax = plot_loss_bands({"momentum": runs})
    low, high = ax.collections[0].get_paths()[0].get_extents().get_points()[:, 1]
    assert (low, high) == (0.0, 5.0)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [4.0, 2.5, 0.5])
    assert ax.get_legend().get_texts()[0].get_text() == "momentum (n = 3)"


def test_effective_steps_carry_their_prediction():
    t = np.arange(1, 50)
    ax = plot_effective_step(
        {"with v": 31.6 / np.sqrt(t), "Adam": t**0.0}, predicted={"with v": 31.6 / np.sqrt(t)}
    )
    assert [line.get_label() for line in ax.lines if not line.get_label().startswith("_")] == [
        "with v", "Adam", "predicted",
    ]  # fmt: skip
    np.testing.assert_allclose(ax.lines[0].get_ydata(), ax.lines[1].get_ydata())
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_effective_steps_without_a_prediction_promise_none():
    ax = plot_effective_step({"Adam": np.ones(3)})
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["Adam"]


def test_paired_differences_show_every_seed_and_the_interval_of_the_mean():
    ax = plot_paired_differences({"Adam": [0.1, 0.3]}, {"Adam": 0.5}, xlabel="loss minus SGD's")
    np.testing.assert_allclose(ax.lines[0].get_xdata(), [0.1, 0.3])
    (interval,) = ax.collections[-1].get_segments()
    np.testing.assert_allclose(interval[:, 0], [-0.3, 0.7])
    assert ax.get_yticklabels()[0].get_text() == "Adam (n = 2)"


@pytest.mark.parametrize(
    "draw",
    [
        lambda ax: plot_lr_sensitivity(CURVES, ax=ax),
        lambda ax: plot_loss_bands({"a": np.ones((2, 3))}, ax=ax),
        lambda ax: plot_effective_step({"a": np.ones(3)}, ax=ax),
        lambda ax: plot_paired_differences({"a": [1.0, 2.0]}, {"a": 0.1}, xlabel="x", ax=ax),
    ],
)
def test_plots_draw_into_the_axes_they_are_given(draw):
    ax = new_axes()
    assert draw(ax) is ax
