r"""What does the gradient do when the weights move along v? The product H v, three ways, and H itself as an oracle.

The three textbook forms take a function of one flat vector of weights and start anew for every v. The fast form,
`hessian_vector_product`, keeps the graph of the gradient between products and releases it with the function that
holds it: about 1.5 gradients per product instead of 2.6.
"""

import warnings
from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.autograd.functional import hessian

from course_utils._checks import check_floating, check_positive
from course_utils._given import check_differentiable, number_function
from course_utils._types import checked, describe

Product = Callable[[Tensor], Tensor]
Value = Callable[[Tensor], Tensor]

LARGEST_EXACT = 5_000  # parameters: 200 MB of float64, and its eigenvalues in half a minute


@checked
def double_backward(value: Value, w: Tensor, v: Tensor) -> Tensor:
    r"""Return H v by reverse over reverse: the gradient of the number :math:`\nabla L(w) \cdot v`.

    .. math:: H v = \nabla_w \bigl( \nabla_w L(w) \cdot v \bigr)

    Args:
        value: weights [n] -> loss, one number.
        w: the point, shape [n].
        v: the direction, shape [n].
    Raises: ValueError: if v has another shape than w, or `value` fails, does not return one number or one that does not
        depend on w. TypeError: if w holds no floating-point numbers.
    Source: Pearlmutter 1994 (Neural Computation 6, p. 147-160), by double backward.
    """
    _check_direction(w, v)
    with torch.enable_grad():
        w, gradient = _gradient_at(value, w, create_graph=True)
        if not gradient.requires_grad:  # a linear function: its gradient depends on nothing
            return torch.zeros_like(v)
        (product,) = torch.autograd.grad(gradient @ v, w, materialize_grads=True)
    return product


@checked
def forward_over_reverse(value: Value, w: Tensor, v: Tensor) -> Tensor:
    r"""Return H v by forward over reverse: how fast the gradient changes when w moves along v.

    .. math:: H v = \frac{d}{dt} \nabla L(w + t v) \Big|_{t=0}

    Every intermediate value carries its derivative in t along; no graph of the gradient is built.

    Args and errors: as of `double_backward`; where `value` does not depend on w, the product is zero.
    Source: Pearlmutter 1994, eq. 1; Baydin et al. 2018, arXiv:1502.05767, section 3.2.3.
    """
    _check_direction(w, v)
    value = number_function("value", value, "the point w")
    with warnings.catch_warnings():
        # torch.func's own use of torch.jit.script
        warnings.filterwarnings("ignore", message=r"`torch\.jit", category=DeprecationWarning)
        warnings.filterwarnings("ignore", message=r"`torch\.jit", category=FutureWarning)
        product: Tensor = torch.func.jvp(torch.func.grad(value), (w.detach().contiguous(),), (v,))[1]
    return product


@checked
def central_difference(value: Value, w: Tensor, v: Tensor, *, step: float) -> Tensor:
    r"""Return H v approximately, from two gradients.

    .. math:: H v \approx \frac{\nabla L(w + \epsilon v) - \nabla L(w - \epsilon v)}{2 \epsilon}

    The formula errs by :math:`\epsilon^2` times a third derivative, rounding by about :math:`u \|g\| / \epsilon` for
    numbers with relative spacing u: no step is good in float32 where v has many entries.

    Args:
        value: weights [n] -> loss, one number; smooth between the two points, which a ReLU network may not be.
        w: the point, shape [n].
        v: the direction, shape [n].
        step: :math:`\epsilon` > 0, in units of v.
    Raises: ValueError: as of `double_backward`, or if the step is not positive.
    """
    _check_direction(w, v)
    check_positive("step", step)
    with torch.enable_grad():
        ends = [_gradient_at(value, w + sign * step * v)[1] for sign in (1, -1)]
    return (ends[0] - ends[1]) / (2 * step)


@checked
def exact_hessian(value: Value, w: Tensor) -> Tensor:
    """Return the whole Hessian [n, n]: the oracle of small networks, n products and n² numbers.

    Args:
        value: weights [n] -> loss, one number.
        w: the point, shape [n], n <= 5000.
    Raises: ValueError: if there are more parameters, or `value` fails or does not return one number. TypeError: if w
        holds no floating-point numbers.
    """
    _check_point(w)
    if w.numel() > LARGEST_EXACT:
        raise ValueError(
            f"exact_hessian is for up to {LARGEST_EXACT:,} parameters, got {w.numel():,}: its size is the square. "
            "Use products and `lanczos`."
        )
    with torch.enable_grad():
        matrix: Tensor = hessian(number_function("value", value, "the point w"), w.detach())  # type: ignore[no-untyped-call]
    return matrix


@checked
def hessian_vector_product(loss: Tensor, parameters: Iterable[Tensor]) -> Product:
    r"""Return v -> H v for the Hessian of `loss` with respect to the flattened `parameters`, keeping the graph.

    .. math:: H v = \nabla_w \bigl( \nabla_w L \cdot v \bigr)

    Equal to `double_backward`, and cheaper from the second product on.

    Args:
        loss: one number, computed from the parameters; its graph is kept for as long as the function lives.
        parameters: tensors that require gradients, in the order in which v is laid out.
    Returns: a function of vectors [n]; `grad` of the parameters is not touched.
    Raises: ValueError: if the loss is not one number with a graph, or a parameter has no part in it.
    Source: Pearlmutter 1994 (Neural Computation 6, p. 147-160), by double backward.
    """
    parameters = list(parameters)
    if loss.numel() != 1 or not loss.requires_grad or not parameters:
        raise ValueError(f"the loss must be one number, computed from the parameters, got loss={describe(loss)} and "
                         f"{len(parameters)} parameters. Compute it outside of torch.no_grad().")  # fmt: skip
    if not all(p.requires_grad for p in parameters):
        raise ValueError("parameters must all require a gradient: pass those with p.requires_grad.")
    gradients = torch.autograd.grad(loss, parameters, create_graph=True, allow_unused=True)
    if unused := [k for k, g in enumerate(gradients) if g is None]:
        raise ValueError(
            f"parameters must all have a part in the loss, number {unused[0]} has none: leave it out."
        )
    gradient = torch.cat([g.reshape(-1) for g in gradients])

    def product(v: Tensor) -> Tensor:
        _check_direction(gradient, v)
        if not gradient.requires_grad:  # all parameters are linear
            return torch.zeros_like(v)
        # a parameter on which the gradient does not depend (a linear one) has a row of zeros
        parts = torch.autograd.grad(gradient, parameters, v, retain_graph=True, materialize_grads=True)
        return torch.cat([part.reshape(-1) for part in parts])

    return product


def _gradient_at(value: Value, w: Tensor, *, create_graph: bool = False) -> tuple[Tensor, Tensor]:
    """Return (the point as a leaf, the gradient there)."""
    w = w.detach().requires_grad_()
    number = number_function("value", value, "the point w")(w)
    check_differentiable("value", number, "w")
    return w, torch.autograd.grad(number, w, create_graph=create_graph)[0]


def _check_point(w: Tensor) -> None:
    check_floating(w=w)
    if w.ndim != 1:
        raise ValueError(f"w needs shape (n,), one flat vector, got {tuple(w.shape)}.")


def _check_direction(w: Tensor, v: Tensor) -> None:
    _check_point(w)
    if v.shape != w.shape:
        raise ValueError(f"v needs shape {tuple(w.shape)}, got {tuple(v.shape)}: that of the point w.")
    if v.dtype != w.dtype:
        raise ValueError(f"v needs the dtype of the point w, {w.dtype}, got {v.dtype}.")
