"""Compare queries on a large and a small ledger of redemption windows.

The large ledger has a hundred times as many windows. Each ledger has its own server. Each query is sent over HTTP to
both servers, in turns. A figure is the median latency of the queries of a round, in milliseconds.
"""

import argparse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from benchmarks.clients.query_client import QueryRounds, add_seconds
from benchmarks.engines.engine import Engine, environment
from benchmarks.fill.many_windows import Past, fill
from benchmarks.fill.saved_ledgers import add_directory, filled
from benchmarks.queries.windows_queries import WindowQueries
from benchmarks.reporting.comparison import PAIRS, PAIRS_HELP, Compared, measure_in_turns
from benchmarks.reporting.report import Report
from benchmarks.servers.server_process import Server

WINDOWS_HELP = "Windows of the small and of the large ledger. Default: 10000 1000000."
PER_COMMIT = 20_000
"""The maximum number of activations in a commit."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--windows", type=int, nargs=2, default=(10_000, 1_000_000), help=WINDOWS_HELP)
    parser.add_argument("--pairs", type=int, default=PAIRS, help=PAIRS_HELP)
    add_seconds(parser)
    add_directory(parser)


def run(engine: Engine, options: argparse.Namespace, report: Report) -> None:
    with ExitStack() as stack:
        small, large = [stack.enter_context(_queries(engine, count)) for count in options.windows]
        baseline = f"{options.windows[0]:,} windows"
        report.head()
        for on_large, on_small in zip(large, small, strict=True):
            sides = [QueryRounds(query.execute, options.seconds) for query in (on_large, on_small)]
            if sides[0].found != sides[1].found:
                report.note(f"{on_large.name.strip()}: {sides[0].found} items, baseline {sides[1].found} items")
            figures = measure_in_turns(sides[0].milliseconds, sides[1].milliseconds, options.pairs)
            report.add(Compared(on_large.name, "ms", baseline, *figures, size=options.windows[1]))


@contextmanager
def _queries(engine: Engine, windows: int) -> Iterator[WindowQueries]:
    name = f"windows_{windows}"
    ledger, past = filled(engine, name, Past, lambda ledger: fill(ledger, windows, PER_COMMIT))
    with Server(environment(ledger), engine.folder / f"{name}.log") as server:
        queries = WindowQueries(server.url, past)
        yield queries
        queries.close()
