"""A profile shows the mean and the range of its seeds, and a prediction or a second data set only where it has one."""

import numpy as np
import pytest
from conftest import legend_labels

from course_utils.plotting import new_axes
from course_utils.plotting.slices import plot_profiles

pytestmark = pytest.mark.usefixtures("close_figures")

T = np.array([0.0, 0.5, 1.0])


def test_profile_is_the_mean_of_the_seeds_and_its_band_their_range():
    ax = plot_profiles(T, {"loss": [[1.0, 2.0, 3.0], [3.0, 5.0, 4.0]]})
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [2.0, 3.5, 3.5])
    low, high = ax.collections[0].get_paths()[0].get_extents().get_points()[:, 1]
    assert (low, high) == (1.0, 5.0)
    assert legend_labels(ax) == ["loss (n = 2)"]


def test_profile_of_one_run_counts_no_seeds():
    assert legend_labels(plot_profiles(T, {"loss": [1.0, 2.0, 3.0]})) == ["loss"]


def test_other_data_are_dotted_in_the_colour_of_their_profile():
    ax = plot_profiles(T, {"a": [1, 2, 3], "b": [3, 2, 1]}, dotted={"b": [[4, 3, 2], [6, 5, 4]]})
    _, profile, other = ax.lines[:3]
    assert (other.get_linestyle(), other.get_color()) == (":", profile.get_color())
    np.testing.assert_allclose(other.get_ydata(), [5, 4, 3])
    assert legend_labels(ax) == ["a", "b", "on held-out images"]


def test_prediction_is_dashed_over_its_profile_and_named_once():
    ax = plot_profiles(
        T,
        {"a": [1, 2, 3], "b": [3, 2, 1]},
        predicted={"a": [1, 2, 4], "b": [3, 2, 0]},
        predicted_name="parabola",
    )
    dashed = [line for line in ax.lines if line.get_linestyle() == "--" and len(line.get_xdata())]
    np.testing.assert_allclose([line.get_ydata() for line in dashed], [[1, 2, 4], [3, 2, 0]])
    assert legend_labels(ax) == ["a", "b", "parabola"]


@pytest.mark.parametrize("kind", ["dotted", "predicted"])
def test_curve_without_a_profile_is_refused(kind):
    with pytest.raises(ValueError, match=r"has \['c'\], which profiles lacks; known: \['a'\]"):
        plot_profiles(T, {"a": [1, 2, 3]}, **{kind: {"c": [1, 2, 3]}})


def test_marks_stand_at_their_positions_and_their_names_above_the_axes():
    ax = plot_profiles(T, {"a": [1, 2, 3]}, marks={"start": 0.0, "end": 1.0})
    assert [line.get_xdata()[0] for line in ax.lines[1:]] == [0.0, 1.0]
    assert [(text.get_text(), text.xy) for text in ax.texts] == [("start", (0.0, 1.01)), ("end", (1.0, 1.01))]


def test_given_axes_are_used():
    ax = new_axes()
    assert plot_profiles(T, {"a": [1, 2, 3]}, ax=ax) is ax
