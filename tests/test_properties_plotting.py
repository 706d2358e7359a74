"""What is true of a figure whatever it shows? Properties of what is drawn that no single picture states."""

import itertools
import re

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course_utils.plotting._base import draw_mean_and_range, new_axes
from course_utils.plotting._records import numbers
from course_utils.plotting.calibration import plot_reliability
from course_utils.plotting.comparisons import plot_spread
from course_utils.plotting.graphs import layered_layout
from course_utils.plotting.runs import plot_gaps
from course_utils.plotting.speedrun import plot_parts
from course_utils.plotting.surfaces import plot_outcomes
from course_utils.plotting.sweeps import plot_search_progress
from course_utils.plotting.verdicts import plot_published

SEEDS = st.integers(0, 2**31)
AMOUNTS = st.lists(st.floats(0.01, 100), min_size=1, max_size=7)


@pytest.fixture
def hold(tally):
    """Return a function that tries a property on many examples, closes their figures, and notes how many."""

    def try_many(what, check, **strategies):
        number = tally.number(each_time=20, weekly=500)
        chosen = settings(max_examples=number, deadline=None, derandomize=True, database=None)

        def check_and_close(**values):
            try:
                check(**values)
            finally:
                plt.close("all")

        chosen(given(**strategies)(check_and_close))()
        tally.note("properties", what, tried=number)

    return try_many


def test_a_number_that_is_not_finite_is_refused_wherever_it_hides_and_its_place_is_named(hold):
    def check(seed, rows, columns, wrong):
        rng = np.random.default_rng(seed)
        table, place = rng.normal(size=(rows, columns)), (int(rng.integers(rows)), int(rng.integers(columns)))
        table[place] = wrong
        with pytest.raises(ValueError, match=rf"^losses must be .* at {re.escape(str(place))}\.$"):
            numbers("losses", table, None, None)

    hold("a hole is named", check, seed=SEEDS, rows=st.integers(1, 5), columns=st.integers(1, 5),
         wrong=st.sampled_from([np.nan, np.inf, -np.inf, 1e200]))  # fmt: skip


def test_the_mean_lies_in_a_band_that_holds_every_seed_and_touches_one_at_each_end(hold):
    def check(seed, seeds):
        runs = np.random.default_rng(seed).normal(size=(seeds, 4))
        ax = new_axes()
        mean = draw_mean_and_range(ax, range(4), runs).get_ydata()
        corners = ax.collections[0].get_paths()[0].vertices
        for x in range(4):
            heights = corners[corners[:, 0] == x, 1]
            assert (heights.min(), heights.max()) == (runs[:, x].min(), runs[:, x].max())
            assert heights.min() <= mean[x] <= heights.max()

    hold("mean within its band", check, seed=SEEDS, seeds=st.integers(2, 6))


def test_every_edge_of_an_acyclic_graph_runs_to_the_right_and_no_two_nodes_lie_on_each_other(hold):
    def check(seed, nodes):
        rng = np.random.default_rng(seed)
        pairs = [pair for pair in itertools.combinations(range(nodes), 2) if rng.random() < 0.4]
        graph = nx.DiGraph(pairs)
        graph.add_nodes_from(range(nodes))
        positions, routes = layered_layout(graph)
        assert positions.keys() == set(range(nodes))
        assert all(positions[a][0] < positions[b][0] for a, b in pairs)
        assert len(routes) == len(pairs)
        places = list(positions.values())
        assert all(a[0] != b[0] or abs(a[1] - b[1]) > 0.69 for a, b in itertools.combinations(places, 2))

    hold("layout of a graph", check, seed=SEEDS, nodes=st.integers(1, 9))


def test_the_parts_of_a_bar_lie_end_to_end_and_add_up_to_it(hold):
    def check(amounts):
        bar = {f"part {k}": amount for k, amount in enumerate(amounts)}
        ax = plot_parts({"a": bar}, xlabel="seconds")
        ends = np.cumsum([0.0, *amounts])
        np.testing.assert_allclose([p.get_x() for p in ax.patches], ends[:-1], atol=1e-9)
        np.testing.assert_allclose(ax.patches[-1].get_x() + ax.patches[-1].get_width(), ends[-1])

    hold("parts add up", check, amounts=AMOUNTS)


def test_a_histogram_of_measurements_is_a_density_and_its_prediction_has_an_area_of_at_most_one(hold):
    def check(seed, sd, bins):
        values = np.random.default_rng(seed).normal(3.0, sd, 50)
        ax = plot_spread(values, predicted={"normal": (3.0, sd)}, xlabel="x", bins=bins)
        heights, edges, _ = ax.patches[0].get_data()
        assert (heights * np.diff(edges)).sum() == pytest.approx(1)
        x, density = ax.lines[0].get_data()
        assert 0.95 < ((density[1:] + density[:-1]) * np.diff(x) / 2).sum() <= 1 + 1e-9

    hold("densities", check, seed=SEEDS, sd=st.floats(0.01, 100), bins=st.integers(1, 40))


def test_the_calibration_error_that_is_written_is_the_mean_gap_weighted_by_the_examples(hold):
    def check(seed, bins):
        rng = np.random.default_rng(seed)
        confidence, accuracy, counts = rng.random(bins), rng.random(bins), rng.integers(1, 90, bins)
        ax = plot_reliability(confidence, accuracy, counts)
        expected = np.repeat(abs(confidence - accuracy), counts).mean()
        assert float(ax.texts[0].get_text().split()[-2]) == pytest.approx(100 * expected, abs=0.0501)

    hold("calibration error", check, seed=SEEDS, bins=st.integers(1, 9))


def test_an_exact_zero_stands_left_of_every_positive_difference_and_at_the_end_of_the_axis(hold):
    def check(values):
        ax = plot_gaps({"nothing": [0.0], "something": values}, xlabel="difference")
        (zero,), places = (line.get_xdata() for line in ax.lines)
        assert zero < min(values)
        assert ax.get_xlim()[0] == pytest.approx(zero)
        np.testing.assert_array_equal(places, values)

    hold("zeros on a logarithmic axis", check, values=st.lists(st.floats(1e-12, 1e3), min_size=1, max_size=5))


def test_an_outcome_has_the_colour_of_its_place_in_matrix_order(hold):
    def check(seed, n1, n2):
        outcomes = np.random.default_rng(seed).integers(-1, 3, (n1, n2))
        ax = plot_outcomes(range(n1), range(n2), outcomes, ["a", "b", "c"])
        np.testing.assert_array_equal(ax.collections[0].get_array().reshape(n2, n1), outcomes.T)

    hold("matrix order", check, seed=SEEDS, n1=st.integers(2, 5), n2=st.integers(2, 5))


def test_the_quartiles_of_searches_surround_their_median_and_none_of_the_three_rises(hold):
    def check(seed, searches):
        runs = np.minimum.accumulate(np.random.default_rng(seed).random((searches, 6)), axis=1)
        ax = plot_search_progress({"TPE": runs}, ylabel="loss")
        middle, corners = ax.lines[0].get_ydata(), ax.collections[0].get_paths()[0].vertices
        ends = np.array([np.sort(corners[corners[:, 0] == x, 1])[[0, -1]] for x in range(1, 7)])
        assert (ends[:, 0] <= middle).all()
        assert (middle <= ends[:, 1]).all()
        assert (np.diff(np.column_stack([ends, middle]), axis=0) <= 0).all()

    hold("quartiles", check, seed=SEEDS, searches=st.integers(1, 7))


def test_a_published_number_keeps_its_side_and_stays_within_the_axes(hold):
    def check(distances, limit):
        ax = plot_published({"a": distances}, limit=limit, xlabel="distance")
        places = [float(line.get_xdata()[0]) for line in ax.lines[1:]]
        for distance, place in zip(distances, places, strict=True):
            assert abs(place) <= limit
            assert place == pytest.approx(distance) or abs(distance) >= limit
            assert distance * place >= 0

    hold("within the axes", check, distances=st.lists(st.floats(-50, 50), min_size=1, max_size=5),
         limit=st.floats(1.1, 9))  # fmt: skip
