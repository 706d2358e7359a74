"""Sweeps: the same records wherever they run, nothing lost, and searches that keep their books."""

import functools
import importlib.util
import itertools
import math
import os
from pathlib import Path

import pytest
import torch

from course_utils.initializers import he_normal_
from course_utils.models import MLP
from course_utils.optimizers import SGD
from course_utils.seeding import fork_seeds, make_generator
from course_utils.sweeps import (
    Choice,
    LogUniform,
    Uniform,
    grid,
    load_task,
    local_dask,
    lr_range_test,
    random_search,
    read_surface,
    run_sweep,
    score_replicates,
    stop_workers,
    successive_halving,
    train_replicates,
)
from course_utils.training import evaluate, train

CHILDREN = f"/proc/{os.getpid()}/task/{os.getpid()}/children"
SHORT = [
    dict(lr=lr, batch_size=50, num_epochs=2, num_replicates=2, momentum=0.9, weight_decay=1e-3)
    for lr in (0.02, 0.05, 0.1)
]


def work(*, seed, x=1.0, fail=False):
    """Return something that depends on the seed, or raise."""
    if fail:
        raise ArithmeticError("too large")
    return x * torch.rand((), generator=make_generator(seed), dtype=torch.float64).item()


# Configurations


def test_a_grid_has_every_combination_once_and_the_last_axis_runs_fastest():
    points = grid(lr=[0.1, 0.2], width=(3, 4, 5))
    assert points[:4] == [
        {"lr": 0.1, "width": 3}, {"lr": 0.1, "width": 4}, {"lr": 0.1, "width": 5}, {"lr": 0.2, "width": 3},
    ]  # fmt: skip
    assert len(points) == 6


def test_an_empty_axis_is_named():
    with pytest.raises(ValueError, match="width has none"):
        grid(lr=[0.1], width=[])


def test_random_configurations_are_uniform_on_the_scale_of_their_axis():
    space = {"lr": LogUniform(1e-3, 1.0), "dropout": Uniform(0.2, 0.6), "depth": Choice([2, 3])}
    drawn = random_search(space, 4000, make_generator(0))
    for decade in (1e-3, 1e-2, 1e-1):  # a third each; 4 sigma = 4 sqrt(2/9 / 4000) = 0.03
        share = sum(decade <= c["lr"] < 10 * decade for c in drawn) / 4000
        assert share == pytest.approx(1 / 3, abs=0.03)
    dropouts = [c["dropout"] for c in drawn]
    assert 0.2 <= min(dropouts) < 0.21
    assert 0.59 < max(dropouts) < 0.6
    assert sum(c["depth"] == 2 for c in drawn) / 4000 == pytest.approx(0.5, abs=0.032)


def test_a_longer_random_search_begins_with_the_shorter_one():
    space = {"lr": LogUniform(1e-3, 1.0), "width": Choice(range(100))}
    assert random_search(space, 9, make_generator(1))[:4] == random_search(space, 4, make_generator(1))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: LogUniform(0.0, 1.0), "low must be a finite number > 0"),
        (lambda: LogUniform(1.0, 0.1), "low < high"),
        (lambda: Uniform(1.0, 1.0), "low < high"),
        (lambda: Choice([]), "at least one option"),
        (lambda: random_search({}, 0, make_generator(0)), "n must be at least 1"),
    ],
)
def test_spaces_without_a_point_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


# Running them


def test_records_come_in_the_order_of_the_configurations_with_a_seed_each():
    records = run_sweep(work, [{"x": 1.0}, {"x": 2.0}, {"x": 3.0}], seed=5)
    assert [r.configuration["x"] for r in records] == [1.0, 2.0, 3.0]
    assert [r.seed for r in records] == fork_seeds(5, 3)
    assert [r.result for r in records] == [
        work(seed=s, x=x) for s, x in zip(fork_seeds(5, 3), (1, 2, 3), strict=True)
    ]


def test_a_configuration_with_a_seed_of_its_own_keeps_it():
    one, two = run_sweep(work, [{"seed": 7}, {"seed": 7}])
    assert one.result == two.result == work(seed=7)
    assert "seed" not in one.configuration


def test_a_job_that_raises_becomes_a_record_and_the_others_are_not_lost():
    records = run_sweep(work, [{}, {"fail": True}, {}])
    assert [r.failed for r in records] == [False, True, False]
    assert records[1].error == "ArithmeticError: too large"
    assert records[1].result is None


def test_each_job_has_one_thread_and_the_number_of_threads_is_put_back():
    torch.set_num_threads(2)
    try:
        (record,) = run_sweep(lambda seed: torch.get_num_threads(), [{}])
        assert record.result == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


def test_nothing_to_do_gives_no_record_and_no_process_is_no_answer():
    assert run_sweep(work, []) == []
    with pytest.raises(ValueError, match="counts processes"):
        run_sweep(work, [{}], num_jobs=0)


def children():
    """Return the commands of this process's children that are alive, by their id."""
    with open(CHILDREN, encoding="ascii") as file:
        pids = file.read().split()
    return {pid: Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ") for pid in pids}


@pytest.mark.skipif(not os.path.exists(CHILDREN), reason="needs Linux's list of children")
@pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="needs the extra 'sweep'")
def test_one_process_two_processes_and_a_dask_cluster_agree_to_the_last_digit_and_leave_nothing_behind(capfd):
    before = children()
    alone = run_sweep(score_replicates, SHORT)
    both = run_sweep(score_replicates, SHORT, num_jobs=2)
    stop_workers()
    with local_dask(num_workers=2):
        where = {r.result for r in run_sweep(process_id, [{}] * 8)}
        on_dask = run_sweep(score_replicates, SHORT)
    assert not any(r.failed for r in alone)
    assert alone == both == on_dask
    assert os.getpid() not in where
    # the trackers that joblib and multiprocessing start once live as long as this process, and are no workers
    left = [command for pid, command in children().items() if pid not in before]
    assert [command for command in left if "resource_tracker" not in command] == []
    assert capfd.readouterr() == ("", "")


def process_id(*, seed):
    """Return the process that runs the job."""
    return os.getpid()


# Networks side by side


@pytest.fixture(scope="module")
def task():
    return load_task("mnist-5k", 3)


def test_a_task_is_a_partition_of_the_images_into_three_sets(task):
    assert [len(part[1]) for part in task] == [1000, 1000, 3000]
    images = torch.cat([part[0] for part in task])
    assert images.shape == (5000, 196)
    other = load_task("mnist-5k", 4)
    every_image = torch.cat([part[0] for part in other])
    torch.testing.assert_close(images.double().sum(0), every_image.double().sum(0))
    assert not torch.equal(task.train[0], other.train[0])
    there = load_task("mnist-5k", 3, device=torch.device("cpu"))  # a device, or its name
    assert torch.equal(there.train[0], task.train[0])


def test_networks_side_by_side_take_the_steps_of_the_training_loop(task):
    seeds, orders = [3, 8, 11], [5, 6, 7]
    x, y = task.train[0][:230].double(), task.train[1][:230]  # the last batch of 30 is smaller
    held_out = task.validation[0][:300].double(), task.validation[1][:300]
    run = train_replicates(
        (x, y), widths=(196, 13, 7, 10), weight_seeds=seeds, order_seeds=orders, lr=0.05, batch_size=50,
        num_epochs=3, momentum=0.9, weight_decay=0.01, validation=held_out, evaluate_after=(1, 3),
    )  # fmt: skip
    assert run.epochs == [1, 3]
    for r, (seed, order) in enumerate(zip(seeds, orders, strict=True)):
        model = MLP(
            (196, 13, 7, 10), initializer=functools.partial(he_normal_, generator=make_generator(seed))
        )
        model = model.double()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=0.01)
        history = train(
            model,
            (x, y),
            optimizer,
            num_epochs=3,
            batch_size=50,
            generator=make_generator(order),
            validation=held_out,
        )
        torch.testing.assert_close(run.step_losses[:, r].tolist(), history.step_losses, rtol=1e-9, atol=1e-9)
        assert run.val_loss[1][r] == pytest.approx(history.epochs[2].val_loss, rel=1e-9)
        assert run.val_accuracy[1][r] == pytest.approx(history.epochs[2].val_accuracy)
        assert run.train_accuracy[1][r] == pytest.approx(history.epochs[2].train_accuracy)
        assert run.right(held_out)[r].double().mean() == pytest.approx(evaluate(model, held_out).accuracy)


def test_a_network_does_not_depend_on_its_neighbours(task):
    options = dict(widths=(196, 8, 10), lr=0.1, batch_size=50, num_epochs=1)
    both = train_replicates(task.train, weight_seeds=[1, 2], order_seeds=[1, 2], **options)
    alone = train_replicates(task.train, weight_seeds=[2], order_seeds=[2], **options)
    torch.testing.assert_close(both.step_losses[:, 1], alone.step_losses[:, 0], rtol=1e-4, atol=1e-5)


def test_each_network_needs_both_seeds(task):
    with pytest.raises(ValueError, match=r"weight_seeds and order_seeds need .* got 2 and 1"):
        train_replicates(task.train, widths=(196, 10), weight_seeds=[1, 2], order_seeds=[1], lr=0.1, batch_size=9,
                         num_epochs=1)  # fmt: skip


def test_more_images_than_there_are_is_refused():
    with pytest.raises(ValueError, match=r"at most 5,000"):
        load_task("mnist-5k", 0, (4000, 1000, 1000))


# Searches


def early_and_late(*, units, seed, late, early):
    """Return a loss that goes from `early` to `late` as the units grow."""
    return late + (early - late) / units


def test_halving_of_27_costs_108_units_instead_of_729():
    entries = [{"late": k, "early": k} for k in range(27)]
    found = successive_halving(early_and_late, entries, budget=27, eta=3)
    assert [(rung.units, len(rung.indices)) for rung in found.rungs] == [(1, 27), (3, 9), (9, 3), (27, 1)]
    assert (found.units_spent, found.units_if_resumed, found.units_of_all) == (108, 81, 729)
    assert found.best == 0
    assert found.rungs[1].indices == tuple(range(9))


def test_halving_throws_away_what_learns_slowly():
    entries = [{"late": 0.0, "early": 9.0}, *({"late": 1.0 + k, "early": 1.0} for k in range(8))]
    found = successive_halving(early_and_late, entries, budget=9, eta=3)
    assert found.best != 0
    assert 0 not in found.rungs[1].indices


def sometimes(*, units, seed, k):
    """Return k, NaN, or raise."""
    if k == 0:
        raise FloatingPointError
    return math.nan if k == 1 else float(k)


def test_failures_and_nan_lose_against_everything_and_keep_their_place_in_the_books():
    found = successive_halving(sometimes, [{"k": k} for k in range(4)], budget=4, eta=2)
    assert found.best == 2
    assert found.rungs[0].losses[:2] == (math.inf, math.inf)
    assert found.units_spent == 12


def seen_seed(*, units, seed, k):
    """Return the seed, so that the smallest one wins."""
    return float(seed)


def test_a_configuration_keeps_its_seed_over_the_rungs():
    found = successive_halving(seen_seed, [{"k": k} for k in range(9)], budget=9, eta=3, seed=2)
    assert found.rungs[-1].losses == (float(min(fork_seeds(2, 9))),)


@pytest.mark.parametrize(
    ("n", "options", "words"),
    [
        (9, {"budget": 12}, "multiple of"),
        (2, {"budget": 9}, "at least eta"),
        (9, {"budget": 9, "eta": 1}, "eta >= 2"),
    ],
)
def test_budgets_that_do_not_divide_are_refused(n, options, words):
    with pytest.raises(ValueError, match=words):
        successive_halving(early_and_late, [{"late": 0, "early": 0}] * n, **options)


@pytest.fixture
def range_test(task):
    model = MLP((196, 16, 10), initializer=functools.partial(he_normal_, generator=make_generator(0)))
    return lambda **options: lr_range_test(
        model, task.train, SGD(model.parameters()), generator=make_generator(1), batch_size=50, **options
    )


def test_the_range_test_runs_through_a_geometric_series_and_stops_where_it_diverges(range_test):
    found = range_test(num_steps=120, lr_max=100.0)
    ratios = [b / a for a, b in itertools.pairwise(found.lrs)]
    assert found.lrs[0] == 1e-4
    assert ratios == pytest.approx([1e6 ** (1 / 119)] * len(ratios))
    assert len(found.lrs) == len(found.losses) == len(found.smoothed) < 120
    assert 0.01 < found.lr_at_minimum < found.lr_at_divergence < 100
    assert found.lr_at_minimum == found.lrs[found.smoothed.index(min(found.smoothed))]


def test_without_divergence_the_range_test_ends_at_its_last_rate(range_test):
    found = range_test(num_steps=30, lr_max=1e-2)
    assert found.lrs[-1] == pytest.approx(1e-2)
    assert found.lr_at_divergence == math.inf


def test_smoothing_divides_the_bias_out(range_test):
    found = range_test(num_steps=10, lr_max=1e-3, smoothing=0.8)
    weights = [0.8 ** (9 - k) for k in range(10)]
    mean = sum(w * loss for w, loss in zip(weights, found.losses, strict=True)) / sum(weights)
    assert found.smoothed[-1] == pytest.approx(mean)
    assert found.smoothed[0] == pytest.approx(found.losses[0])


def test_an_empty_range_is_refused(range_test):
    with pytest.raises(ValueError, match="0 < lr_min < lr_max"):
        range_test(lr_min=1.0, lr_max=0.1)


def test_a_surface_is_exact_at_its_points_and_for_what_is_bilinear():
    rows, columns = torch.linspace(0, 1, 4).double(), torch.linspace(0, 1, 3).double()
    plane = 2 + 3 * rows[:, None] - columns + 5 * rows[:, None] * columns
    u, v = torch.rand(2, 50, generator=make_generator(0), dtype=torch.float64)
    torch.testing.assert_close(read_surface(plane, u, v), 2 + 3 * u - v + 5 * u * v)
    table = torch.rand(2, 4, 3, generator=make_generator(1), dtype=torch.float64)
    corners = read_surface(table, rows.repeat_interleave(3), columns.repeat(4))
    torch.testing.assert_close(corners.view(2, 4, 3), table)


def test_a_surface_is_not_extrapolated():
    with pytest.raises(ValueError, match="fractions in"):
        read_surface(torch.zeros(2, 2), torch.tensor([1.1]), torch.tensor([0.5]))
