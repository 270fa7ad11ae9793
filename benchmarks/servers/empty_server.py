"""A server that receives bodies and ignores them: the floor of receiving a request."""

import argparse
from typing import Any

import uvicorn

REPLY = b"{}"


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":  # lifespan events
        return
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(REPLY))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": REPLY})


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.servers.empty_server", description="Receive bodies and ignore them."
    )
    parser.add_argument("serve", choices=["serve"], help="The word serve, as for offer-ledger.")
    parser.add_argument("--port", type=int, default=8000, help="Port to listen on. Default: 8000.")
    uvicorn.run(app, port=parser.parse_args().port, lifespan="off")


if __name__ == "__main__":
    main()
