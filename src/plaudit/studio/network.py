"""Where the studio listens, under which public address it answers, and when it refuses to."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

from plaudit.errors import ConfigError, RunError
from plaudit.studio.access import LOCAL_HOSTS, Access, Site
from plaudit.studio.oidc import Oidc, OidcConfig
from plaudit.studio.roles import Role

HOST = "127.0.0.1"


@dataclass(frozen=True)
class StudioConfig:
    """How the studio is served. Out of the box to this machine only."""

    host: str = HOST
    """address to listen on; anything but loopback needs accounts and a public address"""
    public_url: str | None = None
    """address under which others reach the studio, https://HOST, for example that of a proxy in front of it"""
    certificate: Path | None = None
    """file with a TLS certificate, where no proxy encrypts"""
    certificate_key: Path | None = None
    """file with the certificate's key"""
    oidc: OidcConfig | None = None
    """an OpenID provider to sign in with"""


@dataclass(frozen=True)
class StudioFile:
    """A file with the table [studio]."""

    studio: StudioConfig
    """how the studio is served"""


def access_for(config: StudioConfig, access: Access) -> Access:
    """Give an access its public address and its provider.

    Raises ConfigError when others could reach the studio and nobody could sign in as an owner, or no public address is said.
    """
    access.site = Site(config.public_url)
    access.oidc = None if config.oidc is None else Oidc(config.oidc)
    if config.public_url is None:
        if config.host not in LOCAL_HOSTS:
            raise ConfigError(
                "It is not said under which name others reach the studio",
                got=config.host,
                expected="--public-url https://HOST, besides --host",
                next_step="see 'Serving a team' in the docs",
            )
        return access
    vouched = config.oidc is not None and Role.OWNER.value in config.oidc.roles.values()
    if not vouched and not access.accounts.any_sign_in():
        raise ConfigError(
            "Others could reach the studio, but nobody can sign in as its owner",
            got=config.public_url,
            expected="an account",
            next_step="make the first one with `plaudit studio RUN --add-owner NAME`",
        )
    return access


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises RunError when it cannot."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()  # whoever follows the link at once waits instead of being refused
    except OSError as error:
        listener.close()
        raise RunError(
            "The studio's port is taken", got=f"{host}:{port}: {error}", next_step="choose another one with --port"
        ) from error
    return listener
