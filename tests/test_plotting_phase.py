"""The phase diagram: colours say growth or decay and are white in between, starts are numbered dots."""

import numpy as np
import pytest
from conftest import legend_labels

from course_utils.plotting._base import new_axes
from course_utils.plotting.phase import plot_phase_diagram

pytestmark = pytest.mark.usefixtures("close_figures")

W2, B2 = [0.5, 1.0, 2.0], [0.0, 0.1]
CHI = np.array([[0.5, 1.0, 2.0], [0.4, 0.9, 1.5]])
EDGE = ([1.0, 1.3], [0.0, 0.1])


def test_a_slope_of_one_is_white_and_growth_and_decay_by_one_factor_are_as_dark():
    drawn = plot_phase_diagram(W2, B2, CHI, edge=EDGE).collections[0]
    colors = drawn.cmap(drawn.norm(np.log([0.6, 1.0, 1 / 0.6])))[:, :3]
    blue, white, red = colors
    assert white.min() > 0.95
    assert blue[2] > blue[0]
    assert red[0] > red[2]
    assert blue.mean() == pytest.approx(red.mean(), abs=0.15)


def test_the_edge_is_the_line_that_was_handed_in():
    line = plot_phase_diagram(W2, B2, CHI, edge=EDGE).lines[0]
    np.testing.assert_allclose(line.get_xydata(), np.transpose(EDGE))


def test_starts_are_numbered_and_named_in_the_legend():
    ax = plot_phase_diagram(W2, B2, CHI, edge=EDGE, points={"Xavier": (1.0, 0.0), "5/3": (2.0, 0.0)},
                            names={"order": (0.7, 0.05)}, title="tanh")  # fmt: skip
    assert legend_labels(ax) == ["1  Xavier", "2  5/3"]
    assert {text.get_text() for text in ax.texts} == {"1", "2", "order"}
    assert ax.get_title() == "tanh"


def test_it_draws_into_the_axes_it_is_given():
    ax = new_axes()
    assert plot_phase_diagram(W2, B2, CHI, edge=EDGE, ax=ax) is ax


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"chi": -CHI}, r"chi must be > 0, got -0.5 at \(0, 0\)"),
        ({"chi": CHI.T}, r"chi needs shape \(2 as in sigma_b2, 3 as in sigma_w2\)"),
        ({"sigma_w2": [1.0, 0.5, 2.0]}, "sigma_w2 must increase"),
        ({"edge": ([1.0], [0.0, 0.1])}, r"edge\[1\] needs shape \(1 as in edge\[0\]\)"),
        ({"points": {str(k): (1.0, 0.0) for k in range(9)}}, "points may have 8 entries"),
        ({"points": {"a": (float("nan"), 0.0)}}, r"points\['a'\] must be finite"),
    ],
)
def test_what_cannot_be_drawn_is_refused(changed, message):
    arguments = {"sigma_w2": W2, "sigma_b2": B2, "chi": CHI, "edge": EDGE, **changed}
    with pytest.raises(ValueError, match=message):
        plot_phase_diagram(**arguments)
