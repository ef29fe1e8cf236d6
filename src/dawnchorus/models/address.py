"""Addresses of models on a hub: ``hf://owner/repo[@revision][/file]``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from dawnchorus.errors import UsageError

HUB_PREFIX: Final = "hf://"
TORCH_SUFFIXES: Final = (".pt", ".pth", ".bin", ".ckpt")
WEIGHT_SUFFIXES: Final = (".safetensors", *TORCH_SUFFIXES)
# owner/repo, then @revision up to the next slash, then the path of a file
FORM: Final = re.compile(
    r"(?P<repo>[^/@]+/[^/@]+)(?:@(?P<revision>[^/@]+))?(?:/(?P<file>.+))?", re.DOTALL
)
# as huggingface_hub has it: at most 96 characters, no dot or dash at either end
PART: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?")
REVISION: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/-]{0,254}")
# no backslash, colon or control character: the path must mean the same file on every system
FILE_PART: Final = re.compile(r"[^\\/\x00-\x1f:*?\"<>|]{1,255}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A repository, and perhaps which state and which file of it."""

    repo: str
    revision: str | None = None  # branch, tag or commit; None: the one of the card, else main
    file: str | None = None  # None: the one weights file there is

    @property
    def name(self) -> str:
        """The repository's own name, without its owner."""
        return self.repo.partition("/")[2]

    def __str__(self) -> str:
        """As a user writes it."""
        revision = "" if self.revision is None else f"@{self.revision.replace('/', '%2F')}"
        return f"{HUB_PREFIX}{self.repo}{revision}" + (f"/{self.file}" if self.file else "")


def parse_address(text: str) -> Address:
    """Read an address.

    Raises:
        UsageError: It cannot be one.
    """
    form = FORM.fullmatch(text.removeprefix(HUB_PREFIX))
    if form is None:
        raise _refusal(text, "need an owner and a repository")
    repo, revision, file = form["repo"], form["revision"], form["file"]
    check_repo(repo, text)
    if revision is not None:
        revision = unquote(revision)
        if not REVISION.fullmatch(revision) or ".." in revision:
            raise _refusal(text, f"{revision!r} cannot be a branch, tag or commit")
    if file is not None:
        _check_file(file, text)
    return Address(repo=repo, revision=revision, file=file)


def check_repo(repo: str, text: str) -> None:
    """Refuse what cannot be the name of a repository.

    Raises:
        UsageError: It cannot; the message shows ``text``.
    """
    owner, _, name = repo.partition("/")
    for part in (owner, name):
        if not PART.fullmatch(part) or "--" in part or ".." in part or part.endswith(".git"):
            raise _refusal(text, f"{part!r} cannot be the name of an owner or a repository")


def _check_file(file: str, text: str) -> None:
    parts = file.split("/")
    if any(part in {".", ".."} or not FILE_PART.fullmatch(part) for part in parts):
        raise _refusal(text, f"{file!r} cannot be a file of a repository")
    if not file.endswith(WEIGHT_SUFFIXES):
        raise _refusal(text, f"{file!r} is not a weights file ({', '.join(WEIGHT_SUFFIXES)})")


def _refusal(text: str, why: str) -> UsageError:
    return UsageError(
        f"{text!r}: {why}; a model on the hub is hf://owner/repo, hf://owner/repo/FILE or "
        f"hf://owner/repo@REVISION/FILE"
    )
