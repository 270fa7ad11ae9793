"""An independent replay: folds the events, one by one, into the state as of a position.

It uses no code of the projections and has an SQLite database of its own. It is for auditors, and it proves that the
service's answers follow from its events.
"""

from collections import Counter, defaultdict
from datetime import datetime
from decimal import Decimal
from typing import Any, assert_never
from uuid import UUID

import apsw
import msgspec

from domain.events import (
    Event,
    FlightScheduled,
    OfferActivated,
    OfferCreated,
    OfferDeleted,
    OfferEvent,
    OfferHeld,
    OfferPaused,
    OfferRedeemed,
    OfferReleased,
    OfferRestored,
    OfferResumed,
    OfferUpdated,
    PartnerRegistered,
    PartnerSettingsChanged,
    RedemptionRefused,
    RedemptionReversed,
    TokenCreated,
    TokenRevoked,
)
from domain.ledgers.ledger import OfferLedger
from domain.offers.offer import STATUS_AFTER
from domain.store.commit import LedgerHead, StoredEntry
from domain.store.cursor import Cursor
from domain.store.mapper import decode_event
from domain.store.records.images import full_text
from domain.store.stored_events import select_entries
from domain.values import OfferKey, ProgressCallback, Status, no_progress, recorded_text, to_microseconds

REPLAY_ENTRIES_PER_READ = 2_000

REPLAY_TABLES = """
    CREATE TABLE about (
        position INTEGER NOT NULL,
        as_of TEXT,
        moment TEXT NOT NULL,
        chain TEXT
    );
    CREATE TABLE offers (
        stream_id INTEGER PRIMARY KEY,
        offer_uid TEXT NOT NULL UNIQUE,
        partner TEXT NOT NULL,
        channel TEXT NOT NULL,
        merchant_id TEXT,
        external_id TEXT NOT NULL,
        status TEXT NOT NULL,
        version INTEGER NOT NULL,
        content TEXT NOT NULL,
        content_digest TEXT NOT NULL,
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        paused_at TEXT,
        deleted_at TEXT,
        honoured_until TEXT,
        hold TEXT
    );
    CREATE TABLE holds (
        offer_uid TEXT PRIMARY KEY,
        reason TEXT,
        since TEXT NOT NULL,
        until TEXT,
        actor TEXT NOT NULL
    );
    CREATE TABLE redemption_windows (
        activation_id TEXT PRIMARY KEY,
        offer_uid TEXT NOT NULL,
        customer_id TEXT NOT NULL,
        offer_version INTEGER NOT NULL,
        activated_at TEXT NOT NULL,
        redeemable_until TEXT NOT NULL,
        state TEXT,
        redeemed TEXT NOT NULL DEFAULT '[]'
    );
    CREATE INDEX redemption_windows_by_offer ON redemption_windows (offer_uid, redeemable_until);
    CREATE TABLE redemptions (
        stream_id INTEGER NOT NULL,
        version INTEGER NOT NULL,
        type TEXT NOT NULL,
        activation_id TEXT,
        amount TEXT NOT NULL,
        currency TEXT,
        transacted_at TEXT,
        recorded_at TEXT NOT NULL,
        PRIMARY KEY (stream_id, version)
    );
"""
"""Names and values are those of the API's JSON. All times have the same form, so they compare as text. `chain` is the
ledger's chain value of the commit that ends at the position; null for a position inside a commit."""


class ReplayDatabase:
    """Applies events, one by one, to the state in a database that is empty at first.

    Opens a transaction in it. `finish` commits it."""

    def __init__(self, database: apsw.Connection) -> None:
        database.execute(f"BEGIN; {REPLAY_TABLES}")
        self._database = database
        self._position = 0

    def replay(self, ledger: OfferLedger, until: int, on_progress: ProgressCallback = no_progress) -> None:
        """Applies the events up to position `until`. Reads each chunk in its own snapshot, so that no transaction is
        long."""
        while self._position < until:
            with ledger.recorder.read() as tx:
                self.replay_in(tx, min(until, self._position + REPLAY_ENTRIES_PER_READ))
            on_progress(self._position, until)

    def replay_in(self, tx: Cursor, until: int) -> None:
        """Applies the events up to position `until` in the snapshot of `tx`."""
        while self._position < until:
            count = min(REPLAY_ENTRIES_PER_READ, until - self._position)
            entries = select_entries(tx, self._position, count)
            for stored in entries:
                self._apply(tx, stored)
            # There are no entries where a person has deleted the events.
            self._position = entries[-1].position if entries else until

    def finish(self, tx: Cursor, head: LedgerHead, evaluated_at: datetime) -> None:
        """Computes the holds of offers and the states of redemption windows at `evaluated_at`, and describes the replay in
        the table `about`."""
        _set_holds(self._database, recorded_text(to_microseconds(evaluated_at)))
        _set_window_states(self._database, recorded_text(to_microseconds(evaluated_at)))
        as_of = recorded_text(to_microseconds(head.recorded_at)) if head.recorded_at else None
        about = (head.position, as_of, recorded_text(to_microseconds(evaluated_at)), _chain(tx, head.position))
        self._database.execute("INSERT INTO about VALUES (?, ?, ?, ?)", about)
        self._database.execute("COMMIT")

    def _apply(self, tx: Cursor, stored: StoredEntry) -> None:
        recorded_at = recorded_text(stored.recorded_at)
        event: Event = decode_event(stored.topic, stored.state)
        match event:
            case OfferActivated():
                self._activated(tx, stored, event)
            case OfferRedeemed():
                purchase = (event.activation_id, event.amount, event.currency, recorded_text(event.transacted_at))
                self._redeemed(stored, (*purchase, recorded_at))
            case RedemptionReversed():
                self._redeemed(stored, (None, f"-{event.amount}", None, None, recorded_at))
            case OfferCreated() | OfferUpdated() | OfferPaused() | OfferResumed() | OfferDeleted() | OfferRestored():
                self._offer(tx, stored, event)
            case OfferHeld():
                self._held(tx, stored, event)
            case OfferReleased():
                self._database.execute("DELETE FROM holds WHERE offer_uid = ?", (event.offer_uid,))
            case RedemptionRefused() | FlightScheduled():
                pass
            case PartnerRegistered() | PartnerSettingsChanged() | TokenCreated() | TokenRevoked():
                pass
            case _:
                assert_never(event)

    def _offer(self, tx: Cursor, stored: StoredEntry, event: OfferEvent) -> None:
        recorded_at = recorded_text(stored.recorded_at)
        if isinstance(event, OfferCreated):
            key = OfferKey(event.partner, event.channel, event.merchant_id, event.external_id)
            row = (stored.stream_id, str(key.offer_uid), *key, recorded_at, recorded_at)
            self._database.execute(
                "INSERT INTO offers VALUES (?, ?, ?, ?, ?, ?, '', 0, '', '', ?, ?, NULL, NULL, NULL, NULL)", row
            )
        changes: dict[str, Any] = {"version": stored.version, "updated_at": recorded_at}
        if status := STATUS_AFTER[type(event)]:
            changes |= {"status": status}
            changes |= {
                f"{name}_at": recorded_at if status is name else None for name in (Status.PAUSED, Status.DELETED)
            }
        if isinstance(event, OfferCreated | OfferUpdated | OfferRestored):
            text = full_text(tx, event.content, event.images).decode()
            changes |= {"content": text, "content_digest": event.content_digest}
        columns = ", ".join(f"{name} = ?" for name in changes)
        self._database.execute(
            f"UPDATE offers SET {columns} WHERE stream_id = ?", (*changes.values(), stored.stream_id)
        )

    def _held(self, tx: Cursor, stored: StoredEntry, event: OfferHeld) -> None:
        commit = tx.execute("SELECT actor, reason FROM commits WHERE commit_id = ?", (stored.commit_id,)).fetchone()
        until = None if event.until is None else recorded_text(event.until)
        row = (event.offer_uid, commit["reason"], recorded_text(stored.recorded_at), until, commit["actor"])
        self._database.execute("INSERT OR REPLACE INTO holds VALUES (?, ?, ?, ?, ?)", row)

    def _activated(self, tx: Cursor, stored: StoredEntry, event: OfferActivated) -> None:
        uid = tx.execute("SELECT stream_uid FROM streams WHERE stream_id = ?", (stored.stream_id,)).fetchone()
        times = (recorded_text(event.activated_at), recorded_text(event.redeemable_until))
        row = (str(UUID(bytes=uid["stream_uid"])), event.offer_uid, event.customer_id, event.offer_version, *times)
        self._database.execute("INSERT INTO redemption_windows VALUES (?, ?, ?, ?, ?, ?, NULL, '[]')", row)

    def _redeemed(self, stored: StoredEntry, columns: tuple[str | None, ...]) -> None:
        place = (stored.stream_id, stored.version, stored.topic)
        self._database.execute("INSERT INTO redemptions VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*place, *columns))


# The end of the replay


def _chain(tx: Cursor, position: int) -> str | None:
    row = tx.execute(
        "SELECT chain, first_position + event_count - 1 AS last FROM commits WHERE first_position <= ?"
        " ORDER BY first_position DESC LIMIT 1",
        (position,),
    ).fetchone()
    return row["chain"].hex() if row and row["last"] == position else None


def _set_holds(database: apsw.Connection, time: str) -> None:
    """Shows the holds that are in force at a time with their offers, as the JSON of the API."""
    holds = database.execute("SELECT * FROM holds WHERE until IS NULL OR until > ?", (time,)).fetchall()
    database.executemany(
        "UPDATE offers SET hold = ? WHERE offer_uid = ?",
        [
            (
                msgspec.json.encode({"reason": reason, "since": since, "until": until, "actor": actor}).decode(),
                offer_uid,
            )
            for offer_uid, reason, since, until, actor in holds
        ],
    )
    database.execute("DROP TABLE holds")


def _set_window_states(database: apsw.Connection, time: str) -> None:
    """Sets the state and the redeemed totals of each window at a time, and `honoured_until` of each offer.

    Windows that have not started have no state."""
    database.execute(
        "UPDATE redemption_windows SET state = CASE WHEN activated_at > ?1 THEN NULL"
        " WHEN redeemable_until <= ?1 THEN 'expired'"
        " WHEN (SELECT o.status FROM offers o WHERE o.offer_uid = redemption_windows.offer_uid) = 'active' THEN 'open'"
        " ELSE 'winding_down' END",
        (time,),
    )
    database.execute(
        "UPDATE offers SET honoured_until = (SELECT max(w.redeemable_until) FROM redemption_windows w"
        " WHERE w.offer_uid = offers.offer_uid AND w.redeemable_until > ?)",
        (time,),
    )
    purchases = database.execute(
        "SELECT p.activation_id, p.currency, r.amount, r.type FROM redemptions p JOIN redemptions r USING (stream_id)"
        " WHERE p.activation_id IS NOT NULL AND p.transacted_at <= ? ORDER BY p.activation_id",
        (time,),
    )
    amounts: defaultdict[str, defaultdict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    counts: Counter[tuple[str, str]] = Counter()
    for activation_id, currency, amount, kind in purchases:
        amounts[activation_id][currency] += Decimal(amount)
        counts[activation_id, currency] += kind == OfferRedeemed.TOPIC
    database.executemany(
        "UPDATE redemption_windows SET redeemed = ? WHERE activation_id = ?",
        ((_redeemed(activation_id, sums, counts), activation_id) for activation_id, sums in amounts.items()),
    )


def _redeemed(activation_id: str, amounts: dict[str, Decimal], counts: Counter[tuple[str, str]]) -> str:
    """Returns the totals per currency, as the JSON of the API."""
    totals = [
        {"currency": currency, "amount": str(amount), "redemptions": counts[activation_id, currency]}
        for currency, amount in sorted(amounts.items())
    ]
    return msgspec.json.encode(totals).decode()
