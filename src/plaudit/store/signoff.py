"""Sign-off: named checks that a reviewer accepts or rejects, as events in the chain.

A sign-off speaks of what there was when the reviewer looked: a place in the log, and the versions of policy and reward that were
newest there. Once others are newer (in a study without a run: once answers came or were retracted) it is outdated, and somebody
has to look again.
"""

from __future__ import annotations

import enum
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from plaudit.errors import RecordError, StoreError
from plaudit.records import from_json, to_json
from plaudit.store import log, schema
from plaudit.store.store import Store

NAMED, GIVEN = "check.named", "signoff.given"
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


@dataclass(frozen=True, slots=True)
class Check:
    """Something that is looked at before release."""

    name: str
    what: str
    """what is to be looked at, in a sentence or two"""


USUAL = (
    Check("privacy", "Nothing that was collected or is shown tells who somebody is; people agreed to the use."),
    Check("safety", "What the result does where it is to be used harms nobody; its failures are known and bearable."),
    Check("domain", "Somebody who knows the field finds questions, answers and behaviour sound."),
)
"""checks that every run and study has"""


class Verdict(enum.Enum):
    """What a reviewer says."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"


class State(enum.Enum):
    """Where a check stands."""

    UNSIGNED = "unsigned"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    OUTDATED = "outdated"
    """signed for something older than what there is now"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a sign-off speaks of."""

    seq: int
    """log position"""
    head: str
    """hash of the event there; it covers all events before"""
    policy: str | None = None
    """newest version of the policy there"""
    reward: str | None = None
    """newest version of the reward model there"""
    answers: int
    """log position of the newest answer or retraction there"""

    def same(self, other: Subject) -> bool:
        """Whether both are about the same result."""
        if self.policy is not None or self.reward is not None:
            return (self.policy, self.reward) == (other.policy, other.reward)
        return (other.policy, other.reward, other.answers) == (None, None, self.answers)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOff:
    """What a reviewer said about a check."""

    check: str
    verdict: Verdict
    comment: str
    reviewer: str
    """account of the reviewer; names stand outside the log"""
    subject: Subject


@dataclass(frozen=True, slots=True)
class Standing:
    """A check, and what was said about it."""

    check: Check
    state: State
    said: tuple[tuple[float, SignOff], ...]
    """with the time of each, in seconds since 1970; newest last"""


def name_check(store: Store, name: str, what: str) -> None:
    """Have something else looked at as well. The same again changes nothing.

    Raises RecordError when the name is none, or is taken by another check.
    """
    if not NAME.fullmatch(name) or not what.strip():
        raise RecordError(
            "This cannot be a check",
            got=name,
            expected="a name of small letters, digits and dashes, and what is to be looked at",
        )
    other = next((one.what for one in checks(store) if one.name == name), what)
    if other != what:
        raise RecordError("There is a check of this name already", got=name, expected=other)
    if name not in {one.name for one in USUAL}:
        store.append(NAMED, {"name": name, "what": what}, f"check/{name}")


def checks(store: Store) -> list[Check]:
    """All checks, the usual ones first."""
    return [*USUAL, *(from_json(Check, event.payload) for event in store.events(kinds={NAMED}))]


def subject(store: Store, seq: int | None = None) -> Subject:
    """What there is at a log position, or now. Raises StoreError when the log has no such position."""
    kinds = ("feedback.given", log.RETRACTED)
    event = schema.event
    with store.reading() as connection:
        end = log.head(connection)[0] if seq is None else seq
        head = connection.execute(select(event.c.hash).where(event.c.seq == end)).scalar()
        newest = select(func.max(event.c.seq)).where(event.c.kind.in_(kinds), event.c.seq <= end)
        answers = connection.execute(newest).scalar() or 0
    if head is None:
        raise StoreError("The log has no such position", got=seq)
    versions: dict[str, str | None] = {}
    for stage in store.events(upto=end, kinds={"stage.completed"}):
        versions |= stage.payload.get("versions") or {}
    policy, reward = versions.get("policy"), versions.get("reward")
    return Subject(seq=end, head=head, policy=policy, reward=reward, answers=answers)


def looked_at(store: Store, seq: int, head: str) -> Subject:
    """What there was at a place in the log. Raises RecordError when the log never was there."""
    found = subject(store, seq) if seq <= store.head()[0] else None
    if found is None or found.head != head:
        raise RecordError("This is not what the log says", got=f"{seq} {head}", next_step="reload the page")
    return found


def sign(store: Store, id: uuid.UUID, said: SignOff) -> int:
    """Log what a reviewer said, once however often it is sent; returns its log position.

    Raises RecordError when there is no such check, nothing was said of why, or the id came with something else.
    """
    if said.check not in {one.name for one in checks(store)}:
        raise RecordError("There is no such check", got=said.check, next_step="name it first")
    if not said.comment.strip():
        raise RecordError("A sign-off says what was looked at", expected="a comment")
    key, payload = f"signoff/{id}", to_json(said)
    earlier = next((event.payload for event in store.events(kinds={GIVEN}) if event.key == key), payload)
    if earlier != payload:
        raise RecordError("Something else was said under this id", got=str(id), next_step="reload the page")
    return store.append(GIVEN, payload, key)


def standings(store: Store) -> list[Standing]:
    """Where every check stands."""
    given: dict[str, list[tuple[float, SignOff]]] = {}
    for event in store.events(kinds={GIVEN}):
        one = from_json(SignOff, event.payload)
        given.setdefault(one.check, []).append((event.recorded_at, one))
    now = subject(store)
    return [
        Standing(one, _state(given.get(one.name, ()), now), tuple(given.get(one.name, ()))) for one in checks(store)
    ]


def _state(said: Sequence[tuple[float, SignOff]], now: Subject) -> State:
    if not said:
        return State.UNSIGNED
    newest = said[-1][1]
    return State(newest.verdict.value) if newest.subject.same(now) else State.OUTDATED
