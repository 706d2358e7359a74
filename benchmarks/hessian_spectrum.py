"""What do the top of a Hessian's spectrum, its trace and its density cost? Ours beside three packages.

Top five eigenvalues of the Hessian of S0's network, 633,226 parameters, on 1,000 images. PyHessian runs power iteration
with deflation to its tolerance of 1e-3; hessian-eigenthings and curvlinops get what brings them to our accuracy, as
many Lanczos steps and ARPACK to a tolerance of 1e-6: a cheaper answer to another question is no peer. Accuracy is
measured in hessian_accuracy.py, on a small network, whose exact Hessian is known.
"""

import copy
import gc
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from networks import images, trained
from records import MissingPeerError, Record, Skipped, compare, label_of, quiet, require
from timing import interleave
from torch import Tensor, nn

from course_utils.curvature import hessian_vector_product, top_eigenvalues

NUM_IMAGES, TOP, STEPS = 1_000, 5, 20
WHAT = f"top {TOP} Hessian eigenvalues, 633,226 parameters, {NUM_IMAGES:,} images"


def by_pyhessian(model: nn.Module, x: Tensor, y: Tensor, top: int = TOP) -> list[float]:
    """Return the eigenvalues that PyHessian finds; its graph, which it leaves in `.grad`, is released."""
    package = require("pyhessian", "PyHessian")
    with quiet():
        values = package.hessian(model, F.cross_entropy, data=(x, y), cuda=False).eigenvalues(top_n=top)[0]
    model.zero_grad()
    gc.collect()  # the graph and the gradients hold each other
    return [float(value) for value in values]


def by_eigenthings(model: nn.Module, x: Tensor, y: Tensor, top: int = TOP) -> list[float]:
    """Return those of hessian-eigenthings, with as many Lanczos steps as ours."""
    package = require("hessian_eigenthings", "hessian-eigenthings")
    loss = package.supervised_loss(F.cross_entropy)
    operator = package.HessianOperator(model, [(x, y)], loss)
    values = package.lanczos(operator, k=top, max_iter=STEPS, which="LA", seed=0).eigenvalues
    return sorted(map(float, values), reverse=True)


def by_curvlinops(model: nn.Module, x: Tensor, y: Tensor, top: int = TOP) -> list[float]:
    """Return those of ARPACK on the operator of curvlinops."""
    package = require("curvlinops", "curvlinops-for-pytorch")
    sparse = require("scipy.sparse.linalg", "scipy")
    with quiet():
        operator = package.HessianLinearOperator(
            model, nn.CrossEntropyLoss(), list(model.parameters()), [(x, y)], check_deterministic=False
        )
        values = sparse.eigsh(operator.to_scipy(), k=top, which="LA", tol=1e-6, return_eigenvectors=False)
    return sorted(map(float, values), reverse=True)


# distribution -> module, the way above, and our goal beside it
PEERS = {
    "PyHessian": ("pyhessian", by_pyhessian, 3.0),
    "hessian-eigenthings": ("hessian_eigenthings", by_eigenthings, None),
    "curvlinops-for-pytorch": ("curvlinops", by_curvlinops, None),
}


def make_products() -> Callable[[], None]:
    """Return the products of our method and nothing else: the floor of every method that takes as many."""
    model, (x, y) = copy.deepcopy(trained()), images(NUM_IMAGES)
    parameters = list(model.parameters())
    v = torch.ones(sum(p.numel() for p in parameters))

    def products() -> None:
        product = hessian_vector_product(F.cross_entropy(model(x), y), parameters)
        for _ in range(STEPS):
            product(v)

    return products


def rows() -> list[Record]:
    """Return a row for every peer that is installed."""
    torch.set_num_threads(1)
    model, (x, y) = copy.deepcopy(trained()), images(NUM_IMAGES)
    functions: dict[str, Callable[[], object]] = {
        "top_eigenvalues": lambda: top_eigenvalues(model, x, y, num_eigenvalues=TOP, num_steps=STEPS),
        "products": make_products(),
    }
    skipped: list[Record] = []
    for name, (module, way, _) in PEERS.items():
        try:
            require(module, name)
        except MissingPeerError as error:
            skipped.append(Skipped(f"{WHAT}, beside {name}", str(error)))
        else:
            functions[name] = partial(way, model, x, y)
    seconds = interleave(functions, 4)
    ratios: list[Record] = [
        compare(seconds, what=WHAT, peer=name, peer_version=label_of(name), ours="top_eigenvalues", goal=goal,
                floor="products")
        for name, (_, _, goal) in PEERS.items() if name in functions
    ]  # fmt: skip
    return [*ratios, *skipped]


if __name__ == "__main__":
    for record in rows():
        print(record)
