"""Figures of many methods: one row each, an interval that is the one given, two distributions on one axis."""

import numpy as np
import pytest
from conftest import legend_labels
from matplotlib.colors import to_hex

from course_utils.plotting._base import new_axes, new_grid
from course_utils.plotting.comparisons import (
    plot_before_after,
    plot_intervals,
    plot_seed_and_image_intervals,
    plot_spread,
)

pytestmark = pytest.mark.usefixtures("close_figures")


def test_each_method_has_a_row_with_its_seeds_its_mean_and_its_interval():
    ax = plot_intervals({"lr 0.1": {"a": [1.0, 2.0, 6.0], "b": [4.0, 4.0, 4.0]}}, {"lr 0.1": {"a": 1.5, "b": 0.0}},
                        xlabel="accuracy (%)")  # fmt: skip
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["a", "b"]
    dots = [line for line in ax.lines if len(line.get_xdata()) == 3]
    np.testing.assert_array_equal(dots[0].get_xdata(), [1.0, 2.0, 6.0])
    np.testing.assert_array_equal(dots[0].get_ydata(), [0.0, 0.0, 0.0])
    bar = ax.containers[0].lines[2][0].get_segments()[0]
    np.testing.assert_allclose(bar[:, 0], [3.0 - 1.5, 3.0 + 1.5])
    assert ax.get_legend().get_texts()[0].get_text() == "lr 0.1 (n = 3)"
    low, high = ax.get_ylim()
    assert low > high  # the first method is at the top


def test_two_series_of_one_method_lie_apart_in_the_same_row_and_differ_in_colour():
    values = {"first": {"a": [1.0, 2.0]}, "second": {"a": [3.0, 4.0], "b": [5.0, 6.0]}}
    widths = {label: dict.fromkeys(group, 0.1) for label, group in values.items()}
    ax = plot_intervals(values, widths, xlabel="loss", reference=0.0)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["a", "b"]
    first, second = (container.lines[0] for container in ax.containers[:2])
    assert -0.5 < first.get_ydata()[0] < second.get_ydata()[0] < 0.5
    assert to_hex(first.get_color()) != to_hex(second.get_color())
    assert first.get_marker() != second.get_marker()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["first (n = 2)", "second (n = 2)"]


def test_a_method_without_a_half_width_is_refused():
    with pytest.raises(ValueError, match=r"every method of 'lr' in series needs half_widths, missing: b"):
        plot_intervals({"lr": {"a": [1.0], "b": [2.0]}}, {"lr": {"a": 0.1}}, xlabel="loss")


def test_before_and_after_are_densities_on_one_axis_that_holds_both():
    rng = np.random.default_rng(0)
    before, after = rng.normal(0, 0.1, 5000), rng.normal(0, 1.0, 5000)
    ax = plot_before_after({"std 0.1": (before, after)}, columns=1)
    bars = ax.patches[:-1]  # the last patch is the outline
    assert sum(bar.get_width() * bar.get_height() for bar in bars) == pytest.approx(1.0)
    assert ax.get_xlim()[0] < np.quantile(after, 0.01)
    assert ax.get_xlim()[1] > np.quantile(after, 0.99)
    assert ax.texts[0].get_text() == f"std {before.std():.2g} → {after.std():.2g}"
    assert ax.get_title() == "std 0.1"


def test_a_constant_is_one_bar_and_panels_without_data_are_hidden():
    axes = new_grid(2, 2)
    plot_before_after({name: (np.zeros(4), np.zeros(4)) for name in "abc"}, columns=2, axes=axes)
    heights = [bar.get_height() for bar in axes[0].patches[:-1]]
    assert np.count_nonzero(heights) == 1
    assert [ax.get_visible() for ax in axes] == [True, True, True, False]
    assert [ax.get_xlabel() for ax in axes[:3]] == ["", "weight", "weight"]


@pytest.mark.parametrize(
    ("panels", "message"),
    [
        ({}, "panels is empty"),
        ({"N(0, 1)": ([0.0], [np.nan])}, r"panels\['N\(0, 1\)'\]\[1\] must be finite, got nan at 0"),
    ],
)
def test_nothing_to_draw_and_a_run_that_diverged_are_refused(panels, message):
    with pytest.raises(ValueError, match=message):
        plot_before_after(panels)


def test_a_spread_is_a_density_under_the_curves_that_were_predicted():
    values = np.random.default_rng(0).normal(3.0, 0.5, 5000)
    ax = plot_spread(values, predicted={"right": (3.0, 0.5), "wrong": (3.0, 0.05)}, xlabel="x")
    heights, edges, _ = ax.patches[0].get_data()
    assert np.sum(heights * np.diff(edges)) == pytest.approx(1)
    right = ax.lines[0]
    assert np.trapezoid(right.get_ydata(), right.get_xdata()) == pytest.approx(1, abs=1e-3)
    assert right.get_ydata().max() == pytest.approx(1 / (0.5 * np.sqrt(2 * np.pi)), rel=1e-3)
    assert ax.get_ylim()[1] < ax.lines[1].get_ydata().max()  # a spike does not flatten the measurement
    assert legend_labels(ax) == ["measured (n = 5,000)", "right", "wrong"]


def test_a_spread_takes_edges_for_values_that_come_in_steps():
    ax = plot_spread([1, 2, 2, 3], predicted={"bell": (2, 1)}, bins=[0.5, 1.5, 2.5, 3.5], xlabel="hits")
    np.testing.assert_allclose(ax.patches[0].get_data().values, [0.25, 0.5, 0.25])


def test_intervals_of_images_and_of_seeds_are_told_apart():
    ax = plot_seed_and_image_intervals([80.0, 84.0], image_half_widths=[3.0, 2.0], seed_half_width=1.5)
    seeds, mean = ax.containers
    spans = [segment[:, 0].tolist() for segment in seeds.lines[2][0].get_segments()]
    assert spans == [[77.0, 83.0], [82.0, 86.0]]
    (segment,) = mean.lines[2][0].get_segments()
    np.testing.assert_allclose(segment[:, 0], [80.5, 83.5])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["seed 1", "seed 2", "mean"]
    assert legend_labels(ax)[1] == "mean, 95 % over seeds (n = 2)"


@pytest.mark.parametrize(
    "draw",
    [
        lambda ax: plot_spread([1.0, 2.0, 4.0], predicted={"p": (2.0, 1.0)}, xlabel="x", ax=ax),
        lambda ax: plot_seed_and_image_intervals(
            [1.0, 2.0], image_half_widths=[1.0, 1.0], seed_half_width=0.5, ax=ax
        ),
    ],
)
def test_spreads_and_intervals_draw_into_the_axes_they_are_given(draw):
    ax = new_axes()
    assert draw(ax) is ax
