"""The installed package carries everything that is not Python: page, migrations, demo, type marker."""

from importlib import resources

import pytest


@pytest.mark.parametrize(
    "name",
    [
        "py.typed",
        "cli/demo.toml",
        "studio/static/index.html",
        "studio/static/manifest.json",
        "studio/static/icon.svg",
        "store/migrations/env.py",
    ],
)
def test_package_data_is_there(name):
    assert resources.files("plaudit").joinpath(name).is_file()
