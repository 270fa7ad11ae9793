"""Several server processes that share the listening sockets. One that dies or stalls is replaced."""

import logging
import socket
import time

from uvicorn import Config
from uvicorn.config import STARTUP_FAILURE
from uvicorn.server import Server
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from api.processes.evidence import cpu_seconds
from api.processes.graceful_server import GracefulServer
from api.processes.process_watch import Patience, ProcessWatch, Vitals, has_stalled, observe_process
from api.processes.signals import hangups_blocked, log_hangups

PROCESS_CHECK_SECONDS = 0.5
SERVER_PATIENCE = Patience(starting=60, idle=15, silent=120)
"""A process that starts on a busy host needs long, and one large request can keep a process from answering."""
STOP_SECONDS = 30.0
"""A server process ends itself earlier, unless it is stopped."""

logger = logging.getLogger("offer_ledger")


class ServerProcess(Process):
    """A server process, and what its parent has seen of it."""

    def __init__(self, config: Config, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        self._watch = ProcessWatch()
        self._is_pinged = False

    @property
    def server(self) -> Server:
        if self._server is None:
            self._server = GracefulServer(self.config)
        return self._server

    def target(self, sockets: list[socket.socket] | None = None) -> None:
        log_hangups()
        super().target(sockets)

    def start(self) -> None:
        with hangups_blocked():
            super().start()

    def is_alive(self, timeout: float = PROCESS_CHECK_SECONDS) -> bool:
        """Returns False if the process has ended or stalled. It never waits. `timeout`: the seconds since the last call."""
        if not self.process.is_alive():
            return False
        vitals = Vitals(self._watch.vitals.answers + self._has_answered(), cpu_seconds(self.process.pid or 0))
        self._watch = observe_process(self._watch, vitals, timeout)
        if is_stalled := has_stalled(self._watch, SERVER_PATIENCE):
            logger.warning("server process %d stalled and is replaced", self.process.pid)
        return not is_stalled

    def _has_answered(self) -> bool:
        """Asks the process for an answer, unless it still owes one."""
        try:
            if not self._is_pinged:
                self.parent_conn.send(b"ping")
                self._is_pinged = True
            if self.parent_conn.poll():
                self.parent_conn.recv()
                self._is_pinged = False
                return True
        except (OSError, EOFError):
            pass
        return False


class ServerProcesses(Multiprocess):
    """The parent of server processes."""

    def init_processes(self) -> None:
        self.processes.extend(self._started_process() for _ in range(self.processes_num))

    def keep_subprocess_alive(self) -> None:
        for index, process in enumerate(self.processes):
            if self.should_exit.is_set() or process.is_alive(PROCESS_CHECK_SECONDS):
                continue
            process.kill()
            process.join()
            if process.exitcode == STARTUP_FAILURE:
                logger.error("server process %d failed to start: the server stops", process.pid)
                self.should_exit.set()
                return
            logger.warning("server process %d ended and is replaced", process.pid)
            self.processes[index] = self._started_process()

    def handle_hup(self) -> None:
        """Ignores the signal: uvicorn would replace all processes."""
        logger.warning("ignored SIGHUP: send SIGTERM to stop the server")

    def handle_ttin(self) -> None:
        """Ignores the signal: the number of processes is an option of the command."""

    def handle_ttou(self) -> None:
        """Ignores the signal, like `handle_ttin`."""

    def join_all(self) -> None:
        deadline = time.monotonic() + STOP_SECONDS
        for process in self.processes:
            process.process.join(max(0.0, deadline - time.monotonic()))
            if process.process.is_alive():
                logger.warning("server process %d did not stop and is killed", process.pid)
                process.kill()
                process.join()

    def _started_process(self) -> ServerProcess:
        process = ServerProcess(self.config, self.sockets)
        process.start()
        return process
