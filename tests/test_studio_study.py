"""What the lead of a study sees over HTTP, and what they do about it: who may, what it says, what follows."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from plaudit.ask.service import RE_ASKED
from plaudit.quality.audit import Audit, AuditConfig, audit
from plaudit.store.signoff import State, standings
from plaudit.store.store import Store
from plaudit.studio.roles import Role
from tests.access_examples import Studio
from tests.studio_examples import make_store
from tests.study_examples import CROWD, study_store


@pytest.fixture(scope="module")
def read_only(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A studio over a crowd, which no test changes."""
    with study_store(tmp_path_factory.mktemp("study")) as store:
        yield Studio(store)


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    with study_store(tmp_path) as store:
        yield Studio(store)


def told(browser: TestClient, path: str, **params: Any) -> Any:
    reply = browser.get(f"/api/{path}", params=params)
    assert reply.status_code == 200, reply.text
    return reply.json()


def send(browser: TestClient, path: str, **body: Any) -> Any:
    reply = browser.post(f"/api/{path}", json=body)
    assert reply.status_code == 200, reply.text
    return reply.json()


# annotators


def test_annotators_are_what_the_audit_says(read_only: Studio) -> None:
    found = told(read_only.enter("boss"), "study/annotators")["annotators"]
    by_name = {one["annotator"]: one for one in found}
    assert set(by_name) == {one.name for one in CROWD} | {"newcomer"} | {f"north{i}" for i in range(6)}
    for one in audit(read_only.store).annotators:
        mine = by_name[one.name]
        assert (mine["answers"], mine["skips"], mine["median_seconds"]) == (one.answered, one.skipped, one.seconds)
        assert [s["sentence"] for s in mine["suspicions"] if s["about"] != "copies"] == list(one.suspicions)
    left = by_name["left"]
    assert left["first_shown"]["value"] == 1.0
    assert {"side", "rushed"} <= {one["about"] for one in left["suspicions"]}
    assert left["seconds"] == pytest.approx(80 * 0.5)
    assert by_name["good0"]["gold"]["answered"] == 20
    assert by_name["chance"]["gold"]["verdict"] == "stopped"
    assert by_name["chance"]["stopped"]
    assert by_name["newcomer"]["reasons_to_skip"] == {"broken": 1}
    assert by_name["newcomer"]["untimed"] == 1
    drift = by_name["good1"]["drift"]
    assert drift["change"]["value"] == pytest.approx(drift["late"]["value"] - drift["early"]["value"])


def test_names_are_for_those_who_may_see_identities(studio: Studio) -> None:
    studio.access.accounts.ensure("good0", Role.ANNOTATOR)
    studio.access.accounts.remember("good0", {"name": "Ada"})
    for role, name in ((Role.LEAD, "Ada"), (Role.RESEARCHER, None), (Role.REVIEWER, None)):
        browser = studio.enter(role.value, role)
        found = {one["annotator"]: one for one in told(browser, "study/annotators")["annotators"]}
        assert found["good0"]["name"] == name
        assert ("Ada" in browser.get("/api/study/annotators").text) == (name is not None)


def test_who_is_at_work_is_known(studio: Studio) -> None:
    studio.store.add_queries([replace(studio.store.queries()[0], index=900, strategy=RE_ASKED, id="")])
    assert len(studio.enter("fresh", Role.ANNOTATOR).get("/api/next").json()["questions"]) > 0
    found = {one["annotator"]: one for one in told(studio.enter("boss"), "study/annotators")["annotators"]}
    assert found["fresh"]["holds"] > 0
    assert found["fresh"]["last_seen"] is None
    assert found["good0"]["last_seen"] > 0


def test_pay_counts_the_time_of_what_was_retracted(studio: Studio) -> None:
    lead = studio.enter("boss")
    send(lead, "study/retract", feedback="fb/good0/0", reason="a slip")
    mine = next(one for one in told(lead, "study/annotators")["annotators"] if one["annotator"] == "good0")
    assert (mine["answers"], mine["retracted"], mine["seconds"]) == (79, 1, 80 * 5.0)


# agreement, gold, groups


def test_agreement_is_what_the_audit_says(read_only: Studio) -> None:
    found, expected = told(read_only.enter("boss"), "study/agreement"), audit(read_only.store)
    assert [one["kind"] for one in found["kinds"]] == ["comparison"]
    assert found["kinds"][0]["alpha"]["value"] == expected.agreement[0].alpha.value  # type: ignore[union-attr]
    assert found["together"]["pairs"] == expected.consensus.pairs  # type: ignore[union-attr]
    assert 0.5 < found["others"]["low"] <= found["others"]["high"] <= 1


def test_agreement_is_told_by_aspect(tmp_path: Path) -> None:
    with study_store(tmp_path) as store:
        first = store.queries()[0]
        other = replace(first, aspect="grace", index=500, id="")
        store.add_queries([other])
        store.add_feedback(
            [replace(one, id=f"{one.id}/grace", query=other.id) for _, one in store.feedback() if one.query == first.id]
        )
        kinds = told(Studio(store).enter("boss"), "study/agreement")["kinds"]
    assert [(one["aspect"], one["all_aspects"]) for one in kinds] == [(None, True), (None, False), ("grace", False)]
    assert kinds[2]["questions"] == 1


def test_gold_failures_come_first(read_only: Studio) -> None:
    found = told(read_only.enter("boss"), "study/gold")
    assert found["total"] == 20
    wrong = [one["wrong"] for one in found["questions"]]
    assert wrong == sorted(wrong, reverse=True)
    worst = found["questions"][0]
    assert worst["wrong"] == sum(not one["right"] for one in worst["answers"]) > 0
    assert all(one["said"] != worst["right"] for one in worst["answers"] if not one["right"])


def test_groups_of_fewer_than_five_people_are_not_shown(read_only: Studio) -> None:
    (region,) = told(read_only.enter("boss"), "study/groups")["traits"]
    assert (region["trait"], region["hidden"]) == ("region", True)
    assert [(one["value"], one["annotators"], one["answers"]) for one in region["groups"]] == [("north", 6, 72)]
    assert 0 <= region["groups"][0]["agreement"]["low"] <= 1
    assert "south" not in json.dumps(region)


# answers


def test_answers_are_browsed_newest_first_by_pages_and_filters(read_only: Studio) -> None:
    lead = read_only.enter("boss")
    seen: list[int] = []
    cursor = None
    while True:
        page = told(lead, "study/answers", count=100, **({} if cursor is None else {"cursor": cursor}))
        seen += [one["seq"] for one in page["answers"]]
        if (cursor := page["cursor"]) is None:
            break
    assert seen == sorted((seq for seq, _ in read_only.store.feedback()), reverse=True)
    query = read_only.store.queries()[3].id
    mine = told(lead, "study/answers", query=query, annotator="good2")["answers"]
    assert [one["annotator"] for one in mine] == ["good2"]
    assert told(lead, "study/answers", kind="rating")["answers"] == []
    page = told(lead, "study/answers", query=query)
    assert [one["query"] for one in page["questions"]] == [query]
    assert len(page["questions"][0]["segments"]) == 2
    assert lead.get("/api/study/answers", params={"query": "qry_" + "0" * 32}).status_code == 409


def test_retracted_answers_are_marked_and_what_learned_from_them_is_named(studio: Studio) -> None:
    lead, store = studio.enter("boss"), studio.store
    payload = {"round": 0, "stage": "learn", "checkpoint": "c0", "log_position": store.head()[0], "versions": {}}
    store.append("stage.completed", payload, "stage/0/learn")
    done = send(lead, "study/retract", feedback="fb/left/1", reason="asleep")
    assert [(one["round"], one["stage"], one["checkpoint"]) for one in done["uses"]] == [(0, "learn", "c0")]
    page = told(lead, "study/answers", annotator="left", count=200)["answers"]
    assert {one["feedback"]: one["retracted"] for one in page if one["retracted"]} == {"fb/left/1": "asleep"}
    assert send(lead, "study/retract", feedback="fb/left/1", reason="asleep")["seq"] == done["seq"]
    for feedback, reason in (("fb/left/1", "another reason"), ("fb/nobody/1", "asleep")):
        reply = lead.post("/api/study/retract", json={"feedback": feedback, "reason": reason})
        assert reply.status_code == 409
        assert reply.json()["error"]


def test_what_is_asked_again_goes_to_others_one_question_each(tmp_path: Path) -> None:
    with make_store(tmp_path, questions=1) as store:
        studio = Studio(store)
        ann, bob, cid = (studio.enter(name, Role.ANNOTATOR) for name in ("ann", "bob", "cid"))
        query = store.queries()[0].id
        answer = {
            "id": "submission-1",
            "query": query,
            "answer": {"choice": "first"},
            "answered_at": "2026-05-04T12:00:00Z",
            "seconds": 1.0,
        }
        assert ann.get("/api/next").json()["questions"][0]["id"] == query
        assert ann.post("/api/feedback", json=answer).status_code == 200
        made = send(studio.enter("boss"), "study/reask", query=query, count=2)["queries"]
        assert len(set(made)) == 2
        assert {one.strategy for one in store.queries() if one.id != query} == {RE_ASKED}
        assert ann.get("/api/next").json()["questions"] == []
        given = [[one["id"] for one in browser.get("/api/next").json()["questions"]] for browser in (bob, cid)]
        assert sorted(given) == sorted([[one] for one in made])
        refused = studio.enter("boss").post("/api/study/reask", json={"query": "qry_" + "0" * 32})
        assert refused.status_code == 409


def test_asking_again_twice_makes_different_questions(studio: Studio) -> None:
    lead, query = studio.enter("boss"), studio.store.queries()[0].id
    made = [one for _ in range(2) for one in send(lead, "study/reask", query=query, count=2)["queries"]]
    assert len(set(made)) == 4
    assert told(lead, "study/answers", query=query)["questions"][0]["asked_again"] == 4


# sign-off


def sign(browser: TestClient, check: str, verdict: str, **more: Any) -> Any:
    now = told(browser, "signoff")["subject"]
    body = {"id": str(uuid.uuid4()), "check": check, "verdict": verdict, "comment": "read it all", **more}
    return browser.post("/api/signoff", json={"seq": now["seq"], "head": now["head"], **body})


def test_checks_are_signed_by_reviewers_and_outdated_by_what_comes_later(studio: Studio) -> None:
    reviewer, lead = studio.enter("rev", Role.REVIEWER), studio.enter("boss")
    assert [one["state"] for one in told(reviewer, "signoff")["checks"]] == ["unsigned"] * 3
    assert sign(reviewer, "privacy", "accepted").status_code == 200
    assert sign(reviewer, "safety", "rejected").status_code == 200
    send(lead, "signoff/checks", name="legal", what="The licences allow it.")
    states = {one["name"]: one["state"] for one in told(lead, "signoff")["checks"]}
    assert states == {"privacy": "accepted", "safety": "rejected", "domain": "unsigned", "legal": "unsigned"}
    send(lead, "study/retract", feedback="fb/left/1", reason="asleep")
    assert {one.check.name: one.state for one in standings(studio.store)}["privacy"] is State.OUTDATED
    assert studio.store.verify().problems == ()


def test_policies_outdate_a_sign_off_and_answers_do_not_once_there_is_one(studio: Studio) -> None:
    reviewer = studio.enter("rev", Role.REVIEWER)

    def improve(round_: int) -> None:
        payload = {"round": round_, "stage": "improve", "checkpoint": "c", "log_position": 1}
        versions = {"policy": f"p{round_}", "reward": "r"}
        studio.store.append("stage.completed", {**payload, "versions": versions}, f"stage/{round_}/improve")

    improve(0)
    assert sign(reviewer, "domain", "accepted").status_code == 200
    studio.store.retract("fb/left/1", "asleep")
    (check,) = [one for one in told(reviewer, "signoff")["checks"] if one["name"] == "domain"]
    assert (check["state"], check["said"][0]["policy"]) == ("accepted", "p0")
    improve(1)
    (check,) = [one for one in told(reviewer, "signoff")["checks"] if one["name"] == "domain"]
    assert check["state"] == "outdated"


def test_a_sign_off_counts_once_and_only_for_what_the_log_says(studio: Studio) -> None:
    reviewer, id = studio.enter("rev", Role.REVIEWER), str(uuid.uuid4())
    now = told(reviewer, "signoff")["subject"]
    body = {
        "id": id,
        "check": "privacy",
        "verdict": "accepted",
        "comment": "fine",
        "seq": now["seq"],
        "head": now["head"],
    }
    for _ in range(2):
        assert reviewer.post("/api/signoff", json=body).status_code == 200
    assert sum(event.kind == "signoff.given" for event in studio.store.events()) == 1
    for wrong in ({"head": "0" * 64}, {"seq": now["seq"] + 500}, {"check": "looks"}, {"comment": "other"}):
        assert reviewer.post("/api/signoff", json=body | wrong).status_code == 409
    assert reviewer.post("/api/signoff", json=body | {"comment": "  "}).status_code == 422
    named = studio.enter("boss").post("/api/signoff/checks", json={"name": "privacy", "what": "something else"})
    assert named.status_code == 409
    assert studio.enter("boss").post("/api/signoff/checks", json={"name": "No Such", "what": "x"}).status_code == 409


def test_statistics_are_not_made_anew_for_every_answer(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def counted(store: Store, config: AuditConfig | None = None) -> Audit:
        made.append(1)
        return audit(store, config)

    monkeypatch.setattr("plaudit.studio.study.audit", counted)
    lead = studio.enter("boss")
    told(lead, "study/annotators")
    studio.store.add_feedback([replace(studio.store.feedback()[0][1], id="fb/new", annotator="someone")])
    again = told(lead, "study/annotators")["annotators"]
    assert made == [1]
    assert "someone" in {one["annotator"] for one in again}  # counts are as they are now
    send(lead, "study/retract", feedback="fb/new", reason="a test")
    told(lead, "study/annotators")
    assert made == [1, 1]
