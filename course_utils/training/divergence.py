"""Where did a number stop being one, and why? Asked when a loss is not finite; a healthy run pays nothing for it.

At the step whose loss is not finite the weights are still those of the step before. So one forward pass with hooks
shows which layer's output is the first that is not finite, and its input says what kind of fault it is: numbers that
had grown out of range (then the doctor's rules name the cause), or an operation outside of its domain.
"""

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from course_utils.training.doctor import (
    CONTRADICTION,
    INGREDIENT,
    LARGE_START,
    LR_HIGH,
    RAW_INPUTS,
    Finding,
    examine,
)
from course_utils.training.evaluation import Data, has_classes
from course_utils.training.symptoms import Symptoms

# Causes, in addition to the doctor's: those of a loss that is no number.
NOT_FINITE_DATA = "data not finite"
NOT_FINITE_START = "initial weights not finite"
OUTSIDE = "weights changed outside of the optimizer"
DOMAIN = "operation outside of its domain"
DERIVATIVE = "derivative outside of its domain"
RANGE = "out of the range of float16"
UNSEEN = "not seen a second time"

LARGE = 1e6  # chosen: values of healthy networks stay far below, and a float32 is infinite only at 3e38
FAULTS = "a division by 0, a root or logarithm of 0 or less, an exponential of more than 88"


@dataclass(frozen=True)
class Passage:
    """What one module did to the largest magnitude that went through it; NaN and inf pass through `max` as they are."""

    name: str  # as in model.named_modules(), "the model" for the whole
    before: float
    after: float
    fits_float32: bool  # a half-precision output that is not finite would be finite in float32


@dataclass(frozen=True)
class Scene:
    """What is at hand when a loss is not finite, or the weights are not after the last step of an epoch."""

    model: nn.Module  # with the weights before the step whose loss is not finite
    data: Data
    index: Tensor  # of the batch's examples
    losses: Sequence[float]  # of all steps, the last is the one in question
    autocast: bool
    has_on_step: bool
    num_before: int  # of the losses, those of an earlier call
    last_update: int  # the step that gave the weights their present values

    @property
    def batch(self) -> tuple[Tensor, Tensor]:
        """Return inputs and targets of the step."""
        return self.data[0].index_select(0, self.index), self.data[1].index_select(0, self.index)


def explain(scene: Scene) -> tuple[str, Finding]:
    """Return the place where a number was first not finite, and what is held responsible."""
    return _in_data(scene) or _in_weights(scene) or _in_forward(scene)


def _in_data(scene: Scene) -> tuple[str, Finding] | None:
    for name, values in zip(("inputs", "targets"), scene.batch, strict=True):
        rows = (~torch.isfinite(values)).flatten(1).any(1) if values.ndim > 1 else ~torch.isfinite(values)
        if rows.any():
            row = int(rows.nonzero()[0])
            word = _word(values[row])
            count = int(rows.sum())
            seen = f"{word} in {count} of the {len(rows)} {name} of this step"
            way_out = "Look at that example, and whether a standard deviation of 0 was divided by."
            place = f"the {name} have {word} at example {int(scene.index[row])}"
            return place, Finding(NOT_FINITE_DATA, seen, way_out, CONTRADICTION)
    return None


def _word(values: Tensor) -> str:
    return "NaN" if values.isnan().any() else "inf"


def bad_weights(model: nn.Module) -> list[str]:
    """Return the names of parameters that hold NaN or inf, then of buffers that hold NaN: a mask may be infinite."""
    parameters = [name for name, p in model.named_parameters() if not torch.isfinite(p).all()]
    return parameters + [name for name, buffer in model.named_buffers() if buffer.isnan().any()]


def _in_weights(scene: Scene) -> tuple[str, Finding] | None:
    if not (bad := bad_weights(scene.model)):
        return None
    state = scene.model.state_dict()
    grads = {name: p.grad for name, p in scene.model.named_parameters() if p.grad is not None}
    first = state[bad[0]]
    count = int((~torch.isfinite(first)).sum())
    place = f"{bad[0]} holds {_word(first)} ({count:,} of {first.numel():,} numbers)"
    step = scene.last_update
    if step < scene.num_before:
        return place, Finding(
            NOT_FINITE_START, "no step had been made", "Draw the weights again.", INGREDIENT
        )
    wrong = [name for name, grad in grads.items() if not torch.isfinite(grad).all()]
    halves = [name for name in bad if state[name].dtype is torch.float16]
    if halves:
        return place, Finding(RANGE, f"{halves[0]} is float16, which ends at 65504 and begins at 6e-8",
                              "Keep weights in float32 and use autocast, which computes in bfloat16.",
                              INGREDIENT)  # fmt: skip
    if _has_grown(scene, list(grads.values())):
        return place, _of_scale(scene)
    if not wrong:
        who = "on_step, or what else has the model," if scene.has_on_step else "Something"
        seen = f"the gradient of step {step} is finite there"
        return place, Finding(OUTSIDE, seen, f"{who} wrote it after step {step}.", CONTRADICTION)
    layer = wrong[-1].rpartition(".")[0] or "the model"  # a gradient passes the last layers first
    seen = f"the loss of step {step} is finite and its gradient in {layer} is not"
    way_out = f"Look in {layer} and after it for {FAULTS}: there a derivative is infinite first."
    return f"the gradient of {wrong[-1]}", Finding(DERIVATIVE, seen, way_out, CONTRADICTION)


def _has_grown(scene: Scene, tensors: Sequence[Tensor]) -> bool:
    """Say whether numbers had left the usual range before one was not finite."""
    finite = [t.detach()[torch.isfinite(t)] for t in (*tensors, *scene.model.parameters())]
    largest = max((float(t.abs().max()) for t in finite if t.numel()), default=0.0)
    return max(largest, max((abs(v) for v in scene.losses if math.isfinite(v)), default=0.0)) > LARGE


def _in_forward(scene: Scene) -> tuple[str, Finding]:
    passages = trace(scene.model, scene.batch[0], scene.autocast)
    largest = max((p.after for p in passages), default=math.nan)
    wrong = next((p for p in passages if not math.isfinite(p.after)), None)
    if wrong is None:
        big = next((p for p in passages if p.after > LARGE), None)
        if big is not None:
            return f"the loss, as the output of {big.name} reaches {big.after:.2g}", _of_scale(scene)
        return "the loss itself", Finding(
            DOMAIN,
            f"outputs are finite, the largest is {largest:.3g}",
            f"Look in the loss for {FAULTS}.",
            CONTRADICTION,
        )
    place = f"the output of {wrong.name}" if math.isfinite(wrong.before) else f"what enters {wrong.name}"
    if wrong.fits_float32:
        return place, Finding(RANGE, f"it exceeds 65504 from inputs of at most {wrong.before:.3g}",
                              "Use float32 or bfloat16, or smaller inputs and weights.", INGREDIENT)  # fmt: skip
    known = [p.after for p in passages[: passages.index(wrong)]] + [
        wrong.before,
        _largest_weight(scene, wrong),
    ]
    if max((v for v in known if math.isfinite(v)), default=0.0) > LARGE:
        return place, _of_scale(scene)
    seen = f"what went into it is at most {wrong.before:.3g}"
    return place, Finding(DOMAIN, seen, f"Look in {wrong.name} for {FAULTS}.", CONTRADICTION)


def _largest_weight(scene: Scene, passage: Passage) -> float:
    module = dict(scene.model.named_modules()).get(passage.name, scene.model)
    return max((float(p.detach().abs().max()) for p in module.parameters()), default=0.0)


def _of_scale(scene: Scene) -> Finding:
    """Return what the doctor says of numbers that grew out of range."""
    x, y = scene.data
    sample = x[:1_000].double()
    num_classes = int(y.max()) + 1 if has_classes(y) else 0
    mean, std = float(sample.mean()), float(sample.std(correction=0))
    for finding in examine(Symptoms(scene.losses, num_classes, input_mean=mean, input_std=std)):
        if finding.cause in (RAW_INPUTS, LARGE_START, LR_HIGH):
            return finding
    if scene.last_update < scene.num_before:  # no classes to guess at, and no step yet
        way_out = "Scale the weights with the fan (notebook 05)."
        return Finding(LARGE_START, "no step had been made", way_out, INGREDIENT)
    seen = f"the loss went from {scene.losses[0]:.3g} to {scene.losses[-1]:.3g}"
    return Finding(LR_HIGH, seen, "Divide the learning rate by 10 until the loss falls.", INGREDIENT)


def trace(model: nn.Module, x: Tensor, autocast: bool = False) -> list[Passage]:
    """Return what each module does to the largest magnitude, in the order in which they finish.

    The pass is one in the model's own mode; weights, buffers, gradients and streams are as before.
    """
    passages: list[Passage] = []
    handles = [
        module.register_forward_hook(_hook_for(name or "the model", passages))
        for name, module in model.named_modules()
    ]
    try:
        with (
            torch.no_grad(),
            _buffers_kept(model),
            torch.random.fork_rng([x.device] if x.is_cuda else []),
            torch.autocast(x.device.type, torch.bfloat16, enabled=autocast),
        ):
            model(x)
    finally:
        for handle in handles:
            handle.remove()
    return passages


def _hook_for(name: str, passages: list[Passage]) -> Any:
    def hook(module: nn.Module, inputs: Any, output: Any) -> None:
        if not isinstance(output, Tensor):
            return
        before = max((_magnitude(t) for t in inputs if isinstance(t, Tensor)), key=_or_inf, default=0.0)
        after = _magnitude(output)
        passages.append(Passage(name, before, after, _fits(module, inputs, output, before, after)))

    return hook


def _fits(module: nn.Module, inputs: Any, output: Tensor, before: float, after: float) -> bool:
    if output.dtype is not torch.float16 or math.isfinite(after) or not math.isfinite(before):
        return False
    wide = copy.deepcopy(module).float()
    return math.isfinite(_magnitude(wide(*(t.float() if isinstance(t, Tensor) else t for t in inputs))))


def _magnitude(tensor: Tensor) -> float:
    return float(tensor.detach().abs().max()) if tensor.numel() else 0.0


def _or_inf(value: float) -> float:
    return math.inf if math.isnan(value) else value


@contextmanager
def _buffers_kept(model: nn.Module) -> Iterator[None]:
    """Put the buffers back on exit: a normalization in training mode counts every pass."""
    before = [(buffer, buffer.clone()) for buffer in model.buffers()]
    try:
        yield
    finally:
        for buffer, value in before:
            buffer.copy_(value)
