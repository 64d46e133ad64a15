"""How fast does the studio's server answer people who label, beside a run that trains, and how many can it serve?

    python -m benchmarks.studio_load run [--databases sqlite postgresql] [--only steady|crowd|knee]     appends
    python -m benchmarks.studio_load summary                                                          results/studio_load.json

A cycle is what the page does for one label: POST /api/feedback, whose reply holds the next questions. `steady`: 20 cycles
a second by 100 people while a run trains on this machine. `crowd`: 1,000 open connections with 20 s to think on average.
`knee`: 50, 100, 200 and 400 people who do not think. The client is one process pinned to one core; times are from the
first byte sent to the last byte received. All questions are comparisons of short texts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tests.postgres_server import Server

from benchmarks.common import HERE, Row, append_raw, read_raw, write
from benchmarks.store_faults import FLOORS, text
from plaudit.exchange.bring import PURPOSE
from plaudit.records import Query, QueryKind, to_json
from plaudit.store.store import Store

RAW = "studio_load"
QUESTIONS = 20_000
CASES: dict[str, list[tuple[int, float, float]]] = {
    "steady": [(100, 5.0, 60.0)],
    "crowd": [(1000, 20.0, 90.0)],
    "knee": [(50, 0.0, 20.0), (100, 0.0, 20.0), (200, 0.0, 20.0), (400, 0.0, 20.0)],
}
"""people, seconds that each thinks on average, seconds of measuring"""
DATABASES = ("sqlite", "postgresql")


# the server


def fill(place: Path | str, blobs: Path) -> None:
    """A study of short texts, each question about texts of its own."""
    with Store.create(place, {"format": 1, "purpose": PURPOSE}, blobs=blobs) as store:
        items: list[tuple[str, dict[str, Any], str | None]] = []
        for number in range(QUESTIONS):
            pair = (text(2 * number), text(2 * number + 1))
            asked = Query(QueryKind.COMPARISON, (pair[0].id, pair[1].id), (0, 1), 0, number, "study")
            items += [("segment.added", to_json(one), one.id) for one in pair]
            items.append(("query.asked", to_json(asked), asked.id))
            if len(items) > 3000 or number == QUESTIONS - 1:
                store.append_many(items)
                items = []


def serve(place: str, people: int) -> None:
    """Serve, and print the port and everybody's session as a line of JSON."""
    import uvicorn

    from plaudit.studio import limits
    from plaudit.studio.access import Access
    from plaudit.studio.app import create_app
    from plaudit.studio.network import listen
    from plaudit.studio.roles import Role
    from plaudit.studio.serve import KEEP_ALIVE

    limits.ANSWERS = limits.Rate(1000, 1000.0)  # without think time one person stands for many
    listener = listen("127.0.0.1", 0)
    with Store.open(place if "://" in place else Path(place)) as store:
        access = Access(store)
        sessions = [access.redeem(access.invite(f"ann-{number}", Role.ANNOTATOR)) for number in range(people)]
        app = create_app(store, access=access)
        print(json.dumps({"port": listener.getsockname()[1], "sessions": sessions}), flush=True)
        uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, timeout_keep_alive=KEEP_ALIVE)).run(
            sockets=[listener]
        )


# the people


@dataclass
class Measured:
    """What the clients saw."""

    seconds: list[float] = field(default_factory=list)
    errors: int = 0
    began: float = 0.0
    ends: float = 0.0


class Person:
    """One connection that labels."""

    def __init__(self, port: int, session: str, seen: Measured, rng: random.Random) -> None:
        self._port, self._session, self._seen, self._rng = port, session, seen, rng

    async def label(self, think: float) -> None:
        """Label until the time is over."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            await asyncio.sleep(self._rng.random() * min(think, 20.0))
            view = await self._ask("GET", "/api/next", None)
            while time.monotonic() < self._seen.ends:
                if think:
                    await asyncio.sleep(self._rng.expovariate(1 / think))
                if not view["questions"]:
                    return
                view = await self._cycle(view["questions"][0]["id"])
        except (OSError, KeyError, ValueError, asyncio.IncompleteReadError) as error:
            self._seen.errors += 1
            print(f"a connection ended: {type(error).__name__}: {error}", file=sys.stderr)
        finally:
            self._writer.close()

    async def _cycle(self, query: str) -> dict[str, Any]:
        answer = {
            "id": str(uuid.UUID(int=self._rng.getrandbits(128))),
            "query": query,
            "answer": {"choice": self._rng.choice(["first", "second", "tie"])},
            "answered_at": "2026-11-21T12:00:00Z",
            "seconds": 3.0,
        }
        began = time.monotonic()
        view = await self._ask("POST", "/api/feedback", answer)
        if self._seen.began <= began and time.monotonic() <= self._seen.ends:
            self._seen.seconds.append(time.monotonic() - began)
        return view

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        data = b"" if body is None else json.dumps(body).encode()
        host = f"127.0.0.1:{self._port}"
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nCookie: plaudit_session={self._session}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        self._writer.write(head.encode() + data)
        await self._writer.drain()
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        size = next(int(line.partition(":")[2]) for line in lines if line.startswith("content-length:"))
        reply = await self._reader.readexactly(size)
        if " 200 " not in lines[0]:
            raise ValueError(lines[0])
        return json.loads(reply)


async def people(port: int, sessions: list[str], *, count: int, think: float, seconds: float) -> Measured:
    """So many people at once; a lead of five seconds is not measured."""
    now = time.monotonic()
    lead = 5.0 + min(think, 20.0)
    seen = Measured(began=now + lead, ends=now + lead + seconds)
    rng = random.Random(0)
    await asyncio.gather(
        *(Person(port, one, seen, random.Random(rng.random())).label(think) for one in sessions[:count])
    )
    return seen


# one trial


@contextmanager
def training(folder: Path) -> Iterator[None]:
    """A run that trains as long as it is needed."""
    file = folder / "run.toml"
    file.write_text(
        '[world]\nid = "Pendulum-v1"\n[ask]\nlabels = 50\n[loop]\nsteps = 2000000\n[check]\nvideos = false\n'
    )
    command = [sys.executable, "-m", "plaudit.cli.main", "run", str(file), "--directory", str(folder / "training")]
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=HERE.parent)
    try:
        time.sleep(15)
        if run.poll() is not None:
            raise SystemExit("the run beside the studio ended")
        yield
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait()


def trial(case: str, database: str) -> None:
    """All loads of a case on one server."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = Server(durable=True) if database == "postgresql" else None
        try:
            place = str(folder / "store.sqlite") if server is None else server.new_database()
            fill(place if server is not None else Path(place), folder / "blobs")
            command = [
                sys.executable,
                "-m",
                "benchmarks.studio_load",
                "serve",
                place,
                "--people",
                str(max(count for count, _, _ in CASES[case])),
            ]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=HERE.parent) as studio:
                assert studio.stdout is not None
                try:
                    told = json.loads(studio.stdout.readline())
                    if case == "steady":
                        with training(folder):
                            _measure(case, database, told)
                    else:
                        _measure(case, database, told)
                finally:
                    studio.terminate()
        finally:
            if server is not None:
                server.stop()


def _measure(case: str, database: str, told: dict[str, Any]) -> None:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # the client only: server and run were started before
    for count, think, seconds in CASES[case]:
        seen = asyncio.run(people(told["port"], told["sessions"], count=count, think=think, seconds=seconds))
        times = np.array(seen.seconds) * 1000
        row = {
            "case": case, "database": database, "people": count, "think": think, "cycles": len(times),
            "per_second": round(len(times) / seconds, 1), "errors": seen.errors,
            "p50": round(float(np.percentile(times, 50)), 1), "p95": round(float(np.percentile(times, 95)), 1),
            "p99": round(float(np.percentile(times, 99)), 1), "load": round(os.getloadavg()[0], 2),
        }  # fmt: skip
        append_raw(RAW, row)
        print(row, flush=True)


def summary() -> list[Row]:
    """The newest row of each load."""
    newest = {(row["case"], row["database"], row["people"]): row for row in read_raw(RAW)}
    rows: list[Row] = []
    for row in newest.values():
        beside = ", a run trains" if row["case"] == "steady" else ""
        case = f"{row['database']}/{row['people']} people, {row['think']:g} s to think{beside}"
        rows += [
            Row(case, "cycles_per_second", row["per_second"], n=row["cycles"], unit="labels/s"),
            Row(case, "p50", row["p50"], n=row["cycles"], unit="ms"),
            Row(case, "p95", row["p95"], n=row["cycles"], unit="ms"),
            Row(case, "errors", row["errors"], n=row["cycles"]),
        ]
    rows += [
        Row(f"{one}/prototype of the survey, 50 people", "cycles_per_second", FLOORS[one], unit="labels/s")
        for one in FLOORS
    ]
    return rows


def main() -> int:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("run", "trial", "serve", "summary"))
    parser.add_argument("place", nargs="?")
    parser.add_argument("--databases", nargs="+", default=list(DATABASES), choices=DATABASES)
    parser.add_argument("--people", type=int, default=100)
    parser.add_argument("--only", choices=tuple(CASES))
    given = parser.parse_args()
    if given.verb == "serve":
        with suppress(KeyboardInterrupt):
            serve(given.place, given.people)
    elif given.verb == "run":
        # each trial in a process of its own, as it pins itself to a core
        for case in CASES if given.only is None else (given.only,):
            for database in given.databases:
                words = ["trial", case, "--databases", database]
                subprocess.run([sys.executable, "-m", "benchmarks.studio_load", *words], check=True, cwd=HERE.parent)
    elif given.verb == "trial":
        trial(given.place, given.databases[0])
    else:
        write(
            "studio_load",
            asked="How fast does the studio answer people who label, and how many can it serve?",
            rows=summary(),
            note="client and server share the machine; postgresql was measured while the last loads of sqlite ran; "
            "the prototype's cycles are two requests and two transactions each",
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
