"""JSON replies."""

from api.http.replies import json_response


def test_reply_is_json_with_status_200() -> None:
    reply = json_response({"a": None})
    assert (reply.status_code, reply.body, reply.headers["content-type"]) == (200, b'{"a":null}', "application/json")


def test_reply_has_the_given_status_and_headers() -> None:
    reply = json_response([], 201, {"Location": "/x"})
    assert (reply.status_code, reply.headers["location"]) == (201, "/x")
