"""Secrets in URLs, masked wherever a URL is written: messages, logs, ledgers, tables, stores."""

from __future__ import annotations

import re
from typing import Final

MASK: Final = "***"

# Up to the last @ before the path: a password may hold one, as in https://me:p@ss@host/
_USER: Final = re.compile(r"(?i)\b([a-z][a-z0-9+.-]+:/{1,2})[^/\s?#'\"<>]*@")
# names of query parameters that hold a secret, as a whole or after a prefix
_SECRETIVE: Final = (
    "key|token|secret|sig|signature|password|passwd|pwd|pass|auth|authorization|credential|"
    "credentials|session|jwt"
)
# key=, api_key=, X-Amz-Security-Token=, accessToken=, but not monkey= or taxonKey=
_QUERY: Final = re.compile(
    rf"(?i)([?&;#](?:[\w.%-]{{0,60}}[_.-])?(?:api|access|accesskey|app|auth|client|private|secret|"
    rf"refresh|session|user|awsaccess|security){{0,3}}(?:{_SECRETIVE})(?:id)?=)[^&;#\s'\"<>]*"
)


def without_secrets(text: str) -> str:
    """A URL, or a text that holds some, with passwords, keys and signatures masked.

    ``https://me:secret@host/a.wav?api_key=secret`` becomes
    ``https://***@host/a.wav?api_key=***``. Texts without URLs come back as they are.
    """
    if "/" not in text and "=" not in text:
        return text  # most messages; the patterns cost more than this
    return _QUERY.sub(rf"\g<1>{MASK}", _USER.sub(rf"\g<1>{MASK}@", text))
