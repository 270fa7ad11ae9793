"""Serves one rival on the database of the settings: `python -m benchmarks.rivals NAME serve --port PORT`."""

import argparse

import uvicorn

from api.settings import Settings
from benchmarks.rivals import merge, plain, upsert

APPS = {"upsert": upsert.app, "plain": plain.app, "merge": merge.app}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.rivals", description="Serve a rival on the database of the settings."
    )
    parser.add_argument("name", choices=APPS, help="Rival to serve.")
    parser.add_argument("serve", choices=["serve"], help="The word serve, as for offer-ledger.")
    parser.add_argument("--port", type=int, default=8000, help="Port to listen on. Default: 8000.")
    options = parser.parse_args()
    uvicorn.run(APPS[options.name](Settings()), port=options.port)


main()
