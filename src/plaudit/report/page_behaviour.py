"""The page's sections Act and Ask: behaviour, and what people were asked about it."""

from __future__ import annotations

from plaudit.report import figures, page_texts
from plaudit.report.facts import DASH, Facts
from plaudit.report.markup import Html, Style, join, tag
from plaudit.report.parts import Videos, data_url, facts_list, table
from plaudit.report.summary import Clip, Question


def act(facts: Facts, videos: Videos) -> Html:
    """Section Act: clips of the policy, and where it acts."""
    act = facts.summary.act
    clips = [_clip(facts, videos, f"act.clips.{i}", clip) for i, clip in enumerate(act.clips)]
    shown = tag("div", {"class": "clips"}, *clips) if clips else figures.empty("No clips were kept.", why="no videos")
    rows = [
        ("World", facts.text("act.world")),
        ("Algorithm", facts.text("act.algorithm")),
        ("Environments side by side", facts.number("act.envs", Style.COUNT)),
        ("Fixed horizon", facts.number("act.horizon", Style.COUNT, absent="none: the world ends its own episodes")),
        ("Environment steps", facts.number("act.env_steps", Style.COUNT)),
        ("Segments kept", facts.number("act.segments", Style.COUNT)),
    ]
    return join([shown, facts_list(rows)])


def _clip(facts: Facts, videos: Videos, path: str, clip: Clip) -> Html:
    caption = [tag("b", None, facts.text(f"{path}.label")), ": policy ", facts.version(f"{path}.policy")]
    caption += [", ", facts.number(f"{path}.steps", Style.COUNT), " steps"]
    alt = f"Clip of the agent {clip.label}: {clip.steps} steps of {facts.summary.act.world}"
    return tag("figure", None, _video(facts, videos, clip, alt), tag("figcaption", None, *caption))


def _video(facts: Facts, videos: Videos, clip: Clip, alt: str) -> Html:
    video = videos.get(clip.blob or "")
    if video is None:
        return tag("div", {"class": "video none"}, clip.missing or "the video is not in the run's blob store")
    moving = {
        "class": "moving" if video.still is None else "moving paired",
        "alt": alt,
        "src": data_url(video.mime, video.data),
    }
    parts = [tag("img", moving)]
    if video.still is not None:
        parts.append(
            tag("img", {"class": "still", "alt": f"{alt} (first frame)", "src": data_url("image/webp", video.still)})
        )
    return tag("div", {"class": "video"}, *parts)


def ask(facts: Facts, videos: Videos) -> Html:
    """Section Ask: questions, answers, and who gave them."""
    ask = facts.summary.ask
    rows = [
        ("Form of the questions", facts.text("ask.kind")),
        ("Asked", facts.number("ask.asked", Style.COUNT)),
        ("Answered", facts.number("ask.answered", Style.COUNT)),
        ("of these, ties", facts.number("ask.ties", Style.COUNT)),
        ("Skipped", facts.number("ask.skipped", Style.COUNT)),
        ("Waiting for an answer", facts.number("ask.waiting", Style.COUNT)),
        ("Time of people", facts.number("ask.human_seconds", Style.SECONDS, absent="none measured")),
        (
            "Time assumed for the simulated teacher",
            facts.number("ask.simulated_seconds", Style.SECONDS, absent="none"),
        ),
    ]
    parts = [tag("div", {"class": "columns"}, figures.outcomes_chart(facts), facts_list(rows))]
    parts += [
        tag("h3", None, "Who answered"),
        _annotators(facts),
        tag("h3", None, "How the questions were chosen"),
        _strategies(facts),
    ]
    if ask.questions:
        items = [_question(facts, videos, i, question) for i, question in enumerate(ask.questions)]
        parts += [tag("h3", None, "Some of the questions"), tag("ul", {"class": "questions"}, *items)]
    return join(parts)


def _annotators(facts: Facts) -> Html:
    head = ("Annotator", "Who", "Answered", "Ties", "Skipped", "Chose what stood first", "Time")
    rows: list[list[Html]] = []
    for i, one in enumerate(facts.summary.ask.annotators):
        path = f"ask.annotators.{i}"
        first = [
            facts.number(f"{path}.chose_shown_first", Style.COUNT),
            " of ",
            facts.number(f"{path}.decided", Style.COUNT),
        ]
        counts = [facts.number(f"{path}.{name}", Style.COUNT) for name in ("answered", "ties", "skipped")]
        who = facts.text(f"{path}.description" if one.description else f"{path}.kind")
        time = facts.number(f"{path}.seconds", Style.SECONDS, absent=DASH)
        rows.append([facts.text(f"{path}.annotator"), who, *counts, join(first) if one.decided else Html(DASH), time])
    return table(head, rows, words=True, absent="Nobody has answered yet.")


def _strategies(facts: Facts) -> Html:
    rows = [
        [facts.text(f"ask.strategies.{i}.strategy")]
        + [facts.number(f"ask.strategies.{i}.{name}", Style.COUNT) for name in ("asked", "answered", "ties", "skipped")]
        for i in range(len(facts.summary.ask.strategies))
    ]
    return table(("Strategy", "Asked", "Answered", "Ties", "Skipped"), rows, absent="Nothing was asked.")


def _question(facts: Facts, videos: Videos, index: int, question: Question) -> Html:
    path = f"ask.questions.{index}"
    winner = next((reply.answer for reply in question.replies if reply.answer in ("first", "second")), None)
    pictures: list[Html] = []
    for i, clip in enumerate(question.clips):
        won = clip.label == winner
        name = f"{clip.label}, preferred" if won else clip.label
        alt = f"Clip {i + 1} of question {index + 1}, {clip.steps} steps"
        read = clip.completion is not None
        video = page_texts.text(facts, f"{path}.clips.{i}") if read else _video(facts, videos, clip, alt)
        pictures.append(tag("figure", {"class": "won"} if won else None, video, tag("figcaption", None, name)))
    why = ["Round ", facts.number(f"{path}.round", Style.COUNT), ", chosen by ", facts.text(f"{path}.strategy")]
    if question.score is not None:
        why += [", score ", facts.number(f"{path}.score", Style.DECIMAL)]
    if question.propensity is not None:
        why += [", probability ", facts.number(f"{path}.propensity", Style.DECIMAL)]
    said = [_reply(facts, f"{path}.replies.{i}") for i in range(len(question.replies))] or [Html("No answer yet.")]
    return tag(
        "li",
        None,
        tag("div", {"class": "pair"}, *pictures),
        *(tag("p", None, one) for one in said),
        tag("p", None, *why, "."),
    )


def _reply(facts: Facts, path: str) -> Html:
    parts = [facts.text(f"{path}.annotator"), ": ", facts.text(f"{path}.answer")]
    if facts.get(f"{path}.strength") is not None:
        parts += [", strength ", facts.number(f"{path}.strength", Style.DECIMAL)]
    if facts.get(f"{path}.seconds") is not None:
        parts += [" (", facts.number(f"{path}.seconds", Style.SECONDS), ")"]
    return join(parts)
