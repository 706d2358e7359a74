"""What is wrong with this run? A recorder that watches from outside, and rules that name a cause or say nothing.

`Recorder` turns a run into a `Symptoms` record of plain numbers; `examine` puts the record to the rules. A rule is a
pure function of the record with named thresholds, and each threshold says where it comes from: derived, chosen, or
measured on healthy runs (widths 32 to 512, one to three hidden layers, SGD, momentum and Adam over a decade of learning
rates, batches of 20 to 256, digits, clothes and Gaussian clouds).
"""

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from course_utils.probes import layer_stats, record_outputs, update_to_weight_ratio
from course_utils.training.loop import Data, evaluate

# Causes, in the words of the verdict.
NO_LABELS = "labels missing in the loss call"
NO_FRACTION = "accuracy divided by the wrong count"
TRAINING_MODE = "evaluation in training mode"
NO_STEP = "weights never change"
LEAK = "validation data in training"
BATCH_MEANS = "mean of batch means"
PROBABILITIES = "softmax applied twice"
RAW_INPUTS = "inputs not normalised"
SYMMETRY = "identical units"
LARGE_START = "initial weights too large"
LR_HIGH = "learning rate too high"
ACCUMULATION = "gradients accumulate"
LR_LOW = "learning rate too low"
WRONG_PAIRS = "labels do not belong to the inputs"
DEAD = "dead units"
CAUSES = (
    NO_LABELS, NO_FRACTION, TRAINING_MODE, NO_STEP, LEAK, BATCH_MEANS, PROBABILITIES, RAW_INPUTS, SYMMETRY,
    LARGE_START, ACCUMULATION, LR_HIGH, LR_LOW, WRONG_PAIRS, DEAD,
)  # fmt: skip

# How much a finding says. Within one of them the rules are ordered by CAUSES: what explains more comes first.
CONTRADICTION = 3  # no correct loop can produce it
INGREDIENT = 2  # read off inputs, outputs or the start, which stand still
CURVE = 1  # read off a noisy course

# Thresholds.
ROUNDING = 1e-5  # relative; means of some hundred float32 losses differ by about 1e-6 when they are regrouped
OVERLAP = 0.01  # of the validation images; chosen: public data sets hold a few duplicates in ten thousand
INPUT_SCALE = 10.0  # chosen: a decade around the standard deviation 1 that initializers assume
TWINS = 0.5  # of a layer's units; random units have no twins
LOGIT_VARIANCE = 6.0  # He's start has 2; Gaussian logits of variance v cost at most ln K + v/2 on average
RISE = 3.0  # times the first loss; healthy runs stay below 2, or recover
ALIGNED, GROWTH = 0.95, 1.5  # cosine and norm of summed gradients; in healthy runs the norm falls
SLOW_UPDATE = 1e-3  # of a weight's norm per step, in the first steps; healthy runs move by 2e-3 or more
UNFINISHED = 0.5  # of ln K, late in the run
NOTHING_LEARNED = 0.9  # of ln K; a network that sees true pairs falls below within an epoch
DEAD_SHARE = 0.9  # of a layer's units
FIRST = 20  # steps that count as the beginning


class Finding(NamedTuple):
    """One suspicion: what is wrong, which measured number says so, what to do, and how much it says (1 to 3)."""

    cause: str
    evidence: str
    way_out: str
    strength: int

    def __str__(self) -> str:
        return f"{self.cause}: {self.evidence}. {self.way_out}"


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
    """

    def __init__(self, model: nn.Module, validation: Data | None = None) -> None:
        self._model, self._validation = model, validation
        self._named = {n: p for n, p in model.named_parameters() if p.requires_grad}
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
        values = (float(evaluation()), float(evaluation()))
        changed = any(not torch.equal(before[name], b) for name, b in self._model.named_buffers())
        return values, changed

    def _honest_loss(self) -> float:
        return math.nan if self._validation is None else evaluate(self._model, self._validation).loss

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
    return {hash(row.tobytes()) for row in x.detach().flatten(1).cpu().numpy()}


def _are_probabilities(output: Tensor) -> bool:
    return bool((output >= 0).all()) and bool(((output.sum(1) - 1).abs() < ROUNDING).all())


def _twins(layer: nn.Module) -> float:
    """Return the share of units whose incoming weights are those of the layer's first unit, up to rounding."""
    w = torch.as_tensor(layer.weight).detach()
    if len(w) < 2:
        return 0.0
    return float(((w - w[0]).abs().amax(1)[1:] <= ROUNDING * w.abs().max()).double().mean())


def examine(symptoms: Symptoms) -> list[Finding]:
    """Return what the rules find, strongest first; the empty list says that nothing was seen, not that all is well."""
    findings = [finding for rule in RULES if (finding := rule(symptoms)) is not None]
    return sorted(findings, key=lambda f: (-f.strength, CAUSES.index(f.cause)))


def _labels(s: Symptoms) -> Finding | None:
    if "missing 1 required positional argument" not in s.error:
        return None
    return Finding(NO_LABELS, f"the run ended with {s.error!r}", "Call loss(output, y).", CONTRADICTION)


def _fraction(s: Symptoms) -> Finding | None:
    known = [a for a in s.accuracies if not math.isnan(a)]  # NaN: the labels are not classes
    worst = max(known, default=0.0, key=lambda a: abs(a - 0.5))
    if 0 <= worst <= 1:
        return None
    return Finding(NO_FRACTION, f"an accuracy of {worst:.4g} is no fraction",
                   "Divide the hits by the number of examples they were counted on.", CONTRADICTION)  # fmt: skip


def _mode(s: Symptoms) -> Finding | None:
    if not s.evaluations or not _all_finite(s.evaluations):
        return None
    if _agree(s.evaluations) and not s.evaluation_changed_model:
        return None
    seen = "the evaluation changed the model" if s.evaluation_changed_model else (
        f"two evaluations in a row gave {s.evaluations[0]:.4g} and {s.evaluations[1]:.4g}")  # fmt: skip
    return Finding(TRAINING_MODE, seen, "Call model.eval() before and model.train() after it.", CONTRADICTION)


def _agree(values: Sequence[float]) -> bool:
    return math.isclose(values[0], values[1], rel_tol=ROUNDING)


def _step(s: Symptoms) -> Finding | None:
    stuck = [name for name, moved in s.moved.items() if not moved]
    if len(s.losses) < 2 or not stuck:
        return None
    gradient = [name for name in stuck if s.had_gradient[name]]
    if len(stuck) < len(s.moved) and not gradient:
        return None  # no gradient arrives there: another rule's business
    seen = f"{len(stuck)} of {len(s.moved)} parameters never moved, {len(gradient)} of them had a gradient"
    return Finding(
        NO_STEP, seen, "Call backward() and step(), on an optimizer over model.parameters().", CONTRADICTION
    )


def _leak(s: Symptoms) -> Finding | None:
    if s.overlap <= OVERLAP:
        return None
    seen = f"{100 * s.overlap:.0f} % of the validation inputs were trained on"
    return Finding(LEAK, seen, "Split first, by index, and train on one part.", CONTRADICTION)


def _batch_means(s: Symptoms) -> Finding | None:
    if not s.evaluations or _mode(s) is not None or not _all_finite([*s.evaluations, s.true_validation_loss]):
        return None
    if math.isclose(s.evaluations[0], s.true_validation_loss, rel_tol=ROUNDING):
        return None
    seen = f"validation loss {s.evaluations[0]:.5g}, over all examples alike {s.true_validation_loss:.5g}"
    return Finding(
        BATCH_MEANS, seen, "Weight each batch by its size: loss(...) * len(y), divided by N.", CONTRADICTION
    )


def _probabilities(s: Symptoms) -> Finding | None:
    if not s.outputs_sum_to_one:
        return None
    k = s.num_classes
    floor = math.log(1 + (k - 1) / math.e)
    return Finding(PROBABILITIES, f"outputs sum to 1, so the loss cannot fall below {floor:.4f}",
                   "Return logits: cross_entropy has the softmax in it.", INGREDIENT)  # fmt: skip


def _inputs(s: Symptoms) -> Finding | None:
    scale = max(s.input_std, abs(s.input_mean))
    if math.isnan(scale) or 1 / INPUT_SCALE <= scale <= INPUT_SCALE:
        return None
    seen = f"inputs have mean {s.input_mean:.3g} and standard deviation {s.input_std:.3g}"
    return Finding(
        RAW_INPUTS,
        seen,
        "Subtract the mean and divide by the standard deviation of the training set.",
        INGREDIENT,
    )


def _symmetry(s: Symptoms) -> Finding | None:
    share, name = max(((share, name) for name, share in s.twins.items()), default=(0.0, ""))
    if share < TWINS:
        return None
    seen = f"{100 * share:.0f} % of the units of {name} have the weights of its first unit"
    return Finding(SYMMETRY, seen, "Draw the initial weights at random (notebook 05).", INGREDIENT)


def _large_start(s: Symptoms) -> Finding | None:
    if not s.losses or s.num_classes < 2 or _inputs(s) is not None:  # raw inputs explain it
        return None
    guess = math.log(s.num_classes)
    if s.losses[0] <= guess + LOGIT_VARIANCE / 2:
        return None
    seen = f"first loss {s.losses[0]:.3g}, guessing costs ln {s.num_classes} = {guess:.3g}"
    return Finding(LARGE_START, seen, "Scale the weights with the fan (notebook 05).", INGREDIENT)


def _accumulation(s: Symptoms) -> Finding | None:
    if len(s.cosines) < FIRST or not _all_finite(s.gradient_norms) or s.gradient_norms[0] == 0:
        return None
    half = len(s.cosines) // 2  # the sum needs some steps to grow
    cosine = statistics.median(s.cosines[half:])
    growth = statistics.median(s.gradient_norms[half:]) / s.gradient_norms[0]
    if cosine < ALIGNED or growth < GROWTH:
        return None
    seen = f"consecutive gradients have cosine {cosine:.2f} and {growth:.3g} times their first norm"
    return Finding(ACCUMULATION, seen, "Call optimizer.zero_grad() before backward().", CURVE)


def _lr_high(s: Symptoms) -> Finding | None:
    if len(s.losses) < 2 or _accumulation(s) is not None:  # a sum of gradients is a long step too
        return None
    highest = max(s.losses[1:], key=lambda v: v if math.isfinite(v) else math.inf)
    if math.isfinite(highest) and (highest <= RISE * s.losses[0] or _late_level(s) < UNFINISHED):
        return None  # one bad batch, from which the run recovered
    ratio = max(s.update_ratios.values(), default=math.nan)
    seen = (
        f"the loss rose from {s.losses[0]:.3g} to {highest:.3g}, first steps {ratio:.1g} of the weights' norm"
    )
    return Finding(LR_HIGH, seen, "Divide the learning rate by 10 until the loss falls.", CURVE)


def _lr_low(s: Symptoms) -> Finding | None:
    ratio = max(s.update_ratios.values(), default=math.nan)
    if not 0 < ratio < SLOW_UPDATE or _late_level(s) < UNFINISHED or _lr_high(s) is not None:
        return None
    seen = f"first steps {ratio:.1g} of the weights' norm, the loss ends at {_late_level(s):.2f} of ln K"
    return Finding(LR_LOW, seen, "Multiply the learning rate by 10 until the loss rises.", CURVE)


def _pairs(s: Symptoms) -> Finding | None:
    explained_by = (_step, _probabilities, _inputs, _symmetry, _large_start, _accumulation, _lr_high, _lr_low)
    if _late_level(s) < NOTHING_LEARNED or any(rule(s) is not None for rule in explained_by):
        return None
    seen = f"the weights move, and the loss ends at {_late_level(s):.2f} of ln K, which is guessing"
    return Finding(WRONG_PAIRS, seen, "Look at ten images with their labels, as they enter the loss.", CURVE)


def _dead(s: Symptoms) -> Finding | None:
    share, name = max(((share, name) for name, share in s.dead.items()), default=(0.0, ""))
    if share < DEAD_SHARE:
        return None
    return Finding(DEAD, f"{100 * share:.0f} % of the units of {name} are off for every example",
                   "Lower the learning rate or the scale of inputs and weights.", CURVE)  # fmt: skip


def _late_level(s: Symptoms) -> float:
    """Return the mean loss of the last quarter in units of ln K; 0 where it is not known."""
    if not s.losses or s.num_classes < 2 or not _all_finite(s.losses):
        return 0.0
    return statistics.fmean(s.losses[-max(1, len(s.losses) // 4) :]) / math.log(s.num_classes)


def _all_finite(values: Iterable[float]) -> bool:
    return all(math.isfinite(v) for v in values)


Rule = Callable[[Symptoms], Finding | None]
RULES: tuple[Rule, ...] = (
    _labels, _fraction, _mode, _step, _leak, _batch_means, _probabilities, _inputs, _symmetry, _large_start,
    _accumulation, _lr_high, _lr_low, _pairs, _dead,
)  # fmt: skip
