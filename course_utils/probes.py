"""What does a layer see? Recorders of outputs and gradients that leave no trace, and a few numbers to sum them up."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Loss = Callable[[Tensor, Tensor], Tensor]


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
    """
    outputs: dict[str, Tensor] = {}

    def hook_for(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
            outputs[name] = output.detach().clone()  # clone: a later ReLU(inplace=True) would overwrite it

        return hook

    handles = [m.register_forward_hook(hook_for(n)) for n, m in model.named_modules() if isinstance(m, kinds)]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def record_gradients(
    model: nn.Module, kinds: tuple[type[nn.Module], ...] = (nn.Linear,)
) -> Iterator[dict[str, Tensor]]:
    """Yield {layer name: gradient of the loss with respect to that layer's output}, filled by backward passes inside.

    The counterpart of `record_outputs`: the deltas of backpropagation. Hooks are removed on exit.
    """
    gradients: dict[str, Tensor] = {}

    def hook_for(name: str) -> Callable[..., None]:
        def keep(grad: Tensor) -> None:
            gradients[name] = grad.detach().clone()

        def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
            if output.requires_grad:
                output.register_hook(keep)  # type: ignore[no-untyped-call]

        return hook

    handles = [m.register_forward_hook(hook_for(n)) for n, m in model.named_modules() if isinstance(m, kinds)]
    try:
        yield gradients
    finally:
        for handle in handles:
            handle.remove()


def weight_gradients(
    model: nn.Module, x: Tensor, y: Tensor, *, loss: Loss = F.cross_entropy
) -> dict[str, Tensor]:
    """Return {name: gradient} of every parameter of two or more dimensions, on one batch; `.grad` is not touched.

    Args:
        model: any module.
        x: inputs on its device.
        y: targets.
        loss: (output, y) -> mean over the batch.
    """
    named = {name: p for name, p in model.named_parameters() if p.ndim >= 2 and p.requires_grad}
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


def layer_stats(recorded: Mapping[str, Tensor], *, threshold: float = 2.0) -> list[LayerStats]:
    """Return one row of numbers per recorded layer, in the order of recording.

    Args:
        recorded: {layer name: tensor [examples, units]}, as from `record_outputs`; two or more examples.
        threshold: |z| beyond which a unit counts as saturated; tanh'(2) = 0.07.
    Raises: ValueError: if a layer has fewer than two examples, from which no variance can be taken.
    """
    return [_stats(name, z.flatten(1).double(), threshold) for name, z in recorded.items()]


def _stats(name: str, z: Tensor, threshold: float) -> LayerStats:
    if len(z) < 2:
        raise ValueError(
            f"{name} needs at least 2 examples to estimate a variance, got shape {tuple(z.shape)}."
        )
    return LayerStats(
        name,
        mean=float(z.mean()),
        rms=float(z.square().mean().sqrt()),
        variance=float(z.var(correction=0)),
        signal_variance=float(z.var(0, correction=0).mean()),
        saturated=float((z.abs() > threshold).double().mean()),
        dead=float((z <= 0).all(0).double().mean()),
    )


def update_to_weight_ratio(before: Sequence[Tensor], after: Sequence[Tensor]) -> list[float]:
    r"""Return :math:`\|\Delta W\| / \|W\|` per tensor, dimensionless; healthy runs are often near 1e-3.

    Args:
        before: copies of the parameters before a step; not all zero.
        after: the same parameters after it.
    """
    return [float((b - a).norm() / a.norm()) for a, b in zip(before, after, strict=True)]
