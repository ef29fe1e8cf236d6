"""Licences in one spelling: publishers write codes, URLs, long names and abbreviations."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from dawnchorus.errors import UsageError

CC0: Final = "CC0 1.0"
PUBLIC_DOMAIN: Final = "Public domain"
# "C" alone stands for "copyright" in some archives
ALL_RIGHTS_RESERVED: Final = "All rights reserved"
UNSTATED: Final = {"", "unspecified", "unsupported", "unknown", "none", "null", "n/a", "na"}
ANY: Final = "any"
PARTS: Final = ("by", "nc", "sa", "nd")  # in the order in which they are written
# what the long names of Creative Commons are made of, and how it is abbreviated
LONG_WORDS: Final = (
    (r"non[ -]?commercial", "nc"),
    (r"share[ -]?alike", "sa"),
    (r"no[ -]?deriv(?:ative)?s?(?:[ -]works?)?", "nd"),
    (r"attribution", "by"),
    (r"creative[ -]?commons", "cc"),
)
TERMS: Final = re.compile(
    r"(?:\bcc|licen[cs]es)[ /:-]*(?P<terms>(?:by|nc|sa|nd)(?:[ -]+(?:by|nc|sa|nd))*)\b"
    r"(?:[ /v-]*(?P<version>\d)[. ](?P<minor>\d))?(?:[ /-]+(?P<country>[a-z]{2})\b)?"
)
BARE_TERMS: Final = re.compile(r"(?P<terms>by(?:[ -]+(?:nc|sa|nd))*)(?P<version>)(?P<country>)")
RESERVED: Final = re.compile(r"all rights reserved|^\s*(?:©|\(c\)|c$|copyright)")


@lru_cache(maxsize=4096)  # few spellings, millions of rows
def normalise_licence(text: str | None) -> str | None:
    """A licence as in ``CC BY-NC-SA 4.0``, whatever its spelling; None where none is stated.

    Creative Commons codes (``CC_BY_NC_4_0``), deeds' URLs (also of a country, also without
    ``https:``), long names and abbreviations are known. A text that is none of these is kept as
    it is: it names terms of its own.
    """
    given = (text or "").strip()
    plain = given.lower().replace("_", " ")
    if plain in UNSTATED:
        return None
    # long names become abbreviations first, so that one pattern reads both
    for long, short in LONG_WORDS:
        plain = re.sub(long, short, plain)
    if re.search(r"publicdomain/zero|\bcc[ -]?0|\bcc[ -]?zero", plain):
        return CC0
    if re.search(r"publicdomain/mark|public[ -]?domain", plain):
        return PUBLIC_DOMAIN
    found = TERMS.search(plain) or BARE_TERMS.fullmatch(plain)
    if found:
        return _written(found)
    return ALL_RIGHTS_RESERVED if RESERVED.search(plain) else given


def _written(found: re.Match[str]) -> str:
    named = set(re.split(r"[ -]+", found["terms"]))
    name = "CC " + "-".join(part.upper() for part in PARTS if part in named)
    if found["version"]:
        name += f" {found['version']}.{found['minor']}"
    return name + (f" {found['country'].upper()}" if found["version"] and found["country"] else "")


def forbids_derivatives(licence: str) -> bool:
    """Whether a normalised licence is a no-derivatives (ND) one."""
    return licence.startswith("CC ") and "-ND" in licence


@dataclass(frozen=True, slots=True)
class LicenceRule:
    """Which licences are taken.

    Attributes:
        allowed: ``CC BY`` stands for every version of it and for nothing else; empty for all but
            no-derivatives, all rights reserved and not stated; ``any`` for all.
    """

    allowed: tuple[str, ...] = ()

    @classmethod
    def of(cls, names: tuple[str, ...]) -> LicenceRule:
        """From what a user wrote, in any spelling.

        Raises:
            UsageError: It looks like Creative Commons and is not a licence of theirs.
        """
        allowed = []
        for name in names:
            licence = normalise_licence(name)
            looks_cc = re.match(r"cc\b", name.lower()) and not TERMS.search(name.lower())
            if licence is None or (licence == name and looks_cc and licence != CC0):
                raise UsageError(
                    f"licence {name!r} is not known; write such as 'CC BY-NC' (every version), "
                    f"'CC BY 4.0', 'CC0' or {ANY!r}"
                )
            allowed.append(ANY if name.lower() == ANY else licence)
        return cls(tuple(allowed))

    def refusal(self, licence: str | None) -> str | None:
        """Why a normalised licence is not taken; None if it is."""
        if ANY in self.allowed:
            return None
        if licence is None:
            return "no licence stated"
        if self.allowed:
            taken = any(licence == one or licence.startswith(one + " ") for one in self.allowed)
            return None if taken else f"licence {licence} was not asked for"
        if forbids_derivatives(licence):
            return "no-derivatives licence"
        return "all rights reserved" if licence == ALL_RIGHTS_RESERVED else None
