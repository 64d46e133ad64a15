"""A PostgreSQL server to throw away: its own folder, a socket in it, and no port."""

from __future__ import annotations

import contextlib
import importlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from sqlalchemy import URL, create_engine, exc

USER = "plaudit"


class NoServerError(Exception):
    """This machine cannot start one."""


def program(name: str) -> str:
    """Path of one of PostgreSQL's programs. Debian keeps them off the PATH."""
    homes = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    found = next((str(home / name) for home in homes if (home / name).exists()), shutil.which(name))
    if found is None:
        raise NoServerError(f"{name} is not installed; on Debian: apt-get install postgresql")
    return found


class Server:
    """A server that listens on a socket in a temporary folder. Root may not run one, so then an unprivileged user does.

    Args:
        durable: whether commits are flushed to disk; tests that pull no plug do without.
    """

    def __init__(self, *, durable: bool) -> None:
        try:
            importlib.import_module("psycopg")
        except ImportError as error:
            raise NoServerError(f"{error}; install plaudit[postgres]") from error
        initdb = program("initdb")
        self.folder = Path(tempfile.mkdtemp(prefix="plaudit-pg-"))
        self._data = self.folder / "data"
        self._durable = durable
        self._user = None
        if os.getuid() == 0:
            names = [entry.pw_name for entry in pwd.getpwall()]
            self._user = "postgres" if "postgres" in names else "nobody"
            shutil.chown(self.folder, self._user)
        words = [
            initdb,
            "-D",
            str(self._data),
            "-U",
            USER,
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
            "-k",
        ]
        subprocess.run(words, check=True, capture_output=True, cwd=self.folder, user=self._user)
        self._schemas = 0
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers."""
        settings = ["listen_addresses=", f"unix_socket_directories={self.folder}", "log_min_messages=fatal"]
        if not self._durable:
            settings += ["fsync=off", "full_page_writes=off", "synchronous_commit=off"]
        words = [program("postgres"), "-D", str(self._data), *(word for one in settings for word in ("-c", one))]
        log = (self.folder / "log").open("ab")
        self._process = subprocess.Popen(words, stdout=log, stderr=log, cwd=self.folder, user=self._user)
        log.close()
        self._admin("SELECT 1")

    def kill(self) -> None:
        """kill -9 of the server and all that belongs to it; what it had not flushed is gone with its memory."""
        assert self._process is not None
        children = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self._process.pid)], capture_output=True, text=True
        )
        self._process.kill()
        for line in children.stdout.split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(line), signal.SIGKILL)
        self._process.wait()
        self._process = None

    def url(self, schema: str) -> str:
        """The URL of a schema: what a store needs of a database, and much faster to make."""
        query = {"host": str(self.folder), "options": f"-csearch_path={schema}"}
        url = URL.create("postgresql+psycopg", username=USER, database="postgres", query=query)
        return url.render_as_string(hide_password=False)

    def new_database(self) -> str:
        """The URL of an empty place for a store."""
        self._schemas += 1
        self._admin(f"CREATE SCHEMA t{self._schemas}")
        return self.url(f"t{self._schemas}")

    def stop(self) -> None:
        """End it and delete its folder."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _admin(self, statement: str) -> None:
        engine = create_engine(self.url("public"), isolation_level="AUTOCOMMIT")
        deadline = time.monotonic() + 60
        try:
            while True:
                try:
                    with engine.connect() as connection:
                        connection.exec_driver_sql(statement)
                    return
                except exc.OperationalError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.05)
        finally:
            engine.dispose()
