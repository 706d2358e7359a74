"""Does the order of the rules hold at full size? The third task of notebook 14's tournament, with all of Fashion-MNIST.

A network of 784, 100 and 10 units, one pass over 50,000 images in batches of 128, every rule at a rate that is tuned
with the same budget and then run from fresh seeds. It takes some fifteen minutes of one core, half of them Shampoo's,
and is no part of `make bench`. What was done is kept in a file of jobs, so that it may be stopped and started again:

    python benchmarks/zoo.py                 (add --minutes 5 to stop after about five, --small to try it in seconds)

The call that finds all jobs done writes results/zoo.json.
"""

import argparse
import functools
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from run import describe_machine
from torch import Tensor

from course_utils.contests import make_network, walk
from course_utils.datasets import load
from course_utils.optimizers import ZOO
from course_utils.seeding import fork_seeds
from course_utils.training.schedules import linear

STORED = Path(__file__).resolve().parent / "results" / "zoo.json"
JOBS = Path(tempfile.gettempdir()) / "course-zoo-jobs.jsonl"
CENTRES = {  # first guesses: the rates of notebook 14's small network, lowered
    "SGD": 0.3, "momentum": 0.1, "Nesterov": 0.1, "AdaGrad": 0.02, "RMSProp": 2e-3, "Adam": 6e-3, "AMSGrad": 6e-3,
    "AdamW": 6e-3, "Lion": 1.5e-3, "Muon": 0.02, "Shampoo": 0.5, "SOAP": 6e-3, "schedule-free SGD": 1.0,
    "schedule-free Adam": 6e-3,
}  # fmt: skip
FACTORS = tuple(10 ** (k / 2) for k in range(-2, 3))
TUNING, FRESH = 2, 6  # seeds
BATCH_SIZE, WIDTH = 128, 100
Job = tuple[str, float, int]  # rule, rate, seed
Row = dict[str, Any]


@functools.cache
def data(dataset: str) -> dict[str, tuple[Tensor, Tensor]]:
    """Return images and labels of the training and the test set."""
    found = load(dataset, download=False)
    return {part: found.tensors(part) for part in ("train", "test")}


def run_job(job: Job, dataset: str) -> Row:
    """Train one network with one rule, and return its training loss, its test accuracy and the CPU seconds it took."""
    name, lr, seed = job
    x, y = data(dataset)["train"]
    task = make_network([seed], x, y, width=WIDTH, batch_size=BATCH_SIZE)
    num_steps = len(y) // BATCH_SIZE
    share = None if name.startswith("schedule-free") else linear(num_steps)
    start = time.process_time()
    end = walk(ZOO[name], task.losses, task.starts, [lr], num_steps=num_steps, share=share,
               weight_decay=0.01 if name == "AdamW" else 0.0)  # fmt: skip
    seconds = time.process_time() - start
    loss = task.score(end).item()
    return {"rule": name, "lr": lr, "seed": seed, "loss": loss if math.isfinite(loss) else None,
            "accuracy": accuracy(end, *data(dataset)["test"]), "seconds": round(seconds, 1)}  # fmt: skip


def accuracy(params: list[Tensor], images: Tensor, labels: Tensor) -> float:
    """Return the share of images that a network of two matrices with biases as last rows classifies rightly."""
    first, last = (w[0, 0] for w in params)
    logits = (images @ first[:-1] + first[-1]).relu() @ last[:-1] + last[-1]
    return float((logits.argmax(1) == labels).double().mean())


def chosen_rate(rows: Iterable[Row], name: str) -> float:
    """Return the rate of a rule with the lowest mean training loss over its tuning seeds; one that diverged is none."""
    losses: dict[float, list[float]] = {}
    for row in rows:
        if row["rule"] == name:
            losses.setdefault(row["lr"], []).append(math.inf if row["loss"] is None else row["loss"])
    return min(losses, key=lambda lr: statistics.fmean(losses[lr]))


def missing_jobs(rows: list[Row], seeds: tuple[list[int], list[int]]) -> list[Job]:
    """Return what is to be run next: all tuning first, then, of rules that are tuned, the fresh seeds."""
    tuning, fresh = seeds
    done = {(row["rule"], row["lr"], row["seed"]) for row in rows}
    first = [
        (name, centre * factor, seed)
        for seed in tuning
        for name, centre in CENTRES.items()
        for factor in FACTORS
    ]
    if missing := [job for job in first if job not in done]:
        return missing
    tuned = [row for row in rows if row["seed"] in tuning]
    final = [(name, chosen_rate(tuned, name), seed) for seed in fresh for name in CENTRES]
    return [job for job in final if job not in done]


def read_jobs(path: Path) -> list[Row]:
    """Return the rows of a file of jobs; the last one is left out where it was cut short."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows


def summary(rows: list[Row], seeds: tuple[list[int], list[int]]) -> list[Row]:
    """Return one row per rule: its rate, whether that is the first or last of its grid, and the fresh runs."""
    tuning, fresh = seeds
    found = []
    for name, centre in CENTRES.items():
        lr = chosen_rate([row for row in rows if row["seed"] in tuning], name)
        runs = [row for row in rows if row["rule"] == name and row["lr"] == lr and row["seed"] in fresh]
        found.append({
            "rule": name, "lr": lr, "on_edge": lr in (centre * FACTORS[0], centre * FACTORS[-1]),
            "losses": [round(run["loss"], 5) for run in runs], "accuracies": [run["accuracy"] for run in runs],
            "seconds": round(statistics.median(run["seconds"] for run in runs), 2),
        })  # fmt: skip
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run what is missing, and store the summary once nothing is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no job after so many")
    parser.add_argument("--jobs", type=Path, default=JOBS, help="file in which finished jobs are kept")
    parser.add_argument(
        "--small", action="store_true", help="mnist-5k and one fresh seed, and no file of results"
    )
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    dataset = "mnist-5k" if given.small else "fashion-mnist"
    seeds = fork_seeds(14, TUNING), fork_seeds(0, 1 if given.small else FRESH)
    rows, begin = read_jobs(given.jobs), time.monotonic()
    given.jobs.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    while jobs := missing_jobs(rows, seeds):
        for job in jobs:
            if time.monotonic() - begin > 60 * given.minutes:
                print(f"{len(rows)} jobs are done and kept; start again to go on.")
                return 0
            rows.append(run_job(job, dataset))
            with given.jobs.open("a", encoding="utf-8") as file:
                file.write(json.dumps(rows[-1]) + "\n")
            print(*rows[-1].values(), flush=True)
    found = summary(rows, seeds)
    for row in found:
        print(f"{row['rule']:18} lr {row['lr']:<8.2g} loss {statistics.fmean(row['losses']):.4f} "
              f"accuracy {statistics.fmean(row['accuracies']):.4f}")  # fmt: skip
    if not given.small:
        task = {"dataset": dataset, "widths": [784, WIDTH, 10], "batch_size": BATCH_SIZE,
                "num_steps": len(data(dataset)["train"][1]) // BATCH_SIZE}  # fmt: skip
        stored = {"machine": describe_machine(), "task": task, "rules": found}
        STORED.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
