"""Figures of numbers, growth and activations: the ends are where they belong, a formula is drawn beside its data."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from course_utils.plotting._base import METHOD_COLORS, new_axes, new_grid
from course_utils.plotting.activations import (
    plot_activation_gallery,
    plot_compositions,
    plot_log_growth,
    plot_number_formats,
    plot_shares,
)

pytestmark = pytest.mark.usefixtures("close_figures")

FORMATS = {"float16": (-7.2, -4.2, 4.8), "float32": (-44.9, -37.9, 38.5)}
X = np.linspace(-1, 1, 5)


def test_bars_reach_from_the_smallest_to_the_largest_number_of_each_format():
    ax = plot_number_formats(FORMATS)
    spans = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in ax.patches]
    np.testing.assert_allclose(spans, [(-7.2, -4.2), (-4.2, 4.8), (-44.9, -37.9), (-37.9, 38.5)])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["float16", "float32"]
    assert {text.get_text() for text in ax.texts} == {"-7.2", "4.8", "-44.9", "38.5"}


def test_the_ends_that_somebody_states_are_an_outline_and_have_room():
    ax = plot_number_formats(FORMATS, claimed={"float32": (-30.0, 30.0)})
    (outline,) = [bar for bar in ax.patches if not bar.get_fill()]
    assert (outline.get_x(), outline.get_width()) == (-30.0, 60.0)
    assert len(ax.get_legend().get_texts()) == 3
    low, high = ax.get_xlim()
    assert low < -44.9 - 5
    assert high > 38.5 + 5


def test_without_a_statement_no_source_is_named():
    texts = [text.get_text() for text in plot_number_formats(FORMATS).get_legend().get_texts()]
    assert texts == ["normal", "subnormal (fewer digits)"]


def test_a_statement_wider_than_every_format_stays_inside_the_axes():
    ax = plot_number_formats(FORMATS, claimed={"float32": (-300.0, 300.0)})
    assert ax.get_xlim()[0] < -300 < 300 < ax.get_xlim()[1]


def test_formats_whose_ends_do_not_ascend_are_refused():
    with pytest.raises(ValueError, match=r"float16'\] needs smallest subnormal <= .* got -4.2, -7.2, 4.8"):
        plot_number_formats({"float16": (-4.2, -7.2, 4.8)})


def test_growth_has_its_range_its_runs_and_the_formula():
    logs = np.cumsum(np.random.default_rng(0).normal(0.2, 0.1, (400, 30)), axis=1)
    k = np.arange(1, 31)
    ax = plot_log_growth(
        logs, predicted=(0.2 * k, 0.1 * np.sqrt(k)), lines={"root mean square": 0.3 * k}, limit=("top", 5.0),
        num_shown=7,
    )  # fmt: skip
    low, high = np.quantile(logs, (0.025, 0.975), axis=0)
    corners = ax.collections[0].get_paths()[0].get_extents()
    assert corners.y1 == pytest.approx(high.max())
    assert corners.y0 == pytest.approx(low.min())
    assert sum(line.get_linewidth() == 0.6 for line in ax.lines) == 7
    by_label = {line.get_label(): line for line in ax.lines}
    np.testing.assert_allclose(by_label["predicted mean"].get_ydata(), 0.2 * k)
    np.testing.assert_allclose(by_label["predicted 95 %"].get_ydata(), 0.2 * k + 1.96 * 0.1 * np.sqrt(k))
    np.testing.assert_allclose(by_label["root mean square"].get_ydata(), 0.3 * k)
    assert "95 % of 400 runs" in [text.get_text() for text in ax.get_legend().get_texts()]
    assert ax.texts[0].get_text() == "top"


def test_growth_without_a_formula_promises_none():
    texts = [text.get_text() for text in plot_log_growth(np.ones((3, 4))).get_legend().get_texts()]
    assert texts == ["95 % of 3 runs", "single runs"]


def test_shares_are_percent_with_the_range_of_the_seeds():
    ax = plot_shares(
        [0.1, 1.0], {"dead": [[0.0, 0.5], [0.1, 0.7]]}, predicted=([0.1, 1.0], [0.05, 0.6]),
        xlabel="learning rate", ylabel="share (%)", log_x=True,
    )  # fmt: skip
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [5, 60])
    np.testing.assert_allclose(ax.lines[1].get_ydata(), [5, 60])
    extent = ax.collections[0].get_paths()[0].get_extents()
    np.testing.assert_allclose([extent.y0, extent.y1], [0, 70])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["dead (n = 2)", "predicted"]
    assert ax.get_xscale() == "log"


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_shares_outside_of_zero_to_one_are_refused(share):
    with pytest.raises(ValueError, match=r"measured\['dead'\] must be in \[0, 1\], got"):
        plot_shares([0, 1], {"dead": [0.5, share]}, xlabel="x", ylabel="y")


def test_the_gallery_gives_each_activation_its_colour_and_dashes_its_derivative():
    ax = plot_activation_gallery(X, {"tanh": (np.tanh(X), 1 - np.tanh(X) ** 2), "mine": (X, X**0)}, columns=3)
    first, second, empty = ax.figure.axes
    assert [panel.get_title() for panel in (first, second)] == ["tanh", "mine"]
    value, slope = first.lines
    assert to_hex(value.get_color()).upper() == METHOD_COLORS["tanh"]
    assert slope.get_linestyle() == "--"
    np.testing.assert_allclose(slope.get_ydata(), 1 - np.tanh(X) ** 2)
    assert not empty.get_visible()


def test_compositions_have_a_row_a_setting_and_a_note_a_panel():
    ax = plot_compositions(
        X, {"g = 1": [X, X**2], "g = 4": [X**3, X**4]}, columns=["once", "twice"],
        notes={"g = 1": ["0", "1"], "g = 4": ["2", "3"]},
    )  # fmt: skip
    panels = ax.figure.axes
    assert [panel.get_title() for panel in panels] == ["once", "twice", "", ""]
    assert [panel.texts[0].get_text() for panel in panels] == ["0", "1", "2", "3"]
    np.testing.assert_allclose(panels[3].lines[0].get_ydata(), X**4)
    assert [panels[0].get_ylabel(), panels[2].get_ylabel()] == ["g = 1", "g = 4"]


def test_a_row_of_compositions_needs_a_curve_a_column():
    with pytest.raises(ValueError, match=r"rows\['g = 1'\] needs 2 entries, one for each of columns, got 1"):
        plot_compositions(X, {"g = 1": [X]}, columns=["once", "twice"])


@pytest.mark.parametrize(
    "draw",
    [
        lambda ax: plot_number_formats(FORMATS, ax=ax),
        lambda ax: plot_log_growth(np.ones((2, 3)), ax=ax),
        lambda ax: plot_shares([0, 1], {"a": [0.1, 0.2]}, xlabel="x", ylabel="y", ax=ax),
    ],
)
def test_plots_draw_into_the_axes_they_are_given(draw):
    ax = new_axes()
    assert draw(ax) is ax


@pytest.mark.parametrize(
    "draw",
    [
        lambda axes: plot_activation_gallery(X, {"a": (X, X), "b": (X, X)}, columns=2, axes=axes),
        lambda axes: plot_compositions(X, {"a": [X, X]}, columns=["1", "2"], axes=axes),
    ],
)
def test_grids_are_drawn_into_the_axes_they_are_given(draw):
    axes = new_grid(1, 2)
    assert draw(axes) is axes[0]
