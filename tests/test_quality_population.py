"""Weights to a target population, splits that leave out people and questions at once, and rewards per group."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.check.people import Fitter, by_group, group_section, left_out, left_out_section
from plaudit.errors import ConfigError, LearningError
from plaudit.ops.aggregate import Combine, combine
from plaudit.quality import table as tables
from plaudit.quality import words
from plaudit.quality.audit import AuditConfig, audit
from plaudit.quality.gold import SequentialConfig
from plaudit.quality.page import render
from plaudit.quality.population import Population, Weighting, answer_weights, weigh
from plaudit.quality.splits import leave_out, parts
from plaudit.records import AnnotatorKind, AnnotatorProfile, Choice, Comparison, QueryKind
from plaudit.reward.config import RewardConfig
from plaudit.run.config import from_table, load
from plaudit.stats.clustered import ClusteredMean
from plaudit.stats.undefined import Undefined
from tests.quality_examples import Person, crowd_store
from tests.reward_examples import ACTIONS, Library

PEOPLE = [Person(f"n{i}") for i in range(6)] + [Person("s0"), Person("s1", mode="random")]
REGIONS = {one.name: {"region": "north" if one.name[0] == "n" else "south"} for one in PEOPLE}


def population(**more):
    usual = {"margins": {"region": {"north": 0.5, "south": 0.5}}, "annotators": REGIONS, "least": 2}
    return Population(**{**usual, **more})


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    with crowd_store(tmp_path_factory.mktemp("crowd"), PEOPLE) as store:
        yield store, tables.read(store)


def test_weights_by_hand(crowd):
    _, material = crowd
    found = weigh(material, tables.comparisons(material), population())
    assert isinstance(found, Weighting)
    # six at 2/3 and two at 2 have half each; (8)^2 / (6 * 4/9 + 2 * 4) = 6
    assert found.weights == pytest.approx([2 / 3] * 6 + [2.0] * 2)
    assert found.effective == pytest.approx(6)
    assert found.effect == pytest.approx(8 / 6)
    assert found.effective_answers == pytest.approx(80 * 6)  # everybody answered all 80 questions
    north, south = found.margins
    assert (north.meant, south.meant) == (4, 4)
    assert (north.annotators, north.target, north.plain, north.weighted) == pytest.approx((6, 0.5, 0.75, 0.5))
    assert isinstance(north.agreement, ClusteredMean)
    assert isinstance(south.agreement, ClusteredMean)
    assert north.agreement.interval.value > south.agreement.interval.value + 0.1
    assert isinstance(found.agreement, ClusteredMean)
    assert isinstance(found.plain_agreement, ClusteredMean)
    # the weights give the one who answers at random twice the say
    assert found.agreement.interval.value < found.plain_agreement.interval.value - 0.02
    assert found.agreement.effect > 3


def test_agreement_with_the_weighted_majority_is_that_of_a_slow_twin(crowd):
    _, material = crowd
    table = tables.comparisons(material)
    found = weigh(material, table, population())
    assert isinstance(found, Weighting)
    given = list(
        zip(table.labels.item.tolist(), table.labels.annotator.tolist(), table.labels.label.tolist(), strict=True)
    )
    agrees = []
    for item, who, says in given:
        votes = Counter()
        for other in set(range(len(PEOPLE))) - {who}:
            theirs = [label for i, name, label in given if (i, name) == (item, other)]
            for label in theirs:
                votes[label] += found.weights[other] / len(theirs)
        (best, most), *rest = votes.most_common()
        if not rest or most > rest[0][1] + 1e-12:
            agrees.append((says == best, found.weights[who]))
    right, weight = np.array(agrees).T
    assert isinstance(found.agreement, ClusteredMean)
    assert len(agrees) > 600
    assert found.agreement.interval.value == pytest.approx(right @ weight / weight.sum())


def test_small_groups_of_people_are_not_reported(crowd):
    _, material = crowd
    found = weigh(material, tables.comparisons(material), population(least=5))
    assert isinstance(found, Weighting)
    assert isinstance(found.margins[0].agreement, ClusteredMean)
    assert found.margins[1].agreement == Undefined("fewer than 5 people")
    assert set(population(least=5).groups(material, "region").values()) == {"north"}


def test_profiles_give_traits_clusters_and_design_weights(crowd):
    _, material = crowd
    profiles = {
        one.name: AnnotatorProfile(
            one.name, AnnotatorKind.PERSON, traits=REGIONS[one.name], cluster="home" if one.name < "n3" else None,
            weight=3.0 if one.name == "n0" else None,
        )
        for one in PEOPLE
    }  # fmt: skip
    known = tables.Material(material.queries, material.feedback, profiles, {})
    found = weigh(known, tables.comparisons(known), population(annotators={}))
    assert isinstance(found, Weighting)
    assert found.weights[0] == pytest.approx(3 * found.weights[1])
    assert isinstance(found.agreement, ClusteredMean)
    assert found.agreement.clusters == 6  # three of eight came from one home


def test_who_is_not_there_is_said_and_nobody_known_is_undefined(crowd):
    _, material = crowd
    table = tables.comparisons(material)
    far = Population(margins={"region": {"north": 0.4, "south": 0.4, "east": 0.2}}, annotators=REGIONS)
    found = weigh(material, table, far)
    assert isinstance(found, Weighting)
    assert found.unreached == ("region east",)
    assert found.weights == pytest.approx([2 / 3] * 6 + [2.0] * 2)
    nobody = weigh(material, table, Population(margins={"age": {"old": 1.0}}))
    assert isinstance(nobody, Undefined)
    assert "no annotator has a trait" in words.population(nobody)[0].note


def test_the_page_shows_the_population(crowd):
    store, _ = crowd
    found = audit(store, AuditConfig(population=population(), resamples=20, draws=5))
    assert words.population(found.weighting)[0].title == "Who answered, beside the population"
    page = render(found, title="crowd", gold=SequentialConfig())
    assert "design effect 1.33, 8 annotators count as 6.0" in page
    assert "Agreement with the weighted majority of others" in page
    plain = audit(store, AuditConfig(resamples=20, draws=5))
    assert words.population(plain.weighting) == []
    assert "population" not in render(plain, title="crowd", gold=SequentialConfig())


def test_population_files_are_read_and_checked(tmp_path):
    file = tmp_path / "population.toml"
    file.write_text('combine = "nash"\n[margins.region]\nnorth = 1\nsouth = 0\n[annotators.ann]\nregion = "north"\n')
    found = load(Population, file)
    assert found.combine is Combine.NASH
    assert found.annotators == {"ann": {"region": "north"}}
    for wrong in (
        {"margins": {}},
        {"margins": {"region": {"north": 0.6, "south": 0.6}}},
        {"margins": {"region": {"north": 1.0}}, "smallest": 2.0},
        {"margins": {"region": {"north": 1.0}}, "combine": "sum"},
    ):
        with pytest.raises(ConfigError):
            from_table(Population, wrong)


def test_combinations_by_hand():
    groups, shares = np.array([[0.0, 1.0, 3.0], [4.0, 2.0, 0.5]]), np.array([3.0, 1.0])
    floor = np.zeros(2)
    assert combine(groups, shares, Combine.MEAN, floor=floor) == pytest.approx([1.0, 1.25, 2.375])
    assert combine(groups, shares, Combine.WORST, floor=floor).tolist() == [0.0, 1.0, 0.5]
    nash = combine(groups, shares, Combine.NASH, floor=floor)
    assert nash[1:] == pytest.approx([0.25 * np.log(2), 0.75 * np.log(3) + 0.25 * np.log(0.5)])
    assert nash[0] < -5  # nothing for one group is nearly worst of all
    # Nash's order does not depend on the scale of one group, the mean's does
    scaled = groups * np.array([[1.0], [9.0]])
    assert np.argsort(combine(scaled, shares, Combine.NASH, floor=floor)).tolist() == np.argsort(nash).tolist()
    assert (
        combine(scaled, shares, Combine.MEAN, floor=floor).argmax()
        != combine(groups, shares, Combine.MEAN, floor=floor).argmax()
    )
    # a group without a share is not asked
    assert combine(groups, np.array([1.0, 0.0]), Combine.WORST, floor=floor).tolist() == [0.0, 1.0, 3.0]
    with pytest.raises(ValueError, match="shares"):
        combine(groups, np.zeros(2), Combine.MEAN, floor=floor)


TASTES = {"a": 1.0, "b": 1.0, "c": -1.0, "d": -1.0}
GROUPS = {"a": "north", "b": "north", "c": "south", "d": "south"}


def opposed(seed=0, segments=40, questions=150):
    """Everybody likes the first entry of what is seen; of the second, half like more of it and half less."""
    library, rng = Library(), np.random.default_rng(seed)
    names = [library.draw(rng, 6) for _ in range(segments)]
    seen = {name: library.data[library.found[name].blob].observations.mean(axis=0) for name in names}
    answers = []
    for _ in range(questions):
        first, second = rng.choice(segments, 2, replace=False)
        query = library.ask(QueryKind.COMPARISON, names[first], names[second])
        for who in rng.choice(list(TASTES), 2, replace=False):
            worth = [seen[names[i]][0] * 0.5 + TASTES[who] * seen[names[i]][1] for i in (first, second)]
            choice = Choice.FIRST if worth[0] > worth[1] else Choice.SECOND
            answers.append(Comparison(id=f"{query}{who}", query=query, annotator=str(who), choice=choice))
    return library, answers


@pytest.fixture(scope="module")
def fitter():
    library, answers = opposed()
    config = RewardConfig(members=2, hidden=(16,), steps=60)
    return Fitter(answers, library, config=config, actions=ACTIONS, seed=1, folds=2)


def test_splits_have_nobody_and_no_question_on_both_sides():
    library, answers = opposed(questions=40)
    queries = {one.id: one for one in library.queries()}
    part = parts(answers, queries, folds=3, seed=0)
    assert set(np.bincount([part[i] for i in range(0, 80, 2)]).tolist()) <= {13, 14}
    splits = leave_out(answers, part, GROUPS)
    assert len(splits) == 6
    for split in splits:
        fitted = [answers[row] for row in split.fitted]
        held = [answers[row] for row in (*split.left_out, *split.others)]
        assert not {one.query for one in fitted} & {one.query for one in held}
        assert {GROUPS[answers[row].annotator] for row in split.left_out} == {split.group}
        assert split.group not in {GROUPS[one.annotator] for one in fitted}
    left = np.concatenate([split.left_out for split in splits])
    assert sorted(left.tolist()) == list(range(80))
    with pytest.raises(ConfigError, match="too few"):
        parts(answers[:2], queries, folds=3, seed=0)


def test_the_same_question_asked_again_is_in_the_same_part():
    library, answers = opposed(questions=20)
    first = library.queries()[0]
    again = library.ask(QueryKind.COMPARISON, *reversed(first.segments))
    answers.append(Comparison(id="again", query=again, annotator="a", choice=Choice.FIRST))
    part = parts(answers, {one.id: one for one in library.queries()}, folds=3, seed=0)
    assert part[-1] == part[0]


def test_leaving_a_stratum_out_shows_that_it_wants_something_else(fitter):
    north, south, everybody = left_out(fitter, GROUPS)
    assert (north.group, south.group, everybody.group) == ("north", "south", "all")
    for one in (north, south):
        assert isinstance(one.accuracy, ClusteredMean)
        assert isinstance(one.others, ClusteredMean)
        assert one.accuracy.interval.value < 0.5  # opposite tastes weigh more than the common one
        assert one.others.interval.value > 0.75
    assert everybody.answers == len(fitter.answers) == north.answers + south.answers
    section = left_out_section("region", [north, south, everybody])
    assert [row[0] for row in section.rows] == ["north", "south", "all"]
    assert all("%" in cell for row in section.rows for cell in row[2:])


def test_leaving_annotators_out_is_harmless_where_others_share_their_taste(fitter):
    found = {one.group: one for one in left_out(fitter, {name: name for name in TASTES})}
    assert set(found) == {*TASTES, "all"}
    assert isinstance(found["all"].accuracy, ClusteredMean)
    assert found["all"].accuracy.clusters == 4


@pytest.mark.parametrize("how", list(Combine))
def test_groups_have_rewards_of_their_own(fitter, how):
    found = by_group(fitter, GROUPS, {"north": 0.5, "south": 0.5}, how)
    assert [one.group for one in found] == ["north", "south"]
    for one in found:
        assert isinstance(one.own, ClusteredMean)
        assert isinstance(one.pooled, ClusteredMean)
        assert isinstance(one.combined, ClusteredMean)
        assert one.own.interval.value > one.pooled.interval.value + 0.1
        assert 0.5 < one.combined.interval.value < one.own.interval.value
    assert f"combined ({how.value})" in group_section("region", found, how).columns


def test_how_groups_are_combined_decides_what_they_get(fitter):
    uneven = {"north": 0.9, "south": 0.1}
    by_mean, by_worst = (by_group(fitter, GROUPS, uneven, how) for how in (Combine.MEAN, Combine.WORST))
    assert by_mean[0].gets_combined > 1 > by_mean[1].gets_combined
    assert by_worst[1].gets_combined > by_mean[1].gets_combined + 0.3
    assert min(one.gets_combined for one in by_worst) > min(one.gets_combined for one in by_mean)
    assert [one.gets_pooled for one in by_mean] == [one.gets_pooled for one in by_worst]
    assert by_group(fitter, GROUPS, {"east": 1.0}, Combine.MEAN) == []


def test_a_group_with_the_whole_share_decides_the_mean(fitter):
    north, south = by_group(fitter, GROUPS, {"north": 1.0, "south": 0.0}, Combine.MEAN)
    assert north.combined == north.own
    assert isinstance(south.combined, ClusteredMean)
    assert south.combined.interval.value < 0.5


def test_answers_that_decide_nothing_cannot_be_fitted():
    library, answers = opposed(questions=3)
    ties = [Comparison(id=one.id, query=one.query, annotator="a", choice=Choice.TIE) for one in answers]
    with pytest.raises(LearningError, match="no decided comparisons"):
        Fitter(ties, library, config=RewardConfig(), actions=ACTIONS, seed=0)


def answered(counts):
    """So many answers by each annotator, and everybody's profile."""
    profiles = {name: AnnotatorProfile(name, AnnotatorKind.PERSON, traits={"region": name[0]}) for name in counts}
    answers = [
        Comparison(id=f"{name}{i}", query=f"q{i}", annotator=name, choice=Choice.FIRST)
        for name, count in counts.items()
        for i in range(count)
    ]
    return answers, profiles


def test_weights_of_answers_by_hand():
    answers, profiles = answered({"n0": 5, "n1": 1, "s0": 2})
    found = answer_weights(answers, profiles, Population({"region": {"n": 0.5, "s": 0.5}}))
    # eight answers, of which each group is to have four: n's count 4 / 6 each, however many each of them gave, and s's 4 / 2
    assert found == pytest.approx({"n0": 2 / 3, "n1": 2 / 3, "s0": 2.0})
    assert answer_weights(answers, {}, Population({"region": {"n": 0.5, "s": 0.5}})) == {}
    elsewhere = Population({"region": {"n": 0.5, "s": 0.5}}, annotators={"n1": {"region": "s"}})
    assert answer_weights(answers, profiles, elsewhere) == pytest.approx({"n0": 4 / 5, "n1": 4 / 3, "s0": 4 / 3})
    assert elsewhere.told(profiles)["n1"].traits == {"region": "s"}


@given(
    counts=st.dictionaries(st.sampled_from(["a0", "a1", "b0", "b1", "c0"]), st.integers(1, 30), min_size=1),
    share=st.floats(0.1, 0.8),
)
def test_answers_are_weighted_to_the_shares_of_groups(counts, share):
    answers, profiles = answered(counts)
    wanted = Population({"region": {"a": share, "b": 0.9 - share, "c": 0.1}}, smallest=0.0, largest=1e6)
    found = answer_weights(answers, profiles, wanted)
    each = np.array([found[one.annotator] for one in answers])
    groups = np.array([one.annotator[0] for one in answers])
    there = {group: wanted.margins["region"][group] for group in set(groups)}
    assert each.mean() == pytest.approx(1)
    for group, target in there.items():
        assert each[groups == group].sum() / each.sum() == pytest.approx(target / sum(there.values()), abs=1e-6)
