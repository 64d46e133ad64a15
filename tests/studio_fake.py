"""A studio that knows nothing but its page and a list of questions, for tests of the page alone and for pictures."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack
from typing import Annotated, Any

import uvicorn
from fastapi import Body, FastAPI, HTTPException, Response
from fastapi.responses import JSONResponse

from plaudit.studio.access import Guard
from plaudit.studio.client import add_client, index

JsonBody = Annotated[dict[str, Any], Body()]


def clip_item(at: int, name: str = "clip") -> dict[str, Any]:
    return {"index": at, "clip": {"url": f"/media/{name}{at}", "error": None, "steps": 24}, "text": None}


def text_item(at: int, completion: str, prompt: str = "Explain tides to a child.") -> dict[str, Any]:
    text = {
        "prompt": [{"role": "user", "content": prompt}],
        "completion": [{"role": "assistant", "content": completion}],
    }
    return {"index": at, "clip": None, "text": text}


def question(kind: str, items: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    name = fields.pop("id", f"q-{kind}-{'text' if items and items[0]['text'] else 'clip'}")
    nothing = dict.fromkeys(("levels", "aspect", "constraint", "level", "arm", "assist"))
    return {"id": name, "kind": kind, "items": items, "live": False, **nothing, **fields}


class FakeStudio:
    """Serves a line of questions; what is answered is saved at once after the next answer, as by the real one."""

    def __init__(self, questions: list[dict[str, Any]], media: bytes, **view: Any) -> None:
        self.questions = questions
        self.answers: list[dict[str, Any]] = []
        self.view = view
        self.session = "life-1"
        self.signed_out = False
        self.broken = False
        self.lock = threading.Lock()
        self.visitors = ExitStack()
        self.app = self._make(media)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.server = uvicorn.Server(uvicorn.Config(self.app, log_level="error", lifespan="off"))
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.listener]})

    def seen(self) -> dict[str, Any]:
        done = {answer["query"] for answer in self.answers}
        left = [one for one in self.questions if one["id"] not in done]
        state = "question" if left else "finished"
        return {
            "run": "fake", "session": self.session, "annotator": "ann", "state": state, "screening": False, "instruction": "",
            "questions": left[:3], "undoable": self.answers[-1]["id"] if self.answers else None,
            "saved": [answer["id"] for answer in self.answers[:-1]],
            "progress": {"mine": len(done), "answered": len(done), "open": len(left), "total": len(self.questions), "seconds": 0},
            "waiting": None, "trouble": None, **self.view,
        }  # fmt: skip

    def _make(self, media: bytes) -> FastAPI:
        app = FastAPI()
        app.add_middleware(Guard)
        add_client(app)

        @app.get("/")
        def home() -> Response:
            return index()

        @app.get("/api/me")
        def me() -> dict[str, Any]:
            return {"account": "acc-1", "role": "owner", "annotator": "ann", "name": "", "may": ["self", "label"]}

        @app.get("/api/next")
        def next_() -> dict[str, Any]:
            with self.lock:
                return self.seen()

        @app.post("/api/feedback")
        def feedback(answer: JsonBody) -> Any:
            with self.lock:
                if self.signed_out:
                    raise HTTPException(401, "signed out")
                if self.broken:
                    return JSONResponse({"error": "The store is locked.", "code": "store-busy", "got": None}, 503)
                if all(one["id"] != answer["id"] for one in self.answers):
                    self.answers.append(answer)
                return self.seen()

        @app.post("/api/undo")
        def undo(wish: JsonBody) -> dict[str, Any]:
            with self.lock:
                self.answers = [one for one in self.answers if one["id"] != wish["submission"]]
                return self.seen()

        @app.post("/api/session")
        def session(wish: JsonBody) -> dict[str, Any]:
            with self.lock:
                self.view = {"state": "break", "questions": []} if wish["cue"] == "pause" else {}
                return self.seen()

        @app.get("/media/{name}")
        def clip(name: str) -> Response:
            return Response(media, media_type="image/webp")

        return app

    def __enter__(self) -> FakeStudio:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.visitors.close()
        self.server.should_exit = True
        self.thread.join()


LONG = "\n\n".join(
    f"Part {part}. The moon pulls at the sea, and the sea bulges towards it; as the earth turns, every coast passes "
    "through the bulge twice a day. That is why harbours have tables of high and low water."
    for part in range(1, 15)
)
TIDES = """The **sea rises and falls** twice a day.

1. The moon pulls the water towards itself.
2. The earth turns *beneath* the bulge.

> It is a slow wave that goes round the world.

| coast | high water |
|---|---|
| Brest | 06:12 |
| Dover | 11:40 |

More at [the tide tables](https://tides.example.org/today). `sin(t)` is close to it."""
OTHER = """The sea rises and falls once a day because of the wind.

The wind pushes the water towards the coast. More at https://wind.example.org."""


def gallery() -> list[dict[str, Any]]:
    """A question of every kind, for clips and for texts."""
    return [
        question("comparison", [clip_item(1), clip_item(0)]),
        question("comparison", [text_item(0, TIDES), text_item(1, OTHER)]),
        question("comparison", [text_item(1, LONG), text_item(0, OTHER)], id="q-comparison-long"),
        question("rating", [clip_item(0)], levels=5),
        question("rating", [text_item(0, OTHER)], levels=7),
        question("rating", [clip_item(0)], levels=100, id="q-rating-slider"),
        question("steps", [clip_item(0)]),
        question("ranking", [clip_item(2), clip_item(0), clip_item(1), clip_item(3)]),
        question("ranking", [text_item(1, TIDES), text_item(0, OTHER), text_item(2, "Ask a fisherman.")]),
        question("critique", [clip_item(0)]),
        question("critique", [text_item(0, "Tides 🌊 come from the wind. The moon has nothing to do with it.")]),
        question("demonstration", [clip_item(0)], live=True),
        question("demonstration", [text_item(0, OTHER)]),
        question("correction", [clip_item(0)], live=True),
        question("correction", [text_item(0, OTHER)], arm="edit"),
        question("correction", [text_item(0, OTHER)], arm="scratch", id="q-correction-scratch"),
        question("flag", [clip_item(0)], constraint="speed"),
        question("flag", [text_item(0, OTHER)], constraint="no invented facts"),
    ]
