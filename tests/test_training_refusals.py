"""Is a run that cannot work refused before it changes anything, and in words that name the argument?"""

import pytest
import torch
from torch.optim.lr_scheduler import StepLR

from course_utils._checks import naming
from course_utils.datasets import Dataset, Split
from course_utils.models import MLP
from course_utils.seeding import make_generator
from course_utils.training import evaluate, train

X, Y = torch.eye(3), torch.tensor([0, 1, 1])


def network(width=3):
    return MLP((width, 4, 2), generator=make_generator(0))


def refused(message, *, model=None, optimizer=None, data=(X, Y), **options):
    """Train once, see that it is refused in these words, and that the weights have not moved."""
    model = model or network()
    before = [p.detach().clone() for p in model.parameters()]
    optimizer = optimizer or torch.optim.SGD(model.parameters(), lr=0.1)
    arguments = {"num_epochs": 1, "batch_size": 2, "generator": make_generator(1)} | options
    with pytest.raises((ValueError, TypeError), match=message):
        train(model, data, optimizer, **arguments)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_an_optimizer_over_another_model_is_refused():
    refused("optimizer must be over parameters", optimizer=torch.optim.SGD(network().parameters(), lr=0.1))


def test_a_scheduler_over_another_optimizer_is_refused():
    other = torch.optim.SGD(network().parameters(), lr=0.1)
    refused("scheduler must be over this optimizer", scheduler=StepLR(other, 1))


def test_an_on_step_that_cannot_be_called_so_is_refused_before_the_first_step():
    refused(r"on_step is called as on_step\(step, model\).*too many positional", on_step=lambda step: None)


def test_validation_of_unequal_length_is_refused_before_the_first_epoch():
    refused(
        "validation: .*x and y need the same number of examples, at least 1, got 3 and 2",
        validation=(X, Y[:2]),
    )


@pytest.mark.parametrize(
    "loss", [lambda output, y: None, lambda output, y: output, lambda output, y: output.detach().sum()]
)
def test_a_loss_that_is_not_one_number_of_the_weights_is_refused(loss):
    refused(r"loss\(output, y\) must be one number that depends on the model's weights", loss=loss)


def test_inputs_that_do_not_fit_the_model_are_named():
    linear = torch.nn.Linear(4, 2)  # not of the course: it raises a RuntimeError
    refused("the model cannot take x, or loss not its output and y: RuntimeError: mat1", model=linear)
    with pytest.raises(
        ValueError, match="the model cannot take x, or loss not its output and y: RuntimeError: mat1"
    ):
        evaluate(linear, (X, Y))


def test_an_error_of_a_later_step_stays_what_it_is():
    class Stops(torch.nn.Linear):
        calls = 0

        def forward(self, x):
            self.calls += 1
            if self.calls > 1:
                raise RuntimeError("the power is gone")
            return super().forward(x)

    model = Stops(3, 2)
    with pytest.raises(RuntimeError, match="the power is gone"):
        train(model, (X, Y), torch.optim.SGD(model.parameters(), lr=0.1), num_epochs=1, batch_size=2,
              generator=make_generator(1))  # fmt: skip


def test_a_device_out_of_memory_is_no_fault_of_an_argument():
    with pytest.raises(torch.OutOfMemoryError), naming("x"):
        raise torch.OutOfMemoryError("no memory")


def split(pixels, labels):
    return Split(torch.tensor(pixels, dtype=torch.uint8).view(len(labels), 1, 1, -1), torch.tensor(labels))


def test_a_label_without_a_class_is_refused():
    good, bad = split([1, 2], [0, 1]), split([1, 2], [0, 2])
    with pytest.raises(ValueError, match=r"val\.labels, by the classes, must lie in 0 to 1"):
        Dataset("two", good, bad, good, ("a", "b"))


def test_images_that_are_all_the_same_cannot_be_scaled():
    same = split([7, 7], [0, 1])
    with pytest.raises(ValueError, match="grey cannot be scaled"):
        Dataset("grey", same, same, same, ("a", "b")).tensors("train")
