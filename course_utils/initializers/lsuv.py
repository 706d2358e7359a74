"""Which scale does a layer need on THIS data? Measured on a batch, layer by layer, instead of derived."""

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from course_utils._checks import check_at_least, check_positive, naming
from course_utils._types import checked
from course_utils.initializers.rules import orthogonal_

Layer = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d


@checked
@torch.no_grad()
def lsuv_(
    model: nn.Module,
    x: Tensor,
    *,
    target: float = 1.0,
    tolerance: float = 0.01,
    max_passes: int = 10,
    generator: torch.Generator | None = None,
) -> nn.Module:
    r"""Scale each layer until its output has the variance `target` on the batch `x`: measured instead of derived.

    .. math:: W_l \leftarrow W_l\, \sqrt{v / \text{Var}(z_l)}, \qquad z_l = W_l h_{l-1}

    Layers start orthogonal with biases at 0 and are visited in the order in which the forward pass reaches them. Mode
    and hooks are left as they were.

    Args:
        model: with nn.Linear or convolution layers; their weights are overwritten, their biases set to 0.
        x: one batch of inputs, on the model's device.
        target: variance v of each layer's output over batch and units, > 0.
        tolerance: how far from `target` is near enough, relative, >= 0; the authors' code stops at 0.1 already.
        max_passes: forward passes per layer, at least 1; one suffices where the output is linear in the weight.
        generator: of the orthogonal start.
    Returns: `model` itself.
    Raises: ValueError: if the model has no such layer or cannot take `x`, an argument is out of its range, or a
        layer's output is constant or not finite; the model is as before then.
    Source: Mishkin and Matas 2016, arXiv:1511.06422, Algorithm 1.
    """
    check_positive("target", target)
    check_positive("tolerance", tolerance, strict=False)
    check_at_least("max_passes", max_passes, 1)
    if x.numel() < 2:
        raise ValueError(f"x needs two or more numbers to take a variance of, got shape {tuple(x.shape)}.")
    layers = _layers_in_forward_order(model, x)
    if not layers:
        raise ValueError("lsuv_ needs a model with nn.Linear or convolution layers, found none.")
    before = copy.deepcopy(model.state_dict())
    try:
        _scale_layers(model, layers, x, target, tolerance, max_passes, generator)
    except ValueError:
        model.load_state_dict(before)
        raise
    return model


def _scale_layers(
    model: nn.Module,
    layers: list[Layer],
    x: Tensor,
    target: float,
    tolerance: float,
    max_passes: int,
    generator: torch.Generator | None,
) -> None:
    for layer in layers:
        orthogonal_(layer.weight, generator=generator)
        if layer.bias is not None:
            layer.bias.zero_()
    for layer in layers:
        for _ in range(max_passes):
            variance = _output_variance(model, layer, x)
            if not 0 < variance < math.inf:
                raise ValueError(
                    f"A layer's output has the variance {variance:g}: it is the same for every input, or not finite. "
                    "Check the batch x, the activation and the target."
                )
            if abs(variance / target - 1) <= tolerance:
                break
            layer.weight.mul_(math.sqrt(target / variance))


@contextmanager
def _forward_hooks(
    layers: list[Layer], hook: Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]
) -> Iterator[None]:
    handles = [layer.register_forward_hook(hook) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _layers_in_forward_order(model: nn.Module, x: Tensor) -> list[Layer]:
    layers = [module for module in model.modules() if isinstance(module, Layer)]
    reached: list[Layer] = []

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(module, Layer) and module not in reached:
            reached.append(module)

    with _forward_hooks(layers, note), naming("the model cannot take x"):
        model(x)
    return reached


def _output_variance(model: nn.Module, layer: Layer, x: Tensor) -> float:
    variances: list[float] = []
    with _forward_hooks([layer], lambda module, inputs, output: variances.append(float(output.var()))):
        model(x)
    return variances[0]
