"""Sends PUTs of single offers. Each connection sends a new offer and a change of it, in turns."""

from collections.abc import Iterator

from benchmarks.clients.load_client import Target, send

PATH = "/api/v1/partner/merchants/{merchant}/offers/{offer}"
REQUEST = (
    "PUT {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: ApiToken {secret}\r\nContent-Type: application/json\r\n"
)
BODY = (
    '{{"offerId":"{offer}","merchantId":"{merchant}","offerName":"{name}",'
    '"description":"Earn cashback on every jar of pasta sauce, in store and online, until the end of the season.",'
    '"terms":"One redemption per customer and week. Not together with vouchers. Refunds take the cashback back.",'
    '"assets":{{"logo":{{"type":"IMAGE","value":{{"large":{{"url":"https://cdn.example/{merchant}/logo.png"}}}}}},'
    '"largeRectangle":{{"type":"IMAGE","value":{{"large":{{"url":"https://cdn.example/{merchant}/{offer}.png"}}}}}}}},'
    '"categories":["groceries","weekend"],"cashbackPercent":{percent}}}'
)
EXPECTED_STATUS = b"HTTP/1.1 202 "


def requests(target: Target, mark: str) -> Iterator[bytes]:
    merchant, number = f"M-{mark}", 0
    while True:
        offer = f"MO-{mark}-{number // 2}"
        request = REQUEST.format(
            path=PATH.format(merchant=merchant, offer=offer), host=target.host, secret=target.secret
        )
        name = f"{number % 40 + 1} percent on jars of {number}"
        body = BODY.format(offer=offer, merchant=merchant, name=name, percent=number % 40 + 1)
        yield f"{request}Content-Length: {len(body)}\r\n\r\n{body}".encode()
        number += 1


if __name__ == "__main__":
    send(requests, EXPECTED_STATUS)
