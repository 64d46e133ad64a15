"""Personal data of annotators, apart from the log, which knows pseudonyms only.

What a person is asked for (name, address, whatever) is encrypted with AES-256-GCM under a key of that person's own, and the
key stands in a table of its own. To erase is to destroy the key: the data cannot be read any more, in no copy that was made
without the table of keys. The log keeps that it happened, and its chain stays whole.
"""

from __future__ import annotations

import json
import os
from typing import Any

from sqlalchemy import Column, Connection, Table, select

from plaudit.errors import IntegrityError
from plaudit.records import canonical_json, is_skip, to_json
from plaudit.run.optional import require
from plaudit.store import log
from plaudit.store.database import overwrite_deleted
from plaudit.store.log import Entry
from plaudit.store.schema import ACCESS, account, api_key, person, person_key, session, webhook
from plaudit.store.store import Store

KEPT, ERASED = "person.kept", "person.erased"
NONCE = 12
"""bytes in front of the encrypted data"""


def keep(store: Store, annotator: str, data: dict[str, str]) -> None:
    """Keep personal data of an annotator, in place of what was kept before.

    Raises MissingExtra when `cryptography` is not installed, StoreError when the disk refuses.
    """
    if personal(store, annotator) == data:
        return
    ciphers = require("cryptography.hazmat.primitives.ciphers.aead", "people")
    key, nonce = ciphers.AESGCM.generate_key(256), os.urandom(NONCE)
    sealed = nonce + ciphers.AESGCM(key).encrypt(nonce, canonical_json(data), annotator.encode())

    def change(connection: Connection) -> None:
        _delete(connection, annotator)
        connection.execute(person.insert().values(annotator=annotator, data=sealed))
        connection.execute(person_key.insert().values(annotator=annotator, key=key))
        log.append(connection, [Entry(KEPT, {"annotator": annotator})])

    store.change(change)


def personal(store: Store, annotator: str) -> dict[str, str] | None:
    """Personal data of an annotator; None when none are kept, or they were erased.

    Raises IntegrityError when they were changed by somebody without the key, MissingExtra.
    """
    wanted = select(person.c.data, person_key.c.key).join(person_key, person.c.annotator == person_key.c.annotator)
    with store.reading() as connection:
        row = connection.execute(wanted.where(person.c.annotator == annotator)).first()
    if row is None:
        return None
    ciphers, errors = (
        require(module, "people")
        for module in ("cryptography.hazmat.primitives.ciphers.aead", "cryptography.exceptions")
    )
    try:
        opened = ciphers.AESGCM(row.key).decrypt(row.data[:NONCE], row.data[NONCE:], annotator.encode())
    except errors.InvalidTag as error:
        raise IntegrityError("The personal data do not fit their key", got=annotator) from error
    return json.loads(opened)


def erase(store: Store, annotator: str) -> int:
    """Destroy the key of an annotator's personal data, the data, and their account with all that lets them in; returns the log
    position that says so.

    Answers stay, under the pseudonym. Copies of the database that were made earlier hold the key until it is erased there;
    so does the file `store.moved.sqlite` of a run that moved into a database with `plaudit copy --switch`.

    Raises StoreError when somebody reads meanwhile, so that bytes remain on disk: erase again then.
    """

    def change(connection: Connection) -> int:
        _delete(connection, annotator)
        for table in ACCESS:
            connection.execute(table.delete().where((table.c.id if table is account else table.c.account) == annotator))
        return log.append(connection, [Entry(ERASED, {"annotator": annotator})])[0]

    seq = store.change(change)
    store.sweep(person, person_key, *ACCESS)
    return seq


def everything(store: Store, annotator: str) -> dict[str, Any]:
    """All that is stored about an annotator, for the annotator to read."""
    gone = store.retracted()
    answers = [(seq, one) for seq, one in store.feedback(retracted=True) if one.annotator == annotator]
    kinds = {"annotator.added", "consent.given", "consent.withdrawn", KEPT, ERASED}
    return {
        "annotator": annotator,
        "personal": personal(store, annotator),
        "account": _account(store, annotator),
        "events": [
            {"seq": event.seq, "kind": event.kind, "recorded_at": event.recorded_at, "said": event.payload}
            for event in store.events(kinds=kinds)
            if event.payload.get("annotator", event.payload.get("id")) == annotator
        ],
        "answers": [
            {"seq": seq, "retracted": one.id in gone, "skipped": is_skip(one), **to_json(one)} for seq, one in answers
        ],
    }


def _account(store: Store, annotator: str) -> dict[str, Any] | None:
    """What the studio knows of somebody who may use it, without what lets them in."""

    def of(table: Table, column: Column[Any]) -> list[Any]:
        return list(connection.execute(select(column).where(table.c.account == annotator)).scalars())

    with store.reading() as connection:
        row = connection.execute(select(account).where(account.c.id == annotator)).first()
        if row is None:
            return None
        return {
            "role": row.role,
            "created_at": row.created_at,
            "closed_at": row.closed_at,
            "sessions": len(of(session, session.c.hash)),
            "keys": of(api_key, api_key.c.name),
            "webhooks": of(webhook, webhook.c.url),
        }


def _delete(connection: Connection, annotator: str) -> None:
    overwrite_deleted(connection)
    for table in (person_key, person):
        connection.execute(table.delete().where(table.c.annotator == annotator))
