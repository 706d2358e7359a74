"""Local derivatives agree with finite differences and torch; reuse, broadcasting and depth change nothing."""

import gc
import operator

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from course_utils import autodiff as ad
from course_utils.gradcheck import compare_gradients, numerical_gradient

# Rounding only: some ten operations on numbers of order 1 to 10.
EXACT = 1e-12


def draw(*shape, low=-2.0, high=2.0):
    """Entries away from 0, where relu and log have no derivative; the same for a shape in every test."""
    values = np.random.default_rng(sum(shape) + len(shape)).uniform(low, high, shape)
    return values + 0.05 * np.sign(values)


ELEMENTWISE = {
    "exp": (ad.exp, torch.exp, draw(3, 4)),
    "log": (ad.log, torch.log, draw(3, 4, low=0.2)),
    "tanh": (ad.tanh, torch.tanh, draw(3, 4)),
    "sigmoid": (ad.sigmoid, torch.sigmoid, draw(3, 4)),
    "relu": (ad.relu, torch.relu, draw(3, 4)),
    "square": (lambda x: x**2, lambda x: x**2, draw(3, 4)),
    "inverse root": (lambda x: x**-0.5, lambda x: x**-0.5, draw(3, 4, low=0.2)),
    "negative": (operator.neg, operator.neg, draw(3, 4)),
    "sum": (lambda x: x.sum(), torch.sum, draw(3, 4)),
    "sum of columns": (lambda x: x.sum(0), lambda x: x.sum(0), draw(3, 4)),
    "sum, kept": (
        lambda x: x.sum((0, 2), keepdims=True),
        lambda x: x.sum((0, 2), keepdim=True),
        draw(3, 2, 4),
    ),
    "mean": (lambda x: x.mean(), torch.mean, draw(3, 4)),
    "mean of last": (lambda x: x.mean(-1), lambda x: x.mean(-1), draw(2, 3, 4)),
    "squared norm": (ad.squared_norm, lambda x: x.square().sum(), draw(3, 4)),
    "reshape": (lambda x: x.reshape(2, -1), lambda x: x.reshape(2, -1), draw(3, 4)),
    "T": (lambda x: x.T, lambda x: x.T, draw(3, 4)),
    "transpose": (lambda x: x.transpose(2, 0, 1), lambda x: x.permute(2, 0, 1), draw(2, 3, 4)),
    "negative axes": (lambda x: x.transpose(0, -1, 1), lambda x: x.permute(0, -1, 1), draw(2, 3, 4)),
    "slice": (lambda x: x[1:, ::2], lambda x: x[1:, ::2], draw(3, 4)),
    "repeated rows": (lambda x: x[[2, 0, 2]], lambda x: x[[2, 0, 2]], draw(3, 4)),
    "entry": (lambda x: x[1, 2], lambda x: x[1, 2], draw(3, 4)),
}
PAIRS = {
    "same": ((3, 4), (3, 4)),
    "row": ((3, 4), (4,)),
    "column": ((3, 1), (3, 4)),
    "outer": ((3, 1), (1, 4)),
    "number": ((), (3, 4)),
    "batch": ((2, 3, 4), (3, 1)),
}
PRODUCTS = {
    "matrices": ((3, 4), (4, 2)),
    "matrix, vector": ((3, 4), (4,)),
    "vector, matrix": ((3,), (3, 4)),
    "vectors": ((4,), (4,)),
    "batches": ((5, 3, 4), (5, 4, 2)),
    "shared right": ((5, 3, 4), (4, 2)),
    "shared left": ((3, 4), (5, 4, 2)),
    "batch, vector": ((5, 3, 4), (4,)),
    "vector, batch": ((3,), (5, 3, 4)),
    "two batch axes": ((2, 1, 3, 4), (5, 4, 2)),
}


def assert_agrees_with_torch(ours, theirs, *values):
    """Pull one non-uniform gradient back through both and compare values and gradients."""
    variables = [ad.Variable(value, f"x{i}") for i, value in enumerate(values)]
    tensors = [torch.tensor(value, requires_grad=True) for value in values]
    result, expected = ours(*variables), theirs(*tensors)
    np.testing.assert_allclose(result.value, expected.detach().numpy(), rtol=EXACT, atol=EXACT)
    seed = draw(*result.shape)
    result.backward(seed)
    expected.backward(torch.as_tensor(seed))
    for variable, tensor in zip(variables, tensors, strict=True):
        np.testing.assert_allclose(variable.grad, tensor.grad.numpy(), rtol=EXACT, atol=EXACT)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_function_agrees_with_torch(name):
    assert_agrees_with_torch(*ELEMENTWISE[name])


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_function_agrees_with_finite_differences(name):
    f, _, value = ELEMENTWISE[name]
    x = ad.Variable(value)
    seed = draw(*f(x).shape)
    (f(x) * seed).sum().backward()
    numeric = numerical_gradient(lambda v: (f(ad.Variable(v)) * seed).sum().value, value)
    # eps^(2/3) times values and third derivatives of up to some hundred
    assert compare_gradients(x.grad, numeric).max_abs_error < 1e-8


@pytest.mark.parametrize("op", [operator.add, operator.sub, operator.mul, operator.truediv])
@pytest.mark.parametrize("shapes", PAIRS.values(), ids=PAIRS)
def test_arithmetic_sums_gradients_over_what_was_broadcast(op, shapes):
    assert_agrees_with_torch(op, op, *(draw(*shape) for shape in shapes))


@pytest.mark.parametrize("shapes", PRODUCTS.values(), ids=PRODUCTS)
def test_matmul_agrees_with_torch(shapes):
    a, b = (draw(*shape) for shape in shapes)
    assert_agrees_with_torch(operator.matmul, operator.matmul, a, b + 0.1)


@pytest.mark.parametrize("op", [operator.add, operator.sub, operator.mul, operator.truediv, operator.matmul])
def test_array_on_the_left_gives_one_variable(op):
    a, b = draw(4, 4), draw(2, 4, 4)[0]
    x = ad.Variable(b)
    result = op(a, x)
    assert isinstance(result, ad.Variable)
    np.testing.assert_allclose(result.value, op(a, b), rtol=EXACT)
    tensor = torch.tensor(b, requires_grad=True)
    op(torch.tensor(a), tensor).sum().backward()
    result.sum().backward()
    np.testing.assert_allclose(x.grad, tensor.grad.numpy(), rtol=EXACT, atol=EXACT)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("shape", [(5,), (3, 5), (2, 3, 5)])
def test_cross_entropy_agrees_with_torch(reduction, shape):
    labels = np.arange(int(np.prod(shape[:-1]))).reshape(shape[:-1]) % shape[-1]
    assert_agrees_with_torch(
        lambda o: ad.cross_entropy(o, labels, reduction=reduction),
        lambda o: F.cross_entropy(o.reshape(-1, 5), torch.tensor(labels).reshape(-1), reduction=reduction),
        3 * draw(*shape),
    )


def test_cross_entropy_takes_probabilities():
    targets = np.array([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]])
    assert_agrees_with_torch(
        lambda o: ad.cross_entropy(o, targets),
        lambda o: F.cross_entropy(o, torch.tensor(targets)),
        draw(2, 3),
    )


def test_huge_numbers_overflow_neither_in_sigmoid_nor_in_cross_entropy():
    x = ad.Variable([[-1000.0, 1000.0]])
    (ad.sigmoid(x).sum() + ad.cross_entropy(x, np.array([0]))).backward()
    np.testing.assert_array_equal(x.grad, [[-1.0, 1.0]])


def test_relu_has_derivative_zero_at_zero():
    x = ad.Variable([0.0, -0.0])
    ad.relu(x).sum().backward()
    np.testing.assert_array_equal(x.grad, [0.0, 0.0])


def test_gradient_of_a_variable_used_several_times_is_the_sum_over_the_uses():
    def diamond(x):
        y = x * x
        z = y + x
        return y * z + x  # paths of length 1, 2 and 3 from the result to x

    assert_agrees_with_torch(diamond, diamond, draw(3, 2))


def test_gradients_of_two_calls_add_up_also_between_leaf_and_result():
    x = ad.Variable(3.0)
    y = x**2
    z = 2.0 * y
    z.backward()
    z.backward()
    assert (x.grad, y.grad, z.grad) == (24.0, 4.0, 2.0)


def test_constants_get_no_gradient_and_frozen_weights_keep_no_values():
    W, x = ad.Variable(draw(2, 3), "W"), ad.Variable(draw(3), "x", requires_grad=False)
    (W @ x).sum().backward()
    assert x.grad is None
    assert [array.name for array in ad.stored_arrays((W @ x).sum())] == ["x"]
    frozen = ad.Variable(draw(2, 3), requires_grad=False) @ x
    assert not frozen.requires_grad
    assert ad.stored_arrays(frozen) == []


def test_inputs_are_left_alone_and_gradients_do_not_share_memory():
    value = draw(3, 4)
    before = value.copy()
    x, y = ad.Variable(value), ad.Variable(value)
    total = x + y
    total.backward(np.ones((3, 4)))
    np.testing.assert_array_equal(value, before)
    x.grad += 1.0
    assert (y.grad == 1.0).all()
    assert (total.grad == 1.0).all()


def test_chain_of_fifty_thousand_operations_needs_no_recursion():
    x = node = ad.Variable(1.0)
    for _ in range(50_000):
        node = node + 1e-3
    node.backward()
    assert x.grad == 1.0
    del node
    gc.collect()


def test_order_puts_parents_first_and_lists_every_node_once():
    x = ad.Variable(2.0)
    y = x * x
    z = y + x
    order = ad.topological_order(y * z)
    assert len(order) == len({id(node) for node in order}) == 4
    position = {id(node): i for i, node in enumerate(order)}
    assert all(position[id(p.parent)] < position[id(node)] for node in order for p in node.pulls)


def every_operation():
    a, b = ad.Variable(draw(3, 4, low=0.2)), ad.Variable(draw(4, 3, low=0.2))
    c = ad.tanh(a @ b) * ad.sigmoid(a @ b) / ad.exp(-a @ b) - ad.relu(b.T @ a.T) ** 2
    d = ad.log(c.reshape(9)[1:4] ** 2).sum() + a.transpose().mean(0).sum() + ad.squared_norm(b)
    return ad.cross_entropy((c * d).sum(0, keepdims=True), np.array([1]))


def test_no_local_derivative_holds_an_array_that_it_does_not_declare():
    """The memory report is honest only if nothing is smuggled past it in a closure."""
    for node in ad.topological_order(every_operation()):
        for pull in node.pulls:
            cells = [cell.cell_contents for cell in getattr(pull.vjp, "__closure__", None) or ()]
            assert not [c for c in cells if isinstance(c, np.ndarray | ad.Node)], node.op


def two_layers(batch):
    x = ad.Variable(draw(batch, 5), "x", requires_grad=False)
    W1, W2 = ad.Variable(draw(4, 5), "W1"), ad.Variable(draw(3, 4), "W2")
    h = ad.tanh((x @ W1.T).named("z")).named("h")
    o = (h @ W2.T).named("o")
    return ad.cross_entropy(o, np.arange(batch) % 3).named("L")


def test_stored_arrays_are_inputs_activations_and_the_weight_on_the_way_back():
    stored = {array.name: array for array in ad.stored_arrays(two_layers(7))}
    # not W1: x needs no gradient. Not z: tanh' needs h. "?" are the probabilities, h counts once for two operations.
    assert sorted(stored) == ["?", "W2", "h", "x", "y"]
    assert stored["h"].needed_by == ("tanh", "@")
    assert stored["h"] == ("h", "intermediate", (7, 4), 7 * 4 * 8, ("tanh", "@"))
    assert stored["W2"].kind == "parameter"


@pytest.mark.parametrize("batch", [2, 7])
def test_stored_bytes_grow_with_the_batch_except_for_parameters(batch):
    loss = two_layers(batch)
    assert ad.stored_bytes(loss, "intermediate") == 8 * batch * (4 + 3)
    assert ad.stored_bytes(loss, "input") == 8 * batch * (5 + 3)
    assert ad.stored_bytes(loss, "parameter") == 8 * 3 * 4
    assert ad.stored_bytes(loss) == 8 * (batch * 15 + 12)


def test_graph_has_variables_and_operators_in_turn():
    graph = ad.graph(two_layers(7))
    kinds = {node: data["kind"] for node, data in graph.nodes(data=True)}
    assert all({kinds[a], kinds[b]} == {"variable", "operator"} for a, b in graph.edges)
    labels = [data["label"] for _, data in graph.nodes(data=True) if data["kind"] == "operator"]
    assert sorted(labels) == sorted(["ᵀ", "@", "tanh", "ᵀ", "@", "ℓ"])
    by_label = {data["label"]: data for _, data in graph.nodes(data=True) if data["kind"] == "variable"}
    assert by_label["h"] == {
        "kind": "variable",
        "label": "h",
        "shape": (7, 4),
        "role": "intermediate",
        "stored": True,
    }
    assert {name: by_label[name]["role"] for name in ("x", "y", "W1", "L")} == {
        "x": "input", "y": "input", "W1": "parameter", "L": "output"}  # fmt: skip
    assert {name: by_label[name]["stored"] for name in ("x", "z", "W1", "W2", "L")} == {
        "x": True, "z": False, "W1": False, "W2": True, "L": False}  # fmt: skip


def test_factor_used_twice_has_one_edge_into_its_operator():
    x = ad.Variable(3.0, "x")
    graph = ad.graph((x * x).named("y"))
    assert list(graph.edges) == [(0, 2), (2, 1)]


def test_representation_shows_name_shape_and_operation():
    x = ad.Variable(draw(2, 3), "x")
    assert repr(x) == "Variable('x', shape=(2, 3))"
    assert repr(ad.tanh(x).named("h")) == "Variable('h', shape=(2, 3), op='tanh')"
    assert x.sum().item() == pytest.approx(x.value.sum())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ad.Variable([1.0, 2.0]).backward(), r"starts from one number, got shape \(2,\)"),
        (lambda: ad.Variable([1.0, 2.0]).backward([1.0]), r"seed needs the shape of the variable, \(2,\), got \(1,\)"),
        (lambda: ad.as_variable(1.0).backward(), "depends on no variable that requires a gradient"),
        (lambda: ad.Variable(draw(2, 3)) @ draw(2, 3), r"shapes \(2, 3\) and \(2, 3\): 3 against 2"),
        (lambda: ad.Variable(draw(2, 3)) @ draw(2), "3 against 2. Is a transpose missing"),
        (lambda: ad.Variable(draw(2, 3)) @ 2.0, "Use \\* for numbers"),
        (lambda: ad.Variable(2.0) ** ad.Variable(3.0), r"exponent must be a number.*exp\(y \* log\(x\)\)"),
        (lambda: ad.cross_entropy(draw(2, 3), np.array([0, 3])), r"Class numbers must lie in \[0, 3\), got 0 to 3"),
        (lambda: ad.cross_entropy(draw(2, 3), np.array([0])), r"targets needs shape \(2\), got \(1,\)"),
        (lambda: ad.cross_entropy(draw(2, 3), draw(3, 3)), r"targets needs shape \(2, 3\), got \(3, 3\)"),
        (lambda: ad.cross_entropy(draw(2, 3), np.ones((2, 3))), "must sum to 1 over the last axis"),
        (lambda: ad.cross_entropy(draw(1, 3), ad.Variable([[0.0, 0.0, 1.0]])), "targets must be constants"),
        (lambda: ad.cross_entropy(draw(1, 3), np.array([0]), reduction="none"), "Unknown reduction 'none'"),
    ],
)  # fmt: skip
def test_error_says_what_is_wrong_and_the_way_out(call, message):
    with pytest.raises(ValueError, match=message):
        call()
