"""Starts `offer-ledger` with measured functions, in the server and in its worker processes."""

import sys
from collections.abc import Callable

from api.cli.main import main
from api.processes import worker_main, worker_processes


def launch(module: str, measure: Callable[[], None]) -> None:
    """Runs the program that the arguments name, or a worker process if there are none.

    `module`: the main module that calls this. `measure` replaces functions by measured ones."""
    measure()
    worker_processes.WORKER_MODULE = module
    if sys.argv[1:]:
        main()
    else:
        worker_main.start_program()
