"""Is every public function good or does it refuse by name, whatever it is given? See fuzzing.py for what is judged."""

import importlib
import inspect
import pkgutil
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from fuzzing import REFUSALS, Call, all_single, judge, try_call
from spoiled import Spoiled

import course_utils

FILES = sorted(Path(__file__).parent.glob("calls_*.py"))
AREAS = {path.stem.removeprefix("calls_"): importlib.import_module(path.stem) for path in FILES}
CALLS = {name: area.CALLS for name, area in AREAS.items()}
# Inputs are shared out by number of calls; an area whose calls are slow has a WEIGHT below 1, and gets fewer.
WEIGHTS = {name: len(area.CALLS) * getattr(area, "WEIGHT", 1.0) for name, area in AREAS.items()}
EXEMPT = {name: reason for area in AREAS.values() for name, reason in area.EXEMPT.items()}
EACH_TIME, WEEKLY = 5_000, 100_000  # inputs in all, at least
NOT_TAUGHT = (
    "authoring",
    "playgrounds",
)  # the command line has tests of its own, widgets are given what we compute


def public_functions():
    """Return {name: function or class with an __init__ of its own} for everything that a notebook may call."""
    found = {}
    for info in pkgutil.walk_packages(course_utils.__path__, "course_utils."):
        module = info.name.removeprefix("course_utils.")
        if module.split(".")[0] in NOT_TAUGHT or any(part.startswith("_") for part in module.split(".")):
            continue
        for name, value in vars(importlib.import_module(info.name)).items():
            is_ours = getattr(value, "__module__", "") == info.name and not name.startswith("_")
            if is_ours and (
                inspect.isfunction(value) or (inspect.isclass(value) and "__init__" in vars(value))
            ):
                found[f"{module}.{name}"] = value
    return found


def takes_arguments(function):
    return bool(inspect.signature(function).parameters)


def test_every_public_function_is_called_or_has_a_reason_why_not():
    called = {call.covers for calls in CALLS.values() for call in calls}
    missing = (
        {name for name, function in public_functions().items() if takes_arguments(function)}
        - called
        - EXEMPT.keys()
    )
    assert missing == set(), f"{len(missing)} functions are not fuzzed"
    assert EXEMPT.keys() & called == set()


def a_refusal(call):
    """Return what the reader of an error sees: the first refusal of a call."""
    for (spoiled,) in all_single(call):
        try:
            call.function(**(call.arguments() | {spoiled.argument: spoiled.value}))
        except REFUSALS as error:
            return str(error)
    raise AssertionError(f"{call.name} refuses nothing")


@pytest.mark.parametrize(
    "call", [call for calls in CALLS.values() for call in calls], ids=lambda call: call.name
)
def test_the_unspoiled_call_works(call: Call):
    assert judge(call, []) == ""


@pytest.mark.parametrize("area", AREAS)
def test_a_spoiled_argument_is_refused_by_name_or_gives_a_documented_result(area, tally):
    calls = CALLS[area]
    share = WEIGHTS[area] / sum(WEIGHTS.values())
    number = int(np.ceil(tally.number(each_time=EACH_TIME, weekly=WEEKLY) * share))
    generator = np.random.default_rng(zlib.crc32(area.encode()))
    singles = [(call, spoilings) for call in calls for spoilings in all_single(call)]
    tried = [singles[i] for i in generator.permutation(len(singles))[:number]]
    found = [judge(call, spoilings) for call, spoilings in tried]
    more = number - len(tried)
    found += [try_call(calls[i], generator, 2 + i % 2) for i in generator.integers(len(calls), size=more)]
    lost = [words for words in found if words]
    print(*dict.fromkeys(lost), sep="\n")
    tally.note("bad input", area, tried=number, lost=len(lost), message=a_refusal(calls[0]))


def draws_from(generator):
    return torch.rand(2)  # whatever it is given


@pytest.mark.parametrize(("value", "is_meant"), [(None, True), (torch.Generator(), False)])
def test_a_global_stream_may_move_only_where_no_generator_is_given(value, is_meant):
    call = Call(draws_from, lambda: {"generator": value}, takes={"generator": ("None",)})
    found = judge(call, [Spoiled("generator", "None", value)])
    assert found == "" if is_meant else "a global random stream moved" in found
