"""What is enough to reach the accuracy? Two recipes of few epochs, each from uint8 images to a trained network.

`train_adamw` needs a schedule and nothing else; `train_muon` moves matrices as matrices, with or without BatchNorm.
RECIPES holds them with the settings of the levels. They were chosen by validation accuracy on seeds 0 to 5, among some
thirty settings with bfloat16; the float32 recipes have the same ones.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from course_utils.initializers import he_normal_
from course_utils.models import MLP
from course_utils.optimizers import Muon
from course_utils.seeding import make_generator
from course_utils.speedrun.rules import WIDTHS
from course_utils.training.schedules import warmup_then_linear

Recipe = Callable[[Tensor, Tensor, int], nn.Module]  # (images, labels, seed) -> network from images to logits


class Standardize(nn.Module):
    """The first step of a network: pixels 0 to 255 become numbers of mean 0 and standard deviation 1.

    Mean and deviation are those of every tenth image: 5,000 of them know both to less than a hundredth.
    """

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        std, mean = torch.std_mean(images[::10].float())
        self.mean, self.std = nn.Buffer(mean), nn.Buffer(std)

    def forward(self, images: Tensor) -> Tensor:
        """Return float32 [N, 784] of uint8 images."""
        return images.float().sub_(self.mean).div_(self.std)


def with_batch_norm(network: MLP) -> nn.Sequential:
    """Return the network with a BatchNorm before every activation; its linear layers are moved, not copied."""
    layers: list[nn.Module] = []
    for layer in network.layers[:-1]:
        layers += [layer, nn.BatchNorm1d(layer.out_features), nn.ReLU()]  # type: ignore[arg-type]
    return nn.Sequential(*layers, network.layers[-1])


def fit(
    network: nn.Module,
    data: tuple[Tensor, Tensor],
    optimizers: Sequence[torch.optim.Optimizer],
    *,
    num_epochs: int,
    batch_size: int,
    generator: torch.Generator,
    label_smoothing: float = 0.0,
    warmup: float = 0.1,
    autocast: bool = False,
) -> None:
    """Train in place: warm-up, linear decay to 0, nothing measured on the way. `training.train` without its records.

    Args:
        network: from x to logits.
        data: (x [N, ...], y [N]); what an epoch leaves over after full batches is left out of it.
        optimizers: each over its own part of the parameters; one schedule for all.
        num_epochs: passes over the data.
        batch_size: images a step.
        generator: of the order of the images.
        label_smoothing: share of the target that is spread over all classes.
        warmup: fraction of the steps until the peak rate.
        autocast: compute products in bfloat16.
    """
    x, y = (data[0].bfloat16() if autocast else data[0]), data[1]
    used = len(y) // batch_size * batch_size
    share = warmup_then_linear(num_epochs * used // batch_size, warmup)
    schedules = [LambdaLR(optimizer, share) for optimizer in optimizers]
    network.train()
    for _ in range(num_epochs):
        for part in torch.split(torch.randperm(len(y), generator=generator)[:used], batch_size):
            # half the time of x[part]: rows are copied as wholes
            images = x.index_select(0, part)
            with torch.autocast(x.device.type, torch.bfloat16, enabled=autocast):
                logits = network(images)
            loss = F.cross_entropy(logits.float(), y[part], label_smoothing=label_smoothing)
            network.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            for optimizer, schedule in zip(optimizers, schedules, strict=True):
                optimizer.step()
                schedule.step()


def train_adamw(
    images: Tensor, labels: Tensor, seed: int, *, num_epochs: int = 8, batch_size: int = 256, lr: float = 3e-3,
    beta2: float = 0.99, initializer: Callable[..., Tensor] | None = None, **options: Any,
) -> nn.Module:  # fmt: skip
    """Train with AdamW (no decay), warm-up and linear decay.

    Args:
        images: uint8 [N, 784].
        labels: int64 [N].
        seed: of weights and order.
        num_epochs: passes over the images.
        batch_size: images a step.
        lr: peak learning rate.
        beta2: memory of the squares, shorter than Adam's 0.999 because the run is short.
        initializer: a rule such as `he_normal_`; None keeps torch's default, a sixth of He's variance.
        options: label_smoothing, warmup, autocast of `fit`.
    """
    generator = make_generator(seed)
    standardize = Standardize(images)
    network = _initialized(generator, initializer)
    adamw = torch.optim.AdamW(network.parameters(), lr, betas=(0.9, beta2), weight_decay=0.0, fused=True)
    fit(network, (standardize(images), labels), [adamw], num_epochs=num_epochs, batch_size=batch_size,
        generator=generator, **options)  # fmt: skip
    return nn.Sequential(standardize, network)


def train_muon(
    images: Tensor, labels: Tensor, seed: int, *, num_epochs: int = 3, batch_size: int = 2048, lr: float = 0.1,
    rest_lr: float = 5e-3, steps: int = 4, batch_norm: bool = False, label_smoothing: float = 0.1,
    autocast: bool = False, initializer: Callable[..., Tensor] | None = None, **options: Any,
) -> nn.Module:  # fmt: skip
    """Train with Muon on all matrices but the last, AdamW on the rest, warm-up and linear decay.

    Args:
        images: uint8 [N, 784].
        labels: int64 [N].
        seed: of weights and order.
        num_epochs: passes over the images.
        batch_size: images a step.
        lr: Muon's peak learning rate.
        rest_lr: AdamW's peak learning rate, for biases, BatchNorm and the last layer.
        steps: Newton-Schulz iterations.
        batch_norm: put a BatchNorm before every ReLU.
        label_smoothing: as in `fit`.
        autocast: products in bfloat16, those of Muon too.
        initializer: as in `train_adamw`.
        options: warmup of `fit`.
    """
    generator = make_generator(seed)
    standardize = Standardize(images)
    plain = _initialized(generator, initializer)
    network = with_batch_norm(plain) if batch_norm else plain
    *hidden, last = (p for p in network.parameters() if p.ndim == 2)
    rest = [p for p in network.parameters() if p.ndim == 1] + [last]
    muon = Muon(hidden, lr, steps=steps, dtype=torch.bfloat16 if autocast else None)
    adamw = torch.optim.AdamW(rest, rest_lr, betas=(0.9, 0.99), weight_decay=0.0, fused=True)
    fit(network, (standardize(images), labels), [muon, adamw], num_epochs=num_epochs, batch_size=batch_size,
        generator=generator, label_smoothing=label_smoothing, autocast=autocast, **options)  # fmt: skip
    return nn.Sequential(standardize, network)


def _initialized(generator: torch.Generator, initializer: Callable[..., Tensor] | None) -> MLP:
    if initializer is None:
        return MLP(WIDTHS, generator=generator)
    return MLP(WIDTHS, initializer=partial(initializer, generator=generator))


_LEVELS: dict[str, Callable[..., nn.Module]] = {
    "bronze": partial(
        train_adamw, num_epochs=9, batch_size=512, lr=4e-3, label_smoothing=0.1, initializer=he_normal_
    ),
    "silver": partial(train_muon, num_epochs=3, lr=0.1, rest_lr=5e-3, steps=4),
    "gold": partial(train_muon, num_epochs=3, lr=0.1, rest_lr=1e-2, steps=3, batch_norm=True),
}
RECIPES: dict[str, Recipe] = {
    **_LEVELS,
    **{f"{name}-bfloat16": partial(recipe, autocast=True) for name, recipe in _LEVELS.items()},
}
