"""Studies of imported texts: which questions are asked, gold and repeats among them, and that the same again changes nothing."""

from collections import Counter
from pathlib import Path

import pytest

from plaudit.ask.service import ServiceConfig
from plaudit.ask.study import StudyConfig, begin, service_of
from plaudit.errors import ConfigError
from plaudit.quality.gold import read_gold
from plaudit.records import AnnotatorKind, AnnotatorProfile, Choice, Comparison, Query, QueryKind, TextSegment
from plaudit.store.store import Store


@pytest.fixture
def store(tmp_path: Path):
    with Store.create(tmp_path / "store.sqlite", {"format": 1, "purpose": "import"}) as store:
        for prompt in range(30):
            store.add_segments([TextSegment(f"prompt {prompt}", f"answer {prompt}/{k}") for k in range(2 + prompt % 3)])
        yield store


def label(store: Store, annotators: int = 4) -> None:
    """Comparisons that several annotators agree on."""
    texts = [TextSegment(f"prompt {n}", f"answer {n}/{k}").id for n in range(12) for k in (0, 1)]
    asked = [Query(QueryKind.COMPARISON, (texts[2 * i], texts[2 * i + 1]), (0, 1), 0, i, "imported") for i in range(12)]
    store.add_queries(asked)
    for who in range(annotators):
        store.add_annotator(AnnotatorProfile(f"ann-{who}", AnnotatorKind.PERSON))
        store.add_feedback(
            [
                Comparison(id=f"{one.id}/{who}", query=one.id, annotator=f"ann-{who}", choice=_right(i))
                for i, one in enumerate(asked)
            ]
        )


def _right(index: int) -> Choice:
    return (Choice.FIRST, Choice.SECOND)[index % 2]


MIX = {"comparison": 3.0, "rating": 1.0, "ranking": 1.0, "correction": 1.0, "critique": 1.0, "demonstration": 1.0, "flag": 1.0}  # fmt: skip


def test_questions_of_every_kind_are_asked_once(store: Store) -> None:
    config = StudyConfig(questions=60, mix=MIX, constraint="privacy", aspect="clarity", levels=7)
    asked = begin(store, config)
    assert asked == store.queries() == begin(store, config) + asked
    kinds = Counter(query.kind for query in asked)
    assert set(kinds) == {QueryKind(name) for name in MIX}
    assert kinds[QueryKind.COMPARISON] > 10
    assert sorted(query.index for query in asked) == list(range(60))
    for query in asked:
        texts = store.texts(query.segments)
        assert len({text.prompt for text in texts.values()}) == 1
        assert query.aspect == (None if query.kind is QueryKind.FLAG else "clarity")
        assert query.levels == (7 if query.kind is QueryKind.RATING else None)
    assert {len(query.segments) for query in asked if query.kind is QueryKind.RANKING} >= {2, 3}


def test_prompts_are_all_asked_about_before_any_comes_again(store: Store) -> None:
    asked = begin(store, StudyConfig(questions=45))
    prompts = [next(iter(store.texts(query.segments).values())).prompt for query in asked]
    assert len(set(prompts[:30])) == 30
    assert set(Counter(prompts).values()) == {1, 2}


def test_gold_is_what_annotators_agreed_on_and_repeats_come_from_the_study(store: Store) -> None:
    label(store)
    asked = begin(store, StudyConfig(questions=40, gold_share=0.2, repeat_share=0.1))
    gold = read_gold(store)
    assert (len(asked), len(gold)) == (40, 8)
    before = {query.segments: query for query in store.queries()[:12]}
    for query in asked:
        if query.id in gold:
            index = before[query.segments].index
            assert gold[query.id] is _right(index)
    again = [
        one for one, count in Counter(query.segments for query in asked if query.id not in gold).items() if count > 1
    ]
    assert len(again) == 4


def test_another_study_goes_on_with_other_questions_and_its_own_service(store: Store) -> None:
    first = begin(store, StudyConfig(questions=10))
    service = ServiceConfig(instruction="Which is kinder?", overlap=3)
    second = begin(store, StudyConfig(questions=10, service=service))
    assert {query.id for query in first}.isdisjoint(query.id for query in second)
    assert service_of(store) == service


def test_service_of_a_run_is_what_its_file_says(tmp_path: Path) -> None:
    ask = {"instruction": "Up is good.", "overlap": 2, "labels": 50, "gold_test": {"good": 0.8}}
    with Store.create(tmp_path / "run.sqlite", {"format": 1, "config": {"seed": 7, "ask": ask}}) as store:
        found = service_of(store)
    assert (found.instruction, found.overlap, found.gold_test.good, found.seed) == ("Up is good.", 2, 0.8, 7)


@pytest.mark.parametrize(
    "settings",
    [
        {"questions": 0},
        {"mix": {"steps": 1.0}},
        {"mix": {"flag": 1.0}},
        {"constraint": "privacy"},
        {"gold_share": 0.6, "repeat_share": 0.5},
    ],
)
def test_settings_that_do_not_fit(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        StudyConfig(**settings)  # type: ignore[arg-type]  # a test's shorthand


def test_too_few_texts_are_a_clear_error(tmp_path: Path) -> None:
    with Store.create(tmp_path / "few.sqlite", {"format": 1}) as store:
        store.add_segments([TextSegment("a prompt", "its only answer")])
        with pytest.raises(ConfigError, match=r"No prompt has enough completions for a comparison.*plaudit import"):
            begin(store, StudyConfig())
        assert store.queries() == []
