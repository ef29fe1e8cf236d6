"""No secret of a URL is written down, and nothing else is touched."""

from __future__ import annotations

import pytest

from dawnchorus.errors import DawnChorusWarning, StoreError
from dawnchorus.paths import as_path, as_text, relative_name, stored_name
from dawnchorus.url_secrets import without_secrets


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("https://me:s3cret@host/a.wav", "https://***@host/a.wav"),
        ("http://me:p@ss@host:80/x?key=1&b=2", "http://***@host:80/x?key=***&b=2"),
        ("s3://KEY:SECRET@bucket/x", "s3://***@bucket/x"),
        ("https:/me:pw@host/x", "https:/***@host/x"),  # as pathlib writes it
        ("https://h/?api-key=3&apiKey=4&user_token=5", "https://h/?api-key=***&apiKey=***&user_token=***"),
        ("https://h/x?X-Amz-Signature=a%2Fb&X-Amz-Date=3", "https://h/x?X-Amz-Signature=***&X-Amz-Date=3"),
        ("https://h/x#access_token=9", "https://h/x#access_token=***"),
        ("GET 'https://t:k@h/x' failed; see http://u@h", "GET 'https://***@h/x' failed; see http://***@h"),
    ],
)  # fmt: skip
def test_passwords_keys_and_signatures_are_masked(text: str, masked: str) -> None:
    assert without_secrets(text) == masked
    assert str(StoreError(text)) == masked
    assert str(DawnChorusWarning(text)) == masked


@pytest.mark.parametrize(
    "text",
    ["https://h/a@b.wav", "https://h/?taxonKey=5&monkey=3&code=turmig", "C:/me@x/y", "/data/a@b/c?",
     "me@x.org", "https://h/p q@r", "a = 3; key = 4"],
)  # fmt: skip
def test_what_is_no_secret_stays(text: str) -> None:
    assert without_secrets(text) == text


def test_long_texts_take_no_time() -> None:
    for piece in ("?a_", "http://", "?key", "@", "?" + "a." * 40):
        assert without_secrets(piece * 20_000 + "/=")


def test_what_is_kept_of_a_recording_behind_a_url_holds_no_secret() -> None:
    root = as_path("https://me:s3cret@host/field")
    place = as_path("https://me:s3cret@host/field/north/a.wav")
    elsewhere = as_path("https://you:s3cret@other/b.wav?token=s3cret")
    assert stored_name(root) == "https://***@host/field"
    assert relative_name(place, root) == "north/a.wav"
    assert relative_name(place, as_path(stored_name(root))) == "north/a.wav"  # as a store has it
    assert relative_name(elsewhere, root) == "https://***@other/b.wav?token=***"
    assert "s3cret" in as_text(place)  # what is handed to a worker can be opened
