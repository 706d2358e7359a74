"""Calls of `claims`, `exercises`, `seeding` and `devices`, for the fuzzer."""

import contextlib
import io

import torch
from fuzzing import Call
from taken import NOT_NEGATIVE, NUMBER, entries

from course_utils.claims import ClaimFailed, check, evaluate, interval, mean_and_half_width
from course_utils.devices import resolve_device
from course_utils.exercises import WrongAnswer, check_answer, error_of
from course_utils.seeding import fork_seeds, make_generator


def quietly(function):
    """Return the function without what it prints."""

    def call(**arguments):
        with contextlib.redirect_stdout(io.StringIO()):
            return function(**arguments)

    call.__qualname__ = function.__name__
    call.covers = f"{function.__module__.removeprefix('course_utils.')}.{function.__name__}"
    return call


def claim(**band):
    return lambda: {"id": "05.3", "statement": "it is so", "measured": [1.0, 1.25, 0.75], **band}


# NaN and infinity never hold in a band, and half of an interval has no number there
MEASURED = (*entries("nan", "inf", "-inf", "True", "2**70", *NUMBER), "entry missing", "entry twice")
MEAN = ("entry missing", "entry twice", *entries("nan", "inf", "-inf", *NUMBER))
TEXT = ("empty text", "other text")
FINITE = ("True", "2**70", *NUMBER)
TAKES = {
    "statement": TEXT,
    "source": TEXT,
    "measured": MEASURED,
    "rows": ("empty", "entry missing", "entry twice"),
    "expected": FINITE,
    "between": entries("-1.0", "0.0", "True"),
} | dict.fromkeys(("at_least", "at_most"), FINITE)
TAKES |= dict.fromkeys(("rel", "abs", "factor"), ("0.0", "1e308", "True", "2**70"))
BANDS = [
    {"expected": 1.0, "rel": 0.1, "rows": ["S0-047"], "source": "eq. 5.1"},
    {"expected": 1.0, "abs": 0.1},
    {"expected": 1.0, "factor": 2.0},
    {"at_least": 0.5},
    {"at_most": 1.5},
    {"between": (0.5, 1.5)},
]
CALLS = [
    Call(mean_and_half_width, lambda: {"values": [0.5, 0.75, 1.0]}, takes={"values": MEAN}),
    Call(
        interval, lambda: {"values": [0.5, 0.75, 1.0], "digits": 2}, takes={"values": MEAN, "digits": ("0",)}
    ),
    *(Call(evaluate, claim(**band), takes=TAKES) for band in BANDS),
    Call(
        evaluate,
        lambda: {"id": "05.3", "statement": "it is so", "measured": "relu", "equal": "relu"},
        takes={"statement": TEXT, "measured": ("*",), "equal": ("*",)},  # anything may be equal to anything
    ),
    Call(quietly(check), claim(at_least=0.5), takes=TAKES, raises=(ClaimFailed,)),
    Call(
        quietly(check_answer),
        lambda: {
            "answer": 2.0,
            "expected": 2.0,
            "mistakes": {"The factor 2 is missing.": 1.0},
            "rtol": 1e-6,
            "atol": 1e-12,
        },
        takes={
            "mistakes": (
                *("None", "empty", "key missing", "other key"),
                *entries("nan", "inf", "-inf", "True", "2**70", "array", *NUMBER),
            ),
            "rtol": ("0.0",),
            "atol": NOT_NEGATIVE,
        },
        raises=(WrongAnswer,),
    ),
    Call(
        error_of,
        lambda: {"action": lambda: torch.ones(2) @ torch.ones(3)},
        takes={
            "action": (
                "function without arguments",
                *(f"function that returns {what}" for what in ("None", "text", "nan")),
            )
        },
    ),
    Call(make_generator, lambda: {"seed": 3}, takes={"seed": ("0",)}),
    Call(fork_seeds, lambda: {"seed": 3, "n": 4}, takes={"seed": ("0",)}),
    Call(resolve_device, lambda: {"name": "cpu"}, names={"name": ("device",)}),
]
EXEMPT = {"claims.Claim": "a record: `evaluate` makes it"}
