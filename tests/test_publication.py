"""No address is named that nobody has published."""

from __future__ import annotations

import tomllib
from pathlib import Path

from dawnchorus.configs.data import DownloadConfig
from dawnchorus.publication import REPOSITORY, user_agent, where_to_report

ROOT = Path(__file__).parents[1]


def test_an_address_is_named_once_there_is_one() -> None:
    assert where_to_report("https://host/x") == "at https://host/x/issues"
    assert user_agent("https://host/x") == "dawnchorus (https://host/x)"
    assert "http" not in where_to_report(None) + user_agent(None)
    assert DownloadConfig().user_agent == user_agent()


def test_the_package_and_the_code_name_the_same_repository() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project.get("urls", {}).get("Repository") == REPOSITORY
