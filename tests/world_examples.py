"""Small environments for tests, most of them faulty; factories as `tests.world_examples:Name`."""

import time

import gymnasium
import numpy as np
from gymnasium import spaces


def shade(step):
    """Of Counter's picture; neighbouring steps differ so much that no codec takes them for equal."""
    return step * 60 % 256


class Counter(gymnasium.Env):
    """Observes (seed % 97, step); pays the step; ends after `length` steps."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 8}  # noqa: RUF012 - as Gymnasium's own

    def __init__(self, length=5, truncates=False, render_mode=None):
        self.length, self.truncates, self.render_mode = length, truncates, render_mode
        self.observation_space = spaces.Box(0, 1000, (2,), dtype=np.float64)
        self.action_space = spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        self.seed, self.t = seed % 97, 0
        return np.array([self.seed, 0.0]), {}

    def step(self, action):
        self.t += 1
        over = self.t >= self.length
        return np.array([self.seed, self.t], float), self.t, over and not self.truncates, over and self.truncates, {}

    def render(self):
        return np.full((20, 30, 3), shade(self.t), dtype=np.uint8)


class NaN(Counter):
    def step(self, action):
        observation, *rest = super().step(action)
        return (observation * np.nan if self.t == 3 else observation, *rest)


class InfiniteReward(Counter):
    def step(self, action):
        observation, _, *rest = super().step(action)
        return observation, np.inf, *rest


class WrongShape(Counter):
    def step(self, action):
        observation, *rest = super().step(action)
        return observation[:1], *rest


class OutsideSpace(Counter):
    def __init__(self):
        super().__init__()
        self.observation_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return 0, {}

    def step(self, action):
        _, *rest = super().step(action)
        return self.t, *rest


class OutsideDict(OutsideSpace):
    def __init__(self):
        super().__init__()
        self.observation_space = spaces.Dict(a=spaces.Discrete(2), b=spaces.Box(0, 1, (2, 1), np.float32))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return {"a": 1, "b": np.array([[0.25], [0.5]], np.float32)}, {}


class Raises(Counter):
    def step(self, action):
        if self.t == 2:
            raise KeyError("joint_7")
        return super().step(action)


class RaisesInReset(Counter):
    def reset(self, *, seed=None, options=None):
        raise OSError("no licence")


class NaNInReset(Counter):
    def reset(self, *, seed=None, options=None):
        return np.array([np.nan, 0]), {}


class OldStep(Counter):
    def step(self, action):
        observation, reward, terminated, _, info = super().step(action)
        return observation, reward, terminated, info


class Sleeps(Counter):
    def step(self, action):
        if self.t == 1:
            time.sleep(60)
        return super().step(action)


class SpinsAndSwallows(Counter):
    def step(self, action):
        while True:
            try:
                sum(range(1000))
            except Exception:  # noqa: BLE001 - what some environments do
                continue


class SleepsInReset(Counter):
    def reset(self, *, seed=None, options=None):
        time.sleep(60)


class Irreproducible(Counter):
    resets = 0

    def reset(self, *, seed=None, options=None):
        Irreproducible.resets += 1
        super().reset(seed=seed)
        self.seed = Irreproducible.resets
        return np.array([self.seed, 0.0]), {}


class Blind(Counter):
    metadata = {"render_modes": []}  # noqa: RUF012 - as Gymnasium's own

    def render(self):
        return None


class BreaksWhenDrawn(Counter):
    def render(self):
        raise RuntimeError("no font")


class ClaimsStates(Counter):
    """Has methods of the usual names that mean something else."""

    def get_state(self):
        return "running"

    def set_state(self, state):
        raise AssertionError


class WritesIntoAction(Counter):
    def __init__(self):
        super().__init__()
        self.action_space = spaces.Box(-1, 1, (2,), np.float32)

    def step(self, action):
        action[:] = 0
        return super().step(action)


class Endless(Counter):
    def step(self, action):
        return np.array([self.seed, 1.0]), 0.0, False, False, {}


class Spaces(Counter):
    """Counter with other spaces, which it never uses."""

    def __init__(self, kind="sequence"):
        super().__init__()
        match kind:
            case "sequence":
                self.observation_space = spaces.Sequence(spaces.Discrete(2))
            case "multi":
                self.action_space = spaces.MultiDiscrete([2, 2])
            case "from one":
                self.action_space = spaces.Discrete(3, start=1)
            case "integers":
                self.action_space = spaces.Box(0, 3, (1,), np.int32)


def nothing():
    """A factory that makes no environment."""
    return "environment"


def random_actions(world, rng):
    """One random action for each environment of a VectorWorld, within the bounds."""
    space, count = world.action_space, world.n_envs
    if isinstance(space, spaces.Discrete):
        return rng.integers(space.n, size=count)
    low, high = np.clip(space.low, -1, 1), np.clip(space.high, -1, 1)
    return rng.uniform(low, high, size=(count, *space.shape)).astype(space.dtype)


class Seen(Counter):
    """Counter that shows its step as images of 48 x 32: channel c is 10 t + c everywhere."""

    def __init__(self, kind="colour", render_mode=None):
        super().__init__(render_mode=render_mode)
        self.kind = kind
        shape = {"grey": (48, 32), "stack": (4, 48, 32)}.get(kind, (48, 32, 3))
        image = spaces.Box(0, 255, shape, np.uint8)
        steps = spaces.Box(0, 10, (2,), np.float32)
        self.observation_space = spaces.Dict(image=image, step=steps) if kind == "dict" else image

    def look(self):
        image = np.empty((48, 32, {"grey": 1, "stack": 4}.get(self.kind, 3)), np.uint8)
        image[:] = self.t * 10 + np.arange(image.shape[2])
        match self.kind:
            case "grey":
                return image[:, :, 0]
            case "stack":
                return np.moveaxis(image, 2, 0)
            case "dict":
                return {"image": image, "step": np.full(2, self.t, np.float32)}
            case "wrong" if self.t:
                return image[:40]
            case _:
                return image

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.look(), {}

    def step(self, action):
        _, *rest = super().step(action)
        return self.look(), *rest


class Arms(Counter):
    """One step that shows nothing; arm `best` pays 1, the others 0."""

    def __init__(self, best=0, render_mode=None):
        super().__init__(render_mode=render_mode)
        self.best = best
        self.action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(2), {}

    def step(self, action):
        return np.zeros(2), float(action == self.best), True, False, {}


class Named(Counter):
    """Counter that shows (seed % 97, step) as goal-based environments do, with a direction and a mission."""

    def __init__(self, mission=True):
        super().__init__()
        place = spaces.Box(-np.inf, np.inf, (2,), np.float64)
        self.observation_space = spaces.Dict(achieved_goal=place, desired_goal=place, observation=place)
        if mission:
            self.observation_space = spaces.Dict(direction=spaces.Discrete(4), mission=Mission(), place=place)

    def look(self):
        place = np.array([self.seed, self.t], float)
        if "mission" not in self.observation_space.spaces:
            return {"achieved_goal": place, "desired_goal": -place, "observation": place / 2}
        return {"direction": self.t % 4, "mission": "Go to the red ball to win", "place": place}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.look(), {}

    def step(self, action):
        _, *rest = super().step(action)
        return self.look(), *rest


class Mission(spaces.Space):
    """Text as MiniGrid has it: Gymnasium cannot flatten it, and it does not say so."""

    def __init__(self):
        super().__init__(shape=(), dtype=str)

    def contains(self, x):
        return isinstance(x, str)
