"""What is wrong with this run? Rules that name a cause, with the number that says so, or say nothing.

`examine` puts the record of a run, from `symptoms.Recorder`, to the rules. A rule is a pure function of the record with
named thresholds. Each threshold says where it comes from: derived, chosen, or measured on healthy runs (widths 32 to
512, one to three hidden layers, SGD, momentum and Adam over a decade of learning rates, batches of 20 to 256, digits,
clothes and Gaussian clouds).
"""

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from course_utils._types import checked
from course_utils.training.symptoms import FIRST, ROUNDING, Symptoms

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


class Finding(NamedTuple):
    """One suspicion: what is wrong, which measured number says so, what to do, and how much it says (1 to 3)."""

    cause: str
    evidence: str
    way_out: str
    strength: int

    def __str__(self) -> str:
        return f"{self.cause}: {self.evidence}. {self.way_out}"


@checked
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
    seen = f"the loss rose from {s.losses[0]:.3g} to {highest:.3g}"
    if not math.isnan(ratio):
        seen += f", first steps {ratio:.1g} of the weights' norm"
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
