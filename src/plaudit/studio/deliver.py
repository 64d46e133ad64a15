"""Sends what webhooks are to be told, in a thread beside the studio, and to no address that it should not reach.

A name is resolved once; every address that it has must be public, unless the webhook's owner said otherwise, and the connection
goes to the address that was looked at. Redirects are not followed.
"""

from __future__ import annotations

import http.client
import ipaddress
import logging
import socket
import ssl
import threading
from dataclasses import replace
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from plaudit.errors import RecordError, StoreError
from plaudit.studio.webhooks import Message, Webhook, Webhooks

LOG = logging.getLogger(__name__)
EVERY_SECONDS = 1.0
TIMEOUT_SECONDS = 10.0
AT_ONCE = 50
"""messages to one receiver before the others get their turn"""
USER_AGENT = "plaudit-webhooks/1"


class Deliveries:
    """Delivers while the block runs.

    Args:
        hooks: whom to tell.
        every: seconds between two looks at the log.
    """

    def __init__(self, hooks: Webhooks, *, every: float = EVERY_SECONDS) -> None:
        self._hooks = hooks
        self._every = every
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="plaudit-webhooks", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join(TIMEOUT_SECONDS + 5)

    def _run(self) -> None:
        while not self._stopping.wait(self._every):
            try:
                for hook in self._hooks.due():
                    self.tell(hook)
            except StoreError as error:  # the disk is full, or the server away: nothing is lost, so try again
                LOG.warning("webhooks wait: %s", error)

    def tell(self, hook: Webhook) -> int:
        """Send what a receiver has not got yet; returns how many messages it took."""
        sent = 0
        for event in self._hooks.events(hook):
            if sent == AT_ONCE or self._stopping.is_set():
                break
            trouble = sent_or_why(hook, self._hooks.message(hook, event))
            self._hooks.tried(hook, event.kind, event.seq, trouble)
            if trouble is not None:
                self._hooks.failed(hook if sent == 0 else replace(hook, failures=0), trouble)
                return sent
            self._hooks.told(hook, event.seq)
            sent += 1
        self._hooks.free(hook)
        return sent


def sent_or_why(hook: Webhook, message: Message) -> str | None:
    """Post a message to a receiver. Returns why it did not get it, if it did not."""
    try:
        send(hook.url, message, private=hook.private)
    except (OSError, http.client.HTTPException, RecordError) as error:
        return str(error) or type(error).__name__
    return None


def send(url: str, message: Message, *, private: bool) -> None:
    """Post a message.

    Raises RecordError when the address must not be reached or the answer is not 2xx, OSError or HTTPException when the network
    fails.
    """
    parts = urlsplit(url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    connection = _Pinned(host, port, address_of(host, port, private=private), secure=secure)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("POST", target, message.body, message.headers | {"user-agent": USER_AGENT})
        status = connection.getresponse().status
    finally:
        connection.close()
    if not 200 <= status < 300:
        raise RecordError("The receiver did not take it", got=status, expected="a status of 2xx")


def address_of(host: str, port: int, *, private: bool) -> str:
    """An address of a host, all of whose addresses may be reached. Raises RecordError, or OSError for an unknown name."""
    found = [str(one[4][0]) for one in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    barred = [one for one in found if not private and not _is_public(one)]
    if barred or not found:
        raise RecordError(
            "This address is not public, so it is not told anything",
            got=f"{host}: {', '.join(barred)}",
            next_step="an owner may allow it when making the webhook",
        )
    return found[0]


def _is_public(address: str) -> bool:
    one = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(one, ipaddress.IPv6Address):
        inner = one.ipv4_mapped or one.sixtofour or (one.teredo or (None, None))[1]
        if inner is not None:
            return _is_public(str(inner))
        if one in ipaddress.ip_network("64:ff9b::/96"):  # IPv4 behind a translator
            return _is_public(str(ipaddress.IPv4Address(int(one) & 0xFFFFFFFF)))
    return one.is_global and not one.is_multicast


class _Pinned(http.client.HTTPConnection):
    """A connection to an address that was chosen before, with the name for the certificate and the Host header."""

    def __init__(self, host: str, port: int, address: str, *, secure: bool) -> None:
        super().__init__(host, port, timeout=TIMEOUT_SECONDS)
        self.default_port = 443 if secure else 80
        self._address = address
        self._tls = ssl.create_default_context() if secure else None

    def connect(self) -> None:
        """Open the connection."""
        self.sock = socket.create_connection((self._address, self.port), self.timeout)
        if self._tls is not None:
            self.sock = self._tls.wrap_socket(self.sock, server_hostname=self.host)
