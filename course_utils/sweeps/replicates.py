"""How are many seeds afforded? Networks of one shape train side by side, as one batched matrix product per layer.

A job of a sweep is then a configuration with all of its seeds. `train_replicates` takes the steps that `training.train`
takes with SGD, network by network; what is saved is Python's time for each of them (on small networks: most of it).
"""

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils._checks import check_at_least
from course_utils._types import checked
from course_utils.datasets import load
from course_utils.devices import resolve_device
from course_utils.seeding import make_generator
from course_utils.sweeps._arguments import check_data, check_rates
from course_utils.training.evaluation import check_sizes

Data = tuple[Tensor, Tensor]


class Task(NamedTuple):
    """Three disjoint sets of small images, each (x [N, 196], y [N])."""

    train: Data
    validation: Data
    test: Data


@dataclass
class Replicates:
    """What R networks left: their curves, and which images of the evaluated set each classifies rightly."""

    step_losses: Tensor  # [steps, R], of each batch before its step
    epochs: list[int] = field(default_factory=list)  # after which the validation set was evaluated, from 1
    train_loss: list[list[float]] = field(
        default_factory=list
    )  # [len(epochs)][R], running mean of that epoch
    train_accuracy: list[list[float]] = field(default_factory=list)
    val_loss: list[list[float]] = field(default_factory=list)
    val_accuracy: list[list[float]] = field(default_factory=list)
    parameters: list[Tensor] = field(default_factory=list)  # W [R, in, out], b [R, 1, out], layer by layer

    @torch.no_grad()
    def right(self, data: Data) -> Tensor:
        """Return booleans [R, N]: which images of `data` each network classifies rightly."""
        return _forward(self.parameters, data[0]).argmax(2) == data[1]


@checked
def load_task(
    dataset: str,
    split_seed: int,
    sizes: tuple[int, int, int] = (1000, 1000, 3000),
    device: str | torch.device = "cpu",
) -> Task:
    """Return 5,000 images of a data set, shuffled once and split, each 28 x 28 reduced to the means of 2 x 2 pixels.

    Args:
        dataset: a name of `datasets.load` with images of 28 x 28.
        split_seed: of the permutation that comes before the split.
        sizes: of training, validation and test set; together at most 5,000.
        device: where the tensors live.
    Raises: ValueError: if a set is to be empty or all together to have more than 5,000 images, or the data set or the
        device is unknown. RuntimeError: if this machine has no such device.
    """
    if sum(sizes) > 5_000 or min(sizes) < 1:
        raise ValueError(f"sizes must be 1 or more and add up to at most 5,000 images, got {tuple(sizes)}.")
    check_at_least("split_seed", split_seed, 0)
    return _load_task(dataset, split_seed, tuple(sizes), resolve_device(str(device)))


@functools.lru_cache(maxsize=8)
def _load_task(dataset: str, split_seed: int, sizes: tuple[int, ...], device: torch.device) -> Task:
    data = load(dataset)
    parts = [(data.tensors(name), n) for name, n in (("train", 4000), ("val", 500), ("test", 500))]
    x, y = (torch.cat([tensors[k][:n] for tensors, n in parts]) for k in (0, 1))
    x = F.avg_pool2d(x.view(-1, 1, 28, 28), 2).flatten(1)
    order = torch.randperm(len(y), generator=make_generator(split_seed))
    ends = [0, *itertools.accumulate(sizes)]
    sets = [order[a:b] for a, b in itertools.pairwise(ends)]
    return Task(*((x[index].to(device), y[index].to(device)) for index in sets))


@checked
def train_replicates(
    data: Data,
    *,
    widths: Sequence[int],
    weight_seeds: Sequence[int],
    order_seeds: Sequence[int],
    lr: float,
    batch_size: int,
    num_epochs: int,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    validation: Data | None = None,
    evaluate_after: Sequence[int] | None = None,
) -> Replicates:
    r"""Train R ReLU networks from He's start by SGD, each with its own weights and its own batch order.

    .. math:: b \leftarrow \mu b + g + \lambda w, \qquad w \leftarrow w - \eta\, b

    Args:
        data: (x [N, widths[0]], y [N]) that all networks share.
        widths: sizes from the input to the logits.
        weight_seeds: one per network.
        order_seeds: one per network, of the permutation of each epoch; as many.
        lr: eta.
        batch_size: examples per step; the last batch of an epoch may be smaller.
        num_epochs: passes over `data`.
        momentum: mu, in torch's form.
        weight_decay: lambda, added to the gradient as torch.optim.SGD does (for SGD the decoupled form is the same).
        validation: evaluated after the epochs of `evaluate_after`.
        evaluate_after: epochs, from 1; None is every one.
    Raises: ValueError: if the two lists of seeds differ in length, a number is out of range, or data do not fit the
        widths. TypeError: if x holds no floating-point numbers or y no int64.
    """
    if len(weight_seeds) != len(order_seeds) or not len(weight_seeds):
        raise ValueError("weight_seeds and order_seeds need a seed for each network, "
                         f"got {len(weight_seeds)} and {len(order_seeds)}.")  # fmt: skip
    check_rates(data[0].dtype, lr, momentum, weight_decay)
    check_sizes(data, num_epochs, batch_size)
    check_data("data", data, widths, data[0].dtype)
    check_data("validation", validation or data, widths, data[0].dtype)
    if evaluate_after is not None and not all(1 <= epoch <= num_epochs for epoch in evaluate_after):
        raise ValueError(
            f"evaluate_after needs epochs from 1 to num_epochs={num_epochs}, got {evaluate_after}."
        )
    x, y = data
    batch_size = int(batch_size)  # torch splits by no number of NumPy
    parameters = _he_start(widths, weight_seeds, x)
    velocity = [torch.zeros_like(p) for p in parameters]
    generators = [make_generator(seed) for seed in order_seeds]
    losses: list[Tensor] = []
    run = Replicates(torch.empty(0))
    for epoch in range(1, num_epochs + 1):
        order = torch.stack([torch.randperm(len(y), generator=g) for g in generators]).to(y.device)
        hits = torch.zeros(len(generators), device=y.device)
        for index in torch.split(order, batch_size, dim=1):
            logits = _forward(parameters, x[index])  # (R, batch, classes)
            loss = F.cross_entropy(logits.transpose(1, 2), y[index], reduction="none").mean(1)
            gradients = torch.autograd.grad(loss.sum(), parameters)
            with torch.no_grad():
                for p, v, grad in zip(parameters, velocity, gradients, strict=True):
                    v.mul_(momentum).add_(grad)
                    if weight_decay:
                        v.add_(p, alpha=weight_decay)
                    p.sub_(v, alpha=lr)
                hits += (logits.argmax(2) == y[index]).sum(1)
            losses.append(loss.detach())
        if validation is not None and (evaluate_after is None or epoch in evaluate_after):
            _note(
                run,
                epoch,
                losses[-len(torch.split(order[0], batch_size)) :],
                hits / len(y),
                validation,
                parameters,
            )
    run.step_losses = torch.stack(losses)
    run.parameters = [p.detach() for p in parameters]
    return run


@checked
def score_replicates(
    *,
    seed: int,
    num_replicates: int,
    dataset: str = "mnist-5k",
    split_seed: int = 0,
    device: str | torch.device = "cpu",
    width: int = 32,
    **options: Any,
) -> dict[str, Any]:
    """Train one configuration with several seeds and return its curves as plain numbers: the job of a sweep.

    Args:
        seed: replicate r has the weight seed `seed + r` and the order seed `seed + r`: with the same `seed`, all
            configurations start from the same weights and see the same batches.
        num_replicates: how many.
        dataset: as in `load_task`; a worker loads and splits once.
        split_seed: as in `load_task`.
        device: as in `load_task`.
        width: of the hidden layer.
        options: lr, batch_size, num_epochs, ... of `train_replicates`.
    Returns: "epochs", "val_loss", "val_accuracy" (one row per evaluated epoch, one column per replicate) and
        "test_accuracy" (per replicate, at the end).
    Raises: ValueError: as of `load_task` and `train_replicates`, and if a number is out of its range.
    """
    check_at_least("num_replicates", num_replicates, 1)
    check_at_least("width", width, 1)
    check_at_least("seed", seed, 0)
    task = load_task(dataset, split_seed, device=device)
    seeds = [seed + r for r in range(num_replicates)]
    run = train_replicates(
        task.train, widths=(task.train[0].shape[1], width, 10), weight_seeds=seeds, order_seeds=seeds,
        validation=task.validation, **options,
    )  # fmt: skip
    test_accuracy = run.right(task.test).double().mean(1).tolist()
    return {"epochs": run.epochs, "val_loss": run.val_loss, "val_accuracy": run.val_accuracy,
            "test_accuracy": test_accuracy}  # fmt: skip


def _he_start(widths: Sequence[int], seeds: Sequence[int], like: Tensor) -> list[Tensor]:
    """Return W [R, in, out] and b [R, 1, out] of each layer; every network draws its weights layer by layer."""
    networks = []
    for seed in seeds:
        generator = make_generator(seed)
        networks.append(
            [torch.randn(n, m, generator=generator) * (2 / m) ** 0.5 for m, n in itertools.pairwise(widths)]
        )  # drawn as [out, in], as he_normal_ does
    parameters = []
    for layer in zip(*networks, strict=True):
        weight = torch.stack([w.T for w in layer]).to(like)
        bias = torch.zeros(len(seeds), 1, weight.shape[2]).to(like)
        parameters += [weight.requires_grad_(), bias.requires_grad_()]
    return parameters


def _forward(parameters: Sequence[Tensor], x: Tensor) -> Tensor:
    """Return logits [R, N, classes] of inputs [R, N, in], or of [N, in] that all networks share."""
    h = x if x.ndim == 3 else x.expand(len(parameters[0]), *x.shape)
    for k in range(0, len(parameters) - 2, 2):
        h = torch.relu(torch.baddbmm(parameters[k + 1], h, parameters[k]))
    return torch.baddbmm(parameters[-1], h, parameters[-2])


@torch.no_grad()
def _note(
    run: Replicates,
    epoch: int,
    losses: list[Tensor],
    accuracy: Tensor,
    validation: Data,
    parameters: Sequence[Tensor],
) -> None:
    logits = _forward(parameters, validation[0])
    labels = validation[1].expand(len(logits), -1)
    run.epochs.append(epoch)
    run.train_loss.append(torch.stack(losses).mean(0).tolist())
    run.train_accuracy.append(accuracy.tolist())
    run.val_loss.append(F.cross_entropy(logits.transpose(1, 2), labels, reduction="none").mean(1).tolist())
    run.val_accuracy.append((logits.argmax(2) == labels).double().mean(1).tolist())
