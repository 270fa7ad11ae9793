"""The objects of a server process, with the supervisor of its runs."""

from fastapi import FastAPI

from api.bounds.allowances import Allowance
from api.dependencies.runtime import Runtime
from api.runs.supervisor import RunSupervisor


class ServerRuntime(Runtime, frozen=True, kw_only=True):
    """The whole runtime. Lower layers see it as `Runtime`, because they must not import the supervisor."""

    supervisor: RunSupervisor
    upload_places: Allowance
    """The batches and offers files over 1 MiB that partners send at the same time."""

    def begin_shutdown(self) -> None:
        """Ends all waiting for runs, for events and for slow readers. Any thread and any signal handler may call it."""
        self.supervisor.begin_shutdown()
        self.shutdown.set()


def server_runtime_of(app: FastAPI) -> ServerRuntime:
    runtime: ServerRuntime = app.state.runtime
    return runtime
