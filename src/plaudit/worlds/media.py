"""Clips of segments, and the worker that draws those that the store asks for.

python -m plaudit.worlds.media RUN        draws until it is stopped; `plaudit studio` starts and ends it
"""

from __future__ import annotations

import argparse
import io
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence

from PIL import Image

from plaudit.errors import WorldError
from plaudit.records import SegmentData, from_json
from plaudit.run.directory import RunDirectory
from plaudit.store.store import Store
from plaudit.store.work import RENDER
from plaudit.worlds.config import WorldConfig
from plaudit.worlds.render import Frames, Renderer

MIME = "image/webp"
LEASE_SECONDS = 300.0
"""a worker that has not finished a job by then is taken for dead"""
POLL_SECONDS = 0.2
LONGEST_CLIP = 200
"""frames; longer segments leave out steps and show the rest for longer"""
QUALITY = 75


def encode(frames: Frames, fps: float) -> bytes:
    """An animated WebP that loops. Equal pictures in a row become one that is shown for longer.

    Args:
        frames: [frame, height, width, 3].
        fps: frames per second.

    Raises:
        WorldError: there is no frame.
    """
    if not len(frames):
        raise WorldError("A clip needs at least one frame", got=frames.shape)
    pictures = [Image.fromarray(frame) for frame in frames]
    target = io.BytesIO()
    pictures[0].save(
        target,
        format="WEBP",
        save_all=True,
        append_images=pictures[1:],
        duration=max(1, round(1000 / fps)),
        loop=0,
        quality=QUALITY,
        method=2,  # higher ones take longer for smaller files
    )
    return target.getvalue()


def clip(renderer: Renderer, data: SegmentData) -> bytes:
    """One segment as an animated WebP at the world's own speed. Raises WorldError when it cannot be drawn."""
    every = -(-len(data) // LONGEST_CLIP)
    return encode(renderer.render(data, every=every), renderer.fps / every)


def work(store: Store, config: WorldConfig, once: bool = False, *, stopped: Callable[[], bool] = lambda: False) -> int:
    """Draw what the store asks for: jobs of kind "render". A job that fails gets the reason, and the next one follows.

    Args:
        store: where jobs, segments and clips are.
        config: the world of the run.
        once: return when no job is waiting, instead of looking again after a while.
        stopped: looked at between jobs; True ends the work.

    Returns:
        The number of jobs taken.
    """
    worker = f"{socket.gethostname()}:{os.getpid()}"
    renderer: Renderer | None = None
    taken = 0
    try:
        while not stopped():
            job = store.claim_job(RENDER, worker, LEASE_SECONDS)
            if job is None:
                if once:
                    break
                time.sleep(POLL_SECONDS)
                continue
            taken += 1
            try:
                renderer = renderer or Renderer(config)
                data = clip(renderer, store.segment_data(store.segment(job.payload["segment"])))
                result = {"blob": store.blobs.put(data), "mime": MIME}
            except Exception as error:  # noqa: BLE001 - a job boundary; the reason goes to whoever asked for the clip
                store.finish_job(job.id, error=f"{type(error).__name__}: {error}")
            else:
                store.finish_job(job.id, result=result)
    finally:
        if renderer is not None:
            renderer.close()
    return taken


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the worker process; ends with its parent, or when it is terminated."""
    parser = argparse.ArgumentParser(prog="python -m plaudit.worlds.media", description="Draw the clips of a run.")
    parser.add_argument("directory", help="the run's directory")
    parser.add_argument("--once", action="store_true", help="end when no clip is waiting")
    given = parser.parse_args(arguments)
    directory = RunDirectory(given.directory)
    directory.require()
    asked_to_stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: asked_to_stop.append(number))
    parent = os.getppid()
    with Store.open(directory.store) as store:
        created = next(store.events(kinds={"run.created"})).payload
        world = from_json(WorldConfig, created["config"]["world"])
        work(store, world, given.once, stopped=lambda: bool(asked_to_stop) or os.getppid() != parent)
    return 0


if __name__ == "__main__":
    sys.exit(main())
