"""Leases of questions and jobs: nobody gets what another holds, and nothing is done or answered twice."""

import threading
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from plaudit.records import Choice
from plaudit.store.store import Store
from tests.store_examples import RUN, add_segments, answer, question


@pytest.fixture
def store(places):
    with Store.create(**places(), run=RUN) as made:
        yield made


@pytest.fixture
def asked(store):
    """Three questions, oldest first."""
    segments = add_segments(store, 2)
    questions = [question(i, *segments) for i in range(3)]
    store.add_queries(questions)
    return questions


def at_once(count, work):
    """Results of `work(i)` in as many threads."""
    results = [None] * count

    def one(i):
        results[i] = work(i)

    threads = [threading.Thread(target=one, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


# leases


def test_each_question_goes_to_one_annotator(store, asked):
    assert [store.lease_query(name, 10, now=0) for name in "abc"] == asked
    assert store.lease_query("d", 10, now=9.9) is None


def test_a_lease_ends_at_its_time(store, asked):
    assert store.lease_query("a", 10, now=0) == asked[0]
    assert store.lease_query("b", 100, now=9.9) == asked[1]
    assert store.lease_query("c", 100, now=10) == asked[0]
    assert store.lease_query("a", 100, now=10) == asked[2]


def test_an_answered_question_is_never_leased_again(store, asked):
    assert store.lease_query("a", 10, now=0) == asked[0]
    store.add_feedback([answer(asked[0], "a"), answer(asked[1], "b", Choice.SKIP)])
    assert store.lease_query("c", 10, now=1000) == asked[2]
    assert store.lease_query("c", 10, now=1000) is None
    assert store.unanswered() == [asked[2]]


def test_an_answer_counts_though_the_lease_is_over(store, asked):
    assert store.lease_query("a", 10, now=0) == asked[0]
    assert store.lease_query("b", 10, now=20) == asked[0]
    store.add_feedback([answer(asked[0], "a")])
    assert store.lease_query("c", 10, now=100) == asked[1]


def test_only_the_holder_gives_a_question_back(store, asked):
    assert store.lease_query("a", 10, now=0) == asked[0]
    store.release(asked[0].id, "b")
    assert store.lease_query("b", 10, now=0) == asked[1]
    store.release(asked[0].id, "a")
    store.release(asked[0].id, "a")
    assert store.lease_query("b", 10, now=0) == asked[0]


def test_leases_run_by_the_clock_when_no_time_is_given(store, asked):
    assert store.lease_query("a", -1) == asked[0]
    assert store.lease_query("b", 1000) == asked[0]
    assert store.lease_query("c", 1000) == asked[1]


def test_no_double_lease_between_threads_and_connections(store, asked):
    with Store.open(store.place) as other:
        got = at_once(6, lambda i: (store, other)[i % 2].lease_query(f"a{i}", 60, now=0))
    leased = [query.id for query in got if query is not None]
    assert sorted(leased) == sorted(query.id for query in asked)


# jobs


def test_jobs_are_claimed_once_oldest_first(store):
    for i in range(3):
        store.add_job("render", {"segment": i}, f"render/{i}")
    store.add_job("render", {"segment": "other"}, "render/0")
    store.add_job("export", {}, "export")
    with Store.open(store.place) as other:
        got = at_once(5, lambda i: (store, other)[i % 2].claim_job("render", f"w{i}", 60, now=0))
    assert sorted(job.payload["segment"] for job in got if job) == [0, 1, 2]
    job = store.claim_job("export", "w", 60)
    assert (job.kind, job.key, job.payload, job.done) == ("export", "export", {}, False)
    assert store.claim_job("export", "w", 60) is None


def test_a_job_whose_worker_vanished_goes_to_another(store):
    store.add_job("render", {}, "a")
    first = store.claim_job("render", "one", 10, now=0)
    assert store.claim_job("render", "two", 10, now=9) is None
    assert store.claim_job("render", "two", 10, now=10) == first


@pytest.mark.parametrize(
    ("end", "result", "error"),
    [({"result": {"blob": "b"}}, {"blob": "b"}, None), ({"error": "boom"}, None, "boom"), ({}, {}, None)],
)
def test_the_first_end_of_a_job_counts(store, end, result, error):
    assert store.job("a") is None
    store.add_job("render", {}, "a")
    assert not store.job("a").done
    job = store.claim_job("render", "one", 10, now=0)
    store.finish_job(job.id, **end)
    store.finish_job(job.id, result={"blob": "later"})
    store.finish_job(job.id, error="later")
    ended = store.job("a")
    assert (ended.done, ended.result, ended.error) == (True, result, error)
    assert store.claim_job("render", "two", 10, now=1000) is None
    store.add_job("render", {}, "a")
    assert store.job("a") == ended


def test_work_leaves_no_trace_in_the_log(store, asked):
    head = store.head()
    store.add_job("render", {}, "a")
    store.finish_job(store.claim_job("render", "one", 10).id, error="boom")
    store.lease_query("a", 10)
    assert store.head() == head
    assert store.verify().ok


# everything together


class Labelling(RuleBasedStateMachine):
    """Annotators ask for questions, answer them late or twice, vanish, and give them back."""

    people = st.sampled_from("abc")

    @staticmethod
    def place(folder):
        return {"place": folder / "store.sqlite"}

    def __init__(self):
        super().__init__()
        self.folder = TemporaryDirectory()
        self.store = Store.create(**self.place(Path(self.folder.name)), run=RUN)
        self.segments = add_segments(self.store, 2)
        self.now = 0.0
        self.asked = []
        self.answers = {}
        self.held = {}
        """query -> (annotator, until)"""

    def teardown(self):
        assert self.store.verify().problems == ()
        before = self.store.feedback(), self.store.queries()
        self.store.rebuild_projections()
        assert (self.store.feedback(), self.store.queries()) == before
        self.store.close()
        self.folder.cleanup()

    def free(self, query):
        answered = any(one.query == query.id for one in self.answers.values())
        return not answered and self.held.get(query.id, ("", 0.0))[1] <= self.now

    @rule()
    def ask(self):
        query = question(len(self.asked), *self.segments)
        self.store.add_queries([query])
        self.asked.append(query)

    @rule(person=people, seconds=st.integers(1, 10))
    def lease(self, person, seconds):
        got = self.store.lease_query(person, seconds, now=self.now)
        assert got == next((query for query in self.asked if self.free(query)), None)
        if got is not None:
            self.held[got.id] = (person, self.now + seconds)

    @rule(seconds=st.integers(1, 8))
    def expire(self, seconds):
        self.now += seconds

    @precondition(lambda self: self.held)
    @rule(data=st.data(), choice=st.sampled_from(Choice))
    def submit(self, data, choice):
        query_id = data.draw(st.sampled_from(sorted(self.held)))
        person = self.held[query_id][0]
        new = answer(self.store.query(query_id), person, choice)
        old = self.answers.get(new.id)
        if old is None or old == new:
            self.store.add_feedback([new])
            self.answers[new.id] = new

    @precondition(lambda self: self.answers)
    @rule(data=st.data())
    def submit_twice(self, data):
        again = self.answers[data.draw(st.sampled_from(sorted(self.answers)))]
        head = self.store.head()
        self.store.add_feedback([again])
        assert self.store.head() == head

    @precondition(lambda self: self.held)
    @rule(data=st.data(), person=people)
    def release(self, data, person):
        query_id = data.draw(st.sampled_from(sorted(self.held)))
        self.store.release(query_id, person)
        if self.held[query_id][0] == person:
            del self.held[query_id]

    @invariant()
    def feedback_is_there_exactly_once(self):
        assert sorted(one.id for _, one in self.store.feedback()) == sorted(self.answers)

    @invariant()
    def unanswered_are_those_without_answers(self):
        done = {one.query for one in self.answers.values()}
        assert self.store.unanswered() == [query for query in self.asked if query.id not in done]


SOME = settings(max_examples=12, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck))
TestLabelling = Labelling.TestCase
TestLabelling.settings = SOME


class LabellingInPostgres(Labelling):
    """The same, in the other database."""

    server = None

    def place(self, folder):
        return {"place": self.server.new_database(), "blobs": folder / "blobs"}


@pytest.mark.usefixtures("labelling_server")
class TestLabellingInPostgres(LabellingInPostgres.TestCase):
    settings = settings(SOME, max_examples=6)


@pytest.fixture
def labelling_server(postgres, monkeypatch):
    monkeypatch.setattr(LabellingInPostgres, "server", postgres)
