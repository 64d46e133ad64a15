"""What the studio and its clients tell each other about accounts, invitations, keys and webhooks, as JSON."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema

from plaudit.studio.refusals import KNOWN
from plaudit.studio.roles import Permission, Role
from plaudit.studio.webhooks import EVENTS

Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
Token = Annotated[str, StringConstraints(min_length=1, max_length=128)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=20_000)]
Secret = Annotated[str, StringConstraints(max_length=10_000)]
Word = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Assigned = Literal["owner", "lead", "researcher", "reviewer", "annotator"]
"""roles that people have; a program has its key's scopes"""


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Refusal(_Shape):
    """Why something was refused: what, got, expected, next step."""

    error: str
    code: Annotated[str, WithJsonSchema({"type": "string", "enum": list(KNOWN)})]
    """the same as long as the reason is; see `plaudit.studio.refusals`"""
    got: str | None = None
    """what was found, where the words say it"""


REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Refusal} for status in (401, 403, 404, 409, 413, 421, 422, 429, 501, 503)
}
"""how every endpoint refuses"""


class Ways(_Shape):
    """How one can sign in."""

    password: bool
    provider: str | None
    """who else vouches for people; sign in there by opening /api/oidc"""


class Login(_Shape):
    """A name and a password."""

    name: Name
    password: Secret


class Logout(_Shape):
    """A wish to sign out."""

    everywhere: bool = False


class Password(_Shape):
    """Another password."""

    old: Secret
    new: Secret


class Me(_Shape):
    """Whoever asks."""

    account: str
    role: Role
    annotator: str | None
    """pseudonym under which answers are stored; None for those who do not answer"""
    name: str | None
    may: list[Permission]


class Asked(_Shape):
    """What an invitation asks whoever joins."""

    role: Role
    traits: dict[Word, list[Word]]
    """to prefer not to say is always possible"""
    purpose: str
    consent: str | None
    text: str


class Join(_Shape):
    """What somebody who joins says."""

    token: Token
    name: Name | None = None
    password: Secret | None = None
    email: Annotated[str, StringConstraints(max_length=254)] | None = None
    traits: dict[Word, Word] = Field(default_factory=dict, max_length=30)
    consent: Word | None = None


class Invite(_Shape):
    """An invitation that is to be made."""

    role: Assigned | None = None
    account: Id | None = None
    """a link for somebody who has an account, instead of a role"""
    traits: dict[Word, list[Word]] = Field(default_factory=dict, max_length=30)
    purpose: str = Field("", max_length=2000)
    consent: Word | None = None
    text: str = Field("", max_length=10_000)
    days: float = Field(14, gt=0, le=90)


class Invited(_Shape):
    """An invitation; its path is shown this once."""

    id: str
    path: str


class Open(_Shape):
    """An invitation that nobody used yet."""

    id: str
    role: Role
    account: str | None
    asks: Asked
    made_by: str
    until: float


class AccountView(_Shape):
    """An account."""

    id: str
    role: Role
    name: str | None
    """None where it is not kept, or not for this caller"""
    signs_in: bool
    closed: bool
    created_at: float


class AccountChange(_Shape):
    """What is to change of an account."""

    role: Assigned | None = None
    closed: bool | None = None


class KeyWish(_Shape):
    """A key that is to be made."""

    name: Word
    scopes: list[Permission] = Field(min_length=1, max_length=len(Permission))
    days: float | None = Field(90, gt=0, le=3660)
    """None: until it is deleted"""
    annotator: Id | None = None
    """a simulated annotator that the run knows; None: a pseudonym of its own"""


class KeyView(_Shape):
    """A key, without its secret."""

    id: str
    account: str
    annotator: str
    name: str
    scopes: list[Permission]
    created_at: float
    until: float | None
    used_at: float | None


class NewKey(_Shape):
    """A key with its secret, which is shown this once."""

    key: KeyView
    secret: str


class HookWish(_Shape):
    """A webhook that is to be made."""

    url: str = Field(min_length=8, max_length=2000)
    events: list[Literal["feedback.given", "query.asked", "stage.completed"]] = Field(
        min_length=1, max_length=len(EVENTS)
    )
    private: bool = False
    """whether it may lead to an address that is not public; owners only"""


class AttemptView(_Shape):
    """One time that a receiver was told something, or was not."""

    at: float
    type: str
    """kind of event, or webhook.test"""
    seq: int | None
    """log position; None for a test"""
    trouble: str | None
    """why it was not received; None: it was"""
    trouble_code: str | None
    """of `trouble`, as of every refusal"""


class HookView(_Shape):
    """A webhook, without its secret."""

    id: str
    account: str
    url: str
    events: list[str]
    private: bool
    told: int
    """log position up to which the receiver has been told"""
    waiting: int
    """messages that it has not got yet; 1000 stands for more"""
    failures: int
    """in a row"""
    next_at: float | None
    """when it is tried again after a failure, in seconds since 1970"""
    trouble: str | None
    trouble_code: str | None
    attempts: list[AttemptView]
    """how the last messages fared, newest first, since this studio began"""


class NewHook(_Shape):
    """A webhook with the secret that its messages are signed with, which is shown this once."""

    webhook: HookView
    secret: str
