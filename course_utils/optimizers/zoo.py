"""Which rules are there? All of them by name, also those that need a matrix or that average."""

from typing import cast

from course_utils.optimizers.amsgrad import amsgrad_update
from course_utils.optimizers.lion import lion_update
from course_utils.optimizers.muon import muon_update
from course_utils.optimizers.rules import RULES, Rule, UpdateRule
from course_utils.optimizers.schedule_free import schedule_free_adam_update, schedule_free_sgd_update
from course_utils.optimizers.shampoo import shampoo_update, soap_update
from course_utils.optimizers.states import (
    AMSGradState,
    EMAMomentumState,
    MomentumState,
    ScheduleFreeAdamState,
    ScheduleFreeState,
    ShampooState,
    SOAPState,
)

# `RULES` works entry by entry, on tensors of any shape, and takes a tensor of rates. Muon, Shampoo and SOAP take
# matrices [..., m, n]; these three, and the schedule-free rules, take a rate that is a number.
ZOO: dict[str, Rule] = RULES | {
    method.name: method
    for method in (
        Rule("AMSGrad", AMSGradState.zeros_like, amsgrad_update),
        Rule("Lion", EMAMomentumState.zeros_like, lion_update),
        Rule("Muon", MomentumState.zeros_like, cast(UpdateRule, muon_update)),
        Rule("Shampoo", ShampooState.zeros_like, cast(UpdateRule, shampoo_update)),
        Rule("SOAP", SOAPState.zeros_like, cast(UpdateRule, soap_update)),
        Rule("schedule-free SGD", ScheduleFreeState.start_at, cast(UpdateRule, schedule_free_sgd_update)),
        Rule(
            "schedule-free Adam", ScheduleFreeAdamState.start_at, cast(UpdateRule, schedule_free_adam_update)
        ),
    )
}
