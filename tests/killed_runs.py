"""Small runs for the tests of faults, and a program that kills them: `python killed_runs.py FOLDER NUMBER SEED`.

The program loads torch once and forks every run from there. It ends each with SIGKILL, at a random moment or at a
random byte of the file that is being written, lets a new process go on, and prints as JSON what came of it.
"""

import hashlib
import json
import os
import random
import signal
import sys
import time
import warnings
from pathlib import Path

import torch
from torch import nn

from course_utils.models import MLP
from course_utils.seeding import make_generator
from course_utils.training import CheckpointWarning, train

NUM_EPOCHS = 4
BALLAST = 1_000_000  # numbers that are saved and not trained: writing them takes long enough to be hit


def plateau(optimizer):
    return torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)


def cosine(optimizer):
    return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 16)


KINDS = {  # optimizer, its learning rate, scheduler, when it steps, dropout
    "SGD, plain": (torch.optim.SGD, 0.1, lambda optimizer: None, "epoch", 0.0),
    "Adam, dropout, cosine": (torch.optim.Adam, 0.01, cosine, "step", 0.3),
    "AdamW, dropout, plateau": (torch.optim.AdamW, 0.01, plateau, "epoch", 0.2),
}


def make_data(n, seed):
    generator = make_generator(seed)
    return torch.randn(n, 6, generator=generator), torch.randint(0, 3, (n,), generator=generator)


def parts(kind, seed, ballast=0):
    """Return model, optimizer, scheduler and generator of a run; another seed is a process that starts elsewhere."""
    make_optimizer, lr, make_scheduler, _, dropout = KINDS[kind]
    model = nn.Sequential(MLP((6, 9, 3), generator=make_generator(seed)), nn.Dropout(dropout))
    if ballast:
        model.register_buffer("ballast", torch.linspace(0, 1, ballast))
    optimizer = make_optimizer(model.parameters(), lr=lr)
    return model, optimizer, make_scheduler(optimizer), make_generator(seed + 100)


def go(path, kind="Adam, dropout, cosine", *, num_epochs=NUM_EPOCHS, seed=1, ballast=0, resume=True):
    """Train, with what lies at `path`, and return the digest of all that the run is made of afterwards."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model, optimizer, scheduler, generator = parts(kind, seed, ballast)
        history = train(model, make_data(50, 0), optimizer, num_epochs=num_epochs, batch_size=16, generator=generator,
                        validation=make_data(30, 9), scheduler=scheduler, schedule_each=KINDS[kind][3],
                        checkpoint=path, resume=resume)  # fmt: skip
        return digest(model, optimizer, scheduler, generator, history)


def digest(model, optimizer, scheduler, generator, history):
    """Return one text for weights, best weights, optimizer, scheduler, history, and where the streams are."""
    found = hashlib.sha256()

    def add(value):
        if isinstance(value, torch.Tensor):
            found.update(value.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        elif isinstance(value, dict):
            for key in sorted(value, key=repr):
                found.update(repr(key).encode())
                add(value[key])
        elif isinstance(value, list | tuple):
            for item in value:
                add(item)
        else:
            found.update(repr(value).encode())

    add(
        [
            model.state_dict(),
            history.best_weights,
            optimizer.state_dict(),
            scheduler and scheduler.state_dict(),
        ]
    )
    add([repr(history.epochs), history.step_losses, generator.get_state(), torch.random.get_rng_state()])
    return found.hexdigest()


# The program


def in_a_fork(work, answer):
    """Start `work` in a forked process, which writes what it returns to the file `answer`; return the process."""
    process = os.fork()
    if process == 0:
        try:
            answer.write_text(work(), encoding="utf-8")
        except BaseException as error:
            answer.write_text(f"{type(error).__name__}: {error}", encoding="utf-8")
        finally:
            os._exit(0)
    return process


def resumed(path, kind):
    """Return the digest of the run that goes on, and whether it was warned."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", CheckpointWarning)
        # where nothing had been saved the run starts again, as its script says; else the script's seeds do not matter
        end = go(path, kind, seed=7 if path.parent.joinpath("run").exists() else 1, ballast=BALLAST)
    return json.dumps([end, len(seen)])


def wait_for_byte(folder, process, byte):
    """Return when the partial file has `byte` bytes, or the process has ended."""
    pattern = f".run.*.{process}.tmp"
    while os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        for partial in folder.glob(pattern):
            try:
                while partial.stat().st_size < byte:
                    pass
                return
            except FileNotFoundError:
                pass


def kill_one(folder, kind, wait):
    """Kill a run after `wait`, let another go on; return what was hit and the digest, None if it had ended before."""
    folder.mkdir()
    path = folder / "run"
    process = in_a_fork(lambda: go(path, kind, ballast=BALLAST), folder / "answer")
    wait(folder, process)
    os.kill(process, signal.SIGKILL)
    status = os.waitpid(process, 0)[1]
    if not os.WIFSIGNALED(status):
        return None
    hit = {
        "kind": kind,
        "in_write": any(folder.glob(".run.*.tmp")),
        "between_renames": (folder / "run.previous").exists() and not path.exists(),
        "had_checkpoint": path.exists(),
    }
    os.waitpid(in_a_fork(lambda: resumed(path, kind), folder / "end"), 0)
    end = (folder / "end").read_text(encoding="utf-8")
    return hit | {"end": end, "left": sorted(file.name for file in folder.iterdir())}


def main(folder, number, seed):
    draw = random.Random(seed)
    ends, seconds, size = {}, {}, 0
    for kind in KINDS:
        go(folder / "warm" / kind, kind)  # what torch imports at the first step is then there in every fork
        start = time.perf_counter()
        whole = folder / kind
        whole.mkdir()
        os.waitpid(in_a_fork(lambda w=whole, k=kind: go(w / "run", k, ballast=BALLAST), whole / "end"), 0)
        ends[kind], seconds[kind] = (whole / "end").read_text(encoding="utf-8"), time.perf_counter() - start
        size = (whole / "run").stat().st_size
    hits = []
    while len(hits) < number:
        kind = draw.choice(list(KINDS))
        if len(hits) % 2:
            moment = draw.random() * 0.95 * seconds[kind]
            hit = kill_one(folder / f"{time.time_ns()}", kind, lambda f, p, m=moment: time.sleep(m))
        else:
            skip, byte = draw.randrange(NUM_EPOCHS), draw.randrange(1, size)

            def wait(folder, process, skip=skip, byte=byte):
                deadline = time.perf_counter() + 60
                answer = folder / "run.previous" if skip > 1 else folder / "run"
                while skip and not answer.exists() and time.perf_counter() < deadline:
                    pass
                wait_for_byte(folder, process, byte)

            hit = kill_one(folder / f"{time.time_ns()}", kind, wait)
        hits += [hit] if hit else []
    print(json.dumps({"whole": ends, "hits": hits}))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
