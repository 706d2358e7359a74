"""Does a run survive kills, full disks, flipped bits and planted files, and does the message say what to do?"""

import ast
import errno
import json
import os
import random
import re
import struct
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from killed_runs import KINDS, NUM_EPOCHS, digest, go, parts

from course_utils._files import NotWritten, remove_partials
from course_utils.training import CheckpointError, CheckpointWarning, containers, load_checkpoint

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="forks, and signals that end a process at once")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The two files after three of four epochs, and the digest of the whole run: {kind: (folder, digest)}."""
    found = {}
    for kind in KINDS:
        folder = tmp_path_factory.mktemp("saved")
        go(folder / "run", kind, num_epochs=NUM_EPOCHS - 1)
        found[kind] = folder, go(folder.parent / f"{folder.name}-whole" / "run", kind)
    return found


def copy_of(folder, to):
    """Copy the two files into a folder of this fault alone, and return the path of the newer."""
    to.mkdir()
    for name in ("run", "run.previous"):
        (to / name).write_bytes((folder / name).read_bytes())
    return to / "run"


# Killed


@POSIX
def test_a_killed_run_goes_on_from_its_last_checkpoint_bit_for_bit(tmp_path, tally):
    number = tally.number(each_time=50, weekly=500)
    program = Path(__file__).with_name("killed_runs.py")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(program.parents[1])}
    answer = subprocess.run(
        [sys.executable, str(program), str(tmp_path), str(number), "0"],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    record = json.loads(answer.stdout)
    hits = record["hits"]
    assert len(set(record["whole"].values())) == len({hit["kind"] for hit in hits}) == len(KINDS)
    for part, chosen in (
        ("while a checkpoint is written", [hit for hit in hits if hit["in_write"]]),
        ("at other moments", [hit for hit in hits if not hit["in_write"]]),
    ):
        lost = 0
        for hit in chosen:
            end, num_warnings = json.loads(hit["end"]) if hit["end"].startswith("[") else (hit["end"], 0)
            assert num_warnings == hit["between_renames"]
            lost += end != record["whole"][hit["kind"]] or any(name.startswith(".") for name in hit["left"])
        tally.note("training", f"killed {part}", tried=len(chosen), lost=lost)
    assert sum(hit["in_write"] for hit in hits) >= 0.3 * number
    assert any(hit["had_checkpoint"] and not hit["in_write"] for hit in hits)


@POSIX
def test_partial_files_of_dead_processes_are_removed_and_those_of_live_ones_stay(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    host = os.uname().nodename
    names = {process: f".run.{host}.{process}.tmp" for process in (dead.pid, os.getppid())}
    others = [f".run.elsewhere.{dead.pid}.tmp", f".run2.{host}.{dead.pid}.tmp", f".run.{host}.x.tmp"]
    for name in (*names.values(), *others):
        (tmp_path / name).touch()
    remove_partials(tmp_path / "run")
    assert {file.name for file in tmp_path.iterdir()} == {names[os.getppid()], *others}


def test_a_run_that_starts_anew_does_not_keep_what_another_run_left(tmp_path):
    path = tmp_path / "run"
    go(path)
    assert path.with_name("run.previous").exists()
    go(path, num_epochs=1, resume=False)
    assert [file.name for file in tmp_path.iterdir()] == ["run"]


# Not written


def without(folder, error):
    """Return the message without the place of this test."""
    return str(error).replace(str(folder), "runs")


def full_at(monkeypatch, call, after, times):
    """Let `os.fsync` or `os.replace` fail so many times with a full disk, after so many calls that go well."""
    real, calls = getattr(os, call), []

    def failing(*arguments):
        calls.append(arguments)
        if after < len(calls) <= after + times:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*arguments)

    monkeypatch.setattr(os, call, failing)


@pytest.mark.parametrize(
    ("call", "after", "times"),
    [
        ("fsync", 2, 1),
        ("replace", 1, 1),
        ("replace", 2, 1),
        ("replace", 2, 9),
        ("replace", 3, 1),
        ("replace", 4, 1),
    ],
)
def test_a_full_disk_stops_the_run_and_loses_nothing(tmp_path, monkeypatch, call, after, times, saved, tally):
    kind = "Adam, dropout, cosine"
    path = tmp_path / "run"
    with monkeypatch.context() as patch:
        full_at(patch, call, after, times)
        with pytest.raises(
            OSError, match=r"run cannot be written to .* \(No space left on device\)"
        ) as caught:
            go(path, kind)
    assert caught.value.errno == errno.ENOSPC
    assert caught.match(
        r"; the old file (stands|is now run\.previous)\. Free [\d,]+ bytes there, or choose another one\."
    )
    assert caught.match(r"run(\.previous)? is the last complete checkpoint: `resume=True` goes on from it")
    assert not list(tmp_path.glob(".*"))
    assert path.exists() is (times == 1)  # else the rename back failed too
    with warnings.catch_warnings():
        if times > 1:
            warnings.simplefilter("ignore", CheckpointWarning)
        lost = go(path, kind, seed=7) != saved[kind][1]
    tally.note(
        "training",
        f"disk full at {call} {after + 1}, {times} times",
        tried=1,
        lost=lost,
        message=without(tmp_path, caught.value),
    )


@POSIX
def test_a_limit_on_the_size_of_files_stops_the_run_at_a_byte_of_the_write(tmp_path, saved, tally):
    import resource

    kind, path, number = "SGD, plain", tmp_path / "run", tally.number(each_time=10, weekly=100)
    go(path, kind, num_epochs=1)
    before = path.read_bytes()
    draw, limits = random.Random(0), resource.getrlimit(resource.RLIMIT_FSIZE)
    for _ in range(number):
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (draw.randrange(1, len(before)), limits[1]))
            with pytest.raises(NotWritten, match=r"File too large.*last complete checkpoint") as caught:
                go(path, kind, seed=7)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert [file.name for file in tmp_path.iterdir()] == ["run"]
        assert path.read_bytes() == before
    lost = go(path, kind, seed=7) != saved[kind][1]
    tally.note(
        "training",
        "write stopped at a random byte",
        tried=number,
        lost=lost,
        message=without(tmp_path, caught.value),
    )


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path, tally):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(
        OSError, match=r"run cannot be written to .*file \(.*no old file.*another one"
    ) as caught:
        go(tmp_path / "file" / "run")
    assert caught.match("No epoch had been saved")
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match=r"taken cannot be written to .*No epoch had been saved"):
        go(tmp_path / "taken")
    assert (tmp_path / "file").read_text() == "not a folder"
    tally.note("training", "no folder to write to", tried=2, message=without(tmp_path, caught.value))


# Damaged


def flips(content, draw, number):
    """Yield positions of single bits: a third in the header with its padding, the rest anywhere."""
    header = 8 + int.from_bytes(content[:8], "little")
    for k in range(number):
        yield draw.randrange(8 * header if k % 3 == 0 else 8 * len(content))


def with_bit_flipped(content, bit):
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def goes_on_from_previous(path, kind, whole):
    """Say whether the run ends as an uninterrupted one, with a warning that names both files."""
    damaged = path.read_bytes()
    with pytest.warns(
        CheckpointWarning, match=r"^run .*goes on from run\.previous, one epoch earlier"
    ) as seen:
        same = go(path, kind, seed=7) == whole
    assert path.with_name("run.damaged").read_bytes() == damaged
    return same, str(seen[0].message)


def test_every_flipped_bit_is_noticed_and_the_previous_checkpoint_is_used(tmp_path, saved, tally):
    number, draw, lost, message = tally.number(each_time=100, weekly=3_000), random.Random(1), 0, ""
    for k in range(number):
        kind = list(KINDS)[k % 3]
        folder, whole = saved[kind]
        path = copy_of(folder, tmp_path / str(k))
        content = path.read_bytes()
        path.write_bytes(
            with_bit_flipped(content, next(flips(content, draw, 1)) if k % 3 else draw.randrange(800))
        )
        same, message = goes_on_from_previous(path, kind, whole)
        lost += not same
    tally.note("training", "one bit of a checkpoint flipped", tried=number, lost=lost, message=message)


def test_no_bit_of_a_checkpoint_is_without_a_guard(tmp_path, saved, tally):
    content = (saved["SGD, plain"][0] / "run").read_bytes()
    number = min(8 * len(content), tally.number(each_time=1_000, weekly=10**9))
    path = tmp_path / "run"
    for bit in random.Random(2).sample(range(8 * len(content)), number):
        path.write_bytes(with_bit_flipped(content, bit))
        with pytest.raises(CheckpointError, match=r"^run "):
            containers.unpack(path)
    tally.note("training", "any bit of a checkpoint flipped, none before it", tried=number)


def test_a_checkpoint_cut_off_at_any_length_is_noticed(tmp_path, saved, tally):
    kind = "AdamW, dropout, plateau"
    folder, whole = saved[kind]
    content = (folder / "run").read_bytes()
    number, draw = tally.number(each_time=300, weekly=10_000), random.Random(3)
    path = tmp_path / "run"
    for length in {0, 1, 7, 8, 9, len(content) - 1} | {draw.randrange(len(content)) for _ in range(number)}:
        path.write_bytes(content[:length])
        with pytest.raises(CheckpointError, match=r"^run (cannot be read \(|is not a checkpoint)") as caught:
            containers.unpack(path)
    path = copy_of(folder, tmp_path / "both")
    path.write_bytes(content[: len(content) // 2])
    assert goes_on_from_previous(path, kind, whole)[0]
    tally.note("training", "checkpoint cut off", tried=number, message=str(caught.value))


def test_two_damaged_checkpoints_are_both_named_with_the_way_out(tmp_path, saved, tally):
    path = copy_of(saved["SGD, plain"][0], tmp_path / "copy")
    for file in (path, path.with_name("run.previous")):
        file.write_bytes(with_bit_flipped(file.read_bytes(), 8_000))
    with pytest.raises(
        CheckpointError, match=r"^run cannot be read .*run\.previous cannot be read"
    ) as caught:
        go(path, "SGD, plain")
    assert caught.match("Put a copy of one of them back, or remove both: the run then starts afresh")
    tally.note("training", "both checkpoints damaged", tried=1, message=str(caught.value))


def test_a_file_that_is_gone_is_replaced_by_the_previous_one_with_a_warning(tmp_path, saved):
    kind = "SGD, plain"
    path = copy_of(saved[kind][0], tmp_path / "copy")
    path.unlink()
    with pytest.warns(CheckpointWarning, match=r"run is missing: the run was killed between two renames"):
        assert go(path, kind, seed=7) == saved[kind][1]


def test_a_damaged_file_never_takes_the_place_of_the_one_that_is_whole(tmp_path, saved):
    path = copy_of(saved["SGD, plain"][0], tmp_path / "copy")
    path.write_bytes(b"damaged")
    whole = path.with_name("run.previous").read_bytes()
    with pytest.warns(CheckpointWarning):
        go(path, "SGD, plain", num_epochs=NUM_EPOCHS - 1)
    assert path.with_name("run.previous").read_bytes() == whole  # after the next save


# Planted


class Mine:
    """What a pickle may call."""

    def __reduce__(self):
        return os.mkdir, ("harm",)


def sealed(tensors, rest):
    """Return a file with a digest that is right: against a file made to deceive it is no help."""
    return b"".join(bytes(part) for part in containers.pack(tensors, rest))


def resealed(start, body=b""):
    """Return a file of this header and body with the digest that belongs to them."""
    blank = start.replace(b"DIGEST", containers.BLANK)
    blank += b" " * (-len(blank) % 8)
    head = len(blank).to_bytes(8, "little") + blank
    return head.replace(containers.BLANK, containers._digest([head, body]), 1) + body


def header(rest='"{}"', tensors=""):
    text = f'{{"__metadata__": {{"format": "{containers.FORMAT}", "digest": "DIGEST", "rest": {rest}}}{tensors}}}'
    return text.encode()


def planted(good):
    """Return {what was planted: bytes}."""
    import io
    import pickle

    tensors, text = containers.unpack(good)
    rest = json.loads(text)
    archive = io.BytesIO()
    torch.save({"w": Mine()}, archive)

    def changed(change, without=(), **more):
        other = json.loads(text)
        change(other)
        kept = {name: tensor for name, tensor in tensors.items() if name not in without}
        return sealed(kept | more, json.dumps(other))

    def put(*keys, value):
        def change(other):
            for key in keys[:-1]:
                other = other[key]
            other[keys[-1]] = value

        return change

    deep = "[" * 100_000 + "]" * 100_000
    two = ', "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "b": {"dtype": "F32", "shape": [2], "data_offsets": [%d, %d]}'  # noqa: E501
    epoch = rest["history"]["epochs"][0]
    return {
        "a pickle": pickle.dumps(Mine()),
        "a file of torch.save": archive.getvalue(),
        "a header of 2**63 bytes": struct.pack("<Q", 2**63) + b"{}",
        "a header of 2**64 - 1 bytes": b"\xff" * 8 + b"{}",
        "a header that is a list": resealed(b"[]"),
        "a header nested deeply": resealed(header(tensors=f', "a": {deep}')),
        "a text nested deeply": sealed(tensors, deep),
        "objects nested deeply": sealed(tensors, '{"a":' * 50_000 + "1" + "}" * 50_000),
        "a number of a million digits": sealed(tensors, "1" * 1_000_000),
        "a text that is a number": resealed(header(rest="5")),
        "tensors that overlap": resealed(header(tensors=two % (4, 12)), bytes(12)),
        "tensors beyond the end": resealed(header(tensors=two % (8, 16)), bytes(12)),
        "tensors with a gap": resealed(header(tensors=two % (12, 20)), bytes(20)),
        "a shape of 2**60 numbers": resealed(header(tensors=two % (8, 16)).replace(b"[2]", b"[1152921504606846976]"), bytes(16)),  # noqa: E501
        "a type that does not exist": resealed(header(tensors=two % (8, 16)).replace(b"F32", b"X32"), bytes(16)),
        "names that are missing": sealed(tensors, "{}"),
        "a text that is null": sealed(tensors, "null"),
        "a tensor that does not exist": changed(put("optimizer", value={"tensor": "optimizer.none"})),
        "keys that are lists": changed(put("optimizer", value={"items": [[[1], 2]]})),
        "an optimizer's state that is a list": changed(put("optimizer", "items", 0, 1, value={"list": []})),
        "states of parameters that do not exist": changed(
            put("optimizer", "items", 0, 1, value={"items": [[99, {"items": []}]]})
        ),
        "a state that is a number": changed(put("optimizer", "items", 0, 1, value={"items": [[0, 5]]})),
        "a learning rate that is NaN": changed(
            lambda other: other.__setitem__("optimizer", {"items": [["state", {"items": []}], ["param_groups", {
                "list": [{"items": [["lr", float("nan")], ["params", {"list": [0, 1, 2, 3]}]]}]}]]})
        ),
        "no groups": changed(put("optimizer", value={"items": [["state", {"items": []}], ["param_groups", {"list": []}]]})),  # noqa: E501
        "a scheduler's state of another form": changed(put("scheduler", value={"items": [["step", "harm"]]})),
        "a scheduler's state that is a list": changed(put("scheduler", value={"list": []})),
        "a scheduler's attribute too many": changed(lambda other: other["scheduler"]["items"].append(["optimizer", 1])),
        "another optimizer": changed(put("kinds", "optimizer", value="Adam")),
        "no kinds": changed(put("kinds", value={})),
        "records without a key": changed(put("history", "epochs", value=[{"epoch": 0}])),
        "records with a key too many": changed(put("history", "epochs", value=[epoch | {"harm": 1}])),
        "a record that is text": changed(put("history", "epochs", 0, "lr", value="0.1")),
        "a record too large for a float": changed(put("history", "epochs", 0, "lr", value=10**400)),
        "epochs that do not count": changed(put("history", "epochs", 0, "epoch", value=7)),
        "losses that are text": changed(put("history", "step_losses", value="harm")),
        "a run that had diverged": changed(put("history", "diverged", value=True)),
        "a generator of another size": changed(lambda other: None, generator=torch.zeros(3, dtype=torch.uint8)),
        "a generator of floats": changed(lambda other: None, generator=torch.zeros(5056)),
        "a global stream of another size": changed(
            lambda other: None, **{"global.cpu": torch.zeros(3, dtype=torch.uint8)}
        ),
        "no generator": changed(lambda other: None, without=("generator",)),
        "no global stream": changed(lambda other: None, without=("global.cpu",)),
        "weights in another type": changed(lambda other: None, **{"model.0.layers.0.weight": torch.zeros(9, 6).double()}),  # noqa: E501
        "weights that are missing": changed(lambda other: None, without=("model.0.layers.0.bias",)),
        "best weights of another shape": changed(lambda other: None, **{"best.0.layers.0.bias": torch.zeros(4)}),
    }  # fmt: skip


def test_a_planted_file_does_nothing_but_raise(tmp_path, saved, monkeypatch, tally):
    monkeypatch.chdir(tmp_path)  # where harm would be done
    kind = "AdamW, dropout, plateau"
    files = planted(saved[kind][0] / "run")
    path = tmp_path / "run.safetensors"
    for what, content in files.items():
        path.write_bytes(content)
        run = parts(kind, 5)
        before = state_of(run)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(CheckpointError, match=r"^run\.safetensors ") as caught:
                load_checkpoint(path, *run)
        assert state_of(run) == before, what
        assert len(str(caught.value)) < 500, what
        assert [file.name for file in tmp_path.iterdir()] == ["run.safetensors"], what
    tally.note("training", "planted checkpoint", tried=len(files), message=str(caught.value))


def state_of(run):
    from course_utils.training import History

    return digest(*run, History()), repr(vars(run[2]).keys()), torch.random.get_rng_state().tolist()


def test_a_planted_file_of_the_same_form_is_taken_or_refused_but_never_runs(tmp_path, saved, tally):
    kind = "Adam, dropout, cosine"
    content = (saved[kind][0] / "run").read_bytes()
    path, number, draw = tmp_path / "run", tally.number(each_time=200, weekly=5_000), random.Random(4)
    length = 8 + int.from_bytes(content[:8], "little")
    digest_at = re.search(rb'"digest": "([0-9a-f]{64})"', content).span(1)
    refused = 0
    for _ in range(number):  # under a digest that is right
        changed = bytearray(content)
        for _ in range(draw.randrange(1, 4)):
            at = draw.randrange(8, length)
            changed[at] = draw.randrange(256) if draw.random() < 0.3 else draw.choice(b'0123456789{}[]",:x')
        changed[slice(*digest_at)] = containers.BLANK
        changed[slice(*digest_at)] = containers._digest([bytes(changed)])
        path.write_bytes(changed)
        run = parts(kind, 5)
        with torch.random.fork_rng():
            before = state_of(run)
            try:
                load_checkpoint(path, *run)
            except CheckpointError:
                refused += 1
                assert state_of(run) == before
    assert refused > number / 2
    tally.note("training", "planted checkpoint with random bytes", tried=number)


# Nothing in the package reads what could run


ALLOWED = {  # (file, what) -> why
    ("training/published.py", "pickle"): "the name of an exception; the file is read with weights_only=True",
    ("datasets/readers.py", "pickle"): "an Unpickler of three names, which refuses every other",
}
MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle"}
CALLS = {"eval", "exec", "joblib.load", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "os.system", "os.popen",
         "pickle.load", "pickle.loads"}  # fmt: skip


def dangers(tree):
    """Yield what in a file could run what it reads: modules, calls, and arguments that open a door."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.partition(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in MODULES:
            yield str(node.module)
        elif isinstance(node, ast.Call):
            name, given = ast.unparse(node.func), {k.arg: ast.unparse(k.value) for k in node.keywords}
            if name in CALLS:
                yield name
            if name == "torch.load" and given.get("weights_only") != "True":
                yield "torch.load"
            yield from (
                f"{key}={given[key]}"
                for key in ("allow_pickle", "shell")
                if given.get(key, "False") != "False"
            )


def test_nothing_in_the_package_runs_what_it_reads():
    package = Path(containers.__file__).parents[1]
    found = {
        (path.relative_to(package).as_posix(), danger)
        for path in package.rglob("*.py")
        for danger in dangers(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert found <= set(ALLOWED), "read it without, or say here why it is safe"


@pytest.mark.parametrize(
    "line",
    [
        "import pickle", "from marshal import loads", "import shelve as s", "torch.load(path)", "eval(text)",
        "torch.load(path, weights_only=False)", "numpy.load(path, allow_pickle=True)", "joblib.load(path)",
        "subprocess.run(text, shell=True)", "yaml.load(text)", "def f():\n    exec(text)", "import dill",
    ],
)  # fmt: skip
def test_the_rule_notices_what_could_run(line):
    assert list(dangers(ast.parse(line)))
    assert not list(
        dangers(ast.parse("model.eval(); ast.literal_eval(text); numpy.load(p, allow_pickle=False)"))
    )
