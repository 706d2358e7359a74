"""Figures of runs: every point where it belongs, zeros that say so, and no panel that hides what it cuts off."""

import numpy as np
import pytest
from conftest import legend_labels
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from course_utils.plotting._base import GREEN, new_axes
from course_utils.plotting.runs import (
    plot_gaps,
    plot_optimism,
    plot_plateau,
    plot_run,
    plot_symptoms,
    plot_verdicts,
)

pytestmark = pytest.mark.usefixtures("close_figures")


def test_a_running_mean_stands_in_the_middle_of_its_epoch_and_validation_at_the_end():
    ax = plot_run([0.9, 0.5, 0.4], [0.6, 0.4, 0.5], ylabel="loss (nats)", best=1)
    running, validation, mark = ax.lines
    np.testing.assert_allclose(running.get_xdata(), [0.5, 1.5, 2.5])
    np.testing.assert_allclose(validation.get_xdata(), [1, 2, 3])
    assert (mark.get_xdata(), mark.get_ydata()) == ([2], [0.4])
    assert legend_labels(ax) == ["training, running mean", "validation", "best epoch"]


def test_a_run_without_a_best_epoch_marks_none():
    ax = plot_run([0.9], [0.6], ylabel="loss (nats)", end_of_epoch=[0.7])
    assert legend_labels(ax) == ["training, running mean", "training, end of epoch", "validation"]


@pytest.mark.parametrize("options", [{"best": 2}, {"best": -1}, {"end_of_epoch": [1.0]}])
def test_a_run_refuses_epochs_that_it_does_not_have(options):
    message = r"best is an epoch of validation, from 0 to 1|end_of_epoch needs shape \(2 as in validation\)"
    with pytest.raises(ValueError, match=message):
        plot_run([1.0, 2.0], [1.0, 2.0], ylabel="loss (nats)", **options)


def test_the_rate_falls_where_a_cut_was_predicted():
    ax = plot_plateau([1.0, 2.0, 2.0, 0.9], [0.1, 0.1, 0.1, 0.01], predicted=[3])
    (rate,) = [a for a in ax.figure.axes if a is not ax]
    cut, losses = ax.lines
    assert cut.get_xdata() == [3.5, 3.5]
    np.testing.assert_allclose(losses.get_ydata(), [1.0, 2.0, 2.0, 0.9])
    np.testing.assert_allclose(rate.lines[0].get_ydata(), [0.1, 0.1, 0.1, 0.01])
    assert rate.lines[0].get_drawstyle() == "steps-mid"  # changes at 3.5, half way from epoch 3 to 4
    assert rate.get_yscale() == "log"


def test_a_plateau_needs_a_rate_per_loss():
    with pytest.raises(ValueError, match=r"lrs needs shape \(2 as in val_losses\), got \(1,\)"):
        plot_plateau([1.0, 2.0], [0.1])


def test_exact_zeros_stand_at_the_left_end_and_say_so():
    ax = plot_gaps({"all": [0.0, 0.0], "no order": [0.02, 0.3]}, xlabel="difference", threshold=1e-3)
    zeros, others, threshold = ax.lines
    assert list(zeros.get_xdata()) == [ax.get_xlim()[0]] * 2
    assert to_hex(zeros.get_color()).upper() == GREEN
    np.testing.assert_allclose(others.get_xdata(), [0.02, 0.3])
    assert threshold.get_xdata()[0] == 1e-3
    assert [text.get_text() for text in ax.texts] == ["0.0 in every seed"]
    assert ax.get_xlim()[0] <= 1e-4
    assert [label.get_text() for label in ax.get_yticklabels()] == ["all (n = 2)", "no order (n = 2)"]


def test_a_row_with_one_zero_among_others_does_not_claim_to_be_exact():
    ax = plot_gaps({"some": [0.0, 0.1]}, xlabel="difference")
    assert not ax.texts


def test_gaps_that_are_all_zero_cannot_be_drawn_on_a_logarithmic_axis():
    with pytest.raises(ValueError, match="gaps are all 0"):
        plot_gaps({"all": [0.0]}, xlabel="difference")


def test_optimism_is_drawn_with_its_prediction_and_ticks_at_the_numbers_of_candidates():
    runs = np.array([[0.0, 1.0, 2.0], [0.2, 1.2, 2.6]])
    ax = plot_optimism([1, 5, 20], {"epochs": runs}, predicted=[0.0, 3.5, 5.6])
    mean, predicted, _ = ax.lines
    np.testing.assert_allclose(mean.get_ydata(), [0.1, 1.1, 2.3])
    np.testing.assert_allclose(predicted.get_ydata(), [0.0, 3.5, 5.6])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "5", "20"]
    assert legend_labels(ax) == ["epochs (n = 2)", "predicted, independent candidates"]


def test_every_bug_has_its_panel_over_the_same_band_and_a_cut_panel_says_how_far_it_went():
    healthy = np.array([[2.0, 1.0, 0.5], [2.2, 1.2, 0.4]])
    zoo = {"slow": [[2.0, 2.0, 1.9]], "fast": [[2.0, 5e4, np.nan]], "late": [[2.0, 1.0, 0.5, 0.4]]}
    axes = plot_symptoms(zoo, healthy, guess=2.3, columns=2)
    assert [ax.get_title() for ax in axes] == ["slow", "fast", "late", ""]
    assert not axes[3].axison
    bands = [ax.collections[0].get_paths()[0].get_extents().get_points()[:, 1] for ax in axes[:3]]
    assert all(tuple(band) == (0.4, 2.2) for band in bands)
    assert [[t.get_text() for t in ax.texts] for ax in axes[:3]] == [[], ["up to 5e+04"], []]
    assert all(ax.get_ylim() == (0.2, 1e3) for ax in axes[:3])


def test_verdicts_write_the_counts_and_frame_the_right_answers():
    ax = plot_verdicts([[4, 1], [0, 5]], ["a", "b"], ["A", "B"], right={"a": "A", "b": "B"})
    assert sorted((t.get_position(), t.get_text()) for t in ax.texts) == [
        ((0, 0), "4"), ((1, 0), "1"), ((1, 1), "5"),
    ]  # fmt: skip
    frames = [patch.get_xy() for patch in ax.patches if isinstance(patch, Rectangle)]
    assert frames == [(-0.5, -0.5), (0.5, 0.5)]


def test_verdicts_refuse_a_table_of_another_shape():
    with pytest.raises(ValueError, match=r"shape \(1 as in truths, 2 as in verdicts\), got \(2, 2\)"):
        plot_verdicts([[1, 2], [3, 4]], ["a"], ["A", "B"])


@pytest.mark.parametrize(
    "draw",
    [
        lambda ax: plot_run([1.0], [2.0], ylabel="loss", ax=ax),
        lambda ax: plot_plateau([1.0], [0.1], ax=ax),
        lambda ax: plot_gaps({"a": [0.1]}, xlabel="x", ax=ax),
        lambda ax: plot_optimism([1, 2], {"a": [[0.0, 1.0]]}, ax=ax),
        lambda ax: plot_verdicts([[1]], ["a"], ["A"], ax=ax),
    ],
)
def test_plots_draw_into_the_axes_they_are_given(draw):
    ax = new_axes()
    assert draw(ax) is ax
