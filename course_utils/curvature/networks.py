r"""How sharply does a network's loss bend? Its loss as a function of one vector, and the top of its spectrum."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils._given import loss_of
from course_utils._types import checked
from course_utils.curvature.lanczos import lanczos_eigenvalues
from course_utils.curvature.products import Value, hessian_vector_product
from course_utils.seeding import make_generator

Loss = Callable[[Tensor, Tensor], Tensor]


@checked
def flat_loss(
    model: nn.Module, x: Tensor, y: Tensor, *, loss: Loss = F.cross_entropy
) -> tuple[Value, Tensor]:
    """Return (value, w): the loss over (x, y) as a function of one flat vector, and the model's weights as such.

    Args:
        model: gives the function, in the mode it is in; its weights and buffers are neither used up nor changed.
        x: inputs [N, ...] on the model's device.
        y: targets.
        loss: (output, y) -> one number.
    Returns: value, weights [n] -> loss; and w, a copy of the parameters that require gradients, laid out in the order
        of `model.named_parameters()`.
    Raises: ValueError: if the model has no parameter to train.
    """
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if not trained:
        raise ValueError("model must have a parameter that requires a gradient, this one has none.")
    shapes = [p.shape for p in trained.values()]
    w = torch.cat([p.detach().reshape(-1) for p in trained.values()])

    def value(flat: Tensor) -> Tensor:
        parts = torch.split(flat, [shape.numel() for shape in shapes])
        weights = {name: part.view(shape) for name, part, shape in zip(trained, parts, shapes, strict=True)}
        return loss_of(model, {**_copied_buffers(model), **weights}, x, y, loss)

    return value, w


@checked
def top_eigenvalues(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    num_eigenvalues: int = 5,
    loss: Loss = F.cross_entropy,
    num_steps: int = 20,
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""Return the largest eigenvalues of the Hessian of the model's mean loss over (x, y), descending.

    Args:
        model: in the mode it is in; weights, buffers and gradients are left as they were.
        x: inputs [N, ...] on the model's device.
        y: targets.
        num_eigenvalues: how many, <= num_steps.
        loss: (output, y) -> mean over the batch; the sum would give N times the eigenvalues.
        num_steps: Hessian-vector products.
        generator: of the starting vector, on the CPU; None starts from the same vector at every call.
    Returns: [num_eigenvalues], float64, on the CPU.
    Raises: ValueError: if the model has no parameter to train or cannot take x, or the loss or a product is not finite.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise ValueError("model must have a parameter that requires a gradient, this one has none.")
    start = torch.randn(sum(p.numel() for p in parameters), generator=generator or make_generator(0),
                        dtype=parameters[0].dtype).to(parameters[0].device)  # fmt: skip
    with torch.enable_grad():
        value = loss_of(model, _copied_buffers(model), x, y, loss)
        if not torch.isfinite(value):
            raise ValueError(
                f"sharpness needs a finite loss, got {value.item()}: a weight of the model or an entry of x is too "
                "large, or no number."
            )
        product = hessian_vector_product(value, parameters)
    return lanczos_eigenvalues(product, start, num_eigenvalues=num_eigenvalues, num_steps=num_steps)


@checked
def sharpness(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    loss: Loss = F.cross_entropy,
    num_steps: int = 20,
    generator: torch.Generator | None = None,
) -> float:
    r"""Return the largest eigenvalue of the Hessian of the model's mean loss over (x, y), for all its parameters.

    Gradient descent with learning rate :math:`\eta` is stable along its eigenvector while it is below :math:`2/\eta`.

    Args and errors: as of `top_eigenvalues`.
    """
    return float(
        top_eigenvalues(model, x, y, num_eigenvalues=1, loss=loss, num_steps=num_steps, generator=generator)
    )


def _copied_buffers(model: nn.Module) -> dict[str, Tensor]:
    """Return copies of the buffers: BatchNorm in training mode writes into these."""
    return {name: buffer.clone() for name, buffer in model.named_buffers()}
