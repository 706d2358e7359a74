"""What does one Adam step cost on 633,226 parameters? Ours beside a textbook loop and three forms of torch's own.

The textbook loop is the formula read aloud: each line makes a new tensor. Gradients are fixed, so that only the step is
timed. Run it with OMP_NUM_THREADS=1: `python benchmarks/optimizer_step.py`.
"""

import itertools
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parent))  # found whether run as a file or imported by run.py

from timing import interleave, ratio_of

from course_utils.optimizers import Adam
from course_utils.seeding import make_generator

WIDTHS = (784, 512, 256, 256, 128, 10)


class TextbookAdam:
    """Adam as a book prints it: a loop over parameters that allocates a tensor for every operation."""

    def __init__(self, params: list[Tensor], lr: float = 1e-3) -> None:
        self.params, self.lr, self.t = params, lr, 0
        self.m = [torch.zeros_like(p) for p in params]
        self.v = [torch.zeros_like(p) for p in params]

    @torch.no_grad()
    def step(self) -> None:
        """Move every parameter once."""
        self.t += 1
        for k, p in enumerate(self.params):
            grad = p.grad
            assert grad is not None
            self.m[k] = 0.9 * self.m[k] + (1 - 0.9) * grad
            self.v[k] = 0.999 * self.v[k] + (1 - 0.999) * grad**2
            m_hat = self.m[k] / (1 - 0.9**self.t)
            v_hat = self.v[k] / (1 - 0.999**self.t)
            p.add_(-self.lr * m_hat / (v_hat.sqrt() + 1e-8))


def make_parameters() -> list[Tensor]:
    """Return the weights and biases of the network, each with a gradient."""
    generator = make_generator(0)
    params: list[Tensor] = []
    for fan_in, fan_out in itertools.pairwise(WIDTHS):
        for shape in ((fan_out, fan_in), (fan_out,)):
            param = nn.Parameter(0.05 * torch.randn(shape, generator=generator))
            param.grad = 0.01 * torch.randn(shape, generator=generator)
            params.append(param)
    return params


def measure(rounds: int = 15, calls: int = 20) -> dict[str, list[float]]:
    """Return CPU seconds per step of every variant, one number a round."""
    steppers: dict[str, Callable[[], object]] = {
        "textbook loop": TextbookAdam(make_parameters()).step,
        "torch default": torch.optim.Adam(make_parameters()).step,
        "torch foreach": torch.optim.Adam(make_parameters(), foreach=True).step,
        "torch fused": torch.optim.Adam(make_parameters(), fused=True).step,
        "ours": Adam(make_parameters()).step,
    }
    return interleave(steppers, rounds, calls=calls, warmup=2)


def rows() -> list[dict[str, object]]:
    """Return one record per peer: what, peer, ours, ratio, low, high, goal (None where there is none)."""
    torch.set_num_threads(1)
    seconds = measure()
    goals = {"textbook loop": 2.5, "torch default": None, "torch foreach": 1.0, "torch fused": None}
    records: list[dict[str, object]] = []
    for peer, goal in goals.items():
        ratio = ratio_of(seconds, peer=peer, ours="ours")
        records.append({"what": "Adam step, 633,226 parameters", "peer": peer, "ours": "course_utils Adam",
                        "ratio": ratio.median, "low": ratio.low, "high": ratio.high, "goal": goal})  # fmt: skip
    return records


if __name__ == "__main__":
    for row in rows():
        goal = "" if row["goal"] is None else f"   goal >= {row['goal']}"
        print(f"{row['peer']:>14} / ours: {row['ratio']:.2f} [{row['low']:.2f}, {row['high']:.2f}]{goal}")
