"""Calls of `curvature`, for the fuzzer. Products are of a small symmetric matrix, losses of a network of 13 weights."""

import torch
import torch.nn.functional as F
from fuzzing import Call

from course_utils.curvature import (
    Quadrature,
    central_difference,
    double_backward,
    exact_hessian,
    flat_loss,
    forward_over_reverse,
    hessian_vector_product,
    hutch_plus_plus,
    hutchinson,
    lanczos,
    lanczos_eigenvalues,
    sharpness,
    spectral_density,
    stochastic_lanczos,
    top_eigenvalues,
)
from course_utils.models import MLP
from course_utils.seeding import make_generator

NUMBERS = ("nan", "inf", "negative", "huge")  # they come out again
LENGTHS = ("one row fewer", "one column more")
RETURNS_NAN = "function that returns nan"
H = torch.diag(torch.arange(1.0, 7.0, dtype=torch.float64)) + 0.1


def product(v):
    return H @ v


def value(w):
    return (w**4).sum() + w[0] * w[1]


def vector():
    return torch.tensor([0.5, -1.0, 2.0, 0.3, 0.7, -0.2], dtype=torch.float64)


def network():
    return MLP((2, 2, 3), generator=make_generator(0))


def x():
    return torch.tensor([[0.5, -1.0], [2.0, 0.3], [0.7, -0.2], [-0.4, 1.1]])


def y():
    return torch.tensor([0, 2, 1, 1])


def of_product(function, vector_is="like", takes=None, **numbers):
    """Return the call of an estimate that needs products of H alone."""
    made = {} if vector_is == "start" else {"generator": make_generator}
    return Call(
        function,
        lambda: {"product": product, vector_is: vector(), **{n: f(0) for n, f in made.items()}, **numbers},
        takes={"start": ("negative", "huge"), "like": (*NUMBERS, "nan vanishes")}
        | (takes or {}),  # of `like`, only the kind matters
    )


def of_value(function, *vectors, takes=None, **numbers):
    """Return the call of a function of a loss, a point and a direction."""
    return Call(
        function,
        lambda: {"value": value, **{name: vector() for name in vectors}, **numbers},
        takes={"value": (RETURNS_NAN,), "w": NUMBERS, "v": NUMBERS, "step": ("1e308",)} | (takes or {}),
    )


def of_network(function, takes=None, **numbers):
    """Return the call of a function of a network and its loss on four examples."""
    return Call(
        function,
        lambda: {
            "model": network(),
            "x": x(),
            "y": y(),
            "loss": F.cross_entropy,
            **({"generator": make_generator(0)} | numbers if numbers else {}),
        },
        takes=takes or {},
    )


def loss_of_flat_weights(model, x, y, loss):
    on, w = flat_loss(model, x, y, loss=loss)
    return on(w), w


loss_of_flat_weights.covers = "curvature.networks.flat_loss"


def product_of_loss(loss, parameters):
    return hessian_vector_product(loss, parameters)(torch.ones(6, dtype=torch.float64))


product_of_loss.covers = "curvature.products.hessian_vector_product"


def a_loss():
    w = vector().requires_grad_()
    return {"loss": value(w), "parameters": [w]}


def quadrature():
    return Quadrature(vector(), torch.full((6,), 1 / 6, dtype=torch.float64))


CALLS = [
    of_product(lanczos, "start", num_steps=4, reorthogonalize=True),
    of_product(lanczos_eigenvalues, "start", num_eigenvalues=2, num_steps=4),
    of_product(stochastic_lanczos, num_probes=2, num_steps=3),
    of_product(hutchinson, takes={"product": (RETURNS_NAN,)}, num_products=3),
    of_product(hutch_plus_plus, takes={"product": (RETURNS_NAN,)}, num_products=3),
    of_value(double_backward, "w", "v"),
    of_value(forward_over_reverse, "w", "v"),
    of_value(central_difference, "w", "v", step=1e-4),
    of_value(exact_hessian, "w", takes={"w": (*NUMBERS, *LENGTHS, "half")}),
    Call(product_of_loss, a_loss),
    Call(
        spectral_density,
        lambda: {"spectrum": quadrature(), "grid": vector(), "sigma": 0.5},
        takes={
            "grid": (
                *NUMBERS,
                *LENGTHS,
                "half",
                "empty",
            ),
            "sigma": ("1e308",),
        },
    ),
    of_network(loss_of_flat_weights, {"loss": (RETURNS_NAN,), "x": NUMBERS, "model": ("module with nan",)}),
    of_network(top_eigenvalues, {"x": ("negative",), "generator": ("None",)}, num_eigenvalues=2, num_steps=3),
    of_network(sharpness, {"x": ("negative",), "generator": ("None",)}, num_steps=3),
]
EXEMPT: dict[str, str] = {}
