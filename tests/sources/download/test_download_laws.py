"""Ledgers, names and addresses of downloads by laws: cut anywhere, safe anywhere, led nowhere."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dawnchorus.errors import TaskError
from dawnchorus.sources.download.fetch import MAGICS, RESERVED, _suffix, safe_name
from dawnchorus.sources.download.ledger import DONE, LEDGER_NAME, Ledger, LedgerEntry
from dawnchorus.sources.download.plan import SPARE_BYTES, DownloadPlan
from dawnchorus.sources.download.redirects import is_inside
from dawnchorus.sources.download.requests import LONGEST_WAIT_S, FailedRequestError, RateLimiter

IDS, URLS = ("a", "b/c", "é"), ("https://h/1", "https://h/2")


def random_entries(seed: int, n: int) -> list[LedgerEntry]:
    rng = np.random.default_rng(seed)
    return [
        LedgerEntry(
            id=IDS[rng.integers(3)],
            url=URLS[rng.integers(2)],
            status=(DONE, "HTTP 404")[rng.integers(2)],
            path=f"{rng.integers(3)}.mp3",
            n_bytes=3,
        )
        for _ in range(n)
    ]


@settings(max_examples=15)
@given(st.integers(0, 2**32), st.integers(0, 12), st.floats(0, 1))
def test_a_ledger_cut_at_any_byte_knows_every_whole_line(seed: int, n: int, cut: float) -> None:
    entries = random_entries(seed, n)
    with TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(3):
            (folder / f"{number}.mp3").write_bytes(b"ID3")
        with closing(Ledger(folder)) as ledger:
            for entry in entries:
                ledger.add(entry)
        lines = (folder / LEDGER_NAME).read_bytes()
        kept = lines[: round(cut * len(lines))]
        (folder / LEDGER_NAME).write_bytes(kept)
        whole = entries[: kept.count(b"\n")]
        # the last line of an id counts, if it is of this URL
        last = {entry.id: entry for entry in whole}
        with closing(Ledger(folder)) as ledger:
            for id in IDS:
                for url in URLS:
                    found, entry = ledger.done(id, url), last.get(id)
                    there = entry is not None and entry.status == DONE and entry.url == url
                    assert (found.path if found else None) == (
                        entry.path if entry and there else None
                    )
            ledger.add(LedgerEntry(id="new", url="https://h/3", status="gone"))
        again = (folder / LEDGER_NAME).read_bytes()
        assert again.count(b"\n") == len(whole) + 1  # what was cut is gone, no line is joined


@pytest.mark.parametrize(
    ("name", "cell", "said"),
    [
        ("id", 3, "id is 3"),
        ("status", None, "status is None"),
        ("n_bytes", "3", "n_bytes is '3'"),
        ("n_bytes", True, "n_bytes is True"),
        ("n_bytes", -1, "n_bytes is -1"),
        ("n_bytes", 1 << 62, "n_bytes is"),
        ("wall_s", "soon", "wall_s is 'soon'"),
        ("colour", "red", "unexpected keyword"),
    ],
)
def test_a_wrong_cell_of_a_ledger_is_named_with_its_line(
    name: str, cell: object, said: str, tmp_path: Path
) -> None:
    entry = asdict(LedgerEntry(id="a", url="https://h/1", status=DONE))
    lines = [json.dumps(entry), json.dumps({**entry, name: cell}), json.dumps(entry)]
    (tmp_path / LEDGER_NAME).write_text("\n".join(lines) + "\n")
    with pytest.raises(TaskError, match=rf"downloads\.jsonl: line 2 is damaged: .*{said}"):
        Ledger(tmp_path)


@settings(max_examples=50)
@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=12), unique=True))
def test_names_of_any_ids_are_safe_and_differ_also_without_case(ids: list[str]) -> None:
    names = [safe_name(id) for id in ids]
    assert len({name.lower() for name in names}) == len(ids)
    for name in names:
        parts = name.split("/")
        assert all(part and part.isascii() and len(part) <= 109 for part in parts)
        assert not any(set('<>:"|?*\\.') & set(part) or RESERVED.fullmatch(part) for part in parts)


@pytest.mark.parametrize(("at", "magic", "suffix"), MAGICS)
def test_the_first_bytes_go_before_what_a_server_says(
    at: int, magic: bytes, suffix: str, tmp_path: Path
) -> None:
    (tmp_path / "x").write_bytes(bytes(at) + magic + bytes(40))
    assert _suffix(tmp_path / "x", "audio/flac", "https://h/a.wma") == suffix
    assert _suffix(tmp_path / "x", "", "https://h/a") == suffix


@pytest.mark.parametrize(
    ("kind", "url", "suffix"),
    [
        ("audio/x", "https://h/a%2Ewav?b=c.mp3", ".wav"),
        ("audio/x", "https://h/a.exe", ".audio"),
        ("audio/x", "https://h/", ".audio"),
        ("application/octet-stream", "https://h/a.wav", None),
    ],
)
def test_an_unknown_beginning_is_sound_only_if_the_server_says_so(
    kind: str, url: str, suffix: str | None, tmp_path: Path
) -> None:
    (tmp_path / "x").write_bytes(b"\0\1\2\3")
    if suffix is None:
        with pytest.raises(FailedRequestError, match=r"^not sound$"):
            _suffix(tmp_path / "x", kind, url)
    else:
        assert _suffix(tmp_path / "x", kind, url) == suffix


@pytest.mark.parametrize(
    ("host", "inside"),
    [
        ("127.0.0.1", True), ("127.9.9.9", True), ("10.1.2.3", True), ("172.16.0.1", True),
        ("172.32.0.1", False), ("192.168.0.1", True), ("169.254.169.254", True), ("0.0.0.1", True),
        ("224.0.0.1", True), ("255.255.255.255", True), ("100.64.0.1", True), ("8.8.8.8", False),
        ("::1", True), ("[::1]", True), ("fe80::1%eth0", True), ("fd00::1", True),
        ("::ffff:10.0.0.1", True), ("::ffff:8.8.8.8", False), ("2606:4700::1111", False),
        ("localhost", True),
    ],
)  # fmt: skip
def test_addresses_of_this_machine_and_its_network_are_inside(host: str, *, inside: bool) -> None:
    assert is_inside(host) == inside


def test_a_host_is_held_for_an_hour_at_most_and_never_for_less_than_before() -> None:
    now, waits = [0.0], []

    def wait(wait_s: float) -> bool:
        waits.append(wait_s)
        now[0] += wait_s
        return False

    limiter = RateLimiter(1000, clock=lambda: now[0], wait=wait)
    limiter.hold("h", 1e9)
    limiter.hold("h", 5)  # a later, shorter wish does not shorten the first
    limiter.wait_turn("h")
    assert sum(waits) == LONGEST_WAIT_S


def test_a_disk_keeps_its_spare_room() -> None:
    DownloadPlan(n_bytes=1e9, free_bytes=1e9 + SPARE_BYTES).check_room()
    with pytest.raises(TaskError, match="choose another, or a smaller manifest"):
        DownloadPlan(n_bytes=1e9, free_bytes=1e9 + SPARE_BYTES - 1).check_room()
