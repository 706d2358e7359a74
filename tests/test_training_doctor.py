"""Does the doctor name what is broken, say nothing about healthy runs, and leave the patient as it was?"""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_utils.models import MLP
from course_utils.seeding import make_generator
from course_utils.training import Recorder, Symptoms, doctor, evaluate, examine, train

N, FEATURES, CLASSES = 600, 8, 4
HEALTHY = Symptoms(
    losses=(1.5, 1.2, 0.9, 0.7, 0.5, 0.4, 0.35, 0.3),
    num_classes=4,
    gradient_norms=(2.0,) * 30,
    cosines=(0.1,) * 29,
    update_ratios={"w": 5e-3},
    moved={"w": True, "b": True},
    had_gradient={"w": True, "b": True},
    input_mean=0.0,
    input_std=1.0,
    twins={"hidden": 0.0},
    dead={"hidden": 0.1},
    accuracies=(0.5, 0.8),
    evaluations=(0.4, 0.4),
    true_validation_loss=0.4,
)
FLAT = (1.4,) * 8


def causes(symptoms):
    return [finding.cause for finding in examine(symptoms)]


def make_data(n=N, seed=0):
    """Return points of four clouds that overlap a little, normalised."""
    generator = make_generator(seed)
    y = torch.randint(CLASSES, (n,), generator=generator)
    centres = 2 * torch.randn(CLASSES, FEATURES, generator=make_generator(99))
    x = centres[y] + torch.randn(n, FEATURES, generator=generator)
    return (x - x.mean(0)) / x.std(0), y


def make_model(seed=1):
    return MLP((FEATURES, 16, CLASSES), generator=make_generator(seed))


def watched(model=None, *, lr=0.1, data=None, **options):
    """Train a small network under the recorder for four epochs; return (model, recorder, history)."""
    model = make_model() if model is None else model
    with Recorder(model, make_data(100, seed=7)) as watch:
        history = train(model, data or make_data(), torch.optim.SGD(model.parameters(), lr=lr), num_epochs=4,
                        batch_size=20, generator=make_generator(2), on_step=watch.on_step,
                        on_divergence="stop", **options)  # fmt: skip
        return model, watch, history


# Rules


def test_a_healthy_record_and_an_empty_one_give_no_finding():
    assert causes(HEALTHY) == []
    assert causes(Symptoms()) == []


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"error": "f() missing 1 required positional argument: 'target'"}, doctor.NO_LABELS),
        ({"accuracies": (0.5, 23.4)}, doctor.NO_FRACTION),
        ({"accuracies": (-0.1,)}, doctor.NO_FRACTION),
        ({"evaluations": (0.4, 0.41)}, doctor.TRAINING_MODE),
        ({"evaluation_changed_model": True}, doctor.TRAINING_MODE),
        ({"moved": {"w": False, "b": False}}, doctor.NO_STEP),
        ({"moved": {"w": False, "b": True}}, doctor.NO_STEP),
        ({"overlap": 0.02}, doctor.LEAK),
        ({"true_validation_loss": 0.401}, doctor.BATCH_MEANS),
        ({"outputs_sum_to_one": True}, doctor.PROBABILITIES),
        ({"input_std": 78.0}, doctor.RAW_INPUTS),
        ({"input_mean": 130.0}, doctor.RAW_INPUTS),
        ({"input_std": 0.01}, doctor.RAW_INPUTS),
        ({"twins": {"hidden": 1.0}}, doctor.SYMMETRY),
        ({"losses": (40.0, *HEALTHY.losses)}, doctor.LARGE_START),
        ({"losses": (1.5, 50.0, 1.4, 1.4)}, doctor.LR_HIGH),
        ({"losses": (1.5, math.nan)}, doctor.LR_HIGH),
        ({"cosines": (0.99,) * 29, "gradient_norms": tuple(range(1, 31))}, doctor.ACCUMULATION),
        ({"losses": FLAT, "update_ratios": {"w": 1e-4}}, doctor.LR_LOW),
        ({"losses": FLAT}, doctor.WRONG_PAIRS),
        ({"dead": {"hidden": 1.0}}, doctor.DEAD),
    ],
)
def test_one_changed_symptom_gives_one_cause(changes, cause):
    assert causes(replace(HEALTHY, **changes)) == [cause]


def test_what_was_not_seen_is_not_judged():
    unseen = replace(
        HEALTHY, accuracies=(math.nan,), evaluations=(math.nan, math.nan), true_validation_loss=math.nan
    )
    assert causes(unseen) == []


def test_every_cause_has_a_rule_and_every_rule_a_cause():
    assert len(set(doctor.CAUSES)) == len(doctor.CAUSES) == len(doctor.RULES)


def test_a_contradiction_comes_before_an_ingredient_and_this_before_the_curve():
    sick = replace(HEALTHY, accuracies=(40.0,), input_std=78.0, losses=(1.5, 900.0, 1.4, 1.4))
    assert causes(sick) == [doctor.NO_FRACTION, doctor.RAW_INPUTS, doctor.LR_HIGH]
    assert [finding.strength for finding in examine(sick)] == [3, 2, 1]


def test_a_full_batch_whose_gradients_all_point_one_way_is_not_accused_of_accumulating():
    assert causes(replace(HEALTHY, cosines=(1.0,) * 29)) == []


def test_a_bad_batch_from_which_the_run_recovered_is_no_high_learning_rate():
    assert causes(replace(HEALTHY, losses=(1.5, 50.0, *HEALTHY.losses))) == []


def test_a_layer_that_gets_no_gradient_is_not_accused_of_a_missing_step():
    zero = replace(
        HEALTHY, moved={"w": False, "b": True}, had_gradient={"w": False, "b": True}, twins={"h": 1.0}
    )
    assert causes(zero) == [doctor.SYMMETRY]


def test_a_finding_says_what_was_measured_and_what_to_do():
    (finding,) = examine(replace(HEALTHY, accuracies=(23.4,)))
    assert "23.4" in finding.evidence
    assert str(finding).startswith("accuracy divided by the wrong count: ")
    assert finding.way_out in str(finding)


# Recorder


def test_the_recorder_leaves_no_trace():
    bare = make_model()
    history = train(bare, make_data(), torch.optim.SGD(bare.parameters(), lr=0.1), num_epochs=4,
                    batch_size=20, generator=make_generator(2))  # fmt: skip
    before = torch.random.get_rng_state()
    model, watch, seen = watched()
    watch.symptoms(seen.step_losses, evaluation=lambda: 1.0)
    assert seen.step_losses == history.step_losses
    assert all(torch.equal(p, q) for p, q in zip(bare.parameters(), model.parameters(), strict=True))
    assert model.training
    assert not model._forward_hooks
    assert not any(m._forward_hooks for m in model.modules())
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_hook_is_removed_after_an_error():
    model = make_model()
    with pytest.raises(ZeroDivisionError), Recorder(model):
        raise ZeroDivisionError
    assert not model._forward_hooks


def test_the_first_update_ratio_and_norm_are_those_of_one_step_of_sgd():
    model, (x, y) = make_model(), make_data()
    F.cross_entropy(model(x[:20]), y[:20]).backward()
    expected = {
        n: float(0.3 * p.grad.norm() / p.detach().norm()) for n, p in model.named_parameters() if p.ndim == 2
    }
    norm = float(torch.cat([p.grad.flatten() for p in model.parameters()]).norm())
    with Recorder(model) as watch:
        torch.optim.SGD(model.parameters(), lr=0.3).step()
        watch.on_step(0, model)
    symptoms = watch.symptoms([1.0])
    assert symptoms.update_ratios == pytest.approx(expected, rel=1e-4)
    assert symptoms.gradient_norms == pytest.approx((norm,))


def test_the_cosine_is_minus_one_when_the_gradient_turns_round():
    model = nn.Linear(3, 2)
    with Recorder(model) as watch:
        for sign in (1.0, 1.0, -2.0):
            for p in model.parameters():
                p.grad = torch.full_like(p, sign)
            watch.on_step(0, model)
    assert watch.symptoms([]).cosines == pytest.approx((1.0, -1.0))


def test_inputs_are_those_fed_to_the_model_and_evaluations_are_not_among_them():
    model = nn.Linear(3, 2)
    with Recorder(model, (torch.ones(4, 3), torch.zeros(4, dtype=torch.long))) as watch:
        model(torch.full((5, 3), 7.0))
        with torch.no_grad():
            model(torch.ones(4, 3))
    symptoms = watch.symptoms([])
    assert (symptoms.input_mean, symptoms.input_std) == (7.0, 0.0)
    assert symptoms.overlap == 0.0


def test_the_overlap_is_the_share_of_validation_inputs_that_were_trained_on():
    model, held_out = nn.Linear(3, 2), torch.randn(10, 3, generator=make_generator(0))
    with Recorder(model, (held_out, torch.zeros(10, dtype=torch.long))) as watch:
        model(torch.cat([held_out[:4], torch.randn(6, 3, generator=make_generator(1))]))
    assert watch.symptoms([]).overlap == pytest.approx(0.4)


def test_the_evaluation_is_called_twice_in_a_row():
    values = iter([0.1, 0.3])
    model = nn.Linear(3, 2)
    with Recorder(model) as watch:
        symptoms = watch.symptoms([], evaluation=lambda: next(values))
    assert symptoms.evaluations == (0.1, 0.3)


def test_an_evaluation_that_moves_running_means_is_noticed_although_it_repeats():
    model = nn.Sequential(nn.Linear(FEATURES, 5), nn.BatchNorm1d(5), nn.Linear(5, CLASSES))
    x, y = make_data(50)
    with Recorder(model, (x, y)) as watch:
        model(x)
        careless = watch.symptoms([], evaluation=lambda: F.cross_entropy(model(x), y).item())
        careful = watch.symptoms([], evaluation=lambda: evaluate(model, (x, y)).loss)
    assert careless.evaluations[0] == careless.evaluations[1]
    assert careless.evaluation_changed_model
    assert not careful.evaluation_changed_model


# Runs


@pytest.mark.parametrize("lr", [0.03, 0.1, 0.3])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_healthy_runs_give_no_finding(lr, seed):
    model, watch, history = watched(make_model(seed), lr=lr)
    held_out = make_data(100, seed=7)
    accuracies = [e.train_accuracy for e in history.epochs]
    symptoms = watch.symptoms(
        history.step_losses, accuracies=accuracies, evaluation=lambda: evaluate(model, held_out).loss
    )
    assert causes(symptoms) == []


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_summed_gradient_is_told_from_a_large_learning_rate(seed):
    model = make_model(seed)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    optimizer.zero_grad = lambda: None
    with Recorder(model) as watch:
        history = train(model, make_data(), optimizer, num_epochs=4, batch_size=20, generator=make_generator(2),
                        on_step=watch.on_step)  # fmt: skip
    assert causes(watch.symptoms(history.step_losses))[0] == doctor.ACCUMULATION
    _, watch, history = watched(make_model(seed), lr=300.0)
    assert causes(watch.symptoms(history.step_losses))[0] == doctor.LR_HIGH


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_permuted_labels_are_told_from_a_small_learning_rate(seed):
    x, y = make_data()
    wrong = y[torch.randperm(N, generator=make_generator(seed))]
    _, watch, history = watched(make_model(seed), data=(x, wrong))
    assert causes(watch.symptoms(history.step_losses)) == [doctor.WRONG_PAIRS]
    _, watch, history = watched(make_model(seed), lr=1e-3)
    assert causes(watch.symptoms(history.step_losses)) == [doctor.LR_LOW]


def test_units_that_start_equal_are_twins_after_training_and_random_ones_are_not():
    model = make_model()
    with torch.no_grad():
        for p in model.parameters():
            p.fill_(0.1)
    _, watch, history = watched(model)
    assert watch.symptoms(history.step_losses).twins == {"layers.0": 1.0}
    _, watch, history = watched()
    assert watch.symptoms(history.step_losses).twins == {"layers.0": 0.0}
