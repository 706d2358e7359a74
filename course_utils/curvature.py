r"""How sharply does the loss bend? The top of the Hessian's spectrum without ever forming the Hessian.

A product H v costs about two gradients: differentiate the gradient once more, along v. The graph of the gradient is
kept between products and released with the function that holds it.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.seeding import make_generator


def hessian_vector_product(loss: Tensor, parameters: Sequence[Tensor]) -> Callable[[Tensor], Tensor]:
    r"""Return v -> H v for the Hessian of `loss` with respect to the flattened `parameters`.

    .. math:: H v = \nabla_w \bigl( \nabla_w L \cdot v \bigr)

    Args:
        loss: one number, computed from the parameters; its graph is kept for as long as the function lives.
        parameters: tensors that require gradients, in the order in which v is laid out.
    Returns: a function of vectors [n]; `grad` of the parameters is not touched.
    Source: Pearlmutter 1994 (Neural Computation 6, p. 147-160), by double backward.
    """
    parameters = list(parameters)
    gradients = torch.autograd.grad(loss, parameters, create_graph=True)
    gradient = torch.cat([g.reshape(-1) for g in gradients])

    def product(v: Tensor) -> Tensor:
        if v.shape != gradient.shape:
            raise ValueError(f"v needs shape {tuple(gradient.shape)}, got {tuple(v.shape)}.")
        # a parameter on which the gradient does not depend (a linear one) has a row of zeros
        parts = torch.autograd.grad(gradient, parameters, v, retain_graph=True, materialize_grads=True)
        return torch.cat([part.reshape(-1) for part in parts])

    return product


def lanczos_eigenvalues(
    product: Callable[[Tensor], Tensor], start: Tensor, *, num_eigenvalues: int = 1, num_steps: int = 20
) -> Tensor:
    r"""Return the largest eigenvalues of a symmetric operator, descending.

    Builds an orthonormal basis of span{q, Hq, H²q, ...}, in which H is tridiagonal, and takes that small matrix's
    eigenvalues. Every new vector is made orthogonal to ALL earlier ones: without that, float32 invents copies of the
    top eigenvalue after some twenty steps.

    Args:
        product: v [n] -> H v [n].
        start: any vector [n] that is not orthogonal to the eigenvectors wanted; a random one.
        num_eigenvalues: how many to return, <= num_steps.
        num_steps: products of H; 20 give the top few to 1e-5 where the spectrum has outliers.
    Raises: ValueError: if fewer steps than eigenvalues are asked for, or the start is zero.
    Source: Lanczos 1950 (J. Res. Nat. Bur. Standards 45, p. 255-282); Golub and Van Loan 2013, section 10.1.
    """
    num_steps = min(num_steps, start.numel())
    if not 1 <= num_eigenvalues <= num_steps:
        raise ValueError(f"num_eigenvalues must lie in [1, {num_steps}], got {num_eigenvalues}.")
    if not start.norm() > 0:
        raise ValueError("start must not be the zero vector: draw it at random.")
    basis = [start / start.norm()]
    diagonal: list[float] = []
    off_diagonal: list[float] = []
    for step in range(num_steps):
        r = product(basis[-1])
        diagonal.append(float(r @ basis[-1]))
        stacked = torch.stack(basis)
        for _ in range(2):  # twice is enough: the first pass leaves rounding of the size of |r|
            r = r - stacked.T @ (stacked @ r)
        norm = float(r.norm())
        # the Krylov space is exhausted: what is left is rounding
        if step == num_steps - 1 or norm <= 10 * torch.finfo(r.dtype).eps * abs(diagonal[0]):
            break
        off_diagonal.append(norm)
        basis.append(r / norm)
    size = len(diagonal)
    tridiagonal = torch.diag(torch.tensor(diagonal, dtype=torch.float64))
    for i, value in enumerate(off_diagonal[: size - 1]):
        tridiagonal[i, i + 1] = tridiagonal[i + 1, i] = value
    eigenvalues: Tensor = torch.linalg.eigvalsh(tridiagonal).flip(0)
    return eigenvalues[:num_eigenvalues]


def sharpness(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
    num_steps: int = 20,
    generator: torch.Generator | None = None,
) -> float:
    r"""Return the largest eigenvalue of the Hessian of the model's mean loss over (x, y), for all its parameters.

    Gradient descent with learning rate :math:`\eta` is stable along its eigenvector while it is below :math:`2/\eta`.

    Args:
        model: in the mode it is in; weights, buffers and gradients are left as they were.
        x: inputs [N, ...] on the model's device.
        y: targets.
        loss: (output, y) -> mean over the batch; the sum would give N times the eigenvalue.
        num_steps: Hessian-vector products.
        generator: of the starting vector, on the CPU; None starts from the same vector at every call.
    Raises: ValueError: if the model has no parameter to train, or the loss is not finite.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise ValueError("sharpness needs a parameter that requires a gradient, this model has none.")
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}  # BatchNorm writes into these
    start = torch.randn(sum(p.numel() for p in parameters), generator=generator or make_generator(0),
                        dtype=parameters[0].dtype).to(parameters[0].device)  # fmt: skip
    with torch.enable_grad():
        value = loss(torch.func.functional_call(model, buffers, (x,)), y)
        if not torch.isfinite(value):
            raise ValueError(
                f"sharpness needs a finite loss, got {value.item()}: the run has left the range of its numbers."
            )
        product = hessian_vector_product(value, parameters)
    return float(lanczos_eigenvalues(product, start, num_steps=num_steps)[0])
