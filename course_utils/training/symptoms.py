"""What can be seen of a run from outside? A recorder beside the loop, and the record of plain numbers that it makes.

The rules that read the record are in `doctor`.
"""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from torch import Tensor, nn

from course_utils._checks import naming
from course_utils._types import checked
from course_utils.probes import layer_stats, record_outputs, update_to_weight_ratio
from course_utils.training.evaluation import Data, check_sizes, evaluate

ROUNDING = 1e-5  # relative; means of some hundred float32 losses differ by about 1e-6 when they are regrouped
FIRST = 20  # steps that count as the beginning


@dataclass(frozen=True)
class Symptoms:
    """What was seen of one run, as plain numbers. Empty and NaN mean: not seen, and then no rule speaks of it."""

    losses: Sequence[float] = ()  # of every step, as the loop reports them
    num_classes: int = 0
    gradient_norms: Sequence[float] = ()  # of all parameters together, per step
    cosines: Sequence[float] = ()  # between the gradients of consecutive steps
    update_ratios: Mapping[str, float] = field(default_factory=dict)  # weight -> median over the first steps
    moved: Mapping[str, bool] = field(default_factory=dict)  # parameter -> did it ever change?
    had_gradient: Mapping[str, bool] = field(default_factory=dict)
    input_mean: float = math.nan  # of what was fed to the model, first steps
    input_std: float = math.nan
    outputs_sum_to_one: bool = False  # all outputs of the last step >= 0 with rows that sum to 1
    twins: Mapping[str, float] = field(default_factory=dict)  # hidden layer -> share of units like its first
    dead: Mapping[str, float] = field(default_factory=dict)  # hidden layer -> share of units never above 0
    accuracies: Sequence[float] = ()  # whatever the loop reports under that name
    evaluations: Sequence[float] = ()  # losses that the loop's own evaluation returns, called twice in a row
    evaluation_changed_model: bool = False  # buffers before and after
    true_validation_loss: float = math.nan  # evaluation mode, every example with the same weight
    overlap: float = 0.0  # share of the validation inputs that were trained on
    error: str = ""  # message of the exception that ended the run


class Recorder:
    """Watch a run from outside: `with Recorder(model, validation) as watch`, and `watch.on_step` after every step.

    A forward hook sees what is fed to the model and what comes out; `on_step` reads weights and gradients. Weights,
    gradients, modes and the random streams stay as they are, and the hook is removed on exit.

    Args:
        model: any module that takes inputs [N, ...] and returns logits [N, K].
        validation: (x, y), for the overlap with the inputs that were seen and for the honest validation loss.
    Raises: ValueError: if nothing of the model can be trained, or x and y differ in number.
    """

    @checked
    def __init__(self, model: nn.Module, validation: Data | None = None) -> None:
        self._model, self._validation = model, validation
        self._named = {n: p for n, p in model.named_parameters() if p.requires_grad}
        if not self._named:
            raise ValueError(
                f"model must have parameters that require a gradient, got {type(model).__name__} without."
            )
        if validation is not None:
            with naming("validation"):
                check_sizes(validation, 1, 1)
        self._before = self._copy()
        self._ratios: dict[str, list[float]] = {n: [] for n, p in self._named.items() if p.ndim >= 2}
        self._moved, self._had_gradient = dict.fromkeys(self._named, False), dict.fromkeys(self._named, False)
        self._norms: list[float] = []
        self._cosines: list[float] = []
        self._last_gradient: Tensor | None = None
        self._first_inputs: list[Tensor] = []
        self._seen: set[int] = set()
        self._batch: Tensor | None = None
        self._output: Tensor | None = None

    def __enter__(self) -> Self:
        self._handle = self._model.register_forward_hook(self._on_forward)
        return self

    def __exit__(self, *error: object) -> None:
        self._handle.remove()

    def _on_forward(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        if not torch.is_grad_enabled():  # an evaluation
            return
        self._batch, self._output = inputs[0].detach(), output.detach()
        if len(self._first_inputs) < FIRST:
            self._first_inputs.append(self._batch)
        self._seen |= _fingerprints(self._batch)

    def _copy(self) -> dict[str, Tensor]:
        return {name: p.detach().clone() for name, p in self._named.items()}

    def on_step(self, step: int, model: nn.Module) -> None:
        """Read weights and gradients after the optimizer's step; takes what `train` hands to its `on_step`."""
        after = self._copy()
        for name, p in self._named.items():
            # `or` looks once: both are settled in the first steps of most runs
            self._moved[name] = self._moved[name] or not torch.equal(self._before[name], after[name])
            self._had_gradient[name] = self._had_gradient[name] or (p.grad is not None and bool(p.grad.any()))
            if name in self._ratios and len(self._norms) < FIRST and self._before[name].any():
                self._ratios[name] += update_to_weight_ratio([self._before[name]], [after[name]])
        self._before = after
        grads = [p.grad.flatten() for p in self._named.values() if p.grad is not None]
        gradient = torch.cat(grads) if grads else torch.zeros(1)
        self._norms.append(float(gradient.norm()))
        if self._last_gradient is not None:
            lengths = self._norms[-1] * self._norms[-2]
            self._cosines.append(float(gradient @ self._last_gradient) / lengths if lengths else 0.0)
        self._last_gradient = gradient

    @checked
    def symptoms(
        self,
        losses: Sequence[float],
        *,
        accuracies: Sequence[float] = (),
        evaluation: Callable[[], float] | None = None,
        error: BaseException | None = None,
    ) -> Symptoms:
        """Return the record of the run so far.

        Args:
            losses: of every step, as the loop reports them.
            accuracies: what the loop reports as accuracies.
            evaluation: the loop's own evaluation: returns a validation loss. It is called twice in a row.
            error: the exception that ended the run.
        Raises: ValueError: if `evaluation` returns no number, or the model cannot take the validation inputs.
        """
        repeated, changed = self._repeat(evaluation)
        inputs = torch.cat([x.flatten().double() for x in self._first_inputs] or [torch.tensor([math.nan])])
        hidden = self._hidden_outputs()
        seen = self._validation is not None and _fingerprints(self._validation[0])
        return Symptoms(
            losses=tuple(losses),
            num_classes=0 if self._output is None else self._output.shape[1],
            gradient_norms=tuple(self._norms),
            cosines=tuple(self._cosines),
            update_ratios={name: statistics.median(r) for name, r in self._ratios.items() if r},
            moved=dict(self._moved),
            had_gradient=dict(self._had_gradient),
            input_mean=float(inputs.mean()),
            input_std=float(inputs.std(correction=0)),
            outputs_sum_to_one=self._output is not None and _are_probabilities(self._output),
            twins={name: _twins(self._model.get_submodule(name)) for name in hidden},
            dead={row.name: row.dead for row in layer_stats(hidden)},
            accuracies=tuple(accuracies),
            evaluations=repeated,
            evaluation_changed_model=changed,
            true_validation_loss=self._honest_loss(),
            overlap=len(seen & self._seen) / len(seen) if seen else 0.0,
            error=str(error or ""),
        )

    def _repeat(self, evaluation: Callable[[], float] | None) -> tuple[tuple[float, ...], bool]:
        """Call the loop's evaluation twice; say what it returned and whether it changed the model's buffers."""
        if evaluation is None:
            return (), False
        before = {name: b.clone() for name, b in self._model.named_buffers()}
        with naming("evaluation() must return a number"):
            values = (float(evaluation()), float(evaluation()))
        changed = any(not torch.equal(before[name], b) for name, b in self._model.named_buffers())
        return values, changed

    def _honest_loss(self) -> float:
        if self._validation is None:
            return math.nan
        with naming("validation"):
            return evaluate(self._model, self._validation).loss

    def _hidden_outputs(self) -> dict[str, Tensor]:
        """Return the preactivations of the hidden linear layers on the last batch, in evaluation mode."""
        if self._batch is None or len(self._batch) < 2:
            return {}
        was_training = self._model.training
        with torch.no_grad(), record_outputs(self._model.eval()) as outputs:
            self._model(self._batch)
        self._model.train(was_training)
        return dict(list(outputs.items())[:-1])


def _fingerprints(x: Tensor) -> set[int]:
    return {hash(row.tobytes()) for row in x.detach().reshape(len(x), -1).cpu().numpy()}


def _are_probabilities(output: Tensor) -> bool:
    return bool((output >= 0).all()) and bool(((output.sum(1) - 1).abs() < ROUNDING).all())


def _twins(layer: nn.Module) -> float:
    """Return the share of units whose incoming weights are those of the layer's first unit, up to rounding."""
    w = torch.as_tensor(layer.weight).detach()
    if len(w) < 2:
        return 0.0
    return float(((w - w[0]).abs().amax(1)[1:] <= ROUNDING * w.abs().max()).double().mean())
