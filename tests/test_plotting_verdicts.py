"""A published number is drawn where it lies in units of its interval, and one far outside is not lost."""

import pytest

from course_utils.plotting._base import BLUE, VERMILION
from course_utils.plotting.verdicts import plot_published

pytestmark = pytest.mark.usefixtures("close_figures")


def dots(ax):
    """Return (x, row, colour, marker) of every number drawn."""
    lines = [line for line in ax.lines if line.get_marker() not in ("None", None, "")]
    return [(line.get_xdata()[0], line.get_ydata()[0], line.get_color(), line.get_marker()) for line in lines]


def test_numbers_inside_and_outside_of_the_interval_differ_in_colour():
    ax = plot_published({"first": [0.5, -1.0], "second": 1.2}, xlabel="distance")
    assert dots(ax) == [(0.5, 0, BLUE, "o"), (-1.0, 0, BLUE, "o"), (1.2, 1, VERMILION, "o")]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["first", "second"]
    assert ax.get_xlabel() == "distance"


def test_number_beyond_the_axis_is_an_arrowhead_with_its_distance():
    ax = plot_published({"far": [-17.6, 9.0]}, xlabel="distance", limit=4.0)
    assert dots(ax) == [(-4.0, 0, VERMILION, "<"), (4.0, 0, VERMILION, ">")]
    assert [text.get_text() for text in ax.texts] == ["-18", "+9"]


def test_first_experiment_is_on_top():
    ax = plot_published({"first": 0.0, "second": 0.0}, xlabel="distance")
    bottom, top = ax.get_ylim()
    assert bottom > 1 > 0 > top


def test_axis_that_hides_the_interval_is_refused():
    with pytest.raises(ValueError, match=r"limit must be > 1, got 1"):
        plot_published({"first": 0.0}, xlabel="distance", limit=1.0)
