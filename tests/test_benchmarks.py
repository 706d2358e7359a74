"""Do the benchmarks say what was measured? Records, tables, exponents; and do both sides of a ratio do one work?"""

import importlib
import json
import math
import sys
import types
from pathlib import Path

import pytest
import torch

from course_utils.authoring.site import pages
from course_utils.datasets import DatasetUnavailableError
from course_utils.models import MLP
from course_utils.optimizers import Adam
from course_utils.seeding import make_generator

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def bench(monkeypatch):
    """Return a function that imports a module of benchmarks/, which is no package."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


def a_row(records, **changed):
    values = dict(what="a step", peer="torch fused", peer_version="torch 2.14.1", ours="Adam", ratio=4.158, low=2.866,
                  high=5.549, goal=5.0, floor=6.0)  # fmt: skip
    return records.Row(**values | changed)


def test_a_ratio_is_the_median_over_rounds_of_peer_by_ours_with_its_extremes(bench):
    seconds = {"slow": [2.0, 9.0, 4.0], "fast": [1.0, 3.0, 4.0], "least": [0.5, 1.0, 1.0]}
    row = bench("records").compare(seconds, what="w", peer="slow", ours="fast", goal=2.5, floor="least")
    assert (row.ratio, row.low, row.high, row.floor) == (2.0, 1.0, 3.0, 4.0)
    assert row.missed


def test_rounds_alternate_in_order_and_warm_up_uncounted(bench):
    called = []
    functions = {name: lambda name=name: called.append(name) for name in "ab"}
    seconds = bench("timing").interleave(functions, rounds=2, calls=2, warmup=1)
    assert "".join(called) == "bbaa" + "aabb" + "bbaa"
    assert {name: len(values) for name, values in seconds.items()} == {"a": 2, "b": 2}


@pytest.mark.parametrize(
    ("ratio", "goal", "missed"), [(1.99, 2.0, True), (2.0, 2.0, False), (0.1, None, False)]
)
def test_a_goal_is_missed_below_it_and_only_where_there_is_one(bench, ratio, goal, missed):
    assert a_row(bench("records"), ratio=ratio, goal=goal).missed is missed


@pytest.mark.parametrize(("measured", "missed"), [(0.9, False), (1.0, False), (1.1, True), (math.nan, True)])
def test_a_limit_holds_up_to_its_bound_and_never_for_nan(bench, measured, missed):
    assert bench("records").Limit("w", "ours", measured, 1.0).missed is missed


@pytest.mark.parametrize("power", [-0.5, 0.0, 1.0, 1.7])
def test_the_fitted_exponent_is_that_of_a_power_law_whatever_its_factor(bench, power):
    sizes = (10, 46, 215, 1_000)
    costs = [3e-4 * n**power for n in sizes]
    assert bench("scaling").fit_exponent(sizes, costs) == pytest.approx(power, abs=1e-12)


def test_the_fitted_exponent_of_a_constant_part_lies_below_the_theory(bench):
    sizes = (10, 100, 1_000)
    assert 0.5 < bench("scaling").fit_exponent(sizes, [5 + n for n in sizes]) < 1.0


@pytest.mark.parametrize(("sizes", "costs"), [((1, 2), (1.0,)), ((3, 3), (1.0, 2.0)), ((1, 2), (0.0, 1.0))])
def test_no_exponent_is_fitted_where_no_line_is_determined(bench, sizes, costs):
    with pytest.raises(ValueError, match="positive costs at two or more different sizes"):
        bench("scaling").fit_exponent(sizes, costs)


def test_growth_is_in_units_of_the_smallest_size(bench):
    work = {n: lambda n=n: sum(range(n)) for n in (20_000, 2_000_000)}
    growth = bench("scaling").grow("sum", "numbers", 1.0, work, rounds=3)
    assert growth.costs[0] == 1.0
    assert growth.low <= growth.exponent <= growth.high
    assert growth.exponent == pytest.approx(
        1.0, abs=0.4
    )  # chosen: exponent 0 and 2 are told apart on a busy machine


def test_growth_says_how_steep_its_last_stretch_is(bench, monkeypatch):
    scaling = bench("scaling")
    monkeypatch.setattr(scaling, "interleave", lambda *_, **__: {"1": [2.0], "10": [6.0], "100": [60.0]})
    growth = scaling.grow("a constant part and a linear one", "items", 1.0, dict.fromkeys((1, 10, 100)))
    assert growth.costs == (1.0, 3.0, 30.0)
    assert growth.exponent == pytest.approx(math.log10(30) / 2, rel=1e-12)
    assert growth.note == "1.00 between the two largest sizes"


def test_a_peer_that_is_not_installed_is_named_with_the_way_out(bench):
    records = bench("records")
    with pytest.raises(
        records.MissingPeerError, match=r"no-such-peer is not installed: pip install .*\[bench\]"
    ):
        records.require("no_such_peer", "no-such-peer")
    assert records.version_of("no-such-peer") == ""


def test_a_peer_whose_own_import_fails_is_not_taken_for_a_missing_one(bench, tmp_path, monkeypatch):
    (tmp_path / "half_a_peer.py").write_text("import what_it_needs_and_has_not\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="what_it_needs_and_has_not") as caught:
        bench("records").require("half_a_peer", "half-a-peer")
    assert not isinstance(caught.value, bench("records").MissingPeerError)


def test_versions_are_those_of_the_installed_packages_without_their_local_part(bench):
    records = bench("records")
    assert records.label_of("torch") == f"torch {torch.__version__.split('+')[0]}"
    row = a_row(records, peer="torchvision", peer_version="torchvision 0.29.1")
    assert row.peer_label == "torchvision 0.29.1"
    assert a_row(records).peer_label == "torch fused, torch 2.14.1"
    assert a_row(records, peer_version="").peer_label == "torch fused"


def test_the_plane_is_measured_against_our_own_where_its_peer_is_missing(bench, monkeypatch):
    plane = bench("loss_plane")
    small = MLP((784, 8, 10), generator=make_generator(0))
    monkeypatch.setattr(plane, "trained", lambda: small)
    monkeypatch.setattr(plane, "NUM_IMAGES", 16)
    for name, number in {"FEW": 3, "PART": 5, "NUM_POINTS": 7, "ROUNDS": 1}.items():
        monkeypatch.setattr(plane, name, number)

    def missing(module, distribution):
        raise plane.MissingPeerError(f"{distribution} is not installed: a way out")

    monkeypatch.setattr(plane, "require", missing)
    found = plane.rows()
    skipped = [record for record in found if isinstance(record, bench("records").Skipped)]
    assert [record.reason for record in skipped] == ["loss-landscapes is not installed: a way out"]
    ratios = [record for record in found if isinstance(record, bench("records").Row)]
    assert {record.peer for record in ratios} == {"loss_on_plane"}
    assert all("matrix products" in record.note for record in ratios)
    assert not any(record.missed for record in found if isinstance(record, bench("records").Limit))


def test_the_time_of_a_whole_plane_follows_from_two_parts_and_keeps_the_start(bench):
    plane = bench("loss_plane")
    start, each = 0.07, 0.03
    few, part, whole = (start + each * n**2 for n in (plane.FEW, plane.PART, plane.NUM_POINTS))
    assert plane.whole([few, few], [part, part]) == pytest.approx([whole, whole], rel=1e-12)


@pytest.mark.parametrize("half", [True, False])
def test_an_epoch_says_what_its_time_is_and_what_bfloat16_gains_where_there_is_one(bench, monkeypatch, half):
    epoch = bench("training_epoch")
    seconds = {"recipe of S0": [9.0], epoch.OURS: [4.0], epoch.FUSED: [3.0], "products": [2.0]}
    if half:
        seconds |= {epoch.HALF: [1.2], "products, bfloat16": [0.5]}
    monkeypatch.setattr(epoch, "measure", lambda *_: seconds)
    notes = {row.ours: row.note for row in epoch.rows()}
    assert notes[epoch.OURS] == "matrix products are 50% of its time"
    assert notes[epoch.FUSED] == "matrix products are 67% of its time"
    assert (epoch.HALF in notes) is half
    if half:  # of the products 2 s become 0.5 s, of the rest 1 s becomes 0.7 s
        assert "products 4.0 times as fast, and all the rest 1.4 times" in notes[epoch.HALF]


def test_a_gain_is_not_computed_from_a_rest_that_the_scatter_of_the_products_hides(bench):
    networks = bench("networks")
    seconds = {
        "ours": [2.0, 2.1],
        "ours, half": [1.1, 1.2],
        "products": [2.1, 2.0],
        "products, bfloat16": [0.8, 0.8],
    }
    note = networks.half_precision_note(seconds, "ours", "ours, half")
    assert "products 2.6 times as fast, and they are nearly all of its time" in note
    assert "all the rest" not in note


def test_paths_at_once_say_how_long_all_of_them_take_beside_the_one(bench):
    trajectories = bench("trajectories")
    seconds = {
        "one run at a time": [8.0],
        "trajectories, 64 at once": [0.2],
        "gradients of 64": [0.1],
    }  # a path
    row = trajectories.row(seconds, 64, 50.0)
    assert (row.ratio, row.floor, row.missed) == (40.0, 80.0, True)
    assert row.note == "all 64 together take 1.6 times as long as the one"


def test_the_table_shows_ratio_range_goal_floor_version_and_what_was_missed(bench):
    records, run = bench("records"), bench("run")
    text = run.table([a_row(records), a_row(records, peer="torch default", goal=2.5),
                      records.Limit("error", "ours", 2e-5, 1e-5, "m", "why"), records.Skipped("density", "no peer"),
                      records.Growth("epoch", "images", (1, 100), (1.0, 90.0), 0.97, 0.9, 1.0, 1.0)])  # fmt: skip
    lines = text.splitlines()
    assert lines.count("a step") == 1
    fused, default = (line.split() for line in lines if "4.16" in line)
    assert fused[-6:] == ["4.16", "[2.87,", "5.55]", "5", "6.0", "MISSED"]
    assert default[-1] == "6.0"
    assert "  ours: 2e-05 m, at most 1e-05: MISSED" in lines
    assert "    why" in lines
    assert "density: SKIPPED, no peer" in lines
    assert "epoch: cost ~ images to the power of 0.97 [0.90, 1.00], theory 1" in lines


def test_the_file_of_results_is_what_the_website_reads(bench, tmp_path):
    records, run = bench("records"), bench("run")
    machine = run.describe_machine()
    (tmp_path / "latest.json").write_text(run.as_json([a_row(records), records.Skipped("w", "r")], machine))
    stored = json.loads((tmp_path / "latest.json").read_text())
    assert stored["skipped"] == [{"what": "w", "reason": "r"}]
    assert stored["limits"] == stored["growth"] == []
    assert "4.16 [2.87, 5.55]" in pages.benchmarks_page(tmp_path / "latest.json")
    assert {"date", "processor", "cores", "python", "torch", "numpy", "threads", "load"} <= set(machine)


def test_a_benchmark_without_its_data_is_skipped_and_the_next_one_runs(bench, monkeypatch, capsys):
    def unavailable():
        raise DatasetUnavailableError("no images here;\nmore")

    run, records = bench("run"), bench("records")
    monkeypatch.setitem(sys.modules, "first", types.SimpleNamespace(rows=unavailable))
    monkeypatch.setitem(sys.modules, "second", types.SimpleNamespace(rows=lambda: [a_row(records)]))
    assert list(run.run_all(["first", "second"], run.records_of)) == [
        records.Skipped("first", "no images here;"),
        a_row(records),
    ]
    said = capsys.readouterr().out.splitlines()
    assert said == ["[ 1/2] first starts", "[ 1/2] first ends after 0 s",
                    "[ 2/2] second starts", "[ 2/2] second ends after 0 s"]  # fmt: skip


def test_a_missed_goal_ends_with_1_and_an_unknown_name_with_2(bench, monkeypatch, capsys):
    run, records = bench("run"), bench("records")
    monkeypatch.setattr(
        run.run_all, "__defaults__", (run.records_of,)
    )  # the module put in below is of this process
    module = types.SimpleNamespace(rows=lambda: [a_row(records)])
    monkeypatch.setitem(sys.modules, "toy_networks", module)
    assert run.main(["toy_networks"]) == 1
    module.rows = lambda: [a_row(records, goal=None)]
    assert run.main(["toy_networks"]) == 0
    assert run.main(["toys"]) == 2
    assert "there is no benchmark toys; known are training_epoch" in capsys.readouterr().out


def test_the_time_of_the_course_is_read_where_it_is_stored_and_else_the_command_is_named(
    bench, monkeypatch, tmp_path
):
    course = bench("course_run")
    monkeypatch.setattr(course, "STORED", tmp_path / "course.json")
    (skipped,) = course.rows()
    assert "python benchmarks/course_run.py" in skipped.reason
    stored = {"date": "2026-11-26", "cores": 2, "load": "0.1", "minutes": 12.1}
    (tmp_path / "course.json").write_text(json.dumps(stored))
    (limit,) = course.rows()
    assert (limit.measured, limit.at_most, limit.missed) == (12.1, 12.0, True)


def test_every_benchmark_in_the_folder_is_run(bench):
    files = {path.stem for path in FOLDER.glob("*.py") if "\ndef rows()" in path.read_text(encoding="utf-8")}
    assert files == set(bench("run").BENCHMARKS)


def zoo_row(rule, lr, seed, loss):
    return {"rule": rule, "lr": lr, "seed": seed, "loss": loss, "accuracy": 0.8, "seconds": 2.0}


def test_the_zoo_tunes_every_rule_alike_before_any_fresh_seed_and_takes_no_rate_that_diverged(
    bench, monkeypatch
):
    zoo = bench("zoo")
    monkeypatch.setattr(zoo, "CENTRES", {"SGD": 0.1, "Adam": 0.01})
    monkeypatch.setattr(zoo, "FACTORS", (1.0, 10.0))
    seeds = ([7], [1, 2])
    jobs = zoo.missing_jobs([], seeds)
    assert jobs == [("SGD", 0.1, 7), ("SGD", 1.0, 7), ("Adam", 0.01, 7), ("Adam", 0.1, 7)]
    rows = [zoo_row(*job, loss) for job, loss in zip(jobs, (0.5, None, 0.3, 0.2), strict=True)]
    assert zoo.missing_jobs(rows[:3], seeds) == [jobs[3]]
    assert zoo.missing_jobs(rows, seeds) == [
        ("SGD", 0.1, 1),
        ("Adam", 0.1, 1),
        ("SGD", 0.1, 2),
        ("Adam", 0.1, 2),
    ]
    rows += [zoo_row(*job, 0.4) for job in zoo.missing_jobs(rows, seeds)]
    assert zoo.missing_jobs(rows, seeds) == []
    first, second = zoo.summary(rows, seeds)
    assert (first["rule"], first["lr"], first["losses"]) == ("SGD", 0.1, [0.4, 0.4])
    assert second["on_edge"]


def test_the_zoo_goes_on_where_it_was_stopped_and_leaves_out_a_line_that_was_cut_short(
    bench, tmp_path, monkeypatch
):
    zoo = bench("zoo")
    monkeypatch.setattr(zoo, "CENTRES", {"SGD": 0.1, "Adam": 0.01})
    monkeypatch.setattr(zoo, "FACTORS", (0.3, 1.0, 3.0))
    jobs = tmp_path / "jobs.jsonl"
    assert zoo.main(["--small", "--minutes", "0", "--jobs", str(jobs)]) == 0
    assert jobs.read_text() == ""
    assert zoo.main(["--small", "--jobs", str(jobs)]) == 0
    rows = zoo.read_jobs(jobs)
    assert len(rows) == 2 * 3 * zoo.TUNING + 2
    assert all(row["loss"] < math.log(10) for row in rows)
    with jobs.open("a") as file:
        file.write('{"rule": "SG')
    assert zoo.read_jobs(jobs) == rows


def test_the_stored_zoo_has_every_rule_with_its_fresh_seeds(bench):
    zoo = bench("zoo")
    if not zoo.STORED.exists():
        pytest.skip("python benchmarks/zoo.py, a quarter of an hour, has not been run here")
    stored = json.loads(zoo.STORED.read_text(encoding="utf-8"))
    assert [row["rule"] for row in stored["rules"]] == list(zoo.CENTRES)
    assert {len(row["losses"]) for row in stored["rules"]} == {zoo.FRESH}
    assert stored["task"]["dataset"] == "fashion-mnist"


def test_the_figure_is_the_same_bytes_for_the_same_data(bench, tmp_path):
    growth = bench("records").Growth("epoch", "images", (1, 10, 100), (1.0, 9.0, 90.0), 0.97, 0.9, 1.0, 1.0)
    for name in ("a.svg", "b.svg"):
        bench("figure").draw_growth([growth], tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert (tmp_path / "a.svg").stat().st_size < 60_000


def test_stored_results_name_every_peer_with_its_version_and_leave_out_absolute_times():
    stored = json.loads((FOLDER / "results" / "latest.json").read_text(encoding="utf-8"))
    written_here = {"textbook loop"}
    unversioned = {row["peer"] for row in stored["rows"] if not row["peer_version"]}
    assert unversioned <= written_here
    assert all(growth["costs"][0] == 1.0 for growth in stored["growth"])
    assert all(row["low"] <= row["ratio"] <= row["high"] for row in stored["rows"])


def test_what_moved_is_counted_by_notebook_and_only_those_that_ran(bench):
    claims = [{"id": "02.1", "holds": True}, {"id": "02.10", "holds": False}, {"id": "15.1", "holds": True}]
    found = bench("machines").by_notebook(claims, [("notebooks/15_curvature.ipynb", "Cell 65")])
    assert [*found] == ["02_backpropagation", "15_curvature"]
    assert found["02_backpropagation"] | {"cells": 0} == {
        "cells": 0,
        "moved": [],
        "claims": 2,
        "claims failed": 1,
    }
    assert found["15_curvature"]["moved"] == ["Cell 65"]


def test_a_notebook_measured_again_takes_the_place_of_its_older_figures_and_of_no_others(
    bench, tmp_path, monkeypatch
):
    machines = bench("machines")
    monkeypatch.setattr(machines, "RESULT", tmp_path / "machines.json")
    machines.store([{"what": "2 threads", "notebooks": {"a": {"moved": ["Cell 1"]}, "b": {"moved": []}}}])
    machines.store([{"what": "2 threads", "notebooks": {"a": {"moved": []}}}, {"what": "4", "notebooks": {}}])
    two, four = json.loads(machines.RESULT.read_text(encoding="utf-8"))["rows"]
    assert two == {"what": "2 threads", "notebooks": {"a": {"moved": []}, "b": {"moved": []}}}
    assert four["what"] == "4"


def test_the_textbook_loop_walks_as_ours_does(bench):
    step = bench("optimizer_step")
    textbook, ours = step.make_parameters(), step.make_parameters()
    loop, optimizer = step.TextbookAdam(textbook), Adam(ours)
    for _ in range(5):
        loop.step()
        optimizer.step()
    for a, b in zip(textbook, ours, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7)


def test_both_ways_to_the_fifty_layers_give_the_variances_of_the_hooks(bench):
    signal = bench("signal_statistics")
    draws = signal.make_draws()
    exact = signal.hooked(*draws)
    for way in (signal.together, signal.scaled):
        torch.testing.assert_close(way(*draws), exact, rtol=1e-9, atol=0.0)


def test_toy_networks_end_at_the_same_weights_at_once_and_one_after_another(bench, monkeypatch):
    toy = bench("toy_networks")
    monkeypatch.setattr(toy, "NUM_NETWORKS", 3)
    monkeypatch.setattr(toy, "NUM_EPOCHS", 1)
    ring = toy.make_ring()
    for a, b in zip(toy.one_after_another(*ring), toy.at_once(*ring), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_a_wrong_eigenvalue_fails_the_check_of_the_small_network(bench, monkeypatch):
    accuracy = bench("hessian_accuracy")
    monkeypatch.setattr(accuracy, "PEERS", {})
    small, x, y = (
        MLP((4, 3, 2), generator=make_generator(0)),
        torch.randn(9, 4, generator=make_generator(1)),
        torch.arange(9) % 2,
    )
    exact = accuracy.exact_eigenvalues(small, x, y)
    assert accuracy.eigenvalue_errors(exact, small, x, y).measured < 1e-5
    assert accuracy.eigenvalue_errors(1.001 * exact, small, x, y).missed
