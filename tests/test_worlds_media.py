"""Clips, and the worker that draws them."""

import io
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from plaudit.errors import WorldError
from plaudit.records import Segment, to_json
from plaudit.run.directory import RunDirectory
from plaudit.store.store import Store
from plaudit.worlds.behaviour import Cut
from plaudit.worlds.config import WorldConfig
from plaudit.worlds.media import LONGEST_CLIP, clip, encode, work
from plaudit.worlds.render import Renderer
from plaudit.worlds.vector import VectorWorld
from tests.world_examples import shade

COUNTER = WorldConfig(id="tests.world_examples:Counter", envs=1, options={"length": 500})


@pytest.fixture
def store(tmp_path):
    with Store.create(tmp_path / "store.sqlite", {"config": to_json(Config())}) as store:
        yield store


@dataclass(frozen=True)
class Config:
    """As much of a run's settings as the worker reads."""

    world: WorldConfig = COUNTER


def asked(store, *lengths):
    """Put segments of these lengths into a store, and ask for their clips. Returns the jobs' keys."""
    keys = []
    for length in lengths:
        data = counted(length)
        blob = store.blobs.put_arrays(data.arrays())
        segment = Segment(world="w", policy="p", episode=f"e{length}", start=0, length=length, blob=blob)
        store.add_segments([segment])
        keys.append(f"render/{segment.id}")
        store.add_job("render", {"segment": segment.id}, keys[-1])
    return keys


def shown(store, key):
    """Shades of the clip that a job made."""
    assert store.job(key).result["mime"] == "image/webp"
    return frames_of(store.blobs.get(store.job(key).result["blob"]))[0]


def counted(length):
    world = VectorWorld(COUNTER, 0)
    world.reset(0)
    for _ in range(length):
        world.step([0])
    return world.behaviour.data(Cut(0, 0), length)


def frames_of(data):
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.format == "WEBP"
        shades, durations = [], []
        for index in range(getattr(picture, "n_frames", 1)):
            picture.seek(index)
            shades.append(int(np.asarray(picture.convert("L"))[5, 5]))
            durations.append(picture.info.get("duration"))
        return shades, durations


def test_clip_shows_every_step_at_the_worlds_speed():
    with Renderer(COUNTER) as renderer:
        shades, durations = frames_of(clip(renderer, counted(120)))
    np.testing.assert_allclose(shades, [shade(step) for step in range(120)], atol=4)
    assert set(durations) == {125}


def test_long_segment_leaves_out_steps_and_keeps_its_time():
    length = 2 * LONGEST_CLIP + 1
    with Renderer(COUNTER) as renderer:
        shades, durations = frames_of(clip(renderer, counted(length)))
    assert len(shades) <= LONGEST_CLIP
    assert sum(durations) == pytest.approx(length * 125, rel=0.01)


def test_clip_of_one_step():
    with Renderer(COUNTER) as renderer:
        assert len(frames_of(clip(renderer, counted(1)))[0]) == 1


def test_equal_frames_give_equal_bytes():
    frames = np.random.default_rng(0).integers(0, 255, (5, 40, 50, 3)).astype(np.uint8)
    assert encode(frames, 10) == encode(frames, 10)


def test_clip_of_fifty_steps_is_small():
    config = WorldConfig(id="Pendulum-v1", envs=1)
    world = VectorWorld(config, 0)
    world.reset(0)
    for _ in range(50):
        world.step(np.ones((1, 1)))
    with Renderer(config) as renderer:
        assert len(clip(renderer, world.behaviour.data(Cut(0, 0), 50))) < 300_000


def test_no_frames():
    with pytest.raises(WorldError, match=r"at least one frame"):
        encode(np.zeros((0, 4, 4, 3), np.uint8), 10)


def test_worker_draws_what_is_asked_and_goes_on_after_a_failure(store):
    store.add_job("render", {"segment": "seg_missing"}, "missing")
    store.add_job("render", {}, "empty")
    (key,) = asked(store, 3)
    assert work(store, COUNTER, once=True) == 3
    np.testing.assert_allclose(shown(store, key), [shade(step) for step in range(3)], atol=4)
    assert "StoreError" in store.job("missing").error
    assert "KeyError" in store.job("empty").error


def test_worker_reports_a_world_that_cannot_be_made_to_every_job(store):
    keys = asked(store, 2, 3)
    work(store, WorldConfig(id="Pendulun-v1"), once=True)
    assert all("did you mean `Pendulum-v1`" in store.job(key).error for key in keys)


def test_worker_takes_only_its_own_kind_of_job(store):
    store.add_job("transcribe", {}, "other")
    assert work(store, COUNTER, once=True) == 0
    assert not store.job("other").done


def test_worker_looks_again_until_it_is_stopped(store, monkeypatch):
    monkeypatch.setattr("plaudit.worlds.media.POLL_SECONDS", 0.001)
    keys, looks = [], []

    def stopped():
        looks.append(1)
        if len(looks) == 3:
            keys.extend(asked(store, 2))
        return len(looks) >= 6

    assert work(store, COUNTER, stopped=stopped) == 1
    assert len(shown(store, keys[0])) == 2


def test_worker_that_draws_again_gives_the_same_clip(store):
    (key,) = asked(store, 3)
    work(store, COUNTER, once=True)
    before = store.job(key).result
    store.add_job("render", {"segment": key.removeprefix("render/")}, "again")
    work(store, COUNTER, once=True)
    assert store.job("again").result == before


def test_worker_process_draws_and_ends(store, tmp_path):
    (key,) = asked(store, 3)
    directory = RunDirectory(tmp_path)
    command = [sys.executable, "-m", "plaudit.worlds.media", str(directory.path), "--once"]
    paths = os.pathsep.join([str(Path(__file__).parent.parent), *(path for path in sys.path if path)])
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert len(shown(store, key)) == 3


@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGTERM")
def test_worker_process_ends_when_it_is_terminated(store, tmp_path):
    (key,) = asked(store, 3)
    paths = os.pathsep.join([str(Path(__file__).parent.parent), *(path for path in sys.path if path)])
    command = [sys.executable, "-m", "plaudit.worlds.media", str(tmp_path)]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": paths})
    until = time.monotonic() + 60
    while not store.job(key).done and time.monotonic() < until:
        time.sleep(0.05)
    process.terminate()
    assert process.wait(timeout=20) == 0
    assert len(shown(store, key)) == 3
