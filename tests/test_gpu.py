"""Does a GPU give what the CPU gives, up to the order of sums? Skipped where there is none (see `course doctor`)."""

import pytest
import torch

from course_utils import optimizers
from course_utils.curvature import sharpness
from course_utils.datasets import load
from course_utils.devices import resolve_device
from course_utils.landscapes import filter_normalized_direction, loss_along_line, trajectories, weights_of
from course_utils.models import MLP
from course_utils.normalization import batch_norm, layer_norm, rms_norm
from course_utils.objectives import ROSENBROCK
from course_utils.optimizers import RULES
from course_utils.probes import layer_stats, record_gradients, record_outputs, weight_gradients
from course_utils.regularization import Dropout, mixup, smooth_labels
from course_utils.seeding import make_generator
from course_utils.sweeps import train_replicates
from course_utils.training import evaluate, has_fast_bfloat16, train

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")

WIDTHS = (20, 16, 16, 5)
CLOSE = {"rtol": 1e-4, "atol": 1e-5}  # float32 sums in another order, a few dozen steps long


def blobs(device, n=200):
    generator = make_generator(0)
    y = torch.randint(5, (n,), generator=generator)
    x = torch.randn(n, 20, generator=generator) + 2 * torch.eye(5, 20)[y]
    return x.to(device), y.to(device)


def network(device, seed=1):
    return MLP(WIDTHS, activation="tanh", generator=make_generator(seed)).to(device)


def on_both(compute):
    """Return compute("cpu") and compute("cuda"), the second brought to the CPU."""
    return [torch.as_tensor(compute(device)).cpu() for device in ("cpu", "cuda")]


def flat(tensors):
    return torch.cat([tensor.detach().flatten().cpu() for tensor in tensors])


def test_auto_takes_the_gpu_and_data_go_there():
    assert resolve_device("auto").type == "cuda"
    images, labels = load("mnist-5k").tensors("val", device="cuda")
    expected, _ = load("mnist-5k").tensors("val")
    assert images.device.type == labels.device.type == "cuda"
    assert torch.allclose(images.cpu(), expected, **CLOSE)


@pytest.mark.parametrize(
    "name", ["SGD", "Momentum", "Nesterov", "EMAMomentum", "AdaGrad", "RMSProp", "Adam", "AdamW"]
)
def test_every_optimizer_takes_the_same_path(name):
    def losses(device):
        model = network(device)
        optimizer = getattr(optimizers, name)(model.parameters(), lr=0.01)
        history = train(
            model, blobs(device), optimizer, num_epochs=3, batch_size=32, generator=make_generator(2)
        )
        return history.step_losses

    assert torch.allclose(*on_both(losses), **CLOSE)


def test_accuracy_and_loss_are_the_same():
    on_cpu, on_gpu = (evaluate(network(device), blobs(device)) for device in ("cpu", "cuda"))
    assert on_gpu.accuracy == on_cpu.accuracy
    assert on_gpu.loss == pytest.approx(on_cpu.loss, rel=1e-5)


def test_a_resumed_run_with_dropout_equals_an_uninterrupted_one_bit_for_bit(tmp_path):
    def run(path, stops):
        torch.manual_seed(0)
        for stop in stops:
            model = torch.nn.Sequential(
                network("cuda", seed=stop if path.exists() else 1), torch.nn.Dropout(0.3)
            )
            optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
            history = train(model, blobs("cuda"), optimizer, num_epochs=stop, batch_size=32,
                            generator=make_generator(2), checkpoint=path, resume=True)  # fmt: skip
            torch.rand(17, device="cuda")  # a new process would not be where the old one was
        return history.step_losses, flat(model.parameters())

    with torch.random.fork_rng(devices=[0]):
        whole, whole_weights = run(tmp_path / "whole", [4])
        parts, part_weights = run(tmp_path / "parts", [1, 3, 4])
    assert parts == whole
    assert torch.equal(part_weights, whole_weights)


@pytest.mark.skipif(not has_fast_bfloat16("cuda"), reason="this GPU has no bfloat16")
def test_bfloat16_trains_as_well():
    model = network("cuda")
    train(model, blobs("cuda"), optimizers.Adam(model.parameters(), lr=0.01), num_epochs=10, batch_size=32,
          generator=make_generator(2), autocast=True)  # fmt: skip
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    assert evaluate(model, blobs("cuda")).accuracy > 0.9


def test_probes_read_the_same_numbers():
    def statistics(device):
        model, (x, y) = network(device), blobs(device)
        with record_outputs(model) as outputs, record_gradients(model) as gradients:
            torch.nn.functional.cross_entropy(model(x), y).backward()
        stds = [stats.rms for recorded in (outputs, gradients) for stats in layer_stats(recorded)]
        return torch.cat([torch.tensor(stds), flat(weight_gradients(model, x, y).values())])

    assert torch.allclose(*on_both(statistics), **CLOSE)


def test_slices_and_curvature_are_the_same():
    def numbers(device):
        model, (x, y) = network(device), blobs(device)
        start = weights_of(model)
        direction = filter_normalized_direction(start, make_generator(3))
        end = {name: weight + direction[name] for name, weight in start.items()}
        _, line = loss_along_line(model, start, end, x, y, num_points=5)
        return [*line.tolist(), sharpness(model, x, y)]

    assert torch.allclose(*on_both(numbers), rtol=1e-3)


def test_paths_on_a_surface_are_the_same():
    def ends(device):
        starts = torch.tensor([[-1.0, 1.0], [0.5, 2.0]], dtype=torch.float64, device=device)
        return trajectories(RULES["Adam"], ROSENBROCK, starts, [0.01, 0.1], num_steps=50)[-1]

    assert torch.allclose(*on_both(ends), rtol=1e-9)


@pytest.mark.parametrize("normalize", [batch_norm, layer_norm, rms_norm])
def test_normalizations_are_the_same(normalize):
    def y(device):
        parameters = [torch.full((20,), value, device=device) for value in (1.5, 0.5)]
        x, _ = blobs(device)
        return normalize(x, *parameters[: 1 if normalize is rms_norm else 2])[0]

    assert torch.allclose(*on_both(y), **CLOSE)


def test_masks_and_mixtures_come_from_the_generator_and_not_from_the_device():
    def drawn(device):
        x, y = blobs(device)
        masked = Dropout(0.5, generator=make_generator(4))(x)
        mixed = mixup(x, smooth_labels(y, 5, eps=0.0), alpha=0.4, generator=make_generator(5))[0]
        return torch.stack([masked, mixed])

    assert torch.allclose(*on_both(drawn), **CLOSE)


def test_networks_side_by_side_are_the_same():
    def weights(device):
        fleet = train_replicates(blobs(device), widths=WIDTHS, weight_seeds=[0, 1], order_seeds=[2, 3], lr=0.05,
                                 batch_size=32, num_epochs=2, momentum=0.9)  # fmt: skip
        return flat(fleet.parameters)

    assert torch.allclose(*on_both(weights), **CLOSE)
