"""Exports: what goes out comes back equal, and a manifest reproduces a file bit for bit."""

import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.cli.main import main
from plaudit.errors import ConfigError, IntegrityError, RecordError, StoreError
from plaudit.exchange import consent
from plaudit.exchange.bring import open_store
from plaudit.exchange.export import Selection, export, manifest_of, read_manifest, reproduce, write
from plaudit.exchange.formats import Format
from plaudit.exchange.judgement import Judge, Judgement
from plaudit.exchange.rows import read
from plaudit.exchange.shapes import Shape, shaped
from plaudit.records import Choice, Message, Note, TextSegment
from tests.exchange_examples import CHAT, ROWS, brought, one, put, said
from tests.store_examples import make_store
from tests.strategies import TEXT, conversations, texts

SAME = {
    Shape.TRL_PREFERENCE: Format.TRL_PREFERENCE,
    Shape.TRL_UNPAIRED: Format.TRL_UNPAIRED,
    Shape.TRL_PROMPT_COMPLETION: Format.TRL_PROMPT_COMPLETION,
    Shape.NEMO_RANKING: Format.NEMO_RANKING,
    Shape.QUESTION_RESPONSE: Format.QUESTION_RESPONSE,
    Shape.PLAUDIT: Format.PLAUDIT,
}
KINDS = {"segment.added", "query.asked", "annotator.added", "feedback.given"}


def records(directory):
    with open_store(directory) as store:
        return {event.key: event.payload for event in store.events(kinds=KINDS)}


def filled(directory, judgements):
    """A store with judgements that no file gave."""
    with open_store(directory) as store:
        store.append_many([entry for one in judgements for entry in one.entries(store.blobs)])


def plain(*names):
    return st.fixed_dictionaries(dict.fromkeys(names, TEXT))


def different(row):
    return row[names_of(row)[0]] != row[names_of(row)[1]]


def names_of(row):
    return [name for name in row if "chosen" in name or "rejected" in name]


def chat_pairs():
    turns = conversations.map(
        lambda many: [{**(one.extra or {}), "role": one.role, "content": one.content} for one in many]
    )
    return st.fixed_dictionaries({"prompt": turns, "chosen": turns, "rejected": turns})


FILES = {
    Shape.TRL_PREFERENCE: (plain("prompt", "chosen", "rejected") | chat_pairs()).filter(different),
    Shape.QUESTION_RESPONSE: plain("question", "response_chosen", "response_rejected").filter(different),
    Shape.TRL_UNPAIRED: st.builds(
        lambda row, label: {**row, "label": label}, plain("prompt", "completion"), st.booleans()
    ),
    Shape.TRL_PROMPT_COMPLETION: plain("prompt", "completion"),
    Shape.NEMO_RANKING: st.builds(
        lambda context, many: {
            "context": context,
            "completions": [{"rank": r, "completion": c} for c, r in many.items()],
        },
        TEXT,
        st.dictionaries(TEXT, st.integers(-3, 3), min_size=2, max_size=4),
    ),
}


@pytest.mark.parametrize("shape", FILES)
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_what_comes_in_goes_out_and_comes_in_equal(tmp_path_factory, shape, data):
    """Reader, shape, container, reader: the same records, any text, in every container that can hold them."""
    there = [
        found for row in data.draw(st.lists(FILES[shape], min_size=1, max_size=3)) for found in one(SAME[shape], row)
    ]
    again(tmp_path_factory.mktemp("trip"), shape, there, [shaped(found, shape) for found in there])


def again(folder, shape, there, out):
    for container in (".jsonl", ".json", ".csv"):
        packed = shape is Shape.PLAUDIT
        if container == ".csv" and not packed and any(isinstance(cell, list) for row in out for cell in row.values()):
            with pytest.raises(RecordError, match="CSV holds no"):
                write(out, folder / "x.csv", packed=False)
            continue
        assert write(out, folder / f"x{container}", packed=packed) == len(out)
        back = [found for row in read(folder / f"x{container}") for found in one(SAME[shape], row.data)]
        assert back == there


@st.composite
def judgements(draw):
    judge, one, two = Judge("made-up", draw(TEXT)), draw(texts), draw(texts)
    made = [
        judge.compares(one, two, draw(st.sampled_from(Choice)), strength=draw(st.none() | st.floats(0.01, 1))),
        judge.rates(one, draw(st.none() | st.integers(0, 6)), 7, aspect=draw(st.none() | st.just("coherence"))),
        judge.ranks((one, two, one), draw(st.lists(st.integers(), min_size=3, max_size=3))),
        judge.notes((one, two), [Note(draw(TEXT), 0, 2, draw(TEXT))]),
        Judgement((TextSegment(one.prompt, one.completion, "demonstration"),)),
    ]
    return draw(st.lists(st.sampled_from(made), min_size=1, max_size=5))


@settings(deadline=None, max_examples=40)
@given(made=judgements())
def test_plaudits_own_rows_leave_nothing_out(tmp_path_factory, made):
    again(tmp_path_factory.mktemp("own"), Shape.PLAUDIT, made, [shaped(found, Shape.PLAUDIT) for found in made])


@pytest.mark.parametrize("container", [".jsonl", ".csv"])
def test_a_store_that_is_exported_and_imported_holds_equal_records(tmp_path, container):
    judge, odd = Judge("made-up", "ann"), TextSegment("a\r\nb", '\x00,"😀\u2028', "p")
    plain_, text = TextSegment("a\r\nb", "plain"), TextSegment((Message("user", "x", {"k": [1, None]}),), "y")
    filled(
        tmp_path / "first",
        [
            judge.compares(odd, plain_, Choice.TIE),
            judge.rates(odd, None, 5, aspect="tone"),
            judge.ranks((odd, plain_, text), (0, 1, 0)),
            judge.notes((odd,), [Note("why", 0, 1)]),
            Judgement((TextSegment("p", "shown", "demonstration"),)),
        ],
    )
    with open_store(tmp_path / "first") as store:
        export(store, Selection(Shape.PLAUDIT), tmp_path / f"out{container}")
    _, problems = brought(tmp_path / "second", Format.PLAUDIT, tmp_path / f"out{container}")
    assert not problems
    assert records(tmp_path / "second") == records(tmp_path / "first")


def mixed(directory):
    """Comparisons with a tie, a skip, an aspect, other prompts; a rating; in chat and plain."""
    judge = Judge("made-up", "ann")
    a, b, c = TextSegment("p", "a"), TextSegment("p", "b"), TextSegment("q", "c")
    chat = TextSegment("p", (Message("assistant", "d"),))
    made = [
        judge.compares(a, b, Choice.FIRST),
        judge.compares(a, b, Choice.TIE),
        judge.compares(b, a, Choice.SKIP),
        judge.compares(a, b, Choice.FIRST, aspect="tone"),
        judge.compares(a, c, Choice.FIRST),
        judge.compares(a, TextSegment("p", "a", "other"), Choice.FIRST),
        Judge("made-up", "bob").compares(a, chat, Choice.SECOND),
        judge.rates(a, 1, 2),
    ]
    filled(directory, made)


def test_what_has_no_row_is_counted_by_reason(tmp_path):
    mixed(tmp_path / "store")
    with open_store(tmp_path / "store") as store:
        manifest = export(store, Selection(Shape.TRL_PREFERENCE), tmp_path / "out.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert rows == [
        {"prompt": "p", "chosen": "a", "rejected": "b"},
        # plain against chat: both as conversations, as TRL asks for
        {"prompt": [{"role": "user", "content": "p"}], "chosen": said("d"), "rejected": said("a")},
    ]
    assert manifest.left_out == {
        "answers to different prompts": 1,
        "equal texts": 1,
        "no overall comparison": 2,
        "skip": 1,
        "tie": 1,
    }
    assert manifest.rows == 2


def test_retracted_answers_stay_inside(tmp_path):
    mixed(tmp_path / "store")
    with open_store(tmp_path / "store") as store:
        before = export(store, Selection(Shape.TRL_PREFERENCE), tmp_path / "before.jsonl")
        for _, answer in store.feedback():
            store.retract(answer.id, "withdrawn")
        assert export(store, Selection(Shape.TRL_PREFERENCE), tmp_path / "after.jsonl").rows == 0
        reproduce(store, before, tmp_path / "again")  # as of its own place in the log


def test_a_manifest_reproduces_its_file_after_the_log_has_grown(tmp_path):
    mixed(tmp_path / "store")
    with open_store(tmp_path / "store") as store:
        done = export(store, Selection(Shape.PLAUDIT), tmp_path / "out.jsonl")
        store.append_many(
            Judge("x").compares(TextSegment("p", "1"), TextSegment("p", "2"), Choice.FIRST).entries(store.blobs)
        )
        assert read_manifest(manifest_of(tmp_path / "out.jsonl")) == done
        again = reproduce(store, done, tmp_path / "again")
        assert again.read_bytes() == (tmp_path / "out.jsonl").read_bytes()
        later = export(store, Selection(Shape.PLAUDIT, after=done.upto), tmp_path / "later.jsonl")
        assert later.rows == 1
        part = export(store, Selection(Shape.PLAUDIT, upto=done.upto - 1), tmp_path / "part.jsonl")
        assert part.rows == done.rows - 1


def test_a_manifest_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    mixed(tmp_path / "store")
    path = tmp_path / "out" / "out.jsonl"
    with open_store(tmp_path / "store") as store:
        before = export(store, Selection(Shape.PLAUDIT, upto=6), path)
        flushed = []
        for kept in (0, 1):  # the disk fills up at the file, then at its manifest
            with monkeypatch.context() as patched:
                patched.setattr(os, "fsync", lambda _, kept=kept: refuse(flushed, kept))
                with pytest.raises(StoreError, match=r"could not be written.*no room"):
                    export(store, Selection(Shape.PLAUDIT), path)
            assert read_manifest(manifest_of(path)) == before
            flushed.clear()
        assert sorted(one.name for one in path.parent.iterdir()) == ["out.jsonl", "out.jsonl.manifest.json"]
        again = export(store, Selection(Shape.PLAUDIT, upto=6), path)
        assert again == read_manifest(manifest_of(path)) == before


def refuse(flushed, most):
    """Flush this often, files and folders, then have no room any more."""
    flushed.append(None)
    if len(flushed) > 2 * most:
        raise OSError("no room")


def test_a_changed_manifest_or_log_is_noticed(tmp_path):
    mixed(tmp_path / "store")
    brought(tmp_path / "other", Format.HH, put(tmp_path / "h.jsonl", [ROWS[Format.HH] | {"n": n} for n in range(3)]))
    with open_store(tmp_path / "store") as store:
        export(store, Selection(Shape.PLAUDIT, upto=4), tmp_path / "out.jsonl")
        path = manifest_of(tmp_path / "out.jsonl")
        fields = json.loads(path.read_text())
        path.write_text(json.dumps(fields | {"sha256": "0" * 64}))
        with pytest.raises(IntegrityError, match="comes out different"):
            reproduce(store, read_manifest(path), tmp_path / "again")
        path.write_text(json.dumps(fields | {"file": "../out.jsonl"}))
        with pytest.raises(ConfigError, match="cannot be exported"):
            reproduce(store, read_manifest(path), tmp_path / "again")
        path.write_text("{}")
        with pytest.raises(ConfigError, match="no manifest"):
            read_manifest(path)
    with open_store(tmp_path / "other") as store:
        path.write_text(json.dumps(fields))
        with pytest.raises(IntegrityError, match="not the one that was exported"):
            reproduce(store, read_manifest(path), tmp_path / "again")


def test_only_who_consented_is_exported(tmp_path):
    mixed(tmp_path / "store")
    with open_store(tmp_path / "store") as store:
        store.append_many([consent.given("made-up/ann", "v1"), consent.given("made-up/bob", "v2")])
        before = store.head()[0]
        chosen = Selection(Shape.TRL_PREFERENCE, consent=("v1",))
        done = export(store, chosen, tmp_path / "v1.jsonl")
        assert (done.rows, done.left_out["no consent"], done.consent) == (1, 1, ("v1",))
        both = export(store, Selection(Shape.TRL_PREFERENCE, consent=("v2", "v1")), tmp_path / "both.jsonl")
        assert (both.rows, both.consent) == (2, ("v1", "v2"))
        consent.withdraw(store, "made-up/ann")
        store.append_many([consent.given("made-up/ann", "v1")])  # an import that is repeated gives nothing back
        assert export(store, chosen, tmp_path / "late.jsonl").rows == 0
        assert consent.current(store, before) == {"made-up/ann": "v1", "made-up/bob": "v2"}
        store.append_many([consent.given("made-up/ann", "v3")])
        assert consent.current(store, store.head()[0])["made-up/ann"] == "v3"
        reproduce(store, done, tmp_path / "again")  # as of its own place in the log


def test_an_import_notes_consent_of_each_annotator_once(tmp_path):
    rows = [ROWS[Format.PANDALM], ROWS[Format.PANDALM] | {"instruction": "other"}]
    brought(tmp_path / "to", Format.PANDALM, put(tmp_path / "p.jsonl", rows), consented="apache-2.0")
    with open_store(tmp_path / "to") as store:
        given_ = [event.payload["annotator"] for event in store.events(kinds={"consent.given"})]
    assert sorted(given_) == [f"pandalm/annotator{n}" for n in (1, 2, 3)]


def test_what_cannot_be_exported_is_refused_in_words(tmp_path):
    mixed(tmp_path / "store")
    with open_store(tmp_path / "store") as store:
        with pytest.raises(ConfigError, match="ending"):
            export(store, Selection(Shape.PLAUDIT), tmp_path / "out.xml")
        for range_ in ({"upto": 10**6}, {"after": 5, "upto": 2}, {"after": -1}, {"upto": 0}):
            with pytest.raises(ConfigError, match="range"):
                export(store, Selection(Shape.PLAUDIT, **range_), tmp_path / "out.jsonl")
        (tmp_path / "folder.jsonl").mkdir()
        with pytest.raises(StoreError, match="could not be written"):
            export(store, Selection(Shape.PLAUDIT), tmp_path / "folder.jsonl")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".tmp")] == []
    with make_store(tmp_path / "control") as store, pytest.raises(StoreError, match="no text"):
        export(store, Selection(Shape.PLAUDIT), tmp_path / "control.jsonl")


def test_rows_of_plaudits_own_that_were_tampered_with_are_bad_rows(tmp_path):
    mixed(tmp_path / "store")
    with open_store(tmp_path / "store") as store:
        export(store, Selection(Shape.PLAUDIT, upto=6), tmp_path / "out.jsonl")
    row = json.loads((tmp_path / "out.jsonl").read_text().splitlines()[0])
    bad = [json.loads(json.dumps(row)) for _ in range(5)]
    bad[0]["texts"][0]["completion"] = "changed"
    bad[1]["feedback"]["kind"] = "praise"
    bad[2]["feedback"]["query"] = "qry_other"
    bad[3]["annotator"]["id"] = "eve"
    del bad[4]["query"]
    (done,), problems = brought(tmp_path / "to", Format.PLAUDIT, put(tmp_path / "bad.jsonl", [*bad, row]))
    assert (done.bad, done.judgements) == (5, 1)
    words = ["not the hash", "not known", "belong together", "somebody else", "`query`"]
    assert all(word in problem.why for word, problem in zip(words, problems, strict=True))


def test_the_verb_exports_and_compares(tmp_path, capsys):
    rows = [{"prompt": CHAT, "chosen": said("是"), "rejected": said("不")}]
    brought(tmp_path / "store", Format.TRL_PREFERENCE, put(tmp_path / "in.jsonl", rows))
    file = tmp_path / "out.json"
    assert main(["export", str(tmp_path / "store"), "--format", "trl-preference", "--to", str(file)]) == 0
    assert json.loads(file.read_text(encoding="utf-8")) == rows
    assert main(["export", str(tmp_path / "store"), "--manifest", str(manifest_of(file))]) == 0
    assert "bit for bit" in capsys.readouterr().out
    assert main(["export", str(tmp_path / "store")]) == 2
    assert "--to FILE or --manifest FILE" in capsys.readouterr().err
