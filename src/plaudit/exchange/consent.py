"""Consent as events of the log: which version each annotator agreed to, and who took it back."""

from __future__ import annotations

from plaudit.exchange.judgement import Entry
from plaudit.records import canonical_json, digest
from plaudit.store.store import Store

GIVEN, WITHDRAWN = "consent.given", "consent.withdrawn"


def given(annotator: str, version: str) -> Entry:
    """The event that an annotator agreed to a version; the same again changes nothing, so what was taken back stays so."""
    payload = {"annotator": annotator, "version": version}
    return GIVEN, payload, f"consent/{digest(canonical_json(payload))}"


def give(store: Store, annotator: str, version: str) -> int:
    """Log that an annotator agrees to a version now, also after having taken it back; a standing consent changes nothing."""
    kind, payload, key = given(annotator, version)
    withdrawn = [event.seq for event in store.events(kinds={WITHDRAWN}) if event.payload["annotator"] == annotator]
    if withdrawn:
        payload |= {"after": withdrawn[-1]}
        key = f"consent/{digest(canonical_json(payload))}"
    return store.append(kind, payload, key)


def withdraw(store: Store, annotator: str) -> int:
    """Log that an annotator took back what was agreed to so far; exports made for a consent leave the answers out."""
    seq = store.head()[0]
    payload = {"annotator": annotator, "upto": seq}
    return store.append(WITHDRAWN, payload, f"withdrawn/{digest(canonical_json(payload))}")


def current(store: Store, upto: int) -> dict[str, str]:
    """Version that each annotator had agreed to at a place of the log; those who took it back are not in it."""
    found: dict[str, str] = {}
    for event in store.events(upto=upto, kinds={GIVEN, WITHDRAWN}):
        if event.kind == GIVEN:
            found[event.payload["annotator"]] = event.payload["version"]
        else:
            found.pop(event.payload["annotator"], None)
    return found
