"""The report of a run: `report.html`, one file that needs nothing else, and `report.json` with the same numbers."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from plaudit.check.diagnose import Finding
from plaudit.records import from_json, to_json
from plaudit.report.gather import gather
from plaudit.report.page import render_page
from plaudit.report.parts import PICTURES, Video
from plaudit.report.source import TEXT
from plaudit.report.summary import Clip, Summary
from plaudit.run.directory import RunDirectory
from plaudit.store.store import Store
from plaudit.store.work import RENDER, render_key
from plaudit.worlds.config import WorldConfig
from plaudit.worlds.media import work


def write_report(store: Store, directory: Path | str) -> Summary:
    """Write both files into the run's directory, rendering the clips that they show first. Returns what they say.

    Raises:
        IntegrityError: a blob that the report needs does not match its hash.
    """
    place = RunDirectory(directory)
    summary = gather(store, directory)
    if render_clips(store, summary):
        summary = gather(store, directory)
    _replace(place.report_json, json.dumps(to_json(summary), indent=1, ensure_ascii=False) + "\n")
    _replace(place.report_html, render_page(summary, load_videos(store, summary)))
    return summary


def examine(store: Store, directory: Path | str) -> list[Finding]:
    """What `plaudit doctor RUN` says: findings, worst first."""
    return list(gather(store, directory).check.findings)


def shown_clips(summary: Summary) -> list[Clip]:
    """All clips on the page."""
    return [*summary.act.clips, *(clip for question in summary.ask.questions for clip in question.clips)]


def render_clips(store: Store, summary: Summary) -> int:
    """Draw the clips of the page that nobody has drawn yet. Returns how many; a clip that cannot be drawn says why."""
    drawn = [clip.segment for clip in shown_clips(summary) if not clip.segment.startswith(TEXT)]
    missing = [segment for segment in drawn if store.job(render_key(segment)) is None]
    created = next(store.events(kinds={"run.created"}), None)
    if not missing or created is None:
        return 0
    for segment in dict.fromkeys(missing):
        store.add_job(RENDER, {"segment": segment}, render_key(segment))
    return work(store, from_json(WorldConfig, created.payload["config"]["world"]), once=True)


def load_videos(store: Store, summary: Summary) -> dict[str, Video]:
    """The videos of the page by digest; one that is gone, or is not a picture, is left out."""
    found: dict[str, Video] = {}
    for clip in shown_clips(summary):
        if clip.blob is not None and clip.mime in PICTURES and clip.blob not in found and store.blobs.has(clip.blob):
            data = store.blobs.get(clip.blob)
            found[clip.blob] = Video(data, clip.mime, first_frame(data))
    return found


def first_frame(data: bytes) -> bytes | None:
    """The first frame of an animated picture, for readers who want no motion; None when it cannot be read."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            out = io.BytesIO()
            picture.convert("RGB").save(out, "WEBP", quality=75)
    except (UnidentifiedImageError, OSError):
        return None
    return out.getvalue()


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
