"""How the studio refuses: the words of the error, and a code for them that does not change when the words do.

Pages and programs go by the code; `CODES` is the only list of them. The page has them in its own languages (web/src/words/errors.ts).
"""

from __future__ import annotations

import re
from typing import Any

OTHER = "other"
"""code of an error that no page is likely to meet"""
CODES: dict[str, str] = {
    # who may come in
    "You are not signed in": "not-signed-in",
    "Your role does not allow this": "role",
    "The name or the password is another one": "wrong-password",
    "The old password is another one": "wrong-old-password",
    "This cannot be a password": "bad-password",
    "This cannot be a name": "bad-name",
    "A name and a password go together": "name-and-password",
    "Somebody has this name already": "name-taken",
    "Too many people sign in now": "many-sign-in",
    "That was too often": "too-often",
    "This account was closed": "account-closed",
    "This link was used, or has run out": "link-over",
    "This link is for an account that is there": "link-for-account",
    "The consent is missing": "consent-missing",
    "This was not among what was asked": "not-asked",
    "This studio knows no provider to sign in with": "no-provider",
    "This sign-in was not begun here, or took too long": "sign-in-over",
    "The provider's answer cannot be trusted": "provider-untrusted",
    "The OpenID provider does not answer as expected": "provider-silent",
    "This is another provider": "other-provider",
    "You are not on the list of this study": "not-listed",
    "The request is too long, or does not say how long it is": "too-long",
    "The studio could not read this request; reload the page": "unreadable",
    "This request does not come from the studio's own page": "other-site",
    "The studio answers only to": "other-host",
    "Not Found": "not-found",
    "Method Not Allowed": "not-found",
    # accounts, keys, webhooks
    "Say whom to invite": "whom",
    "There is no such account": "no-account",
    "There is nothing of yours with this id": "not-yours",
    "This is the last owner": "last-owner",
    "You may not make, change or let in an account of this role": "role-of-others",
    "A key has no session and no password": "key-only",
    "A key may do only what its maker may": "key-scopes",
    "A key answers for no person": "key-person",
    "This URL cannot be told of events": "bad-url",
    "Only an owner may let messages go to an address that is not public": "private-url",
    "This address is not public, so it is not told anything": "not-public",
    "The receiver did not take it": "receiver-refused",
    # answers
    "This question was not given to you": "not-given",
    "This question is not yours now": "not-given",
    "This run has no such question": "no-question",
    "You have answered this question already; the first answer stands": "answered-already",
    "The answer is not to the query on the screen": "not-on-screen",
    "The answer cannot be undone any more": "undo-late",
    "The answer does not fit the question": "bad-answer",
    "The answer says nothing": "empty-answer",
    "This answer cannot be a text": "bad-text",
    "This cannot be done now": "not-now",
    "What was shown is not there": "shown-lost",
    "What was shown is what was asked about": "shown-same",
    # studies and sign-off
    "There is no such answer": "no-answer",
    "There is no such question": "no-question",
    "There is no such query": "no-question",
    "There is no such behaviour": "no-behaviour",
    "There is no clip of this behaviour": "no-clip",
    "This answer was retracted already": "retracted",
    "There is no such check": "no-check",
    "There is a check of this name already": "check-there",
    "This cannot be a check": "bad-check",
    "Something else was said under this id": "said-already",
    "This is not what the log says": "log-moved",
    "The log has no such position": "log-moved",
    "A sign-off says what was looked at": "sign-what",
    "Too many people watch this run at once": "many-watch",
    # worlds that are played
    "There is nothing to play": "nothing-to-play",
    "The question has no such segment": "no-segment",
    "The segment has no such step": "no-step",
    "There is no such stretch": "no-step",
    "Too little was done": "too-little",
    "This is what was there already": "no-change",
    "Too many people are showing something now": "many-play",
    "The world could not be started": "world-not-started",
    "The world did not start": "world-not-started",
    "The world cannot be made": "world-not-started",
    "The world has stopped": "world-stopped",
    "The world failed": "world-stopped",
    "The world is not reproducible": "world-differs",
    "Nobody can go on from this segment": "world-differs",
    "You were away for too long": "away",
    # the machine
    "The disk is full": "disk-full",
    "A blob could not be written": "disk-full",
    "The store is locked by another process": "store-busy",
    "The database server cannot be reached": "store-away",
    "The database refused": "store-refused",
    "The database file is damaged": "store-damaged",
    "The store is closed": "store-away",
}
"""beginning of an error's words -> its code"""
KNOWN = (*sorted(set(CODES.values())), OTHER)
_GOT = re.compile(r" Got: (.+?)\.(?= Expected: | Next: |$)", re.DOTALL)


def code_of(text: str) -> str:
    """The code of an error, by its words."""
    found = CODES.get(text.partition(". ")[0].rstrip("."))
    if found is not None:
        return found
    return next((code for words, code in CODES.items() if text.startswith(words)), OTHER)


def refusal(text: str) -> dict[str, Any]:
    """What the studio replies with an error: its words, its code, and what was found, if the words say so."""
    got = _GOT.search(text)
    return {"error": text, "code": code_of(text), "got": None if got is None else got[1]}
