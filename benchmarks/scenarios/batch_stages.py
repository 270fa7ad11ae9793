"""CPU time of a batch by stage: what the service does with each offer, and what that costs."""

import json
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from benchmarks.engines.engine import Engine, environment
from benchmarks.fill.offers import batch, offers, with_new_id
from benchmarks.servers.contenders import TAKES_ALL, prepare, send
from benchmarks.servers.server_process import Server
from benchmarks.servers.timed_stages import STAGE_TIMES_FILE, STAGES

TIMED = (sys.executable, "-m", "benchmarks.servers.timed_stages")
PARTNER, WARM_UP = "measured", "warm-up"
WARM_UP_OFFERS = 5_000
"""Enough for a worker process, which imports modules and fills caches."""
REST, ALL = "the rest", "all"
NANOSECONDS_PER_MICROSECOND = 1_000


def measure_stages(engine: Engine, bodies: Mapping[str, bytes]) -> dict[str, dict[str, float]]:
    """Sends the batches, and returns the CPU microseconds for each offer, by case and stage.

    Raises RuntimeError if nothing was measured for a stage that every batch of new offers has."""
    ledger, file = engine.ledger("stages"), engine.folder / "stages"
    prepare(ledger, (PARTNER, WARM_UP))
    variables = environment(ledger) | TAKES_ALL | {STAGE_TIMES_FILE: str(file)}
    with Server(variables, engine.folder / "stages.log", TIMED) as server:
        send(server, WARM_UP, batch("Synchronize", offers(WARM_UP_OFFERS)))
        stages = {case: _measure(server, file, with_new_id(body)) for case, body in bodies.items()}
    if missing := [stage for stage in STAGES if not any(times.get(stage) for times in stages.values())]:
        raise RuntimeError(f"No time was measured for: {', '.join(missing)}")
    return stages


def _measure(server: Server, file: Path, body: bytes) -> dict[str, float]:
    time.sleep(1)  # until the work after the last batch has ended
    file.write_bytes(b"")
    before = server.cpu_seconds()
    _, reply = send(server, PARTNER, body)
    seconds = server.cpu_seconds() - before
    nanoseconds = sum((Counter(json.loads(line)) for line in file.read_text().splitlines()), Counter[str]())
    counts = reply["data"]["counts"]
    count = counts["created"] + counts["updated"] + counts["unchanged"]
    times = {stage: nanoseconds[stage] / count / NANOSECONDS_PER_MICROSECOND for stage in STAGES}
    total = seconds / count * 1e6
    return times | {REST: total - sum(times.values()), ALL: total}
