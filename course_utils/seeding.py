"""Which numbers does a run start from, and can another machine start from the same ones?

Nothing here touches the global seed. A generator is made once, at the top, and passed down; it lives on the CPU, so
that weights, splits and batch orders are the same whatever device computes with them.
"""

import torch

from course_utils._types import checked

# torch.Generator takes 64-bit seeds; children stay below 2**63 so that they are also valid NumPy and JSON integers.
_LARGEST_SEED = 2**63 - 1


@checked
def make_generator(seed: int) -> torch.Generator:
    """Return a CPU generator that starts at `seed`.

    Args:
        seed: integer in [0, 2**63). The same seed gives the same stream on every device and operating system.
    Raises: ValueError: if `seed` is negative or too large. TypeError: if it is not an integer.
    """
    if not 0 <= seed <= _LARGEST_SEED:
        raise ValueError(f"seed must lie in [0, 2**63), got seed={seed}.")
    return torch.Generator().manual_seed(int(seed))


@checked
def fork_seeds(seed: int, n: int) -> list[int]:
    """Return `n` different seeds derived from `seed`, one for each repetition of an experiment.

    Consecutive integers would do for torch's generator; drawing them keeps the repetitions of seed 0 and of seed 1
    disjoint, so that `--set seed=1` is a fresh sample and not the same runs shifted by one.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, got n={n}.")
    generator = make_generator(seed)
    children: dict[int, None] = {}  # a dict keeps the order of drawing and drops the (improbable) repetition
    while len(children) < n:
        children[int(torch.randint(0, 2**31, (), generator=generator))] = None
    return list(children)
