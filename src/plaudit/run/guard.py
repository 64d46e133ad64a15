"""A monitor that has the policy judged while it trains, and stops a run that fools itself.

Every so many updates, pairs of fresh behaviour, one of the policy as it is and one of the best checkpoint so far, go to somebody
who does not know which is which: people, a panel that the learner is not paid by, or a gold function. A test that may be looked at
after every answer (`plaudit.stats.sequential`) raises the alarm when the newest policies are judged worse than the best one; then
the best one is put back, or the run just stops. Nothing is concluded from KL, entropy or the proxy alone: they are recorded
beside what was judged, since they move just as much in runs where all is well.

guard = Guard(GuardConfig(every=10), audited)
learner.improve(steps, seed, guard)          # or, after each update, guard.report(1, metrics)
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from plaudit.records.codec import Json, from_json, to_json
from plaudit.run.guard_config import GuardConfig, OnAlarm
from plaudit.run.monitor import Monitor, Signal, Unwatched
from plaudit.stats.intervals import Interval
from plaudit.stats.overoptimisation import Fit, Form, fit
from plaudit.stats.sequential import Gambler, corrected, surely_better

PROXY, KL, GOLD = "proxy", "kl", "gold"
"""names of measures that the guard records and draws: what the learner is paid, nats from the start, the true reward if there is one"""


class Audited(Protocol):
    """What a guard needs of a learner and of those who judge."""

    def judge(self, check: int, first: int, count: int) -> Sequence[bool | None]:
        """Of pairs `first` .. `first + count` of a check, whether the policy's behaviour was judged better than the best checkpoint's.

        None: a tie, or no answer. `check` numbers the checks, from 1; what is drawn depends on check and pair, not on earlier calls.
        """
        ...

    def measures(self) -> Mapping[str, float]:
        """Figures about the policy as it is: `proxy`, `kl`, `gold` where there are such."""
        ...

    def keep(self) -> None:
        """Take the policy as it is for the best."""
        ...

    def restore(self) -> None:
        """Put the best policy back."""
        ...


class Ending(enum.Enum):
    """Why a guard ended a run."""

    ALARM = "alarm"
    """the newest policies are judged worse than the best checkpoint"""
    SPENT = "spent"
    """no pairs are left to judge"""


@dataclass(frozen=True, slots=True)
class Check:
    """One look at the policy."""

    number: int
    updates: int
    """done when it was looked at"""
    won: tuple[bool, ...]
    """answer by answer, whether the policy was judged better than the best checkpoint"""
    asked: int
    """pairs, ties and missing answers among them"""
    log_wealth: float
    """evidence of the whole run so far; the alarm is raised from the test's threshold on"""
    kept: bool
    """whether it became the best checkpoint"""
    quality: float
    """judged so far: logits of corrected shares of wins, added up from the start over the best checkpoints"""
    measures: dict[str, float]

    @property
    def wins(self) -> int:
        """Answers for the policy."""
        return sum(self.won)

    @property
    def losses(self) -> int:
        """Answers for the best checkpoint."""
        return len(self.won) - self.wins


class Guard:
    """A monitor of one training. The policy as it is when the guard is made is the first best checkpoint.

    Args:
        config: settings.
        audited: the learner's side, and who judges.
        inner: is told everything too; when it does not say go, its word counts.

    Attributes:
        checks: so far.
        start: measures of the policy that training began with.
        ending: why the run was ended; None while it goes on.
        updates: done so far.
    """

    def __init__(self, config: GuardConfig, audited: Audited, *, inner: Monitor | None = None) -> None:
        self.config, self._audited = config, audited
        self._inner = Unwatched() if inner is None else inner
        self.checks: list[Check] = []
        self.ending: Ending | None = None
        self.updates = 0
        self._base = 0.0  # judged quality of the best checkpoint
        self._gambler = Gambler(config.test)
        audited.keep()
        self.start = self._measured()

    def report(self, step: int, metrics: Mapping[str, float]) -> Signal:
        """Count updates; look at the policy where a check is due."""
        signal = self._inner.report(step, metrics)
        if signal is not Signal.GO:
            return signal
        if self.ending is None:
            self.updates += step
            if self.updates >= self._due:
                self._check()
        return self.signal

    @property
    def signal(self) -> Signal:
        """What the learner is told now."""
        match self.ending:
            case None:
                return Signal.GO
            case Ending.ALARM if self.config.on_alarm is OnAlarm.ROLL_BACK:
                return Signal.ROLL_BACK
            case Ending.ALARM | Ending.SPENT:
                return Signal.STOP

    @property
    def best(self) -> int:
        """Updates behind the best checkpoint."""
        return max((one.updates for one in self.checks if one.kept), default=0)

    @property
    def proxy_up(self) -> bool | None:
        """Whether the policy of the newest check is paid more than the best checkpoint; None where nobody measured."""
        kept = next((one.measures for one in reversed(self.checks) if one.kept), self.start)
        if not self.checks or not {PROXY} <= kept.keys() & self.checks[-1].measures.keys():
            return None
        return self.checks[-1].measures[PROXY] > kept[PROXY]

    @property
    def _due(self) -> int:
        """Updates at which the next check is due."""
        if not self.checks:
            return self.config.every
        newest = self.checks[-1]
        return newest.updates + (self.config.again if newest.wins < newest.losses else self.config.every)

    def _check(self) -> None:
        config, number = self.config, len(self.checks) + 1
        answers = list[bool]()
        asked, alarm, kept = 0, False, False
        while asked < config.pairs and not alarm:
            count = min(config.batch, config.pairs - asked)
            said = self._audited.judge(number, asked, count)
            answers += self._told([one for one in said if one is not None])
            asked += count
            alarm = self._gambler.wealth >= config.test.threshold
            if 2 * sum(answers) > len(answers):  # nothing to fear; whether it is the best, the next check may tell
                kept = not alarm and self._surely(answers)
                break
        wealth = float(self._gambler.wealth)
        quality = self._base + _logit(sum(answers), len(answers) - sum(answers), config.answers)
        measures = self._measured()
        self.checks.append(
            Check(number, self.updates, tuple(answers), asked, wealth, kept, quality, measures)
        )  # fmt: skip
        if kept:
            self._audited.keep()
            self._base = quality
        if alarm:
            self.ending = Ending.ALARM
            if config.on_alarm is OnAlarm.ROLL_BACK:
                self._audited.restore()
        elif sum(one.asked for one in self.checks) + config.pairs > config.budget:
            self.ending = Ending.SPENT

    def _told(self, answers: Sequence[bool]) -> Sequence[bool]:
        for one in answers:
            self._gambler.after(one)
        return answers

    def _surely(self, answers: Sequence[bool]) -> bool:
        """Whether policies since the best checkpoint are better than it, by these answers and all since it was kept."""
        since = [*answers]
        for check in reversed(self.checks):
            if check.kept:
                break
            since += check.won
        return surely_better(sum(since), len(since) - sum(since)) >= self.config.sure

    def _measured(self) -> dict[str, float]:
        return {name: float(value) for name, value in self._audited.measures().items() if math.isfinite(value)}

    def metrics(self) -> dict[str, float]:
        """`guard/...` of the newest check; nothing before the first."""
        if not self.checks:
            return {}
        newest = self.checks[-1]
        share = corrected(newest.wins, newest.losses, self.config.answers)
        return {
            "guard/win_share": share.value,
            "guard/win_share_low": share.low,
            "guard/win_share_high": share.high,
            "guard/log_wealth": newest.log_wealth,
            "guard/quality": newest.quality,
            "guard/pairs": float(sum(one.asked for one in self.checks)),
            "guard/best": float(self.best),
            "guard/ended": float(self.ending is not None),
        }

    def fits(self, form: Form = Form.RL) -> dict[str, Fit]:
        """Judged quality, the proxy and the true reward against sqrt(KL), fitted, where there are three checks with a KL."""
        rows = [one for one in self.checks if KL in one.measures]
        if len(rows) < 3:
            return {}
        distance = np.sqrt([max(one.measures[KL], 0.0) for one in rows])
        curves = {"judged": np.array([one.quality for one in rows])}
        for name in (PROXY, GOLD):
            if name in self.start and all(name in one.measures for one in rows):
                curves[name] = np.array([one.measures[name] - self.start[name] for one in rows])
        return {name: fit(distance, values, form) for name, values in curves.items()}

    def diagnosis(self) -> str:
        """What happened, in words."""
        pairs, best = sum(one.asked for one in self.checks), self.best
        where = f"after {self.updates} updates, {len(self.checks)} checks and {pairs} pairs"
        match self.ending:
            case None:
                return f"No alarm {where}; the best checkpoint is the one after {best}."
            case Ending.SPENT:
                return f"Ended {where}: no pairs are left to judge. The best checkpoint is the one after {best}."
            case Ending.ALARM:
                proxy = {None: "", True: " while the reward that it is paid rose", False: "; its reward fell as well"}
                done = "was put back" if self.config.on_alarm is OnAlarm.ROLL_BACK else "is kept beside"
                return (
                    f"Alarm {where}: the policy is judged worse than the one after {best}{proxy[self.proxy_up]} "
                    f"(evidence {math.exp(min(self.checks[-1].log_wealth, 700)):.3g} to 1). That one {done}."
                )

    def account(self) -> dict[str, Json]:
        """What is worth keeping of a run: the diagnosis, every check, and the curves of Gao et al. 2022 where they could be fitted."""
        plain: dict[str, Json] = {
            form.value: {name: _plain(one) for name, one in self.fits(form).items()} for form in Form
        }
        return {"diagnosis": self.diagnosis(), "best": self.best, "fits": plain, **self.state()}

    def state(self) -> dict[str, Json]:
        """Everything but the best policy itself, as JSON; `load` goes on from it with equal bits."""
        return to_json(_State(self.updates, self._base, self.start, tuple(self.checks), self.ending))

    def load(self, state: Mapping[str, Json]) -> None:
        """Inverse of `state`. Raises RecordError where it does not fit."""
        said = from_json(_State, dict(state))
        self.updates, self._base, self.ending = said.updates, said.base, said.ending
        self.start, self.checks = said.start, list(said.checks)
        self._gambler = Gambler(self.config.test)
        self._told([one for check in self.checks for one in check.won])


@dataclass(frozen=True, slots=True)
class _State:
    updates: int
    base: float
    start: dict[str, float]
    checks: tuple[Check, ...]
    ending: Ending | None = None


def _plain(curve: Fit) -> dict[str, Json]:
    """A fit as JSON; what is not finite is null."""
    found = {"alpha": curve.alpha, "beta": curve.beta, "peak": curve.peak, "explained": curve.explained}
    return {name: value if math.isfinite(value) else None for name, value in found.items()}


def _logit(wins: int, losses: int, accuracy: Interval) -> float:
    """Log odds of the corrected share of wins, half a pair added to each side, within +-3: more, 20 pairs cannot tell."""
    said = (wins + 0.5) / (wins + losses + 1)
    share = min(max(0.5 + (said - 0.5) / (2 * accuracy.value - 1), 0.0), 1.0)
    return min(max(math.log(share / (1 - share)) if 0 < share < 1 else math.copysign(3.0, share - 0.5), -3.0), 3.0)
