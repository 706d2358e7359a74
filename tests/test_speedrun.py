"""Does the race let pass what passes, refuse what breaks its rule, and time what it says it times?"""

import dataclasses
import json
import statistics
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from course_utils.authoring.cli import main as course
from course_utils.datasets import load
from course_utils.datasets.records import Dataset, Split
from course_utils.models import MLP
from course_utils.seeding import make_generator
from course_utils.speedrun import (
    RACES,
    RECIPES,
    WIDTHS,
    PublishedRecipe,
    Race,
    TextbookAdam,
    add_entry,
    fresh_seeds,
    judge,
    read_entries,
    train_adamw,
    train_muon,
)
from course_utils.speedrun.__main__ import main
from course_utils.speedrun.leaderboard import as_table, find_recipe
from course_utils.speedrun.recipes import Standardize, fit, with_batch_norm
from course_utils.speedrun.rules import check_network, lower_bound
from course_utils.training import train
from course_utils.training.schedules import warmup_then_linear

STORED = Path(__file__).resolve().parents[1] / "benchmarks" / "results" / "speedrun.json"


@pytest.fixture(scope="module")
def digits():
    """The first images of the embedded set: a race of a second."""
    whole = load("mnist-5k")
    train_set, val, test = (Split(s.images[:n], s.labels[:n]) for s, n in
                            ((whole.train, 512), (whole.val, 64), (whole.test, 128)))  # fmt: skip
    return Dataset("mnist-5k", train_set, val, test, whole.classes)


def entry_with(accuracies, **changes):
    template = judge_fields() | {"accuracies": tuple(accuracies)} | changes
    from course_utils.speedrun import Entry

    return Entry(**template)


def judge_fields():
    return {"name": "mine", "dataset": "mnist-5k", "source": "0" * 12, "seeds": (1, 2, 3), "accuracies": (0.9,) * 3,
            "seconds": 1.0, "unit_seconds": 2.0, "target": 0.9, "level": "gold", "date": "2026-01-01",
            "machine": "a processor", "torch": "2.14.1"}  # fmt: skip


# The rule


def test_the_bound_is_the_mean_less_1_64_standard_errors():
    values = [0.90, 0.91, 0.93, 0.94]
    assert lower_bound(values) == pytest.approx(0.92 - 1.64 * statistics.stdev(values) / 2, rel=1e-12)
    with pytest.raises(ValueError, match="at least two"):
        lower_bound([0.9])


def test_a_recipe_at_the_target_passes_about_once_in_twenty_times():
    draws = 0.9 + 0.002 * torch.randn(4000, 10, generator=make_generator(0), dtype=torch.float64)
    share = statistics.fmean(lower_bound(row) >= 0.9 for row in draws.tolist())
    assert 0.05 < share < 0.09  # 6.8 %: 1.64 is the normal quantile, and ten seeds have Student's


def test_levels_go_to_the_cheapest_and_beyond_them_a_run_is_finished():
    race = Race("fashion-mnist", 0.9, {"gold": 0.5, "bronze": 1.5})
    assert [race.level(u) for u in (0.5, 0.51, 1.5, 1.6)] == ["gold", "bronze", "bronze", "finished"]


def test_fresh_seeds_follow_from_the_text_and_from_nothing_else():
    assert fresh_seeds("a recipe") == fresh_seeds("a recipe")
    assert not set(fresh_seeds("a recipe")) & set(fresh_seeds("a recipe "))
    assert len(set(fresh_seeds("a recipe", 50))) == 50


@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_race_s_own_networks_keep_the_rule(batch_norm, digits):
    plain = MLP(WIDTHS)
    check_network(with_batch_norm(plain) if batch_norm else plain, digits.test.images[:4].flatten(1).float())


class Twice(nn.Module):
    """Averages over an image and its mirror image: test-time augmentation."""

    def __init__(self):
        super().__init__()
        self.body = MLP(WIDTHS)

    def forward(self, x):
        return self.body(x) + self.body(x.flip(1))


class Hidden(nn.Module):
    """Keeps a matrix of its own beside the network."""

    def __init__(self):
        super().__init__()
        self.body, self.more = MLP(WIDTHS), nn.Parameter(torch.zeros(784, 10))

    def forward(self, x):
        return self.body(x) + x @ self.more


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (MLP((784, 600, 256, 256, 128, 10)), "sizes"),
        (nn.Sequential(MLP(WIDTHS), nn.Linear(10, 10)), "sizes"),
        (Twice(), "each image once"),
        (Hidden(), "more"),
        (nn.Sequential(MLP(WIDTHS), nn.Flatten(0)), "logits"),
    ],
)
def test_what_breaks_the_rule_is_refused_with_the_reason(network, reason):
    with pytest.raises(ValueError, match=reason):
        check_network(network, torch.zeros(4, 784))


# S0's recipe


def test_s0_s_loop_computes_what_the_fast_loop_computes(digits):
    published = PublishedRecipe(digits, batch_size=64, seed=3)
    published.epoch()
    model = MLP(WIDTHS, generator=make_generator(3))
    x, y = digits.tensors("train")
    # torch's DataLoader draws a seed of its own from the generator before the order
    generator = make_generator(3)
    torch.empty((), dtype=torch.int64).random_(generator=generator)
    history = train(model, (x, y), torch.optim.Adam(model.parameters(), 1e-3), num_epochs=1, batch_size=64,
                    generator=generator)  # fmt: skip
    torch.testing.assert_close(
        torch.tensor(published.step_losses), torch.tensor(history.step_losses), rtol=1e-4, atol=1e-5
    )


def test_the_stopwatch_has_all_parts_and_they_are_the_whole_epoch(digits):
    import time

    published = PublishedRecipe(digits)
    start = time.process_time()
    parts = published.epoch()
    whole = time.process_time() - start
    assert set(parts) == {"images", "forward", "backward", "update", "bookkeeping", "validation"}
    assert all(seconds > 0 for seconds in parts.values())
    assert sum(parts.values()) == pytest.approx(whole, rel=0.2)


def test_the_textbook_adam_is_torch_s():
    ours, theirs = (nn.Parameter(torch.ones(5, dtype=torch.float64)) for _ in range(2))
    pair = [(ours, TextbookAdam([ours])), (theirs, torch.optim.Adam([theirs], 1e-3))]
    for step in range(100):
        for weight, optimizer in pair:
            weight.grad = torch.sin(weight.detach() + step)
            optimizer.step()
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-14)


# Recipes


def test_the_share_rises_to_one_in_the_warm_up_and_falls_in_a_line():
    share = warmup_then_linear(100, warmup=0.1)
    assert share(0) == pytest.approx(0.1)
    assert share(9) == pytest.approx(1.0 * (1 - 9 / 100))
    assert share(50) == pytest.approx(0.5)
    assert share(99) == pytest.approx(0.01)
    assert share(100) == share(500) == 0.0
    assert warmup_then_linear(10, warmup=0.0)(0) == 1.0
    with pytest.raises(ValueError, match="warmup"):
        warmup_then_linear(10, warmup=1.0)
    with pytest.raises(ValueError, match="total"):
        warmup_then_linear(0)


def test_standardized_training_images_have_mean_0_and_deviation_1_to_a_hundredth():
    images = load("mnist-5k").train.images.flatten(1)
    x = Standardize(images)(images)
    assert x.dtype == torch.float32
    assert abs(float(x.mean())) < 0.01
    assert float(x.std()) == pytest.approx(1.0, abs=0.01)


def test_fit_makes_the_steps_of_an_optimizer_with_that_schedule(digits):
    data = digits.tensors("train")
    networks = [MLP(WIDTHS, generator=make_generator(0)) for _ in range(2)]
    fit(networks[0], data, [torch.optim.SGD(networks[0].parameters(), 0.1)], num_epochs=2, batch_size=100,
        generator=make_generator(1))  # fmt: skip
    generator, step = make_generator(1), 0
    for _ in range(2):
        order = torch.randperm(512, generator=generator)
        for first in range(0, 500, 100):  # the last 12 are left out
            part = order[first : first + 100]
            loss = nn.functional.cross_entropy(networks[1](data[0][part]), data[1][part])
            gradients = torch.autograd.grad(loss, list(networks[1].parameters()))
            share = min(step + 1, 1) * (1 - step / 10)
            with torch.no_grad():
                for p, grad in zip(networks[1].parameters(), gradients, strict=True):
                    p -= 0.1 * share * grad
            step += 1
    for ours, theirs in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_learns_from_its_seed_alone_and_returns_a_network_of_the_race(name, digits):
    images, labels = digits.train.images.flatten(1), digits.train.labels
    quick = partial(RECIPES[name], num_epochs=2, batch_size=64)
    networks = [quick(images, labels, seed) for seed in (5, 5, 6)]
    test = digits.test.images.flatten(1)
    with torch.no_grad():
        logits = [network.eval()(test) for network in networks]
    check_network(networks[0], test[:4])
    assert torch.equal(logits[0], logits[1])
    assert not torch.equal(logits[0], logits[2])
    assert (logits[0].argmax(1) == digits.test.labels).double().mean() > 0.3  # guessing gives 0.1


def test_muon_moves_all_matrices_but_the_last(digits, monkeypatch):
    from course_utils.speedrun import recipes

    seen = {}

    def record(network, data, optimizers, **_):
        seen["muon"], seen["adamw"] = ([p.shape for p in o.param_groups[0]["params"]] for o in optimizers)
        seen["all"] = len(list(network.parameters()))

    monkeypatch.setattr(recipes, "fit", record)
    train_muon(digits.train.images.flatten(1), digits.train.labels, 0, batch_norm=True)
    assert seen["muon"] == [(512, 784), (256, 512), (256, 256), (128, 256)]
    assert (10, 128) in seen["adamw"]
    assert len(seen["muon"]) + len(seen["adamw"]) == seen["all"]


# The judge and the leaderboard


def quick(images, labels, seed):
    return train_adamw(images, labels, seed, num_epochs=1, batch_size=64)


def untrained(images):
    return nn.Sequential(Standardize(images), MLP(WIDTHS))


def test_the_judge_trains_fresh_seeds_and_states_what_it_saw(digits):
    lines = []
    before = torch.random.get_rng_state()
    entry = judge(quick, digits, name="quick", text="text", num_seeds=3, progress=lines.append)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert entry.seeds == tuple(fresh_seeds("quick\ntext", 3))
    assert len(lines) == len(entry.accuracies) == 3
    assert entry.units == entry.seconds / entry.unit_seconds
    assert not entry.passes
    assert entry.level == ""
    assert "does not pass" in entry.describe()
    network = quick(digits.train.images.flatten(1), digits.train.labels, entry.seeds[0])
    with torch.no_grad():
        hits = network.eval()(digits.test.images.flatten(1)).argmax(1) == digits.test.labels
    assert entry.accuracies[0] == float(hits.double().mean())


def test_the_clock_counts_what_child_processes_compute(digits):
    import subprocess
    import sys

    def outsourced(images, labels, seed):
        subprocess.run([sys.executable, "-c", "sum(range(10**7))"], check=True)
        return untrained(images)

    def idle(images, labels, seed):
        return untrained(images)

    costs = [judge(r, digits, name="x", text="", num_seeds=2).seconds for r in (outsourced, idle)]
    assert costs[0] > costs[1] + 0.05


def test_a_recipe_that_spoils_its_images_spoils_nobody_else_s(digits):
    def spoil(images, labels, seed):
        network = untrained(images)
        images.zero_()
        labels.zero_()
        return network

    before = digits.train.images.clone()
    judge(spoil, digits, name="spoil", text="", num_seeds=2)
    assert torch.equal(digits.train.images, before)


def test_only_sets_with_a_race_are_judged(digits):
    with pytest.raises(ValueError, match="no race on cifar10"):
        judge(quick, dataclasses.replace(digits, name="cifar10"), name="x", text="")


def test_the_leaderboard_keeps_the_cheapest_first_and_one_entry_a_name(tmp_path):
    path = tmp_path / "board.json"
    assert read_entries(path) == []
    slow, fast = entry_with([0.91, 0.92, 0.92], name="slow", seconds=4.0), entry_with([0.95, 0.96, 0.96])
    add_entry(path, slow)
    assert add_entry(path, fast) == [fast, slow] == read_entries(path)
    again = dataclasses.replace(slow, seconds=0.5)
    assert add_entry(path, again) == [again, fast]
    assert json.loads(path.read_text(encoding="utf-8"))["entries"][0]["units"] == 0.25
    assert "mine" in as_table(read_entries(path))
    assert [p.name for p in tmp_path.iterdir()] == ["board.json"]


def test_what_misses_the_target_is_not_entered(tmp_path):
    with pytest.raises(ValueError, match="misses the target"):
        add_entry(tmp_path / "board.json", entry_with([0.90, 0.91, 0.90]))
    assert not list(tmp_path.iterdir())


def test_a_damaged_leaderboard_is_named_and_left_as_it_is(tmp_path):
    path = tmp_path / "board.json"
    path.write_text('{"entries": [{"name": 1}]}', encoding="utf-8")
    with pytest.raises(ValueError, match=r"board.json is no leaderboard"):
        add_entry(path, entry_with([0.95, 0.96, 0.96]))
    assert path.read_text(encoding="utf-8") == '{"entries": [{"name": 1}]}'


def test_a_student_s_recipe_is_one_function_in_a_file(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("def recipe(images, labels, seed):\n    return seed\n", encoding="utf-8")
    name, text, function = find_recipe(str(file))
    assert (name, function(0, 0, 7)) == ("mine", 7)
    assert text == file.read_text(encoding="utf-8")
    file.write_text("x = 1\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"mine.py needs a function recipe"):
        find_recipe(str(file))
    with pytest.raises(ValueError, match="known: bronze"):
        find_recipe("platinum")


def test_the_command_says_in_one_line_what_it_cannot_do(tmp_path, capsys):
    assert main(["platinum", "--leaderboard", str(tmp_path / "b.json")]) == 2
    assert capsys.readouterr().err.startswith("course: there is no recipe 'platinum'")
    assert main(["--leaderboard", str(tmp_path / "b.json")]) == 0
    assert "level" in capsys.readouterr().out


def test_every_stored_entry_keeps_the_rule_it_was_judged_by():
    entries = read_entries(STORED)
    assert {entry.dataset for entry in entries} == {"fashion-mnist"}
    for entry in entries:
        assert len(set(entry.seeds)) == 10
        assert min(entry.seeds) > 10_000  # those of the search are small
        assert entry.passes
        assert entry.target == RACES[entry.dataset].target
        assert entry.level == RACES[entry.dataset].level(entry.units)


def test_the_command_judges_a_file_end_to_end_and_says_why_it_does_not_pass(tmp_path, capfd):
    file = tmp_path / "one_epoch.py"
    file.write_text(
        "from course_utils.speedrun import train_adamw\n\n\n"
        "def recipe(images, labels, seed):\n"
        "    return train_adamw(images, labels, seed, num_epochs=1)\n",
        encoding="utf-8",
    )
    board = tmp_path / "board.json"
    options = ["--dataset", "mnist-5k", "--seeds", "2", "--leaderboard", str(board)]
    assert course(["speedrun", str(file), *options]) == 1
    out = capfd.readouterr().out
    assert out.count("CPU s\n") == 2
    assert "one_epoch on mnist-5k" in out
    assert "does not pass" in out
    assert not board.exists()
