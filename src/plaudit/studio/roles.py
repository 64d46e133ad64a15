"""Who may do what in the studio: permissions, roles, and the dependency by which every endpoint names its permission."""

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, cast

from fastapi import HTTPException
from fastapi.dependencies.models import Dependant
from starlette.requests import HTTPConnection

from plaudit.errors import PlauditError

# no `from __future__ import annotations` here: FastAPI reads the annotations of `Needs.__call__` from the object itself


class Permission(enum.Enum):
    """What an endpoint needs. Every endpoint names one, or stands in `PUBLIC`."""

    SELF = "self"
    """know who one is, sign out: whoever has signed in"""
    LABEL = "label"
    """answer questions, see the media of questions that are one's own"""
    WATCH = "watch"
    """progress, learning curves, behaviour"""
    STUDY = "study"
    """statistics of annotators, under their pseudonyms"""
    MANAGE = "manage"
    """retract, ask again, invite, change roles"""
    IDENTITIES = "identities"
    """names and addresses behind pseudonyms"""
    SIGN = "sign"
    """accept or reject what is checked before release"""
    KEYS = "keys"
    """keys for programs, and webhooks"""
    EXPORT = "export"
    """take answers out, without identities"""


class Role(enum.Enum):
    """What an account is for."""

    OWNER = "owner"
    LEAD = "lead"
    RESEARCHER = "researcher"
    REVIEWER = "reviewer"
    ANNOTATOR = "annotator"
    SERVICE = "service"
    """a program: its key says what it may do"""


MAY: dict[Role, frozenset[Permission]] = {
    Role.OWNER: frozenset(Permission),
    Role.LEAD: frozenset(Permission),  # of KEYS only its own: `Caller.rules`
    Role.RESEARCHER: frozenset({Permission.SELF, Permission.WATCH, Permission.STUDY, Permission.EXPORT}),
    Role.REVIEWER: frozenset({Permission.SELF, Permission.WATCH, Permission.STUDY, Permission.SIGN}),
    Role.ANNOTATOR: frozenset({Permission.SELF, Permission.LABEL}),
    Role.SERVICE: frozenset({Permission.SELF}),
}
"""what each role may do; a service also what its key's scopes say"""

PUBLIC = frozenset(
    {
        "/",
        "/enter",
        "/static/{name}",
        "/static/{name:path}",
        "/api/login",
        "/api/join",
        "/api/oidc",
        "/api/oidc/callback",
    }
)
"""paths that need no session: what leads to one, and the page's own files"""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever a request comes from."""

    account: str
    """id of the account; a pseudonym"""
    role: Role
    annotator: str
    """pseudonym under which answers of this caller are stored"""
    may: frozenset[Permission]
    session: str | None = None
    """id of the session; None for a key"""
    key: str | None = None
    """id of the key; None for a session"""

    @property
    def rules(self) -> bool:
        """Whether things of other accounts, keys for example, are this caller's too."""
        return self.role is Role.OWNER


class Gate(Protocol):
    """Knows callers; the application keeps it as `app.state.access`."""

    def caller(self, request: HTTPConnection) -> Caller | None:
        """Who the session cookie or the bearer key of a request belongs to; None if nobody, or no longer."""
        ...

    def pace(self, caller: Caller, request: HTTPConnection) -> None:
        """Raise 429 when a caller changes things too often."""
        ...

    def standing(self, callers: set[Caller]) -> set[Caller]:
        """Those of whom all is still so: their session or key lasts, and they may do no less."""
        ...


@dataclass(frozen=True)
class Needs:
    """A dependency: the caller of a request, who has the permission."""

    permission: Permission

    def __call__(self, request: HTTPConnection) -> Caller:
        """Refuse with 401 what nobody sent, with 403 what the caller may not do."""
        gate = cast(Gate, request.app.state.access)
        caller = gate.caller(request)
        if caller is None:
            raise HTTPException(
                401, said("You are not signed in", next_step="open the link you were given, or sign in")
            )
        if self.permission not in caller.may:
            raise HTTPException(
                403,
                said(
                    "Your role does not allow this",
                    got=caller.role.value,
                    expected=f"the permission `{self.permission.value}`",
                    next_step="ask the owner of this study",
                ),
            )
        gate.pace(caller, request)
        return caller


def needs(permission: Permission) -> Needs:
    """For a route: `caller: Annotated[Caller, Depends(needs(Permission.WATCH))]`, or among its `dependencies`.

    Works for WebSockets as well.
    """
    return Needs(permission)


def declared(dependant: Dependant) -> set[Permission]:
    """The permissions that a route declares, itself or through what it depends on."""
    return {one.permission for one in _calls([dependant]) if isinstance(one, Needs)}


def said(what: str, *, got: object = None, expected: object = None, next_step: str | None = None) -> str:
    """A refusal in the words of all errors."""
    return str(PlauditError(what, got=got, expected=expected, next_step=next_step))


def _calls(dependants: Iterable[Dependant]) -> Iterator[object]:
    for one in dependants:
        yield one.call
        yield from _calls(one.dependencies)
