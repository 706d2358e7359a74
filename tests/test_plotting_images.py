"""Figures of a first classifier: images keep their values, words stand where they belong, predictions are drawn in."""

import numpy as np
import pytest
from conftest import legend_labels
from matplotlib.colors import to_hex

from course_utils.plotting._base import BLACK, VERMILION, new_axes
from course_utils.plotting.images import (
    plot_class_scores,
    plot_confusion,
    plot_epochs,
    plot_image,
    plot_image_grid,
)

pytestmark = pytest.mark.usefixtures("close_figures")


IMAGES = np.arange(5 * 3 * 4, dtype=float).reshape(5, 3, 4)
NAMES = ("cat", "dog", "emu")


def test_a_grid_holds_every_image_upright_below_its_title():
    ax = plot_image_grid(IMAGES, list("abcde"), columns=3)
    assert len(ax.images) == 5
    for drawn, image, title in zip(ax.images, IMAGES, ax.texts, strict=True):
        np.testing.assert_array_equal(drawn.get_array(), image)
        left, right, bottom, top = drawn.get_extent()
        assert bottom > top > title.get_position()[1]  # the axis points down
        assert left < title.get_position()[0] < right
    assert ax.images[3].get_extent()[0] == ax.images[0].get_extent()[0]  # the fourth starts a new row
    assert ax.images[3].get_extent()[3] > ax.images[0].get_extent()[2]


def test_a_grid_has_one_grey_scale_for_all_its_images():
    ax = plot_image_grid(IMAGES, list("abcde"))
    assert {image.get_clim() for image in ax.images} == {(0, IMAGES.max())}


def test_a_grid_marks_the_wrong_ones_only():
    ax = plot_image_grid(IMAGES[:2], ["right", "wrong"], wrong=[False, True])
    assert [to_hex(text.get_color()).upper() for text in ax.texts] == [BLACK, VERMILION]
    assert ax.patches[1].get_linewidth() > ax.patches[0].get_linewidth()


def test_a_grid_refuses_titles_that_do_not_match():
    with pytest.raises(ValueError, match="titles needs 5 entries, one for each of images, got 2"):
        plot_image_grid(IMAGES, ["a", "b"])


def test_an_image_with_a_centre_is_white_there():
    ax = plot_image(np.array([[-1.0, 0.0], [2.0, 3.0]]), label="x", centre=0.0)
    (drawn,) = ax.images
    assert drawn.get_clim() == (-3.0, 3.0)
    assert to_hex(drawn.to_rgba(np.array([[0.0]]))[0, 0])[1] == "f"
    assert ax.figure.axes[1].get_ylabel() == "x"


def test_an_image_in_colour_is_drawn_as_it_is_and_needs_no_scale():
    picture = np.random.default_rng(0).random((4, 5, 3))
    ax = plot_image(picture, title="colour")
    np.testing.assert_array_equal(ax.images[0].get_array(), picture)
    assert len(ax.figure.axes) == 1
    assert ax.get_title() == "colour"


def test_class_scores_are_bars_side_by_side_with_the_true_class_in_bold():
    scores = {"before": [0.1, -0.2, 0.0], "after": [-3.0, 5.0, 1.0]}
    ax = plot_class_scores(scores, NAMES, xlabel="logit", true_class=1, reference=0.5)
    for container, values in zip(ax.containers, scores.values(), strict=True):
        np.testing.assert_allclose([bar.get_width() for bar in container], values)
    before, after = (container[1] for container in ax.containers)
    assert before.get_y() + before.get_height() <= after.get_y() + 1e-12  # no bar hides another
    assert [label.get_fontweight() for label in ax.get_yticklabels()] == ["normal", "bold", "normal"]
    assert [label.get_text() for label in ax.get_yticklabels()] == list(NAMES)
    assert set(legend_labels(ax)) == {"before", "after", "know nothing: 0.5"}
    assert ax.yaxis_inverted()


def test_confusion_writes_every_count_and_shades_mistakes_alone():
    counts = np.array([[90, 2, 0], [1, 80, 7], [0, 3, 70]])
    ax = plot_confusion(counts, NAMES)
    written = {text.get_position()[::-1]: int(text.get_text()) for text in ax.texts}
    assert written == {place: count for place, count in np.ndenumerate(counts) if count}
    shades = ax.images[0].get_array()
    np.testing.assert_array_equal(np.diag(shades), 0)
    assert shades[1, 2] == shades.max() == 7
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("decision of the network", "true class")


def test_confusion_refuses_a_table_of_another_size():
    with pytest.raises(
        ValueError, match=r"counts needs shape \(3 as in classes, 3 as in classes\), got \(2, 2\)"
    ):
        plot_confusion(np.eye(2), NAMES)


def test_epochs_draw_running_means_over_the_epoch_and_evaluations_at_its_end():
    running = np.array([[50.0, 80.0], [60.0, 82.0]])  # two seeds, two epochs
    ax = plot_epochs({"running": running}, {"after": [75.0, 85.0]}, ylabel="accuracy (%)")
    first, second = ax.lines[0], ax.lines[1]
    assert list(first.get_xdata()) == [0, 1]
    assert list(second.get_xdata()) == [1, 2]
    assert list(first.get_ydata()) == [55.0, 55.0]
    low, high = ax.collections[0].get_paths()[0].get_extents().get_points()[:, 1]
    assert (low, high) == (50.0, 60.0)
    marks = ax.containers[0].lines[0]
    np.testing.assert_allclose(marks.get_xydata(), [[1, 75.0], [2, 85.0]])
    assert legend_labels(ax) == ["running", "after"]


def test_epochs_spread_their_steps_evenly_and_draw_results_after_the_last():
    ax = plot_epochs(
        {"mean": [2.0, 1.0]}, steps=[2.5, 1.5, 1.2, 0.8], final={"test": (1.1, 0.2)}, ylabel="loss"
    )
    np.testing.assert_allclose(ax.lines[0].get_xdata(), [0.25, 0.75, 1.25, 1.75])
    result = ax.containers[0]
    assert result.lines[0].get_xdata()[0] > 2
    (segment,) = result.lines[2][0].get_segments()
    np.testing.assert_allclose(segment[:, 1], [0.9, 1.3])


@pytest.mark.parametrize(
    "draw",
    [
        lambda ax: plot_image_grid(IMAGES, list("abcde"), ax=ax),
        lambda ax: plot_image(IMAGES[0], label="u", ax=ax),
        lambda ax: plot_class_scores({"a": [1.0, 2.0, 3.0]}, NAMES, xlabel="z", ax=ax),
        lambda ax: plot_confusion(np.eye(3), NAMES, ax=ax),
        lambda ax: plot_epochs({"a": [1.0, 2.0]}, ylabel="y", ax=ax),
    ],
)
def test_plots_draw_into_the_axes_they_are_given(draw):
    ax = new_axes()
    assert draw(ax) is ax
