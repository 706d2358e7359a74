"""A drawn graph shows every node once, edges run to the right, and the figures leave no trace in the settings."""

import itertools

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
import pytest

from course_utils import autodiff as ad
from course_utils.plotting.graphs import layered_layout, plot_computation_graph, plot_memory, plot_step_error

pytestmark = pytest.mark.usefixtures("close_figures")


@pytest.fixture
def network():
    x = ad.Variable(np.ones(5), "x", requires_grad=False)
    W1, W2 = ad.Variable(np.ones((4, 5)), "W1"), ad.Variable(np.ones((3, 4)), "W2")
    h = ad.tanh((W1 @ x).named("z")).named("h")
    loss = (
        ad.cross_entropy((W2 @ h).named("o"), np.array(1))
        + (ad.squared_norm(W1) + ad.squared_norm(W2)) * 0.05
    )
    return ad.graph(loss.named("J"))


def test_every_edge_runs_to_the_right(network):
    positions, routes = layered_layout(network)
    assert all(positions[tail][0] < positions[head][0] for tail, head in network.edges)
    assert len(routes) == network.number_of_edges()
    assert all(b[0] - a[0] == 1 for route in routes for a, b in itertools.pairwise(route))


def test_no_two_nodes_overlap_and_no_edge_runs_through_a_node(network):
    positions, routes = layered_layout(network)
    for a, b in itertools.combinations(positions.values(), 2):
        assert a[0] != b[0] or abs(a[1] - b[1]) > 0.99
    bends = [point for route in routes for point in route[1:-1]]
    assert bends
    assert all(p[0] != q[0] or abs(p[1] - q[1]) > 0.69 for p in bends for q in positions.values())


def test_leaf_stands_next_to_its_first_use(network):
    positions, _ = layered_layout(network)
    node = next(n for n, data in network.nodes(data=True) if data["label"] == "y")
    (user,) = network.successors(node)
    assert positions[user][0] - positions[node][0] == 1


def test_graph_shows_labels_shapes_and_marks_what_is_kept(network):
    ax = plot_computation_graph(network)
    texts = [text.get_text() for text in ax.texts]
    assert {"x", "W1", "z", "tanh", "h", "W2", "o", "J"} <= set(texts)
    assert {"5", "4×5", "3×4", "4", "3"} <= set(texts)
    widths = [collection.get_linewidths()[0] for collection in ax.collections]
    assert len(widths) == len(network)
    stored = sum(bool(data.get("stored")) for _, data in network.nodes(data=True))
    assert sum(width > 2 for width in widths) == stored > 3


def test_graph_of_one_node_can_be_drawn_on_given_axes():
    _, ax = plt.subplots()
    assert plot_computation_graph(ad.graph(ad.Variable(2.0, "x")), ax=ax) is ax


def test_layout_takes_any_acyclic_graph():
    positions, _ = layered_layout(nx.DiGraph([("a", "b"), ("b", "c"), ("a", "c"), ("d", "c")]))
    assert {node: column for node, (column, _) in positions.items()} == {"a": 0, "b": 1, "c": 2, "d": 1}


def test_memory_bars_stack_to_their_total_in_mebibytes():
    bars = {
        "B = 1": {"weights": 2**20, "activations": 2**19},
        "B = 2": {"weights": 2**20, "activations": 2**20},
    }
    ax = plot_memory(bars, predicted={"B = 1": 1.5 * 2**20, "B = 2": 2**21})
    tops = [patch.get_y() + patch.get_height() for patch in ax.patches]
    assert tops == [1.0, 1.0, 1.5, 2.0]
    assert [line.get_ydata()[0] for line in ax.lines] == [1.5, 2.0]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["B = 1", "B = 2"]


def test_step_errors_are_drawn_on_logarithmic_axes_with_the_prediction():
    steps = [1e-6, 1e-4, 1e-2]
    ax = plot_step_error(
        steps, {"central": [1e-9, 1e-8, 0.0]}, predicted={"h²": [1e-12, 1e-8, 1e-4]}, best=1e-5
    )
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert len(ax.lines) == 3
    assert ax.get_ylim() == pytest.approx(
        (2e-10, 5e-8)
    )  # an error of exactly 0 has no place on a logarithmic axis


@pytest.mark.parametrize(
    "plot", [plot_memory, lambda bars, ax: plot_step_error([1.0, 2.0], {"a": [1, 2]}, ax=ax)]
)
def test_given_axes_are_used(plot):
    _, ax = plt.subplots()
    assert plot({"one": {"weights": 8}}, ax=ax) is ax
