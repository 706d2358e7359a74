"""A record that cannot be drawn is refused by name, and a refusal leaves no empty figure behind."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from drawing import axes, drawing, grid
from fuzzing import judge
from matplotlib.figure import Figure
from spoiled import spoil

from course_utils.plotting._base import axes_for, grid_for, new_axes, new_grid, show
from course_utils.plotting._records import (
    check_interval,
    check_labels,
    check_most,
    check_some,
    curves_of,
    line_of,
    numbers,
    pairs_of,
)
from course_utils.plotting.runs import plot_run

pytestmark = pytest.mark.usefixtures("close_figures")


@pytest.mark.parametrize(
    ("values", "shape", "options", "message"),
    [
        ([], (None,), {}, "x is empty"),
        ([1.0], (None, 2), {}, r"x needs shape \(any, 2\), got \(1,\)"),
        ([1.0], (("lrs", 3),), {}, r"x needs shape \(3 as in lrs\), got \(1,\)"),
        ([1.0, np.nan], (None,), {}, "x must be finite, got nan at 1"),
        ([1e200], (None,), {}, r"x must be at most 1e\+150 in size, got 1e\+200 at 0"),
        ([0.0], (None,), {"rule": "> 0"}, "x must be > 0, got 0 at 0"),
        ([1.5], (None,), {"rule": "whole and >= 0"}, "x must be whole and >= 0, got 1.5"),
        ([1.01], (None,), {"rule": "in [0, 1]"}, r"x must be in \[0, 1\], got 1.01"),
        ([np.nan, np.inf], (None,), {"gaps": True}, "x must be finite, got nan at 0"),
        ([-1.0, np.nan], (None,), {"gaps": True, "rule": "> 0"}, "x must be > 0, got -1 at 0"),
    ],
)
def test_what_leaves_a_hole_is_refused_with_its_place(values, shape, options, message):
    with pytest.raises(ValueError, match=message):
        numbers("x", values, *shape, **options)


def test_a_gap_is_kept_as_nan_where_the_record_may_have_one():
    np.testing.assert_array_equal(numbers("x", [1.0, np.inf, np.nan], None, gaps=True), [1.0, np.nan, np.nan])


def test_a_share_that_rounding_has_lifted_above_one_is_a_share():
    assert numbers("x", np.float32(1.0000001), rule="in [0, 1]") > 1


def test_one_run_may_be_given_without_its_seed():
    assert curves_of("losses", {"a": [1.0, 2.0]}, None, 2)["a"].shape == (1, 2)
    assert pairs_of("losses", {"a": ([1.0, 2.0], [3.0, 4.0])})["a"][1].shape == (1, 2)


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: line_of("w1", [1.0]), "w1 needs two or more"),
        (lambda: line_of("w1", [1.0, 3.0, 2.0]), "w1 must increase, got 3 before 2"),
        (lambda: check_interval("band", (2.0, 1.0)), r"band must ascend .* got \(2.0, 1.0\)"),
        (lambda: check_most("lines", {"a": 1, "b": 2}, 1), "lines may have 1 entries, .* got 2"),
        (
            lambda: check_labels("chosen", ["a", "b"], "curves", ["a"]),
            r"chosen has \['b'\], which curves lacks",
        ),
        (lambda: check_labels("notes", [], "rows", ["a"], every=True), r"notes needs .* missing: \['a'\]"),
        (lambda: check_some("chosen", ["b"], "curves", ["a"]), r"none of curves: \['a'\], got \['b'\]"),
        (lambda: curves_of("losses", {}), "losses is empty"),
        (lambda: new_grid(0, 1), "rows must be from 1 to 1000, got 0"),
        (lambda: new_grid(100, 100), "rows times columns must be from 1 to 1000, got 10000"),
    ],
)
def test_what_does_not_fit_together_is_refused_with_both_names(check, message):
    with pytest.raises(ValueError, match=message):
        check()


@pytest.mark.parametrize(("how", "wrong"), [s[1:3] for s in spoil("ax", axes()) if s.how.endswith("axes")])
def test_axes_of_another_kind_or_without_a_figure_are_no_place_to_draw(how, wrong):
    kind = {"polar axes": "polar", "3d axes": "3d", "removed axes": "removed from their figure"}[how]
    with pytest.raises(
        ValueError, match=rf"ax must be rectilinear Axes of a figure, got Axes that are {kind}"
    ):
        axes_for(wrong)


def test_axes_of_a_closed_figure_can_be_drawn_on_because_it_can_still_be_shown():
    ax = new_axes()
    plt.close(ax.figure)
    assert axes_for(ax) is ax


@pytest.mark.parametrize(("number", "least"), [(1, None), (3, None), (1, 2)])
def test_another_number_of_panels_is_refused(number, least):
    with pytest.raises(ValueError, match=f"axes needs 2 Axes, one for each panel of curves, got {number}"):
        grid_for(grid(number), 1, 2, of="curves", least=least)


def test_what_is_no_figure_is_not_shown():
    with pytest.raises(TypeError, match="figure must be a Figure or an Axes, got figure='figure'"):
        show("figure", alt="A line that rises from 3 to 5.")


def test_a_refused_call_leaves_no_figure_behind():
    with pytest.raises(ValueError, match="running"):
        plot_run([1.0], [1.0, 2.0], ylabel="loss")
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    ("plot", "message"),
    [
        (lambda **_: new_axes(), "nothing is seen"),
        (lambda **_: new_axes().plot([np.nan], [1.0])[0].axes, "nothing is seen"),
        (lambda **_: [] if new_axes() is None else int("no figure"), "an empty figure is left"),
    ],
)
def test_the_fuzzer_notices_an_empty_figure(plot, message):
    assert message in judge(drawing(plot, dict), [])


def test_the_fuzzer_takes_a_figure_that_shows_something_and_closes_it():
    assert (
        judge(drawing(plot_run, lambda: {"running": [1.0], "validation": [1.0], "ylabel": "loss"}), []) == ""
    )
    assert plt.get_fignums() == []
    assert isinstance(axes().figure, Figure)
