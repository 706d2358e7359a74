"""Calls of `intervals` and `calibration`, for the fuzzer."""

from statistics import fmean

import torch
from fuzzing import Call
from taken import entries

from course_utils.calibration import (
    brier_score,
    calibration_noise,
    expected_calibration_error,
    fit_temperature,
    reliability_bins,
)
from course_utils.intervals import (
    bootstrap_interval,
    clopper_pearson_interval,
    compare_predictions,
    mcnemar,
    paired_difference,
    student_quantile,
    unpaired_p_value,
    wald_interval,
    wilson_interval,
)
from course_utils.seeding import make_generator

PROBABILITIES = ((0.7, 0.2, 0.1), (0.1, 0.8, 0.1), (0.3, 0.3, 0.4), (0.5, 0.25, 0.25))
HALF = {"probabilities": ("half",)}


def share():
    return {"k": 3, "n": 10, "confidence": 0.95}


def predictions():
    return {"probabilities": torch.tensor(PROBABILITIES), "labels": torch.tensor([0, 1, 1, 2])}


def logits():
    return {"logits": torch.tensor(PROBABILITIES).double().log(), "labels": torch.tensor([0, 1, 1, 2])}


CALLS = [
    *(
        Call(interval, share, takes={"k": ("0",)})
        for interval in (wald_interval, wilson_interval, clopper_pearson_interval)
    ),
    Call(mcnemar, lambda: {"only_first": 3, "only_second": 7}, takes={"*": ("0",)}),
    Call(
        compare_predictions,
        lambda: {
            "first_right": torch.tensor([True, False, True]),
            "second_right": torch.tensor([True, True, False]),
        },
    ),
    Call(
        unpaired_p_value,
        lambda: {"first_right": 8, "second_right": 6, "n": 10},
        takes={"first_right": ("0",), "second_right": ("0",)},
    ),
    Call(
        paired_difference,
        lambda: {"first": [0.5, 0.75, 0.5], "second": [0.25, 0.5, 0.75]},
        takes={"*": entries("-1.0", "0.0")},
    ),
    Call(student_quantile, lambda: {"p": 0.975, "df": 4}),
    Call(
        bootstrap_interval,
        lambda: {
            "values": [0.5, 0.75, 0.25, 1.0],
            "statistic": fmean,
            "generator": make_generator(0),
            "num_resamples": 20,
            "confidence": 0.95,
        },
        takes={"values": ("entry missing", "entry twice", *entries("-1.0", "0.0"))},
        names={"statistic": ("lambda",)},  # it is the reader's, and so are its errors
    ),
    Call(reliability_bins, lambda: predictions() | {"num_bins": 5}, takes=HALF),
    Call(expected_calibration_error, lambda: predictions() | {"num_bins": 5}, takes=HALF),
    Call(
        calibration_noise,
        lambda: {"probabilities": torch.tensor(PROBABILITIES), "num_bins": 5},
        takes={"probabilities": ("half", "one row fewer")},
    ),
    Call(brier_score, predictions, takes=HALF),
    Call(fit_temperature, logits, takes={"logits": ("half", "negative", "one column more")}),
]
EXEMPT: dict[str, str] = {}
