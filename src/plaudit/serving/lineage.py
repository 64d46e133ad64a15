"""What a model learned from: the answers in a store at a place of its log, as counts that tell nobody's identity."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from plaudit.errors import RunError
from plaudit.exchange import consent
from plaudit.quality.population import LEAST
from plaudit.records import AnnotatorProfile, is_skip, kind_of
from plaudit.run.directory import RunDirectory
from plaudit.store.signoff import Standing, standings
from plaudit.store.store import Store

UNKNOWN = "unknown"
"""kind of an annotator of whom the store has no profile"""


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a store's log."""

    events: int
    """log position"""
    head: str
    """hash of the event there; it covers all events before"""


@dataclass(frozen=True, slots=True)
class Said:
    """How many answers of a kind came from a kind of annotators."""

    kind: str
    annotators: str
    answers: int


@dataclass(frozen=True, slots=True)
class Brought:
    """A file that was imported."""

    format: str
    file: str
    sha256: str
    rows: int
    judgements: int


@dataclass(frozen=True, slots=True)
class TraitGroups:
    """Annotators by what they said of themselves."""

    name: str
    groups: tuple[tuple[str, int, int], ...]
    """value, annotators, their answers; without groups of fewer than `LEAST` people"""
    hidden: int
    """groups that are not shown"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """What a store held."""

    name: str
    """of its directory"""
    place: Place
    noted: bool
    """whether the place was noted when training began; else it is that of now"""
    said: tuple[Said, ...]
    skipped: int
    annotators: tuple[tuple[str, int], ...]
    """how many of each kind answered"""
    traits: tuple[TraitGroups, ...]
    brought: tuple[Brought, ...]
    consents: tuple[tuple[str, int], ...]
    """version, and how many annotators had agreed to it"""
    standings: tuple[Standing, ...]
    """where the checks of the store stand now"""


def lineage_of(directory: Path, place: Place | None = None) -> Lineage:
    """What the store of a run or of imports held at a place of its log, or holds now.

    Raises RunError when no store is there, or its log is not the one that the place was noted in.
    """
    there = RunDirectory(directory)
    there.require()
    with Store.open(there.store) as store:
        upto = _place(store, directory, place)
        profiles = store.annotators(upto.events)
        answers = [answer for _, answer in store.feedback(upto=upto.events)]
        told = [(kind_of(one), one.annotator) for one in answers if not is_skip(one)]
        kinds = Counter((kind, _kind(profiles.get(name))) for kind, name in told)
        events = store.events(upto=upto.events, kinds={"import.completed"})
        agreed = consent.current(store, upto.events)
        people = {name for _, name in told}
        return Lineage(
            name=directory.resolve().name,
            place=upto,
            noted=place is not None,
            said=tuple(Said(kind, who, count) for (kind, who), count in sorted(kinds.items())),
            skipped=len(answers) - len(told),
            annotators=tuple(sorted(Counter(_kind(profiles.get(name)) for name in people).items())),
            traits=_traits(profiles, Counter(name for _, name in told)),
            brought=tuple(_brought(event.payload) for event in events),
            consents=tuple(sorted(Counter(agreed[name] for name in people if name in agreed).items())),
            standings=tuple(standings(store)),
        )


def _place(store: Store, directory: Path, wanted: Place | None) -> Place:
    if wanted is None:
        return Place(*store.head())
    found = next((event.hash for event in store.events(wanted.events - 1, wanted.events)), None)
    if found != wanted.head:
        raise RunError(
            "The store's log is not the one that the training read",
            got=f"{directory}: event {wanted.events} hashes to {(found or 'nothing')[:12]}",
            expected=wanted.head[:12],
            next_step="put the store back as it was; it only ever grows",
        )
    return wanted


def _kind(profile: AnnotatorProfile | None) -> str:
    return UNKNOWN if profile is None else profile.kind.value


def _traits(profiles: dict[str, AnnotatorProfile], answers: Counter[str]) -> tuple[TraitGroups, ...]:
    found: list[TraitGroups] = []
    said = [one for one in profiles.values() if answers[one.id] and one.traits]
    for trait in sorted({name for one in said for name in one.traits or {}}):
        members: dict[str, list[str]] = {}
        for one in said:
            if one.traits and trait in one.traits:
                members.setdefault(one.traits[trait], []).append(one.id)
        shown = [
            (value, len(names), sum(answers[name] for name in names))
            for value, names in sorted(members.items())
            if len(names) >= LEAST
        ]
        found.append(TraitGroups(trait, tuple(shown), len(members) - len(shown)))
    return tuple(found)


def _brought(payload: dict[str, object]) -> Brought:
    text = {name: str(payload.get(name, "")) for name in ("format", "file", "sha256")}
    rows, judgements = (int(str(payload.get(name, 0))) for name in ("rows", "judgements"))
    return Brought(**text, rows=rows, judgements=judgements)
