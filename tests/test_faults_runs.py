"""A run of notebooks survives what happens on a laptop: kernels that die, Ctrl-C, a full disk, a second run at once."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import contextmanager
from pathlib import Path

import nbformat
import pytest
from conftest import code, printed, text

from course_utils.authoring import run
from course_utils.authoring.copies import coalesced
from course_utils.authoring.execute import Outcome, execute
from course_utils.authoring.kernel import KernelPool, kernel_environment

if os.name == "nt":
    pytest.skip("kills by signals, which Windows does not have", allow_module_level=True)
import resource

import psutil

PART = "notebook runs"
GRANDCHILD = "import subprocess\nsubprocess.Popen(['sleep', '100'])\n"
WAITS = code(GRANDCHILD + "import pathlib, time\npathlib.Path('waiting').touch()\ntime.sleep(60)")
MAIN = "import sys; from course_utils.authoring.cli import main; print('ready', flush=True); sys.exit(main())"


class Traced:
    """A course whose processes can be counted by a mark in their environment; they have a temp folder of their own."""

    def __init__(self, course, folder):
        self.course, self.temp = course, folder
        self.environment = {"COURSE_MARK": uuid.uuid4().hex, "TMPDIR": str(folder), "PYTHONWARNINGS": ""}

    def start(self, *arguments, python=("-m", "course_utils.authoring.cli"), **options):
        """Start the real command; its output can be read."""
        # Where the tests run in the background or under nohup, a child would inherit the signals to be ignored.
        before = options.pop("before", lambda: None)

        def prepare():
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
            before()

        options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True} | options
        return subprocess.Popen([sys.executable, *python, *arguments], cwd=self.course.root,
                                env=os.environ | self.environment, preexec_fn=prepare, **options)  # fmt: skip

    def processes(self):
        """Return those that carry the mark and live."""
        found = []
        for process in psutil.process_iter():
            try:
                marked = process.environ().get("COURSE_MARK") == self.environment["COURSE_MARK"]
                if marked and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process.name())
            except (psutil.Error, OSError):
                continue
        return found

    def leaves_nothing(self, seconds=0.5):
        """Say whether soon no process is left, nor anything in the temp folder."""
        return soon(lambda: not self.processes() and not list(self.temp.iterdir()), seconds)


def soon(condition, seconds=30.0):
    """Say whether the condition comes true in time."""
    deadline = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return met


@pytest.fixture
def traced(course, tmp_path):
    """A course of one notebook that starts a process, and waits."""
    folder = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))  # short: sockets lie there
    course.write("01_waits", text("# 1"), WAITS)
    yield Traced(course, folder)
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def room(size):
    """Let no file grow beyond `size` bytes, here and in processes started here: writing fails, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


DEATHS = {
    "killed by a signal": ("os.kill(os.getpid(), signal.SIGKILL)",
                           "DeadKernelError: the kernel was ended by SIGKILL; the system does so"),
    "os._exit": ("os._exit(3)", "DeadKernelError: the kernel ended itself with code 3"),
    "crash of a library": ("import ctypes\nctypes.string_at(0)", "DeadKernelError: the kernel was ended by SIGSEGV"),
    "never ends": ("while True: time.sleep(1)", "CellTimeoutError: A cell timed out"),
    "never ends, ignores interrupts": ("signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
                                       "CellTimeoutError: A cell timed out"),
    "no memory": ("import resource\nresource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))\nbytearray(2**32)",
                  "MemoryError"),
    "error": ("1 / 0", "ZeroDivisionError: division by zero"),
    "sys.exit(0) half-way": ("import sys\nsys.exit(0)", "SystemExit: 0"),
}  # fmt: skip


def test_whatever_a_cell_does_the_run_ends_says_why_and_leaves_no_process(traced, monkeypatch, tally):
    course = traced.course
    deaths = {name: death for name, death in DEATHS.items() if name != "no memory" or sys.platform == "linux"}
    paths = [course.write(f"{k:02}_dies", text("# 1"), code(GRANDCHILD + "import os, signal, time"), code(words),
                          code("print('never')")) for k, (words, _) in enumerate(deaths.values(), start=2)]  # fmt: skip
    (course.root / "notebooks" / "01_waits.ipynb").unlink()
    good = course.write("01_good", text("# 1"), code(GRANDCHILD + "print('well')"))
    before = [path.read_bytes() for path in paths]
    for name, value in traced.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(tempfile, "tempdir", str(traced.temp))
    exit_code, output = course.command("run", "--timeout", "3")
    assert exit_code == 1
    assert traced.leaves_nothing()
    assert [path.read_bytes() for path in paths] == before
    assert "well" in (course.root / "build" / "executed" / good.name).read_text()
    for path, (name, (_, message)) in zip(paths, deaths.items(), strict=True):
        line = f"FAILED {path.stem}: cell 2: {message}"
        copy = (course.root / "build" / "executed" / path.name).read_text()
        tally.note(
            PART, f"cell: {name}", tried=1, lost=line not in output or '"never\\n"' in copy, message=line
        )


SIGNALS = {
    "run, Ctrl-C": ("run", [signal.SIGINT], 130, "course: interrupted; no kernel is left running.\n"),
    "run, Ctrl-C twice": (
        "run",
        [signal.SIGINT] * 2,
        130,
        "course: interrupted; no kernel is left running.\n",
    ),
    "run, SIGTERM": ("run", [signal.SIGTERM], 143, "course: ended by SIGTERM; no kernel is left running.\n"),
    "run, SIGHUP": ("run", [signal.SIGHUP], 129, "course: ended by SIGHUP; no kernel is left running.\n"),
    "run, SIGKILL": ("run", [signal.SIGKILL], -9, ""),
    "refresh, Ctrl-C": ("refresh", [signal.SIGINT], 130, "course: interrupted; no kernel is left running.\n"),
    "validate, SIGTERM": (
        "validate",
        [signal.SIGTERM],
        143,
        "course: ended by SIGTERM; no kernel is left running.\n",
    ),
    "validate, SIGKILL": ("validate", [signal.SIGKILL], -9, ""),
}


@pytest.mark.parametrize(("command", "signals", "exit_code", "message"), SIGNALS.values(), ids=SIGNALS)
def test_a_signal_ends_the_command_and_all_that_it_started(
    traced, tally, request, command, signals, exit_code, message
):
    stored = traced.course.root / "notebooks" / "01_waits.ipynb"
    before = stored.read_bytes()
    process = traced.start(command)
    assert soon(lambda: (stored.parent / "waiting").exists())
    for signum in signals:
        process.send_signal(signum)
        time.sleep(0.05)
    output, _ = process.communicate(timeout=20)
    assert (process.returncode, output.endswith(message), "Traceback" in output) == (exit_code, True, False)
    assert stored.read_bytes() == before
    lost = not traced.leaves_nothing(seconds=5)
    tally.note(PART, request.node.callspec.id, tried=1, lost=lost, message=message.strip())


def test_a_terminal_that_is_closed_ends_the_run(traced, tally):
    import fcntl
    import pty
    import termios

    master, terminal = pty.openpty()
    process = traced.start(
        "run", stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
        before=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )  # fmt: skip
    os.close(terminal)
    assert soon(lambda: (traced.course.root / "notebooks" / "waiting").exists())
    os.close(master)
    assert process.wait(timeout=20) == 129
    tally.note(PART, "terminal closed", tried=1, lost=not traced.leaves_nothing())


def test_ctrl_c_at_any_moment_leaves_nothing(traced, tally):
    traced.course.write("01_waits", text("# 1"), code("print(1)"))
    stored = traced.course.root / "notebooks" / "01_waits.ipynb"
    before, moments = stored.read_bytes(), random.Random(0)
    number, lost = tally.number(each_time=6, weekly=100), 0
    for k in range(number):
        process = traced.start("run", python=("-c", MAIN))
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.1 + 2.4 * (k + moments.random()) / number)  # a run takes about two seconds
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=20)
        # a signal after the last word finds the interpreter ending, and ends it
        fine = (
            process.returncode in (0, 130, -signal.SIGINT)
            and "Traceback" not in output
            and traced.leaves_nothing()
        )
        lost += not fine or stored.read_bytes() != before
    tally.note(PART, "Ctrl-C at a random moment", tried=number, lost=lost)


def test_a_kernel_that_is_being_started_when_all_are_stopped_is_killed(traced, monkeypatch):
    from jupyter_client.manager import AsyncKernelManager

    pool, start = KernelPool(traced.temp), AsyncKernelManager._async_start_kernel

    async def stopped_meanwhile(self, **options):
        pool.stop_all()
        await start(self, **options)

    monkeypatch.setattr(AsyncKernelManager, "_async_start_kernel", stopped_meanwhile)
    environment = kernel_environment(traced.temp) | traced.environment
    path = traced.course.root / "notebooks" / "01_waits.ipynb"
    outcome = execute(path, traced.temp / "copy.ipynb", environment=environment, kernels=pool)
    assert outcome.error == "cell 0: RuntimeError: Kernel died before replying to kernel_info"
    assert traced.processes() == []


CLAIMS = """import time
from course_utils.claims import check
for k in range(1, 5):
    check(f"01.{k}", "the seed is its own", measured=seed, equal=seed)
    time.sleep(0.3)"""


def test_two_runs_at_once_do_not_mix(traced, tally):
    traced.course.write(
        "01_waits", text("# 1"), code("seed = 0", "parameters"), code(CLAIMS), code("print(seed)")
    )
    runs = [traced.start("run", "--set", f"seed={seed}") for seed in (1, 2)]
    outputs = [run.communicate(timeout=60)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    built = traced.course.root / "build"
    claims = json.loads((built / "claims.json").read_text())
    records = (built / "executed" / "01_waits.claims.jsonl").read_text().splitlines()
    whole = len(claims) == len(records) == 4 and len({claim["measured"] for claim in claims}) == 1
    own = all("4 of 4 claims hold." in output for output in outputs)
    assert sorted(path.name for path in built.rglob("*") if path.is_file()) == [
        "01_waits.claims.jsonl", "01_waits.ipynb", "claims.json", "durations.json"]  # fmt: skip
    tally.note(PART, "two runs at once", tried=2, lost=2 * (not (whole and own and traced.leaves_nothing())))


def test_two_refreshes_of_one_notebook_at_once_both_end_well(traced, tally):
    path = traced.course.write("01_waits", text("# 1"), code("import time\ntime.sleep(1)\nprint(1)"))
    runs = [traced.start("refresh") for _ in range(2)]
    outputs = [run.communicate(timeout=60)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], outputs
    assert json.loads(path.read_text())["cells"][1]["outputs"][0]["text"] == ["1\n"]
    left = sorted(path.name for path in path.parent.iterdir())
    tally.note(PART, "two refreshes at once", tried=2, lost=2 * (left != ["01_waits.ipynb", "START.md"]))


EDITS = "import pathlib\npath = pathlib.Path('01_edits.ipynb')\npath.write_text(path.read_text().replace('old', 'new'))"
REMOVES = "import pathlib\npathlib.Path('02_removes.ipynb').unlink()"
MEANWHILE = {
    "run": (0, "01_edits.ipynb was changed while it ran; the copy is of what it was at the start.",
            "02_removes.ipynb was removed while it ran; the copy is of what it was at the start."),
    "refresh": (1, "FAILED 01_edits: 01_edits.ipynb was changed while it ran and is left as it is. Refresh it again: "
                   "`course refresh 01`.",
                "FAILED 02_removes: 02_removes.ipynb is not there any more. Restore it from git."),
}  # fmt: skip


@pytest.mark.parametrize("command", MEANWHILE)
def test_a_notebook_that_is_edited_or_removed_while_it_runs_keeps_the_edit(course, tally, command):
    edited = course.write("01_edits", text("# 1 old"), code(EDITS))
    removed = course.write("02_removes", text("# 2"), code(REMOVES))
    before = edited.read_text()
    exit_code, output = course.command(command)
    expected, *lines = MEANWHILE[command]
    assert exit_code == expected
    assert edited.read_text() == before.replace("old", "new")
    assert not removed.exists()
    copies = course.root / "build" / {"run": "executed", "refresh": "refresh"}[command]
    assert "# 1 old" in (copies / edited.name).read_text()
    for line in lines:
        fault = f"{command}, notebook {'changed' if 'changed' in line else 'removed'} meanwhile"
        tally.note(PART, fault, tried=1, lost=line not in output, message=line)


@pytest.mark.parametrize("command", ["run", "refresh"])
def test_a_full_disk_while_the_copy_is_written_is_one_line(course, tally, command):
    path = course.write("01_long", text("# 1"), code("print('x' * 200_000)", outputs=(printed("old"),)))
    before = path.read_bytes()
    with room(100_000):
        exit_code, output = course.command(command)
    line = "FAILED 01_long: The copy could not be written: File too large."
    assert path.read_bytes() == before
    assert list((course.root / "build").rglob("*.ipynb")) == []
    tally.note(
        PART, f"{command}, full disk", tried=1, lost=(exit_code, line in output) != (1, True), message=line
    )


@pytest.mark.parametrize("name", ["claims.json", "durations.json"])
def test_a_full_disk_while_the_records_are_written_leaves_the_old_ones(course, tally, name, monkeypatch):
    claims = ({"holds": True, "statement": "x" * 5000},) if name == "claims.json" else ()
    course.write("01_a", text("# 1"))
    outcome = Outcome("n" * 800, 1.0, 1, claims, None, "", Path())
    monkeypatch.setattr(run, "run_all", lambda *_, **__: [outcome])
    output = course.root / "build" / "executed"
    output.mkdir(parents=True)
    old = [output.parent / "claims.json", output / "durations.json"]
    for path in old:
        path.write_text("{}")
    with room(700):
        exit_code, said = course.command("run")
    (target,) = (path for path in old if path.name == name)
    line = f"course: {target.relative_to(course.root)} could not be written: File too large. "
    line += "What was there before is unharmed."
    assert (exit_code, said.splitlines()[-1]) == (2, line)
    assert "1 of 1 notebooks ran to the end" in said, "the table is worth having even so"
    assert sorted(path for path in output.parent.rglob("*") if path.is_file()) == sorted(old)
    tally.note(PART, f"full disk, {name}", tried=1, lost=target.read_text() != "{}", message=line)


@pytest.mark.parametrize("command", ["run", "refresh"])
@pytest.mark.parametrize("fault", ["a file in its place", "closed to us"])
def test_a_build_folder_that_takes_nothing_is_one_line_before_anything_runs(course, tally, command, fault):
    path = course.write("01_touches", text("# 1"), code("open('ran', 'w').close()"))
    build = course.root / "build"
    if fault == "closed to us":
        if os.geteuid() == 0:
            pytest.skip("root may write everywhere")
        build.mkdir(mode=0o500)
    else:
        build.write_text("")
    exit_code, output = course.command(command)
    folder = os.path.join("build", {"run": "executed", "refresh": "refresh"}[command])
    assert exit_code == 2
    assert len(output.splitlines()) == 1
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    lost = not output.startswith(f"course: Nothing can be written into {folder}: ")
    tally.note(PART, f"{command}, build folder: {fault}", tried=1, lost=lost, message=output.strip())


def test_a_reader_of_the_output_who_goes_away_ends_the_run_in_silence(traced, tally):
    with traced.start("run") as process:
        assert process.stdout.readline() == "01_waits starts\n"
        traced.course.write("01_waits", text("# 1"), code("1"))
        process.stdout.close()
        for waiting in psutil.Process(process.pid).children():
            waiting.kill()  # so that the run has something to say, to nobody
        assert process.wait(timeout=20) == 141
    tally.note(PART, "course run | head -1", tried=1, lost=not traced.leaves_nothing())


def test_closed_standard_streams_do_not_disturb_a_run(traced, tally):
    path = traced.course.write("01_waits", text("# 1"), code("print(1)"))
    with traced.start(
        "run", stdout=None, stderr=None, before=lambda: [os.close(fd) for fd in range(3)]
    ) as process:
        assert process.wait(timeout=60) == 0
    copy = traced.course.root / "build" / "executed" / path.name
    tally.note(PART, "stdin, stdout and stderr closed", tried=1, lost='"1\\n"' not in copy.read_text())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_no_room_for_the_output_is_one_line(traced, tally):
    with (
        open("/dev/full", "w") as full,
        traced.start("new", "02_b", stdout=full, stderr=subprocess.PIPE) as process,
    ):
        said = process.stderr.read()
    line = "course: No space left on device. Make room; TMPDIR may name another place for what is not kept.\n"
    tally.note(
        PART, "no room for stdout", tried=1, lost=(process.wait(), said) != (2, line), message=line.strip()
    )


def nbclients(outputs):
    """Return what nbclient makes of the outputs of a cell; slow, and in two places."""
    from nbclient import client

    texts = {name: "".join(o.text for o in outputs if o.name == name) for name in ("stdout", "stderr")}
    return {name: client._RGX_CARRIAGERETURN.sub("", words) for name, words in texts.items() if words}


def test_streams_are_joined_as_nbclient_does_it():
    letters = random.Random(0)
    for _ in range(300):
        outputs = [
            nbformat.from_dict(
                printed("".join(letters.choices("ab\r\n", k=5)), letters.choice(["stdout", "stderr"]))
            )
            for _ in range(4)
        ]
        expected = nbclients(outputs)
        assert {output.name: output.text for output in coalesced(outputs)} == expected


def test_a_long_line_is_no_work_for_minutes(tally):
    start = time.perf_counter()
    (output,) = coalesced([nbformat.from_dict(printed("x" * 10_000_000))])
    assert len(output.text) == 10_000_000
    tally.note(PART, "a cell prints a line of 10 MB", tried=1, lost=time.perf_counter() - start > 10)
