"""Calls of `optimizers`, for the fuzzer: the rules, and one step of each class.

No rule looks at its numbers, which would cost more than the step: NaN and infinities come out again.
"""

import torch
from fuzzing import Call

from course_utils.optimizers import (
    SAM,
    SGD,
    SOAP,
    AdaGrad,
    AdaGradState,
    Adam,
    AdamState,
    AdamW,
    AMSGrad,
    AMSGradState,
    EMAMomentum,
    EMAMomentumState,
    Lion,
    Momentum,
    MomentumState,
    Muon,
    RMSProp,
    RMSPropState,
    ScheduleFreeAdam,
    ScheduleFreeAdamState,
    ScheduleFreeSGD,
    ScheduleFreeState,
    SGDState,
    Shampoo,
    ShampooState,
    SOAPState,
    adagrad_update,
    adam_update,
    amsgrad_update,
    decoupled_decay,
    ema_lr_to_torch,
    ema_momentum_update,
    lion_update,
    momentum_update,
    muon_update,
    nesterov_update,
    noise_scale,
    noise_scale_of_examples,
    orthogonalize,
    rmsprop_update,
    sam_ascent,
    schedule_free_adam_update,
    schedule_free_sgd_update,
    sgd_update,
    shampoo_update,
    soap_update,
    torch_lr_to_ema,
)

NUMBERS = ("nan", "inf", "negative", "huge", "half")  # what a tensor of real numbers may hold
SHAPES = ("empty", "one more dimension", "one dimension fewer", "one row fewer", "one column more")
RATE = ("0.0", "1e308")  # a step of 0, or one out of every range, which shows
TAKES = (
    dict.fromkeys(("lr", "l2", "weight_decay", "eps"), RATE)
    | dict.fromkeys(("momentum", "beta1", "beta2"), ("0.0",))
    | {"grad": NUMBERS, "matrix": (*NUMBERS, *SHAPES), "param": (*NUMBERS, *SHAPES), "steps": ()}
)
# parameters: one fewer, and each may have any shape and hold any number
PARAMS = ("entry missing", *(f"entry {how}" for how in NUMBERS))


def weights():
    return torch.tensor([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]], dtype=torch.float64)


def call(function, takes=TAKES, **arguments):
    """Return the call of a function; tensors and states are made anew each time."""
    return Call(function, lambda: {n: a() if callable(a) else a for n, a in arguments.items()}, takes=takes)


def rule(function, state, takes=TAKES, **hyper):
    return call(function, takes, grad=weights, state=lambda: state.zeros_like(weights()), **hyper)


def one_step(cls):
    """Return a function that makes an optimizer and takes one step along the gradient of a sum of squares."""

    def step(params, **hyper):
        optimizer = cls(params, **hyper)
        for group in optimizer.param_groups:
            for param in group["params"]:
                param.grad = param.detach() * 2
        optimizer.step()
        return [param.detach() for group in optimizer.param_groups for param in group["params"]]

    step.__qualname__ = f"{cls.__name__} and a step"
    step.covers = f"{cls.__module__.removeprefix('course_utils.')}.{cls.__name__}"
    return step


def walk(cls, *, params=lambda: [matrix(), matrix()], also=(), **hyper):
    """Return the call of a step; torch itself speaks of a parameter list, and a group holds its momentum."""
    return Call(
        one_step(cls),
        lambda: {"params": params(), **hyper},
        takes=TAKES | {"params": (*PARAMS, *also)},
        names={"params": ("parameter", "parameters", "momentum")},
        changes=("params",),
    )


def matrix():
    return weights().requires_grad_()


def step_of_sam(base, rho):
    """Make one step of SAM on a sum of squares."""
    optimizer = SAM(base, rho)
    params = base.param_groups[0]["params"]

    def closure():
        for param in params:
            param.grad = param.detach() * 2
        return sum(param.detach().square().sum() for param in params)

    optimizer.step(closure)
    return [param.detach() for param in params]


step_of_sam.covers = "optimizers.sam.SAM"
CALLS = [
    rule(sgd_update, SGDState, TAKES | {"grad": (*NUMBERS, *SHAPES)}, lr=0.1),  # it remembers no shape
    rule(momentum_update, MomentumState, lr=0.1, momentum=0.9),
    rule(ema_momentum_update, EMAMomentumState, lr=0.1, beta1=0.9),
    rule(nesterov_update, MomentumState, lr=0.1, momentum=0.9),
    rule(adagrad_update, AdaGradState, lr=0.1, eps=1e-10),
    rule(rmsprop_update, RMSPropState, lr=0.1, beta2=0.99, eps=1e-8),
    rule(adam_update, AdamState, lr=0.1, beta1=0.9, beta2=0.99, eps=1e-8),
    rule(amsgrad_update, AMSGradState, lr=0.1, beta1=0.9, beta2=0.99, eps=1e-8),
    rule(lion_update, EMAMomentumState, lr=0.1, beta1=0.9, beta2=0.99),
    rule(muon_update, MomentumState, lr=0.1, momentum=0.9, steps=5),
    rule(shampoo_update, ShampooState, lr=0.1, eps=1e-6),
    rule(soap_update, SOAPState, lr=0.1, beta1=0.9, beta2=0.99, eps=1e-8, every=2),
    call(
        schedule_free_sgd_update,
        grad=weights,
        state=lambda: ScheduleFreeState.start_at(weights()),
        lr=0.1,
        beta1=0.9,
        weight_decay=0.01,
    ),
    call(
        schedule_free_adam_update,
        grad=weights,
        state=lambda: ScheduleFreeAdamState.start_at(weights()),
        lr=0.1,
        beta1=0.9,
        beta2=0.99,
        eps=1e-8,
        weight_decay=0.01,
    ),
    call(orthogonalize, matrix=weights, steps=5),
    call(decoupled_decay, param=weights, lr=0.1, weight_decay=0.01),
    call(ema_lr_to_torch, lr=0.1, beta1=0.9),
    call(torch_lr_to_ema, lr=0.1, momentum=0.9),
    walk(SGD, lr=0.1, l2=0.01, weight_decay=0.01),
    walk(Momentum, lr=0.1, momentum=0.9),
    walk(EMAMomentum, lr=0.1, beta1=0.9),
    walk(AdaGrad, lr=0.1, eps=1e-10),
    walk(RMSProp, lr=0.1, beta2=0.99, eps=1e-8),
    walk(Adam, lr=0.1, beta1=0.9, beta2=0.99, eps=1e-8),
    walk(AdamW, lr=0.1, beta1=0.9, beta2=0.99, eps=1e-8, weight_decay=0.01),
    walk(AMSGrad, lr=0.1, beta1=0.9, beta2=0.99, eps=1e-8),
    walk(Lion, lr=0.1, beta1=0.9, beta2=0.99, weight_decay=0.01),
    walk(Muon, lr=0.1, momentum=0.9, steps=3, l2=0.01),
    walk(Shampoo, lr=0.1, eps=1e-6, l2=0.01),
    walk(SOAP, lr=0.1, beta1=0.9, beta2=0.99, eps=1e-8, every=2),
    walk(ScheduleFreeSGD, lr=0.1, beta1=0.9, l2=0.01, weight_decay=0.01),
    walk(ScheduleFreeAdam, lr=0.1, beta1=0.9, beta2=0.99, eps=1e-8),
    Call(
        step_of_sam,
        lambda: {"base": SGD([matrix()], lr=0.1), "rho": 0.05},
        takes={"rho": RATE},
        changes=("base",),
    ),
    call(
        sam_ascent,
        {"rho": RATE, "grads": ("empty", "entry twice", *PARAMS, *(f"entry {how}" for how in SHAPES))},
        grads=lambda: [weights(), weights()[0]],
        rho=0.05,
    ),
    call(noise_scale, {"small": ("0.0",), "large": ("0.0",)}, small=3.0, large=2.0, batch_sizes=(4.0, 16.0)),
    call(
        noise_scale_of_examples,
        {"gradients": ("negative", "half", "huge", "one column more")},
        gradients=weights,
    ),
    # groups: one may be empty, as for torch.optim
    walk(Adam, params=lambda: [{"params": [matrix()], "lr": 0.1}], also=("entry empty", "entry missing")),
    walk(
        Momentum,
        params=lambda: [{"momentum": 0.5, "params": [matrix()]}],
        also=("entry 0.0", "entry key missing"),
    ),
]
EXEMPT = {
    "optimizers.base.RuleOptimizer": "an abstract base: its subclasses are called",
    "optimizers.rules.UpdateRule": "a protocol: nothing is made of it",
}
