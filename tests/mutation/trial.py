"""Runs tests on a mutant, in a forked process.

The parent imports the libraries once. The child imports the project, with the changed module behind an import hook."""

import gc
import importlib
import importlib.machinery
import importlib.util
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import CodeType

import hypothesis
import pytest

from tests.mutation.mutants import ROOT, Mutant, MutatedModule

LIBRARIES = "libraries"
"""The file with the names of the libraries that the unchanged module and its tests import."""
PROJECT = ("api", "benchmarks", "domain", "projections", "tests")
MAX_WAIT_SECONDS = 900
"""The time limit of a child process. Its limit on processor time ends an endless loop earlier."""
MAX_MEMORY_BYTES = 4 << 30
OPTIONS = ["-x", "-q", "--no-header", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:xdist"]


@dataclass(frozen=True)
class Job:
    """Tests to run on a mutant, or on the unchanged module if `mutant` is None."""

    module: MutatedModule
    mutant: Mutant | None
    tests: Sequence[str]


@dataclass(frozen=True)
class Trial:
    """The result of a job. `killer` is the test that failed first; None if the mutant survived."""

    job: Job
    killer: str | None
    cpu_seconds: float
    output: str


class ChangedModule(importlib.machinery.SourceFileLoader):
    """Loads a module from its changed tree."""

    def __init__(self, module: MutatedModule) -> None:
        super().__init__(module.name, str(ROOT / module.path))
        self._module = module

    def get_code(self, fullname: str) -> CodeType:
        assert fullname == self._module.name
        return self._module.compile()


class ImportHook:
    """Finds the changed module before Python finds the one on disk."""

    def __init__(self, module: MutatedModule) -> None:
        self._module = module

    def find_spec(self, name: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        if name != self._module.name:
            return None
        return importlib.util.spec_from_loader(name, ChangedModule(self._module))


class Recorder:
    """Plugin of pytest: repeatable examples without shrinking, and a file with the first failed test."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def pytest_sessionstart(self) -> None:
        hypothesis.settings.register_profile(
            "mutants",
            hypothesis.settings(),
            derandomize=True,
            database=None,
            phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
        )
        hypothesis.settings.load_profile("mutants")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._record(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._record(report)

    def _record(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.failed and not self._file.exists():
            self._file.write_text(report.nodeid)


def run_mutants(jobs: Sequence[Job], tests: Sequence[str], at_once: int) -> list[Trial]:
    """Runs jobs, several at the same time. `tests` are all tests of the jobs.

    Raises RuntimeError if one of these tests fails on the unchanged modules, before the jobs or after them."""
    unchanged = Job(jobs[0].module, None, tests)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cpu_seconds = _prepare(unchanged, folder)
        trials = list(_run_jobs([*jobs, unchanged], folder, cpu_seconds, at_once))
    for trial in trials:
        if trial.job.mutant is None:
            _require_success(trial)
    return [trial for trial in trials if trial.job.mutant]


def _prepare(unchanged: Job, folder: Path) -> int:
    """Runs the tests once, and imports the libraries that they use. Returns the processor time for a job, in seconds."""
    sys.dont_write_bytecode = False  # the children then compile the changed module only
    (trial,) = _run_jobs([unchanged], folder, MAX_WAIT_SECONDS, at_once=1)
    _require_success(trial)
    import_libraries((folder / LIBRARIES).read_text().splitlines())
    gc.freeze()  # the children collect only their own garbage, and copy fewer pages
    return 10 + int(5 * trial.cpu_seconds)


def _require_success(trial: Trial) -> None:
    if trial.killer:
        raise RuntimeError(f"The tests of the unchanged code fail: {trial.killer}\n{trial.output}")


def _run_jobs(jobs: Sequence[Job], folder: Path, cpu_seconds: int, at_once: int) -> Iterator[Trial]:
    """Runs jobs, several at the same time, and yields the results as they come."""
    waiting = list(enumerate(jobs))[::-1]
    running: dict[int, _Child] = {}
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                number, job = waiting.pop()
                child = _Child(job, folder / str(number), cpu_seconds)
                running[child.pid] = child
            for pid, child in list(running.items()):
                if trial := child.poll():
                    del running[pid]
                    yield trial
            time.sleep(0.01)
    finally:
        for child in running.values():
            child.kill()


class _Child:
    """A forked process that runs a job. Its files are in a folder of its own."""

    def __init__(self, job: Job, folder: Path, cpu_seconds: int) -> None:
        folder.mkdir()
        self._job, self._folder, self._started = job, folder, time.monotonic()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.setsid()
                _limit(cpu_seconds)
                _redirect(folder / "output")
                os._exit(_run(job, folder))
            finally:  # only after an exception, because the process never returns to its parent's code
                traceback.print_exc()
                os._exit(99)

    def poll(self) -> Trial | None:
        """Returns the result, or None while the process runs."""
        finished, status, usage = os.wait4(self.pid, os.WNOHANG)
        if not finished and time.monotonic() - self._started < MAX_WAIT_SECONDS:
            return None
        self._kill_group()
        if not finished:
            os.waitpid(self.pid, 0)
        killer = None if finished and status == 0 else self._killer(status)
        output = (self._folder / "output").read_text(errors="replace")
        shutil.rmtree(self._folder, ignore_errors=True)
        return Trial(self._job, killer, usage.ru_utime + usage.ru_stime, output)

    def kill(self) -> None:
        self._kill_group()
        os.waitpid(self.pid, 0)

    def _kill_group(self) -> None:
        """Kills the process and those that its tests have left behind."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def _killer(self, status: int) -> str:
        file = self._folder / "failed"
        if file.exists():
            return file.read_text()
        return "a limit" if os.WIFSIGNALED(status) else f"exit code {os.waitstatus_to_exitcode(status)}"


def _limit(cpu_seconds: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 5))
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))


def _redirect(file: Path) -> None:
    output = os.open(file, os.O_WRONLY | os.O_CREAT)
    for descriptor in (1, 2):
        os.dup2(output, descriptor)


def _run(job: Job, folder: Path) -> int:
    for variable in ("OFFER_LEDGER_TEST_ENGINE", "OFFER_LEDGER_TEST_THOROUGH"):
        os.environ.pop(variable, None)
    if job.mutant:
        job.mutant.apply()
    sys.meta_path.insert(0, ImportHook(job.module))
    arguments = [*OPTIONS, f"--basetemp={folder / 'tmp'}", *job.tests]
    code = int(pytest.main(arguments, plugins=[Recorder(folder / "failed")]))
    if job.mutant is None:
        (folder.parent / LIBRARIES).write_text("\n".join(_libraries()))
    sys.stdout.flush()
    return code


def _libraries() -> list[str]:
    """Returns the imported modules that do not belong to the project, in the order of their import."""
    return [name for name in list(sys.modules) if name.split(".")[0] not in (*PROJECT, "conftest", "__main__")]


def import_libraries(names: Sequence[str]) -> None:
    """Imports libraries once for all children. A failed import only costs the children time.

    Raises RuntimeError if a library imports the project: the children could not change a module that is imported."""
    for name in names:
        with suppress(Exception):
            importlib.import_module(name)
    if found := {"api", "domain", "projections"} & sys.modules.keys():
        raise RuntimeError(f"expected no imported module of the project, found: {sorted(found)}")
