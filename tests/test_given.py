"""Do errors of functions that were passed in say whose they are, and keep what was said inside?"""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_utils._given import check_differentiable, loss_of, number_function, vector_function
from course_utils.curvature import hessian_vector_product
from course_utils.landscapes import loss_along_line, weights_of
from course_utils.models import MLP
from course_utils.optimizers import adam_update, momentum_update
from course_utils.optimizers.states import AdamState, MomentumState
from course_utils.sweeps import Choice, Uniform, grid, successive_halving


def fails(v):
    raise KeyError("lost")


def test_an_error_inside_becomes_a_value_error_with_the_old_one_as_its_cause():
    with pytest.raises(
        ValueError, match=r"product failed on start, a tensor of shape \(2,\).*KeyError: 'lost'"
    ) as caught:
        vector_function("product", fails, "start")(torch.ones(2))
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.parametrize("answer", [None, torch.ones(3), torch.ones(2, dtype=torch.float64)])
def test_a_product_of_another_kind_than_its_vector_is_refused(answer):
    with pytest.raises(ValueError, match="product must return what it is given for start"):
        vector_function("product", lambda v: answer, "start")(torch.ones(2))


@pytest.mark.parametrize("answer", [None, 3.0, torch.ones(2), torch.tensor(3)])
def test_a_value_that_is_no_single_real_number_is_refused(answer):
    with pytest.raises(ValueError, match="value must return one number"):
        number_function("value", lambda w: answer, "w")(torch.ones(2))


def test_a_loss_that_was_cut_off_from_its_weights_is_refused():
    with pytest.raises(ValueError, match="loss must be computed from w"):
        check_differentiable("loss", torch.tensor(1.0), "w")


def test_the_model_the_loss_and_their_arguments_are_told_apart():
    model, y = nn.Linear(3, 2), torch.tensor([0, 1, 1, 0])
    with pytest.raises(ValueError, match=r"model failed on x, a tensor of shape \(4, 5\)"):
        loss_of(model, {}, torch.ones(4, 5), y, F.cross_entropy)
    with pytest.raises(
        ValueError, match=r"loss failed on y, a tensor of shape \(3,\).*output of x, .*\(4, 2\)"
    ):
        loss_of(model, {}, torch.ones(4, 3), y[:3], F.cross_entropy)


def test_a_point_without_one_of_the_models_weights_is_refused_where_the_models_own_would_be_used():
    model = MLP((3, 4, 2))
    point = {name: w for name, w in weights_of(model).items() if "bias" not in name}
    with pytest.raises(
        ValueError, match=r"start belongs to another network than model: layers\.0\.bias has shape none"
    ):
        loss_along_line(model, point, point, torch.ones(4, 3), torch.tensor([0, 1, 1, 0]))


def test_a_parameter_without_a_part_in_the_loss_is_named_by_its_number():
    used, unused = torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True)
    with pytest.raises(ValueError, match="parameters must all have a part in the loss, number 1 has none"):
        hessian_vector_product(used.square().sum(), [used, unused])


def test_a_gradient_is_not_broadcast_to_the_state_of_another_parameter():
    with pytest.raises(
        ValueError, match=r"grad needs the shape \(3, 2\) that its state remembers, got \(2,\)"
    ):
        momentum_update(torch.ones(2), MomentumState.zeros_like(torch.ones(3, 2)), lr=0.1)
    with pytest.raises(TypeError, match="grad"):
        adam_update(state=AdamState.zeros_like(torch.ones(2)), lr=0.1)


def test_a_text_or_a_single_value_is_no_axis_of_a_sweep():
    with pytest.raises(TypeError, match=r"optimizer must be a list of values, got optimizer='Adam'"):
        grid(optimizer="Adam")
    with pytest.raises(TypeError, match=r"lr must be a list of values, got lr=0\.1"):
        grid(lr=0.1)
    with pytest.raises(TypeError, match="options of a Choice must be a list, got 'Adam'"):
        Choice("Adam")
    with pytest.raises(ValueError, match="low must be a finite number"):
        Uniform(float("-inf"), 1.0)


def broken(*, units, seed):
    """Fail, as a function with a mistake does in every job."""
    raise RuntimeError("no such layer")


def silent(*, units, seed):
    """Forget to return the loss."""


def test_halving_names_no_winner_where_every_job_failed_or_gave_no_loss():
    with pytest.raises(
        ValueError, match="none of 3 configurations a finite loss: RuntimeError: no such layer"
    ):
        successive_halving(broken, [{}] * 3, budget=3)
    with pytest.raises(TypeError, match="function must return its loss, a number, got None"):
        successive_halving(silent, [{}] * 3, budget=3)
