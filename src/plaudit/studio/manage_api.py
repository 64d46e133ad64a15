"""Invitations, accounts, keys and webhooks: who may make, see and end them."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Path

from plaudit.errors import RecordError
from plaudit.studio.access import Access
from plaudit.studio.access_shapes import (
    AccountChange,
    AccountView,
    Asked,
    AttemptView,
    HookView,
    HookWish,
    Invite,
    Invited,
    KeyView,
    KeyWish,
    NewHook,
    NewKey,
    Open,
)
from plaudit.studio.accounts import Account
from plaudit.studio.deliver import sent_or_why
from plaudit.studio.invitations import Asks
from plaudit.studio.keys import Key, Wish
from plaudit.studio.limits import LOGIN
from plaudit.studio.refusals import code_of
from plaudit.studio.roles import MAY, Caller, Permission, Role, needs, said
from plaudit.studio.webhooks import TEST, Attempt, Webhook, Webhooks

Manages = Annotated[Caller, Depends(needs(Permission.MANAGE))]
HasKeys = Annotated[Caller, Depends(needs(Permission.KEYS))]
Hash = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$")]
Id = Annotated[str, Path(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
DAY = 24 * 3600.0


def add_management(app: FastAPI, access: Access, hooks: Webhooks) -> None:
    """Add the routes."""
    _add_invitations(app, access)
    _add_accounts(app, access)
    _add_keys(app, access)
    _add_webhooks(app, access, hooks)


def _add_invitations(app: FastAPI, access: Access) -> None:
    @app.get("/api/invitations")
    def invitations(caller: Manages) -> list[Open]:
        """Invitations that nobody used yet."""
        del caller
        return [
            Open(
                id=one.id,
                role=one.role,
                account=one.account,
                asks=asked(one.role, one.asks),
                made_by=one.made_by,
                until=one.until,
            )
            for one in access.invitations.all()
        ]

    @app.post("/api/invitations")
    def invite(caller: Manages, wish: Invite) -> Invited:
        """Make a link that lets one person in, once: somebody new, or somebody who has an account."""
        seconds = wish.days * DAY
        if wish.account is not None:
            _require_rule(caller, access.accounts.get(wish.account).role)
            id, token = access.invitations.link(wish.account, made_by=caller.account, seconds=seconds)
            return Invited(id=id, path=f"/enter?token={token}")
        if wish.role is None:
            raise RecordError("Say whom to invite", expected="a role, or an account")
        role = Role(wish.role)
        _require_rule(caller, role)
        asks = Asks(wish.traits, wish.purpose, wish.consent, wish.text)
        id, token = access.invitations.make(role, asks, made_by=caller.account, seconds=seconds)
        return Invited(id=id, path=f"/#/join/{token}")  # what follows the # stays in the browser

    @app.delete("/api/invitations/{id}")
    def take_back(caller: Manages, id: Hash) -> dict[str, bool]:
        """Take an invitation back."""
        del caller
        access.invitations.delete(id)
        return {"done": True}


def _add_accounts(app: FastAPI, access: Access) -> None:
    def view(caller: Caller, one: Account) -> AccountView:
        name = access.accounts.name(one.id) if Permission.IDENTITIES in caller.may else None
        return AccountView(
            id=one.id,
            role=one.role,
            name=name,
            signs_in=one.signs_in,
            closed=one.closed,
            created_at=one.created_at,
        )

    @app.get("/api/accounts")
    def accounts(caller: Manages) -> list[AccountView]:
        """All accounts, with names only for those who may see identities."""
        return [view(caller, one) for one in access.accounts.all()]

    @app.patch("/api/accounts/{id}")
    def change(caller: Manages, id: Id, wish: AccountChange) -> AccountView:
        """Give an account another role, close it or open it again; it is signed out everywhere."""
        role = None if wish.role is None else Role(wish.role)
        _require_rule(caller, access.accounts.get(id).role)
        if role is not None:
            _require_rule(caller, role)
        return view(caller, access.accounts.change(id, role=role, closed=wish.closed))


def _add_keys(app: FastAPI, access: Access) -> None:
    @app.get("/api/keys")
    def keys(caller: HasKeys) -> list[KeyView]:
        """One's own keys; an owner sees all."""
        return [_key(one) for one in access.keys.all(maker=_of(caller))]

    @app.post("/api/keys")
    def make(caller: HasKeys, wish: KeyWish) -> NewKey:
        """Make a key for a program."""
        until = None if wish.days is None else time.time() + wish.days * DAY
        key, secret = access.keys.make(caller, Wish(wish.name, frozenset(wish.scopes), until, wish.annotator))
        return NewKey(key=_key(key), secret=secret)

    @app.delete("/api/keys/{id}")
    def delete(caller: HasKeys, id: Id) -> dict[str, bool]:
        """End a key."""
        _require_own(caller, [one.account for one in access.keys.all(id=id)])
        access.keys.delete(id)
        return {"done": True}


def _add_webhooks(app: FastAPI, access: Access, hooks: Webhooks) -> None:
    _add_test(app, access, hooks)

    @app.get("/api/webhooks")
    def webhooks(caller: HasKeys) -> list[HookView]:
        """One's own webhooks; an owner sees all."""
        return [_hook(hooks, one) for one in hooks.all(maker=_of(caller))]

    @app.post("/api/webhooks")
    def make(caller: HasKeys, wish: HookWish) -> NewHook:
        """Tell a receiver what happens from now on."""
        if wish.private and not caller.rules:
            raise HTTPException(403, said("Only an owner may let messages go to an address that is not public"))
        made = hooks.make(caller.account, wish.url, tuple(wish.events), private=wish.private)
        return NewHook(webhook=_hook(hooks, made), secret=made.secret)

    @app.delete("/api/webhooks/{id}")
    def delete(caller: HasKeys, id: Id) -> dict[str, bool]:
        """Tell a receiver nothing more."""
        _require_own(caller, [one.account for one in hooks.all(id=id)])
        hooks.delete(id)
        return {"done": True}


def _add_test(app: FastAPI, access: Access, hooks: Webhooks) -> None:
    @app.post("/api/webhooks/{id}/test")
    def test(caller: HasKeys, id: Id) -> AttemptView:
        """Tell a receiver nothing, now, to see whether it hears; what waits for it goes on waiting."""
        found = hooks.all(id=id)
        _require_own(caller, [one.account for one in found])
        access.limits.take(("test", id), LOGIN)
        return _attempt(hooks.tried(found[0], TEST, None, sent_or_why(found[0], hooks.test(found[0]))))


def asked(role: Role, asks: Asks) -> Asked:
    """What somebody who joins is asked."""
    return Asked(role=role, traits=asks.traits, purpose=asks.purpose, consent=asks.consent, text=asks.text)


def _require_rule(caller: Caller, role: Role) -> None:
    """Nobody hands out more than they may do themselves, and only owners hand out ownership."""
    if not caller.rules and (role is Role.OWNER or not MAY[role] <= caller.may):
        raise HTTPException(
            403,
            said(
                "You may not make, change or let in an account of this role", got=role.value, next_step="ask an owner"
            ),
        )


def _require_own(caller: Caller, makers: list[str]) -> None:
    if not makers or (makers[0] != caller.account and not caller.rules):
        raise HTTPException(404, said("There is nothing of yours with this id"))


def _of(caller: Caller) -> str | None:
    return None if caller.rules else caller.account


def _key(one: Key) -> KeyView:
    return KeyView(
        id=one.id,
        account=one.account,
        annotator=one.annotator,
        name=one.name,
        scopes=[Permission(scope) for scope in one.scopes],
        created_at=one.created_at,
        until=one.until,
        used_at=one.used_at,
    )


def _hook(hooks: Webhooks, one: Webhook) -> HookView:
    return HookView(
        id=one.id,
        account=one.account,
        url=one.url,
        events=list(one.events),
        private=one.private,
        told=one.told,
        waiting=hooks.waiting(one),
        failures=one.failures,
        next_at=one.next_at if one.failures else None,
        trouble=one.trouble,
        trouble_code=_code(one.trouble),
        attempts=[_attempt(attempt) for attempt in hooks.attempts(one)],
    )


def _attempt(one: Attempt) -> AttemptView:
    return AttemptView(at=one.at, type=one.type, seq=one.seq, trouble=one.trouble, trouble_code=_code(one.trouble))


def _code(trouble: str | None) -> str | None:
    return None if trouble is None else code_of(trouble)
