"""Which version this is and where it is published: what a release changes (RELEASE.md).

Whoever publishes it sets the address. Until then no message names one, since an address that is not
ours could be anybody's.
"""

from __future__ import annotations

from typing import Final

VERSION: Final = "0.1.0"  # and in pyproject.toml
REPOSITORY: Final[str | None] = None  # such as "https://host/owner/dawnchorus", no slash at the end


def where_to_report(repository: str | None = REPOSITORY) -> str:
    """The end of a sentence that asks for a report."""
    return f"at {repository}/issues" if repository else "to those from whom you have dawnchorus"


def user_agent(repository: str | None = REPOSITORY) -> str:
    """How dawnchorus introduces itself to servers."""
    return f"dawnchorus ({repository})" if repository else "dawnchorus"
