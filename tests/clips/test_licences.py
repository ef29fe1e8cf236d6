"""Licences in one spelling, and which of them are taken."""

from __future__ import annotations

import pytest

from dawnchorus.clips.licences import LicenceRule, forbids_derivatives, normalise_licence
from dawnchorus.errors import UsageError

SPELLINGS = {
    "CC BY-NC-SA 4.0": [
        "CC_BY_NC_SA_4_0",
        "https://creativecommons.org/licenses/by-nc-sa/4.0/",
        "http://creativecommons.org/licenses/by-nc-sa/4.0/legalcode",
        "//creativecommons.org/licenses/by-nc-sa/4.0/",
        "Creative Commons Attribution-NonCommercial-ShareAlike 4.0 International",
        "Attribution-NonCommercial-ShareAlike 4.0 (CC BY-NC-SA 4.0)",
        "cc-by-nc-sa-4.0",
        "CC BY-NC-SA 4.0",
        "  cc by nc sa 4.0 ",
    ],
    "CC BY-NC 4.0": ["CC_BY_NC_4_0", "https://creativecommons.org/licenses/by-nc/4.0/deed.de"],
    "CC BY 4.0": ["CC_BY_4_0", "http://creativecommons.org/licenses/by/4.0"],
    "CC BY-NC-SA 3.0 DE": ["https://creativecommons.org/licenses/by-nc-sa/3.0/de/"],
    "CC BY-NC": ["CC-BY-NC", "by-nc", "(c) A. Singer, some rights reserved (CC BY-NC)"],
    "CC BY-NC-ND 2.5": ["//creativecommons.org/licenses/by-nc-nd/2.5/", "CC BY-ND-NC 2.5"],
    "CC BY-ND 4.0": ["Creative Commons Attribution-NoDerivatives 4.0 International"],
    "CC0 1.0": [
        "CC0",
        "CC0_1_0",
        "cc-0",
        "https://creativecommons.org/publicdomain/zero/1.0/legalcode",
    ],
    "Public domain": ["http://creativecommons.org/publicdomain/mark/1.0/", "public domain"],
    "All rights reserved": ["all rights reserved", "© A. Singer", "C", "(c) A. Singer"],
    "Watkins terms": ["Watkins terms"],
}


@pytest.mark.parametrize(
    ("spelling", "name"), [(text, name) for name, texts in SPELLINGS.items() for text in texts]
)
def test_every_spelling_becomes_one_name(spelling: str, name: str) -> None:
    assert normalise_licence(spelling) == name
    assert normalise_licence(name) == name


@pytest.mark.parametrize("text", [None, "", "  ", "UNSPECIFIED", "unsupported"])
def test_a_licence_that_is_not_stated_is_none(text: str | None) -> None:
    assert normalise_licence(text) is None


def test_without_a_wish_all_is_taken_that_may_be_changed() -> None:
    rule = LicenceRule()
    for licence in ("CC BY 4.0", "CC BY-NC-SA 3.0 DE", "CC0 1.0", "Watkins terms"):
        assert rule.refusal(licence) is None
    assert rule.refusal("CC BY-NC-ND 4.0") == "no-derivatives licence"
    assert rule.refusal("All rights reserved") == "all rights reserved"
    assert rule.refusal(None) == "no licence stated"
    assert not forbids_derivatives("Watkins-ND terms")


def test_a_name_without_version_stands_for_its_versions_only() -> None:
    rule = LicenceRule.of(("cc-by", "CC0"))
    assert rule.refusal("CC BY 4.0") is None
    assert rule.refusal("CC BY 3.0 DE") is None
    assert rule.refusal("CC0 1.0") is None
    assert rule.refusal("CC BY-NC 4.0") == "licence CC BY-NC 4.0 was not asked for"
    assert rule.refusal(None) == "no licence stated"
    assert LicenceRule.of(("any",)).refusal(None) is None
    assert LicenceRule.of(("CC BY-ND",)).refusal("CC BY-ND 4.0") is None


def test_a_misspelt_licence_is_refused_at_once() -> None:
    with pytest.raises(UsageError, match="'CC BX' is not known"):
        LicenceRule.of(("CC BX",))
