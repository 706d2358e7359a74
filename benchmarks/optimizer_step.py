"""What does one Adam step cost on 633,226 parameters? Ours beside a textbook loop and three forms of torch's own.

The textbook loop is the formula read aloud: each line makes a new tensor. Gradients are fixed, so that only the step is
timed. The floor reads and writes what any Adam must, seven floats a parameter: weight, gradient and two moments are
read, weight and moments are written. Run it with OMP_NUM_THREADS=1: `python benchmarks/optimizer_step.py`.
"""

import itertools
import time
from collections.abc import Callable

import torch
from records import Limit, Record, Skipped, compare, label_of
from timing import interleave, share_of
from torch import Tensor, nn

from course_utils.optimizers import Adam, CompiledAdam
from course_utils.seeding import make_generator
from course_utils.speedrun import WIDTHS, TextbookAdam

WHAT = "Adam step, 633,226 parameters"


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


def make_traffic() -> Callable[[], None]:
    """Return a function that moves seven floats a parameter and computes next to nothing."""
    number = sum(p.numel() for p in make_parameters())
    w, g, m, v = (torch.ones(number) for _ in range(4))

    def traffic() -> None:
        w.add_(g, alpha=0.0)
        m.mul_(1.0)
        v.mul_(1.0)

    return traffic


def first_step() -> tuple[CompiledAdam | None, float, str]:
    """Return our compiled optimizer after its first step, the seconds that took, and the reason where it cannot be."""
    optimizer = CompiledAdam(make_parameters())
    start = time.perf_counter()
    try:
        optimizer.step()
    except RuntimeError as error:  # no C++ compiler on this machine
        return None, 0.0, str(error).splitlines()[0]
    return optimizer, time.perf_counter() - start, ""


def measure(compiled: CompiledAdam | None, rounds: int = 45, calls: int = 20) -> dict[str, list[float]]:
    """Return CPU seconds per step of every variant, one number a round."""
    steppers: dict[str, Callable[[], object]] = {
        "textbook loop": TextbookAdam(make_parameters()).step,
        "torch default": torch.optim.Adam(make_parameters()).step,
        "torch foreach": torch.optim.Adam(make_parameters(), foreach=True).step,
        "torch fused": torch.optim.Adam(make_parameters(), fused=True).step,
        "Adam": Adam(make_parameters()).step,
        "traffic": make_traffic(),
    }
    if compiled is not None:
        steppers["CompiledAdam"] = compiled.step
    return interleave(steppers, rounds, calls=calls, warmup=2)


def rows() -> list[Record]:
    """Return a row per peer, for Adam and for its compiled form, and what compiling costs."""
    torch.set_num_threads(1)
    compiled, compile_seconds, reason = first_step()
    seconds = measure(compiled)
    goals = {"textbook loop": 2.5, "torch default": None, "torch foreach": 1.0, "torch fused": None}
    pairs = [("Adam", peer, goal) for peer, goal in goals.items()]
    if compiled is not None:
        pairs += [("CompiledAdam", "textbook loop", None), ("CompiledAdam", "torch fused", 1.0)]
    own, torch_version = {"textbook loop": ""}, label_of("torch")
    records: list[Record] = [
        compare(seconds, what=WHAT, peer=peer, ours=ours, goal=goal, floor="traffic",
                peer_version=own.get(peer, torch_version),
                note=f"reading and writing seven floats a parameter is {share_of(seconds, part='traffic', whole=ours)} "
                     "of its time")
        for ours, peer, goal in pairs
    ]  # fmt: skip
    if compiled is None:
        return [*records, Skipped("CompiledAdam", f"it cannot be compiled here: {reason}")]
    return [*records, Limit("first step of CompiledAdam, which compiles it", "CompiledAdam", compile_seconds, 60.0,
                            "wall seconds", "once a process; a cache on disk shortens later ones")]  # fmt: skip


if __name__ == "__main__":
    for record in rows():
        print(record)
