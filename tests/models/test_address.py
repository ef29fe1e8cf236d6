"""An address of a hub means one repository, revision and file, or is refused with the reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dawnchorus.errors import UsageError
from dawnchorus.models.address import Address, check_repo, parse_address

NAMES = st.from_regex(r"\A[A-Za-z0-9_]([A-Za-z0-9_]{0,20}[A-Za-z0-9_])?\Z")
REVISIONS = st.none() | st.from_regex(r"\A[A-Za-z0-9_]([A-Za-z0-9_/-]{0,20}[A-Za-z0-9_])?\Z")
FILES = st.none() | st.from_regex(r"\A([A-Za-z0-9_]{1,8}/){0,2}[A-Za-z0-9_]{1,8}\.safetensors\Z")


@given(owner=NAMES, name=NAMES, revision=REVISIONS, file=FILES)
def test_an_address_as_written_is_read_back(
    owner: str, name: str, revision: str | None, file: str | None
) -> None:
    address = Address(repo=f"{owner}/{name}", revision=revision, file=file)
    assert parse_address(str(address)) == address
    assert address.name == name


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("hf://owner", "need an owner and a repository"),
        ("hf:///repo", "need an owner and a repository"),
        ("hf://owner/.hidden", "'.hidden' cannot be the name"),
        ("hf://owner/a--b", "'a--b' cannot be the name"),
        ("hf://owner/a.git", "'a.git' cannot be the name"),
        ("hf://owner/repo@..", "cannot be a branch"),
        ("hf://owner/repo@a%2F..%2Fb", "cannot be a branch"),
        ("hf://owner/repo/../other/model.safetensors", "cannot be a file"),
        ("hf://owner/repo/a\\b.safetensors", "cannot be a file"),
        ("hf://owner/repo/a\nb.safetensors", "cannot be a file"),
        ("hf://owner/repo//model.safetensors", "cannot be a file"),
        ("hf://owner/repo/README.md", "is not a weights file"),
    ],
)
def test_what_cannot_be_an_address_is_refused_with_the_reason(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint) as refusal:
        parse_address(text)
    assert "hf://owner/repo/FILE" in str(refusal.value)


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_a_usage_error(text: str) -> None:
    try:
        address = parse_address(f"hf://{text}")
    except UsageError:
        return
    check_repo(address.repo, text)
    assert parse_address(str(address)) == address
