"""Every MiniGrid, highway-env and dm_control world goes through a round, is closed in the middle, and finishes; or says why not.

About 300 worlds. A part of them: `-m slow -k "families and Empty"`.
"""

import importlib.util
import subprocess
import sys

import pytest

from tests.test_loop_every_env import check_or_refused

FAMILIES = {"minigrid": "", "highway_env": "", "shimmy": "dm_control/"}
"""module that registers worlds -> how their ids begin"""
EQUAL = {"minigrid:MiniGrid-DoorKey-5x5-v0", "highway_env:parking-v0", "shimmy:dm_control/cheetah-run-v0"}
"""whose interrupted run is compared with an uninterrupted one"""


def registered(module):
    """Ids that a module registers, with the module before them. Another process looks: here the registry stays as it is."""
    if importlib.util.find_spec(module) is None:
        return []
    code = (
        f"import gymnasium as g; known = set(g.registry); import {module}; print(*set(g.registry) - known, sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    return sorted(f"{module}:{name}" for name in done.stdout.split() if name.startswith(FAMILIES[module]))


def pytest_generate_tests(metafunc):
    wanted = "not slow" not in metafunc.config.option.markexpr  # listing takes seconds
    if "name" in metafunc.fixturenames:
        metafunc.parametrize("name", [name for module in FAMILIES for name in registered(module)] if wanted else [])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_every_world_goes_through_a_round_or_says_why_not(name, tmp_path, monkeypatch):
    monkeypatch.setattr("tests.test_loop_every_env.EQUAL", EQUAL)
    check_or_refused(name, tmp_path)
