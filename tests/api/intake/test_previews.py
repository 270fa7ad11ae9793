"""The previews of many items are those of each item alone."""

import json

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from api.intake.item_parts import NO_ELEMENT, parts_of
from api.intake.previews import preview_items, preview_of
from tests.support.examples import item

MAX_VALUES = 200
ELEMENTS = st.lists(
    st.sampled_from(
        [
            json.dumps(item("TP-1")).encode(),
            json.dumps({"externalId": "TP-2", "offerData": {"name": "é"}}, ensure_ascii=False).encode(),
            b'{"externalId":"TP-3","offerData":[ {"a" : [1, 2]} , null]}',
            b'{"externalId":"TP-4","offerData":null}',
            b'{"offerData":[{}]}',
            b"[1]",
            b'{"externalId":"TP-5","offerData":%b}' % json.dumps([0] * 300).encode(),
        ]
    ).map(Raw),
    max_size=6,
)


@given(ELEMENTS)
def test_items_are_previewed_together_as_alone(elements: list[Raw]) -> None:
    found = preview_items(elements, MAX_VALUES)
    alone = [preview_of(element, MAX_VALUES) for element in elements]
    assert [bytes(element) for element in found.elements] == [bytes(element) for element in elements]
    assert [preview and (preview.external_id, bytes(preview.content)) for preview in found.previews] == [
        preview and (preview.external_id, bytes(preview.content)) for preview in alone
    ]


def test_item_with_a_content_digest_gives_up_its_text() -> None:
    usual, odd = Raw(json.dumps(item("TP-1")).encode()), Raw(json.dumps({**item("TP-2"), "extra": 1}).encode())
    (part,) = parts_of([usual, odd], 10_000)
    part.compute_digests([0, 1], 10_000)
    assert [bytes(element) for element in part.elements] == [bytes(NO_ELEMENT), bytes(odd)]
