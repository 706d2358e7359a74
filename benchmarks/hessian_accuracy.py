"""Are the cheap answers about a Hessian right? Eigenvalues, trace and density beside a Hessian that is known exactly.

The network is 49-12-10, 730 parameters, trained on 1,000 digits of 7 x 7 pixels; its Hessian is formed in float64 and
diagonalized; the estimates run in float32, on products alone. What one product costs, in gradients, is measured on S0's
network.
"""

import copy
from collections.abc import Callable

import torch
import torch.nn.functional as F
from hessian_spectrum import PEERS, TOP
from networks import images, trained
from records import Limit, MissingPeerError, Record, label_of, quiet, require
from timing import interleave, ratio_of
from torch import Tensor, nn

from course_utils.curvature import (
    Product,
    exact_hessian,
    flat_loss,
    hessian_vector_product,
    hutch_plus_plus,
    stochastic_lanczos,
    top_eigenvalues,
)
from course_utils.models import MLP
from course_utils.optimizers import Adam
from course_utils.seeding import make_generator
from course_utils.training import train

WIDTHS = (49, 12, 10)
NUM_PRODUCTS, NUM_SEEDS = 30, 20


def make_small() -> tuple[MLP, Tensor, Tensor]:
    """Return the small network, trained, with its images and classes."""
    x, y = images(1_000)
    x = F.avg_pool2d(x.view(-1, 1, 28, 28), 4).flatten(1)
    model = MLP(WIDTHS, generator=make_generator(0))
    train(model, (x, y), Adam(model.parameters()), num_epochs=50, batch_size=50, generator=make_generator(0))
    model.zero_grad()
    return model.eval(), x, y


def exact_eigenvalues(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Return all eigenvalues [n], descending, of the Hessian formed in float64."""
    value, w = flat_loss(copy.deepcopy(model).double(), x.double(), y)
    eigenvalues: Tensor = torch.linalg.eigvalsh(exact_hessian(value, w)).flip(0)
    return eigenvalues


def product_of(model: nn.Module, x: Tensor, y: Tensor) -> tuple[Product, Tensor]:
    """Return v -> H v with the graph kept, and a tensor of v's shape."""
    parameters = list(model.parameters())
    like = torch.empty(sum(p.numel() for p in parameters))
    return hessian_vector_product(F.cross_entropy(model(x), y), parameters), like


def eigenvalue_errors(exact: Tensor, model: nn.Module, x: Tensor, y: Tensor) -> Limit:
    """Return the largest relative error of our top eigenvalues, with those of the peers that are installed."""

    def error(values: Tensor) -> float:
        return float((values.double() / exact[:TOP] - 1).abs().max())

    others = []
    for name, (module, way, _) in PEERS.items():
        try:
            require(module, name)
        except MissingPeerError:
            continue  # hessian_spectrum.py says so
        others.append(f"{label_of(name)}: {error(torch.tensor(way(model, x, y))):.0e}")
    ours = error(top_eigenvalues(model, x, y, num_eigenvalues=TOP))
    what = f"top {TOP} eigenvalues of {len(exact)}, largest relative error"
    return Limit(what, "top_eigenvalues, float32", ours, 1e-5, note="; ".join(others))


def trace_error(exact: Tensor, model: nn.Module, x: Tensor, y: Tensor) -> Limit:
    """Return the root mean square relative error of Hutch++ over seeds."""
    product, like = product_of(model, x, y)
    estimates = torch.tensor([
        hutch_plus_plus(product, like, generator=make_generator(seed), num_products=NUM_PRODUCTS)
        for seed in range(NUM_SEEDS)
    ])  # fmt: skip
    error = float((estimates / exact.sum() - 1).square().mean().sqrt())
    return Limit(f"trace from {NUM_PRODUCTS} products, error over {NUM_SEEDS} seeds", "hutch_plus_plus",
                 100 * error, 3.0, "% (root mean square)")  # fmt: skip


def density_error(exact: Tensor, model: nn.Module, x: Tensor, y: Tensor) -> Limit:
    """Return the mean distance by which eigenvalues of the density have to be moved, over the largest eigenvalue."""
    product, like = product_of(model, x, y)
    found = stochastic_lanczos(product, like, generator=make_generator(0), num_probes=10, num_steps=20)
    order = found.nodes.argsort()
    nodes, share = found.nodes[order], found.weights[order].cumsum(0)
    middles = (torch.arange(len(exact), dtype=torch.float64) + 0.5) / len(exact)
    matched = nodes[torch.searchsorted(share, middles).clamp(max=len(nodes) - 1)]
    error = float((matched - exact.flip(0)).abs().mean() / exact[0])
    return Limit("density from 10 x 20 products, Wasserstein distance over the top", "stochastic_lanczos", error, 0.01,
                 note=peer_density(model, x, y))  # fmt: skip


def peer_density(model: nn.Module, x: Tensor, y: Tensor) -> str:
    """Say what PyHessian's density does on this torch."""
    name = "PyHessian"
    try:
        package = require("pyhessian", name)
    except MissingPeerError as error:
        return str(error)
    name = label_of(name)
    try:
        with quiet():
            package.hessian(model, F.cross_entropy, data=(x, y), cuda=False).density(iter=20)
    except (AttributeError, RuntimeError) as error:
        return f"{name} fails on {label_of('torch')}: {str(error).split('. ')[0]}"
    finally:
        model.zero_grad()
    return f"{name} works on {label_of('torch')}"


def product_cost(rounds: int = 7) -> Limit:
    """Return the seconds of one product over those of one gradient (forward and backward), on S0's network."""
    model, (x, y) = copy.deepcopy(trained()), images(1_000)
    product, like = product_of(model, x, y)
    v = torch.ones_like(like)

    def gradient() -> None:
        torch.autograd.grad(F.cross_entropy(model(x), y), list(model.parameters()))

    functions: dict[str, Callable[[], object]] = {"product": lambda: product(v), "gradient": gradient}
    ratio = ratio_of(interleave(functions, rounds, calls=3), peer="product", ours="gradient")
    return Limit(
        "one Hessian-vector product", "hessian_vector_product", ratio.median, 1.7, "gradients", f"{ratio}"
    )


def rows() -> list[Record]:
    """Return what is right, and what one product costs."""
    torch.set_num_threads(1)
    small = make_small()
    exact = exact_eigenvalues(*small)
    return [
        product_cost(),
        *(check(exact, *small) for check in (eigenvalue_errors, trace_error, density_error)),
    ]


if __name__ == "__main__":
    for record in rows():
        print(record)
