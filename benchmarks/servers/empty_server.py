"""What does it take to be sent something at all? A server that receives bodies and forgets them."""

import argparse
from typing import Any

import uvicorn

REPLY = b"{}"


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":  # it begins and ends
        return
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(REPLY))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": REPLY})


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.servers.empty_server")
    parser.add_argument("serve", choices=["serve"])
    parser.add_argument("--port", type=int, default=8000)
    uvicorn.run(app, port=parser.parse_args().port, lifespan="off")


if __name__ == "__main__":
    main()
