"""What does a layer see? Recorders of outputs and gradients that leave no trace, and a few numbers to sum them up."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils._checks import check_floating, check_positive, naming
from course_utils._types import checked

Loss = Callable[[Tensor, Tensor], Tensor]


@checked
@contextmanager
def record_outputs(
    model: nn.Module, kinds: tuple[type[nn.Module], ...] = (nn.Linear,)
) -> Iterator[dict[str, Tensor]]:
    """Yield {layer name: last output}, filled by the forward passes inside the block.

    For linear layers these are PREactivations. Hooks are removed on exit, also after an error; the model, its mode and
    its gradients stay as they were.

    Args:
        model: any module.
        kinds: which of its modules are recorded.
    Raises: ValueError: if the model has none of these.
    """
    modules = _modules_of(model, kinds)
    outputs: dict[str, Tensor] = {}

    def hook_for(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
            outputs[name] = output.detach().clone()  # clone: a later ReLU(inplace=True) would overwrite it

        return hook

    handles = [m.register_forward_hook(hook_for(n)) for n, m in modules.items()]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


@checked
@contextmanager
def record_gradients(
    model: nn.Module, kinds: tuple[type[nn.Module], ...] = (nn.Linear,)
) -> Iterator[dict[str, Tensor]]:
    """Yield {layer name: gradient of the loss with respect to that layer's output}, filled by backward passes inside.

    The counterpart of `record_outputs`: the deltas of backpropagation. Hooks are removed on exit.

    Raises: ValueError: if the model has no module of these kinds.
    """
    modules = _modules_of(model, kinds)
    gradients: dict[str, Tensor] = {}

    def hook_for(name: str) -> Callable[..., None]:
        def keep(grad: Tensor) -> None:
            gradients[name] = grad.detach().clone()

        def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
            if output.requires_grad:
                output.register_hook(keep)  # type: ignore[no-untyped-call]

        return hook

    handles = [m.register_forward_hook(hook_for(n)) for n, m in modules.items()]
    try:
        yield gradients
    finally:
        for handle in handles:
            handle.remove()


def _modules_of(model: nn.Module, kinds: tuple[type[nn.Module], ...]) -> dict[str, nn.Module]:
    kinds = (*kinds,)  # a list is as good
    modules = {name: module for name, module in model.named_modules() if isinstance(module, kinds)}
    if not modules:
        names = ", ".join(kind.__name__ for kind in kinds)
        raise ValueError(f"model has no module of kinds=({names}): nothing would be recorded.")
    return modules


@checked
def weight_gradients(
    model: nn.Module, x: Tensor, y: Tensor, *, loss: Loss = F.cross_entropy
) -> dict[str, Tensor]:
    """Return {name: gradient} of every parameter of two or more dimensions, on one batch; `.grad` is not touched.

    Args:
        model: any module.
        x: inputs on its device.
        y: targets.
        loss: (output, y) -> mean over the batch.
    Raises: ValueError: if the model has no such parameter, or model, x, y and loss do not go together.
    """
    named = {name: p for name, p in model.named_parameters() if p.ndim >= 2 and p.requires_grad}
    if not named:
        raise ValueError("model has no parameter of two or more dimensions that requires a gradient.")
    with naming("loss(model(x), y) has no gradient"):
        gradients = torch.autograd.grad(loss(model(x), y), list(named.values()), materialize_grads=True)
    return dict(zip(named, gradients, strict=True))


class LayerStats(NamedTuple):
    """One layer in numbers; the unit is that of what was recorded."""

    name: str
    mean: float
    rms: float  # sqrt(mean(z**2)): what the variance algebra propagates
    variance: float  # over examples and units together
    signal_variance: float  # over examples only, averaged over units: what still depends on the input
    saturated: float  # fraction in [0, 1] with |z| > threshold
    dead: float  # fraction of UNITS in [0, 1] that are <= 0 for every example: off for good after a ReLU


@checked
def layer_stats(recorded: Mapping[str, Tensor], *, threshold: float = 2.0) -> list[LayerStats]:
    """Return one row of numbers per recorded layer, in the order of recording.

    Args:
        recorded: {layer name: tensor [examples, units]}, as from `record_outputs`; two or more examples.
        threshold: |z| beyond which a unit counts as saturated; tanh'(2) = 0.07; >= 0.
    Raises: ValueError: if a layer has fewer than two examples, from which no variance can be taken, or the threshold is
        negative. TypeError: if a tensor has no floating-point dtype.
    """
    check_positive("threshold", threshold, strict=False)
    check_floating(**recorded)
    return [_stats(name, z, threshold) for name, z in recorded.items()]


def _stats(name: str, z: Tensor, threshold: float) -> LayerStats:
    if z.ndim < 2 or len(z) < 2 or z.numel() == 0:
        raise ValueError(
            f"{name} needs at least 2 examples to estimate a variance, got shape {tuple(z.shape)}."
        )
    z = z.flatten(1).double()
    return LayerStats(
        name,
        mean=float(z.mean()),
        rms=float(z.square().mean().sqrt()),
        variance=float(z.var(correction=0)),
        signal_variance=float(z.var(0, correction=0).mean()),
        saturated=float((z.abs() > threshold).double().mean()),
        dead=float((z <= 0).all(0).double().mean()),
    )


@checked
def update_to_weight_ratio(before: Sequence[Tensor], after: Sequence[Tensor]) -> list[float]:
    r"""Return :math:`\|\Delta W\| / \|W\|` per tensor, dimensionless; healthy runs are often near 1e-3.

    Args:
        before: copies of the parameters before a step; not all zero.
        after: the same parameters after it.
    Returns: a ratio per tensor; not finite where one of the numbers is not, or `before` is zero.
    Raises: ValueError: if the shapes differ. TypeError: if a tensor has no floating-point dtype.
    """
    shapes, shapes_after = ([tuple(p.shape) for p in tensors] for tensors in (before, after))
    if shapes != shapes_after:
        raise ValueError(f"before and after need the same shapes, got {shapes} and {shapes_after}.")
    for i, (b, a) in enumerate(zip(before, after, strict=True)):
        check_floating(**{f"before[{i}]": b, f"after[{i}]": a})
    return [float((b - a).norm() / a.norm()) for a, b in zip(before, after, strict=True)]
