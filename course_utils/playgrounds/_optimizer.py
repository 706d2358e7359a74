"""What does the optimizer playground begin with, what does it refuse, and how is it drawn where it cannot move?

The surfaces, rules and looks are those of the rest of the package; `optimizer.js` writes them once more, and its test
compares every number. Rates are two, because their units are: SGD and momentum multiply a gradient by the rate, so it
is in units of w^2 / loss; AdaGrad, RMSProp and Adam have divided the gradient by its own size, so theirs is in units
of w. One rate for all would let one of the families win whatever the surface is.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch

from course_utils._checks import check_choice, check_probability
from course_utils.landscapes import trajectories
from course_utils.objectives import (
    BEALE,
    HIMMELBLAU,
    RAVINE,
    ROSENBROCK,
    STEEP_OPTIMA,
    Objective,
    Point,
    quadratic,
)
from course_utils.optimizers import RULES


class Race(NamedTuple):
    """A surface, and a start and rates from which every method gets somewhere without leaving the picture."""

    objective: Objective
    start: Point
    lr: float  # of SGD, momentum and Nesterov
    lr_adaptive: float  # of AdaGrad, RMSProp and Adam


SURFACES: dict[str, Race] = {
    "quadratic": Race(quadratic((1.0, 20.0)), (-1.8, 1.2), 0.05, 0.1),
    "ravine": Race(RAVINE, (2.0, 3.0), 0.2, 0.1),
    "steep optima": Race(STEEP_OPTIMA, (-0.4, -0.1), 0.003, 0.02),
    "Rosenbrock": Race(ROSENBROCK, (-1.2, 1.0), 0.001, 0.1),
    "Beale": Race(BEALE, (1.0, 1.5), 0.003, 0.1),
    "Himmelblau": Race(HIMMELBLAU, (-0.5, -0.8), 0.005, 0.1),
}
ADAPTIVE = ("AdaGrad", "RMSProp", "Adam")
METHODS = tuple(name for name in RULES if name != "AdamW")  # without a penalty AdamW walks Adam's path
HYPER = {  # which of the two decays a rule takes, by the rule's own name for it
    "momentum": {"momentum": "momentum"},
    "momentum (EMA)": {"beta1": "momentum"},
    "Nesterov": {"momentum": "momentum"},
    "RMSProp": {"beta2": "beta2"},
    "Adam": {"beta1": "momentum", "beta2": "beta2"},
}
RATES = {"lr": (1e-4, 10.0), "lr_adaptive": (1e-4, 1.0)}  # what the sliders reach
STEPS = (10, 500)
FLOOR = 1e-12  # a loss this close to its minimum is called there
LIGHT_MAP = ("#b7c9de", "#fbfaf6")  # the style sheet's --pg-low and --pg-high: dark where the loss is low


def complete(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the whole state of the playground, as JSON has it: what was asked for, and defaults for the rest.

    Args:
        asked: surface (a key of `SURFACES`), start (w1, w2) within its domain, lr in [1e-4, 10],
            lr_adaptive in [1e-4, 1], momentum (μ, and β₁ of the methods that have one) and beta2 in [0, 1), steps in
            10..500, methods (names).
    Raises: ValueError: if a name is unknown or a value is out of range.
    """
    surface = asked.get("surface", "Rosenbrock")
    check_choice("surface", surface, SURFACES)
    race = SURFACES[surface]
    state: dict[str, Any] = {
        "surface": surface, "start": race.start, "lr": race.lr, "lr_adaptive": race.lr_adaptive,
        "momentum": 0.9, "beta2": 0.99, "steps": 200, "methods": METHODS,
    }  # fmt: skip
    for name, value in asked.items():
        check_choice("part of the state", name, state)
        check(name, value, surface=surface)
    state |= asked
    return state | {"start": [float(w) for w in state["start"]], "methods": list(state["methods"])}


def check(name: str, value: Any, *, surface: str) -> None:
    """Raise ValueError, with the rule and the way out, unless `value` is one that the trait `name` may have."""
    if name == "surface":
        check_choice("surface", value, SURFACES)
    elif name == "start":
        _check_start(value, surface)
    elif name in RATES:
        _check_range(name, value, RATES[name])
    elif name == "steps":
        _check_range(name, value, STEPS)
    elif name == "methods":
        for method in value:
            check_choice("method", method, METHODS)
    else:
        check_probability(name, value, below_one=True)


def _check_range(name: str, value: float, limits: tuple[float, float]) -> None:
    low, high = limits
    if not low <= value <= high:
        raise ValueError(
            f"{name} needs {low:g} <= {name} <= {high:g}, the reach of its slider; got {value!r}."
        )


def _check_start(start: Sequence[float], surface: str) -> None:
    objective = SURFACES[surface].objective
    if not inside(start, surface):
        (left, right), (bottom, top) = objective.domain
        raise ValueError(
            f"start needs two numbers within the picture of {surface}, w1 in [{left:g}, {right:g}] and w2 in "
            f"[{bottom:g}, {top:g}]; got {tuple(start)}."
        )


def inside(start: Sequence[float], surface: str) -> bool:
    """Return whether a point lies in the drawn part of a surface."""
    domain = SURFACES[surface].objective.domain
    return len(start) == 2 and all(low <= w <= high for w, (low, high) in zip(start, domain, strict=True))


def paths(state: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Return method -> [steps + 1, 3], w1, w2 and the loss above its minimum, in double precision."""
    objective = SURFACES[state["surface"]].objective
    start = torch.tensor([state["start"]], dtype=torch.float64)
    walked = {}
    for name in state["methods"]:
        lr = state["lr_adaptive" if name in ADAPTIVE else "lr"]
        hyper = {own: state[ours] for own, ours in HYPER.get(name, {}).items()}
        path = trajectories(RULES[name], objective.value, start, [lr], state["steps"], **hyper)[:, 0, 0]
        walked[name] = path - path.new_tensor([0.0, 0.0, objective.minimum_value])
    return walked


def poster(state: Mapping[str, Any]) -> tuple[bytes, str]:
    """Return a PNG of the finished race, 864 x 414 pixels, and its alternative text."""
    from matplotlib import pyplot as plt

    from course_utils.plotting import png_of, styled

    walked = paths(state)

    @styled
    def draw() -> bytes:
        figure, (plane, curve) = plt.subplots(1, 2, figsize=(9.6, 4.6), dpi=90)
        _draw_plane(plane, state, walked)
        _draw_losses(curve, walked)
        data = png_of(figure, kmeans=1)
        plt.close(figure)
        return data

    return draw(), describe(state, walked)


def describe(state: Mapping[str, Any], walked: Mapping[str, torch.Tensor]) -> str:
    """Return the alternative text: what is drawn, and how far each method came."""
    ends = (f"{name} {_in_words(float(path[-1, 2]))}" for name, path in walked.items())
    w1, w2 = state["start"]
    return (
        f"Paths of optimizers on the {state['surface']} surface from w1 = {w1:g}, w2 = {w2:g}, and their loss against "
        f"the step. Loss above the minimum after {state['steps']} steps: {', '.join(ends)}."
    )


def _in_words(gap: float) -> str:
    if not math.isfinite(gap):
        return "diverged"
    return f"{gap:.2g}" if gap > FLOOR else f"under {FLOOR:g}"


def _draw_plane(ax: Any, state: Mapping[str, Any], walked: Mapping[str, torch.Tensor]) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    from course_utils.plotting import METHOD_COLORS, METHOD_STYLES

    objective = SURFACES[state["surface"]].objective
    axes = [torch.linspace(low, high, 161, dtype=torch.float64) for low, high in objective.domain]
    grid = torch.stack(torch.meshgrid(*axes, indexing="xy"), dim=-1)
    gap = (objective(grid) - objective.minimum_value).clamp(min=FLOOR).log10()
    levels = torch.linspace(float(gap.quantile(0.01)), float(gap.max()), 15).tolist()
    colours = LinearSegmentedColormap.from_list("plate", LIGHT_MAP)
    ax.contourf(*axes, gap, levels=levels, cmap=colours, extend="both")
    ax.contour(*axes, gap, levels=levels, colors="#5a6b80", linewidths=0.5, linestyles="solid", alpha=0.5)
    for name, path in walked.items():
        look = {"color": METHOD_COLORS[name], "linestyle": METHOD_STYLES[name]}
        ax.plot(path[:, 0], path[:, 1], color="white", lw=3.2, alpha=0.8)
        ax.plot(path[:, 0], path[:, 1], lw=1.7, **look)
    if objective.minima:
        ax.plot(*zip(*objective.minima, strict=True), "X", color="white", mec="black", ms=9, linestyle="none")
    ax.plot(*state["start"], "s", color="white", mec="black", ms=8)
    ax.set(xlabel="$w_1$", ylabel="$w_2$", xlim=objective.domain[0], ylim=objective.domain[1])
    ax.grid(visible=False)


def _draw_losses(ax: Any, walked: Mapping[str, torch.Tensor]) -> None:
    from course_utils.plotting import METHOD_COLORS, METHOD_STYLES

    for name, path in walked.items():
        look = {"color": METHOD_COLORS[name], "linestyle": METHOD_STYLES[name]}
        ax.plot(path[:, 2].clamp(FLOOR, 1e12), label=name, lw=1.7, **look)
    ax.set(xlabel="step", ylabel="loss above its minimum", yscale="log")
    if walked:
        ax.figure.legend(fontsize=9, loc="outside lower center", ncols=7, columnspacing=1.2, handlelength=2.4)
