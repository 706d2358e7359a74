"""Figures of the zoo: every method where it belongs, every rank beside its mean, the critical difference to scale."""

import pytest
from matplotlib.colors import to_hex

from course_utils.plotting._base import METHOD_COLORS, new_axes
from course_utils.plotting.zoo import plot_family, plot_ranks

pytestmark = pytest.mark.usefixtures("close_figures")


def test_each_method_is_a_box_of_its_colour_in_its_place_and_those_of_one_place_lie_apart():
    ax = plot_family({"SGD": (0, 0), "Adam": (1, 1), "AMSGrad": (1, 1)}, columns=["none", "average"],
                     rows=["none", "diagonal"], descents=[("SGD", "Adam")], xlabel="m", ylabel="s")  # fmt: skip
    boxes = {text.get_text(): text for text in ax.texts if text.get_text()}
    assert set(boxes) == {"SGD", "Adam", "AMSGrad"}
    assert boxes["SGD"].get_position() == (0.0, 0.0)
    assert boxes["Adam"].get_position()[1] < 1.0 < boxes["AMSGrad"].get_position()[1]
    assert to_hex(boxes["Adam"].get_bbox_patch().get_edgecolor()).upper() == METHOD_COLORS["Adam"]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["none", "average"]
    low, high = ax.get_ylim()
    assert low > high  # the first row is at the top


def test_a_place_beyond_the_choices_or_a_descent_of_a_stranger_is_refused():
    with pytest.raises(ValueError, match=r"places\['SGD'\] must lie on one of 1 columns, got 1"):
        plot_family({"SGD": (1, 0)}, columns=["a"], rows=["b"], xlabel="x", ylabel="y")
    with pytest.raises(ValueError, match=r"descents has \['Adam'\], which places lacks"):
        plot_family(
            {"SGD": (0, 0)}, columns=["a"], rows=["b"], descents=[("SGD", "Adam")], xlabel="x", ylabel="y"
        )


def test_methods_are_ordered_by_mean_rank_and_the_strip_is_one_critical_difference_wide():
    ax = plot_ranks({"SGD": [3, 2], "Adam": [1, 1], "Muon": [2, 3.5]}, critical_difference=1.5, tasks=["a", "b"],
                    ax=new_axes())  # fmt: skip
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["Adam", "SGD", "Muon"]
    (strip,) = ax.patches[:1]
    assert strip.get_x() == 1.0
    assert strip.get_width() == pytest.approx(1.5)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b", "mean"]
    assert "critical difference 1.5" in [text.get_text() for text in ax.texts]


def test_another_number_of_ranks_than_of_tasks_is_refused():
    with pytest.raises(ValueError, match=r"ranks\['SGD'\] needs shape \(2 as in tasks\)"):
        plot_ranks({"SGD": [1.0]}, critical_difference=1.0, tasks=["a", "b"])
