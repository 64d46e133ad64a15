"""Does the store lose or double a label when processes are killed, how many labels a second does it take, and does it stay
small in memory with a million records?

    python -m benchmarks.store_faults labels [--labels 100000] [--databases sqlite postgresql]
    python -m benchmarks.store_faults records [--records 1000000]

labels: three server processes write to one store. Client processes with several annotators each lease a question, answer
it under a number of their own (UUID), and note the acknowledgement in a file of theirs: these files are the truth. Servers
and clients are killed with SIGKILL at random moments; a server also kills itself between write and reply; with PostgreSQL
the database server is killed too. What died is started again; a client that got no reply sends the same number again, to
any server. At the end every acknowledged label must be in the log where the acknowledgement said, once.

records: opens, filters and exports a store in a process of its own, and reads the peak of its resident memory.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.postgres_server import Server

from benchmarks.common import Row, append_raw, missing, read_raw, write
from plaudit.errors import PlauditError
from plaudit.exchange.bring import PURPOSE
from plaudit.exchange.export import Selection, export
from plaudit.exchange.shapes import Shape
from plaudit.records import (
    AnnotatorKind,
    AnnotatorProfile,
    Choice,
    Comparison,
    Query,
    QueryKind,
    TextSegment,
    feedback_to_json,
    to_json,
)
from plaudit.store.store import Store

SERVERS = 3
CLIENTS = 3
ANNOTATORS = 16
"""in each client"""
LEASE_SECONDS = 30.0
CALM_SECONDS = 10.0
"""mean time between two kills"""
DIE_AFTER_WRITE = 1 / 2000
"""chance that a server kills itself between write and reply"""
STOP = "stop"
"""a file that lets the clients come to an end"""
RAW = "store_faults"
BATCH = 2000
FLOORS = {"sqlite": 89.0, "postgresql": 74.0}
"""cycles a second of the prototype that the survey of peers measured with 50 annotators without think time, with HTTP"""


def text(number: int) -> TextSegment:
    return TextSegment(f"Question {number // 2}: how do I fold a map?", f"Answer {number}: along the old creases.")


def fill(store: Store, questions: int, *, answered: bool) -> None:
    """Questions and, about texts of their own, answers of ten annotators; without answers all are about the same two."""
    for one in range(10):
        store.add_annotator(AnnotatorProfile(f"a{one}", AnnotatorKind.PERSON))
    items: list[tuple[str, dict[str, Any], str | None]] = []
    for number in range(questions):
        about = number if answered else 0
        pair = (text(2 * about), text(2 * about + 1))
        asked = Query(QueryKind.COMPARISON, (pair[0].id, pair[1].id), (0, 1), number // 1000, number % 1000, "uniform")
        if number == about:
            items += [("segment.added", to_json(one), one.id) for one in pair]
        items.append(("query.asked", to_json(asked), asked.id))
        if answered:
            choice = (Choice.FIRST, Choice.SECOND, Choice.TIE)[number % 3]
            given = Comparison(id=f"fb/{number}", query=asked.id, annotator=f"a{number % 10}", choice=choice)
            items.append(("feedback.given", feedback_to_json(given), given.id))
        if len(items) >= BATCH or number == questions - 1:
            store.append_many(items)
            items = []


# one server process


class Labelling(socketserver.StreamRequestHandler):
    """One connection: JSON lines in, JSON lines out."""

    store: Store
    fate: random.Random
    done = False

    def handle(self) -> None:
        """Answer requests until the client goes."""
        with suppress(ConnectionError):  # the client was killed
            self.converse()

    def converse(self) -> None:
        """Request and reply, in turn."""
        for line in self.rfile:
            request = json.loads(line)
            try:
                reply = self.next(request) if request["op"] == "next" else self.answer(request)
            except PlauditError as error:
                reply = {"error": str(error)}
            self.wfile.write(json.dumps(reply).encode() + b"\n")

    def next(self, request: dict[str, Any]) -> dict[str, Any]:
        """Lease a question."""
        asked = None if Labelling.done else self.store.lease_query(request["annotator"], LEASE_SECONDS)
        if asked is None:
            Labelling.done = Labelling.done or not self.store.unanswered(limit=1)
        return {"query": None if asked is None else asked.id, "done": Labelling.done}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Submit an answer, and sometimes die before saying so."""
        given = Comparison(
            id=f"fb/{request['query']}/{request['annotator']}",
            query=request["query"],
            annotator=request["annotator"],
            choice=Choice(request["choice"]),
        )
        seq = self.store.submit(uuid.UUID(request["submission"]), [given])[0]
        if self.fate.random() < request["risk"]:
            os.kill(os.getpid(), signal.SIGKILL)  # written, and nobody was told
        return {"seq": seq}


class Listening(socketserver.ThreadingUnixStreamServer):
    """Accepts connections."""

    daemon_threads = True
    request_queue_size = 128


def serve(place: str, path: str, seed: int) -> None:
    with Store.open(place) as store:
        Labelling.store, Labelling.fate = store, random.Random(seed)
        with suppress(FileNotFoundError):
            os.unlink(path)
        Listening(path, Labelling).serve_forever()


# one client process


class Client:
    """Annotators without think time in one process; what was acknowledged stands in a file."""

    def __init__(self, name: str, folder: Path, risk: float) -> None:
        self.name, self.folder, self.risk = name, folder, risk
        self.acknowledged = os.open(folder / f"{name}.acks", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def run(self, annotators: int) -> None:
        """Label until nothing is left."""
        threads = [threading.Thread(target=self.label, args=(f"{self.name}-{one}",)) for one in range(annotators)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def label(self, annotator: str) -> None:
        """One annotator."""
        rng = random.Random(annotator)
        ask = self.conversation(rng)
        while True:
            began = time.monotonic()
            found, _ = ask({"op": "next", "annotator": annotator})
            if found["done"] or (self.folder / STOP).exists():
                return
            if found["query"] is None:
                time.sleep(0.2)
                continue
            number = uuid.uuid4()
            choice = rng.choice([Choice.FIRST, Choice.SECOND, Choice.TIE]).value
            request = {"op": "answer", "annotator": annotator, "query": found["query"], "submission": str(number)}
            told, sent = ask(request | {"choice": choice, "risk": self.risk})
            seconds = time.monotonic() - began
            line = f"{number} {found['query']} {annotator} {choice} {told['seq']} {seconds:.4f} {sent}\n"
            os.write(self.acknowledged, line.encode())  # in one piece

    def conversation(self, rng: random.Random) -> Any:
        """Sends a request until a server replies, in words that are no error. Returns the reply, and how often it was sent."""
        there: list[Any] = []

        def ask(request: dict[str, Any]) -> tuple[dict[str, Any], int]:
            sent = 0
            while True:
                try:
                    if not there:
                        link = socket.socket(socket.AF_UNIX)
                        link.settimeout(60)
                        link.connect(str(self.folder / f"{rng.randrange(SERVERS)}.socket"))
                        there.append(link.makefile("rwb"))
                    sent += 1
                    there[0].write(json.dumps(request).encode() + b"\n")
                    there[0].flush()
                    line = there[0].readline()
                    reply = json.loads(line) if line.endswith(b"\n") else {"error": "cut off"}
                    if "error" not in reply:
                        return reply, sent
                except OSError:
                    pass
                there.clear()
                time.sleep(0.1)

        return ask


# the whole


class Troupe:
    """All processes of one trial; those that die are started again."""

    def __init__(self, place: str, folder: Path, annotators: int, risk: float) -> None:
        self.place, self.folder, self.annotators, self.risk = place, folder, annotators, risk
        self.started: Counter[str] = Counter()
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, role: str) -> None:
        """Start a process, again if need be."""
        kind, number = role.split("-")
        self.started[role] += 1
        life = str(self.started[role])
        words = {
            "server": ["serve", self.place, str(self.folder / f"{number}.socket"), f"{number}{life}"],
            "client": ["client", f"{role}-{life}", str(self.folder), str(self.annotators), str(self.risk)],
        }[kind]
        self.running[role] = subprocess.Popen([sys.executable, "-m", "benchmarks.store_faults", *words])

    def tend(self) -> bool:
        """Start again what died. Returns whether all clients came to their end."""
        for role, process in list(self.running.items()):
            if process.poll() not in (None, 0):
                self.start(role)
        return all(process.poll() == 0 for role, process in self.running.items() if role.startswith("client"))

    def kill(self, role: str) -> None:
        """kill -9."""
        self.running[role].kill()
        self.running[role].wait()

    def end(self) -> None:
        """End them all."""
        for process in self.running.values():
            process.kill()
            process.wait()


def trial(database: str, labels: int, *, kills: bool, servers: int, clients: int, annotators: int) -> dict[str, Any]:
    """One store, filled by concurrent clients until all is answered or somebody puts a file `stop` into its folder, and what
    is wrong with it afterwards.
    """
    folder = Path(tempfile.mkdtemp(prefix="plaudit-faults-"))
    server = Server(durable=True) if database == "postgresql" else None
    place = str(folder / "store.sqlite") if server is None else server.new_database()
    troupe = Troupe(place, folder, annotators, DIE_AFTER_WRITE if kills else 0.0)
    try:
        with Store.create(place, {"format": 1, "purpose": PURPOSE}, blobs=folder / "blobs") as store:
            fill(store, labels, answered=False)
        for number in range(servers):
            troupe.start(f"server-{number}")
        for number in range(servers, SERVERS):  # fewer servers under the same names
            (folder / f"{number}.socket").symlink_to(folder / "0.socket")
        began = time.monotonic()
        for number in range(clients):
            troupe.start(f"client-{number}")
        killed = _disturb(troupe, server if kills else None, kills)
        seconds = time.monotonic() - began
        troupe.end()
        return {"seconds": seconds, **killed, **_examine(place, folder, labels)}
    finally:
        troupe.end()
        if server is not None:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _disturb(troupe: Troupe, server: Server | None, kills: bool) -> dict[str, int]:
    """Kill at random until all is done."""
    rng = random.Random(1)
    count = Counter({"server": 0, "client": 0, "database": 0})
    due = time.monotonic() + rng.expovariate(1 / CALM_SECONDS)
    while not troupe.tend():
        time.sleep(0.1)
        if not kills or time.monotonic() < due:
            continue
        victim = rng.choices(["server", "client", "database"], [5, 4, 1 if server else 0])[0]
        count[victim] += 1
        if victim == "database" and server is not None:
            server.kill()
            time.sleep(rng.random())
            server.start()
        else:
            troupe.kill(rng.choice([role for role in troupe.running if role.startswith(victim)]))
        due = time.monotonic() + rng.expovariate(1 / CALM_SECONDS)
    deaths = sum(n - 1 for role, n in troupe.started.items() if role.startswith("server"))
    return {f"killed_{name}": n for name, n in count.items()} | {"server_deaths": deaths}


def _examine(place: str, folder: Path, labels: int) -> dict[str, Any]:
    """Hold the log against the clients' lists."""
    said: dict[str, list[str]] = {}
    repeated = 0
    for path in folder.glob("*.acks"):
        for line in path.read_text().splitlines():
            number, *rest = line.split()
            repeated += number in said
            said[number] = rest
    with Store.open(place) as store:
        answers = dict(store.feedback())
        receipts = {
            str(event.key).removeprefix("submission/"): event.payload["answers"]
            for event in store.events(kinds={"submission.received"})
        }
        found = store.verify()
    lost = wrong = 0
    for number, (query, annotator, choice, seq, *_) in said.items():
        there = answers.get(int(seq))
        lost += there is None or receipts.get(number) != [there.id]
        wrong += isinstance(there, Comparison) and (there.query, there.annotator, there.choice.value) != (
            query,
            annotator,
            choice,
        )
    ids = Counter(one.id for one in answers.values())
    questions = Counter(one.query for one in answers.values())
    seconds = sorted(float(rest[4]) for rest in said.values())
    return {
        "acknowledged": len(said),
        "acknowledged_twice": repeated,
        "answers": len(answers),
        "unanswered": labels - len(questions),
        "lost": lost,
        "wrong": wrong,
        "twice": sum(n - 1 for n in ids.values()) + (len(receipts) - len(answers)),
        "by_two_people": sum(n - 1 for n in questions.values()),
        "sent_again": sum(int(rest[5]) > 1 for rest in said.values()),
        "problems": len(found.problems),
        "events": found.events,
        "p50": seconds[len(seconds) // 2],
        "p95": seconds[int(len(seconds) * 0.95)],
    }


def finished(case: str) -> list[dict[str, Any]]:
    """Finished cells of a case."""
    return [one for one in read_raw(RAW) if one["case"] == case]


def labels(count: int, databases: list[str]) -> None:
    many = {"kills": True, "servers": SERVERS, "clients": CLIENTS, "annotators": ANNOTATORS, "labels": count}
    calm = {"kills": False, "servers": 1, "clients": 2, "annotators": 25, "labels": min(count, 2000)}
    cells = [{"case": "labels", "database": database, **one} for database in databases for one in (calm, many)]
    keys = ("case", "database", "kills", "labels")
    for cell in missing(cells, finished("labels"), keys):
        settings = {name: cell[name] for name in ("kills", "servers", "clients", "annotators")}
        done = trial(cell["database"], cell["labels"], **settings)
        print(json.dumps(cell | done), flush=True)
        append_raw(RAW, cell | done)
    report()


# a million records


def measured(step: str, place: str, folder: Path) -> dict[str, Any]:
    """One step in a process of its own."""
    words = [sys.executable, "-m", "benchmarks.store_faults", "measure", step, place, str(folder)]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def measure(step: str, place: str, folder: Path) -> None:
    began = time.monotonic()
    with Store.open(place) as store:
        count = sum(1 for _ in _steps(step, store, folder))
    peak = _peak_kib() / 1024
    print(json.dumps({"count": count, "seconds": time.monotonic() - began, "peak_mib": peak}))


def _peak_kib() -> int:
    """Peak of the resident memory of this process alone: what getrusage tells includes the process that started it."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))


def _steps(step: str, store: Store, folder: Path) -> Iterator[object]:
    match step:
        case "open":
            yield store.head()
        case "filter":
            for event in store.events(kinds={"feedback.given"}):
                if event.payload["annotator"] == "a3" and event.payload["choice"] == Choice.FIRST.value:
                    yield event
        case "export":
            yield from range(export(store, Selection(Shape.TRL_PREFERENCE), folder / "out.jsonl").rows)
        case _:
            raise ValueError(step)


def records(count: int) -> None:
    cells = [{"case": "records", "database": "sqlite", "records": one} for one in (count // 10, count)]
    for cell in missing(cells, finished("records"), ("case", "database", "records")):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            place = str(folder / "store.sqlite")
            began = time.monotonic()
            with Store.create(place, {"format": 1, "purpose": PURPOSE}) as store:
                fill(store, cell["records"] // 4, answered=True)
            steps = {"fill": {"count": cell["records"], "seconds": time.monotonic() - began, "peak_mib": None}}
            steps |= {step: measured(step, place, folder) for step in ("open", "filter", "export")}
        print(json.dumps(cell | steps), flush=True)
        append_raw(RAW, cell | steps)
    report()


def report() -> None:
    """Rows of all that is finished."""
    rows: list[Row] = []
    for one in read_raw(RAW):
        if one["case"] == "labels":
            rows += _label_rows(one)
            continue
        case = f"{one['database']}, {one['records']} records"
        for step in ("fill", "open", "filter", "export"):
            done = one[step]
            rows.append(Row(case, f"{step} seconds", round(done["seconds"], 2), n=done["count"], unit="s"))
            if done["peak_mib"] is not None:
                rows.append(Row(case, f"{step} peak memory", round(done["peak_mib"], 1), unit="MiB"))
    note = "a cycle is two requests over a local socket and two durable transactions: lease a question, submit its answer; "
    note += "the floor is the survey's prototype with 50 annotators and HTTP, on the same kind of machine under load; "
    note += "unanswered: what was left when "
    note += (
        "the clients were told to stop. The machine was busy with other work, load 5 to 16 on two cores; the committed "
    )
    note += "peaks of memory were read with getrusage, which makes them upper bounds"
    write(
        "store_faults",
        asked="Does the store lose or double labels, how fast and how small is it?",
        rows=rows,
        note=note,
    )


def _label_rows(one: dict[str, Any]) -> list[Row]:
    people = one["clients"] * one["annotators"]
    what = "random kills" if one["kills"] else "nobody killed"
    case = (
        f"{one['database']}, {one['servers']} writing processes, {people} annotators, {one['answers']} labels, {what}"
    )
    rows = [
        Row(case, "labels a second", round(one["acknowledged"] / one["seconds"], 1), n=one["acknowledged"], unit="1/s"),
        Row(case, "floor", FLOORS[one["database"]], unit="1/s"),
        Row(case, "median of a cycle", round(1000 * one["p50"], 1), n=one["acknowledged"], unit="ms"),
        Row(case, "95th percentile of a cycle", round(1000 * one["p95"], 1), n=one["acknowledged"], unit="ms"),
    ]
    names = ["acknowledged", "lost", "wrong", "twice", "acknowledged_twice", "unanswered", "by_two_people", "problems"]
    names += ["sent_again", "killed_server", "killed_client", "killed_database", "server_deaths"]
    return rows + [Row(case, name.replace("_", " "), one[name], n=one["answers"], unit="count") for name in names]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    one = verbs.add_parser("labels")
    one.add_argument("--labels", type=int, default=100_000)
    one.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"], choices=["sqlite", "postgresql"])
    verbs.add_parser("records").add_argument("--records", type=int, default=1_000_000)
    for name, words in (("serve", 3), ("client", 4), ("measure", 3)):  # the script's own processes
        verbs.add_parser(name).add_argument("words", nargs=words)
    given = parser.parse_args()
    if given.verb == "labels":  # end the others too
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    match given.verb:
        case "labels":
            labels(given.labels, given.databases)
        case "records":
            records(given.records)
        case "serve":
            serve(given.words[0], given.words[1], int(given.words[2]))
        case "client":
            name, folder, annotators, risk = given.words
            Client(name, Path(folder), float(risk)).run(int(annotators))
        case _:
            measure(given.words[0], given.words[1], Path(given.words[2]))


if __name__ == "__main__":
    main()
