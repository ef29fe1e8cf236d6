"""The report of a run: what it shows, that it needs nothing else, and that nothing in it runs."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest
import soundfile
from PIL import Image

from dawnchorus.activity.colours import DARK, LIGHT, heat_png, place_on_scale, scale_stops
from dawnchorus.activity.examples import best_examples
from dawnchorus.activity.pictures import plot_activity
from dawnchorus.activity.report import ReportOptions, make_report, write_report
from dawnchorus.activity.report_labels import rows_by_hour, site_charts, sun_hours
from dawnchorus.activity.report_style import STYLE
from dawnchorus.activity.run import Activity, measure_activity
from dawnchorus.activity.site_chart import draw_site
from dawnchorus.activity.sun import sun_times
from dawnchorus.activity.svg import date_ticks, nice_top, short
from dawnchorus.errors import UsageError
from dawnchorus.failures import Failure
from made_deployments import MADE_HEADER, Made, make_store

pytestmark = pytest.mark.filterwarnings("ignore::dawnchorus.errors.DawnChorusWarning")
RATE = 8000
NASTY = '<script>alert("&")</script>'
VOID = {"meta", "img", "br", "path", "rect", "image", "circle", "stop"}


@pytest.fixture
def activity(tmp_path: Path) -> Activity:
    """Six dawns at two sites, with sound on the disk for the first recording alone."""
    place = (("latitude", "52.52"), ("longitude", "13.405"))
    recordings = [
        Made(f"{site}/{day}.wav", f"2024-06-2{day}T04:00:00", 120, {"wren": range(day, 9)},
             site=site, time_zone="Europe/Berlin", carried=place)
        for site in ("north", NASTY)
        for day in range(6)
    ]  # fmt: skip
    header = MADE_HEADER.model_copy(update={"audio_root": str(tmp_path / "sound")})
    store = make_store(tmp_path / "archive.store", recordings, header)
    sound = tmp_path / "sound" / "north" / "0.wav"
    sound.parent.mkdir(parents=True)
    seconds = np.arange(120 * RATE) / RATE
    soundfile.write(sound, 0.1 * np.sin(2 * np.pi * 1000 * seconds), RATE)
    return measure_activity(store)


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def read(page: str) -> _Tags:
    tags = _Tags()
    tags.feed(page)
    tags.close()
    assert tags.open == []
    return tags


def addresses(tags: _Tags) -> Iterator[str]:
    for _, attributes in tags.seen:
        for name in ("src", "href", "srcset", "data", "action", "xlink:href"):
            if attributes.get(name):
                yield str(attributes[name])


def test_the_page_needs_nothing_else_and_nothing_in_it_runs(activity: Activity) -> None:
    page = make_report(activity)
    tags = read(page)
    names = {tag for tag, _ in tags.seen}
    assert not names & {"script", "link", "iframe", "object", "embed", "base"}
    assert not any(name.startswith("on") for _, attributes in tags.seen for name in attributes)
    assert all(
        one.startswith(("data:image/png", "data:audio/flac", "#")) for one in addresses(tags)
    )
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.S)
    assert "http" not in style
    assert "@import" not in style
    assert re.findall(r"url\((.*?)\)", style) == ["#hatch"]
    (policy,) = [a["content"] for t, a in tags.seen if a.get("http-equiv")]
    assert str(policy).startswith("default-src 'none'; img-src data:; media-src data:;")
    ids = {attributes.get("id") for _, attributes in tags.seen}
    assert {one[1:] for one in addresses(tags) if one.startswith("#")} <= ids


def test_names_from_files_are_shown_and_never_become_elements(activity: Activity) -> None:
    options = ReportOptions(title=f"Title {NASTY}", command=f"dawnchorus {NASTY}")
    page = make_report(activity, options)
    assert NASTY not in page
    words = " ".join(read(page).words)
    assert words.count(NASTY) >= 6  # title, heading, lead, tables, pictures, command


def test_it_says_what_was_recorded_found_damaged_and_how_it_was_made(activity: Activity) -> None:
    broken = Failure("north/broken.wav", "truncated", "the file ends after 30 s")
    archive = replace(activity.archive, troubles=(broken,))
    damaged = replace(activity, archive=archive, warnings=("a first warning",))
    words = " ".join(read(make_report(damaged, ReportOptions(command="dawnchorus again"))).words)
    for text in (
        "20 Jun 2024 to 25 Jun 2024", "recorded hours", "a first warning",
        "north/broken.wav", "truncated", "the file ends after 30 s", "dawnchorus again",
        "SHA-256 aa", "1 s every 1 s at 100 Hz", "the model's own for each label",
    ):  # fmt: skip
        assert text in words, text
    (row,) = [r for r in activity.rows(()).to_pylist() if r["label"] == "wren"]
    assert f"{row['n_calls']:,}" in words
    assert f"[{short(row['low'])}, {short(row['high'])}]" in words
    assert "every recording could be read to its end" in make_report(activity)


def test_an_example_is_the_sound_of_its_call_and_a_lost_recording_has_none(
    activity: Activity,
) -> None:
    examples = best_examples(activity, 3)
    assert examples["robin"] == []
    wrens = examples["wren"]
    # of equal scores the first by name, each of another recording
    assert [one.path for one in wrens] == sorted({*activity.calls["path"].to_pylist()})[:3]
    assert all(one.sound is None and "no sound" in one.problem for one in wrens if "north" not in
               one.path)  # fmt: skip
    at_north = activity.calls.filter(pc.equal(activity.calls["site"], "north"))
    first, *_ = best_examples(replace(activity, calls=at_north), 12)["wren"]
    assert first.path == "north/0.wav"
    assert first.sound is not None
    sound = base64.b64decode(first.sound.removeprefix("data:audio/flac;base64,"))
    samples, rate = soundfile.read(io.BytesIO(sound))
    assert rate == RATE
    assert len(samples) == 2 * RATE  # the call at 0 s, and a second after
    pitch = np.abs(np.fft.rfft(samples)).argmax() / len(samples) * rate
    assert pitch == pytest.approx(1000, abs=1)
    assert np.abs(samples).max() == pytest.approx(0.7, abs=0.01)
    assert (first.lead_s, first.length_s, first.highest_hz) == (0.0, 2.0, 4000.0)
    page = make_report(activity, ReportOptions(examples=12))
    assert page.count("<audio") == 1
    assert "no sound: missing" in page


def test_without_examples_and_with_the_same_input_the_page_has_the_same_bytes(
    activity: Activity, tmp_path: Path
) -> None:
    write_report(activity, tmp_path / "a.html")
    write_report(activity, tmp_path / "b.html")
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    page = make_report(activity, ReportOptions(examples=0))
    assert "<audio" not in page
    assert 'class="silent"' not in page


def test_another_suffix_and_less_than_no_examples_are_refused(activity: Activity) -> None:
    with pytest.raises(UsageError, match=r"need a file that ends in .html"):
        write_report(activity, "report.pdf")
    with pytest.raises(UsageError, match="examples -1: need 0 or more"):
        write_report(activity, "report.html", ReportOptions(examples=-1))


def test_cells_without_a_recording_are_transparent_and_zero_is_the_first_colour() -> None:
    values = np.array([[np.nan, 0.0], [0.25, 1.0]])
    for colours in (LIGHT, DARK):
        content = base64.b64decode(heat_png(values, 1.0, colours).partition(",")[2])
        pixels = np.asarray(Image.open(io.BytesIO(content)))
        assert pixels[0, 0, 3] == 0
        assert pixels[..., 3].sum() == 3 * 255
        as_hex = [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in (pixels[0, 1, :3], pixels[1, 1, :3])]
        assert as_hex == [colours[0], colours[-1]]
    assert place_on_scale(np.array([0.0, 1e-9, 0.25, 1.0, 7.0]), 1.0) == pytest.approx(
        [0, 0.16, 0.58, 1, 1], abs=1e-4
    )


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_colours_of_a_heat_map_grow_steadily_lighter_or_darker(colours: tuple[str, ...]) -> None:
    """So they read alike in grey, for every eye, and on paper."""
    weights = np.array([0.2126, 0.7152, 0.0722])
    lightness = [
        float(weights @ [int(c[n : n + 2], 16) for n in (1, 3, 5)])
        for c in (colours[0], *(hue for _, hue in scale_stops(colours)))
    ]
    steps = np.diff(lightness)
    assert (steps < 0.5).all() or (steps > -0.5).all()
    assert abs(lightness[-1] - lightness[0]) > 150


def test_a_chart_has_a_dot_for_each_recorded_day_and_bars_as_long_as_rates(
    activity: Activity,
) -> None:
    by_hour = rows_by_hour(activity)["wren"]
    chart = site_charts(activity, "wren", by_hour, activity.sites)["north"]
    drawn = draw_site(chart, "wrens")
    assert drawn.count('class="day"') == 6
    titles = re.findall(r"<title>(.*?)</title>", drawn)
    assert titles[0] == "2024-06-20: 9 calls in 0.03 h"
    rate = by_hour["north", 4]["calls_per_hour"]
    (width,) = re.findall(r'class="bar" x="[\d.]+" y="[\d.]+" width="([\d.]+)"', drawn)
    assert float(width) == pytest.approx(170 * rate / chart.top_hour, abs=0.1)
    assert chart.top_hour >= rate
    # of the other 23 hours nobody knows anything
    assert drawn.count('class="unrecorded"') == 1 + 23
    assert drawn.count('class="band"') == 1


def test_the_interval_of_a_density_fits_or_is_seen_to_go_on(activity: Activity) -> None:
    by_hour = rows_by_hour(activity)["wren"]
    rows = dict(by_hour)
    far = {"windows_per_hour": 9000.0, "windows_low": 8000.0, "windows_high": 15000.0}
    rows["north", 4] = {**by_hour["north", 4], **far}
    chart = site_charts(activity, "wren", rows, activity.sites)["north"]
    assert chart.top_hour >= 15000
    lines = re.findall(r'<path class="density" d="M([\d.]+) [\d.]+L([\d.]+) ', draw_site(chart, ""))
    (first, last) = (float(end) for end in lines[0])
    assert last - first == pytest.approx(170 * 7000 / chart.top_hour, abs=0.2)
    assert len(lines) == 1
    cut = draw_site(replace(chart, top_hour=10_000.0), "")
    assert cut.count('<path class="density"') == 3  # with a pointed end


@pytest.mark.parametrize(
    ("day", "place", "rise", "fall"),
    [
        # by the calculator of NOAA, UTC
        (date(2024, 6, 21), (52.52, 13.405), "02:43", "19:33"),
        (date(2024, 12, 21), (52.52, 13.405), "07:15", "14:54"),
        (date(2024, 3, 20), (0.0, 0.0), "06:04", "18:11"),
        (date(2024, 6, 21), (37.77, -122.42), "12:48", "03:35"),
        (date(2024, 6, 21), (-33.87, 151.21), "21:00", "06:54"),
    ],
    ids=["Berlin in June", "Berlin in December", "equator", "San Francisco", "Sydney"],
)
def test_the_sun_rises_and_sets_when_it_does(
    day: date, place: tuple[float, float], rise: str, fall: str
) -> None:
    times = sun_times(day, *place)
    assert times is not None
    for moment, clock in zip(times, (rise, fall), strict=True):
        expected = datetime.fromisoformat(f"{moment.date()}T{clock}:00+00:00")
        assert abs(moment - expected) <= timedelta(seconds=90)
        assert moment.tzinfo is UTC
    assert times[0] < times[1] < times[0] + timedelta(days=1)


def test_a_polar_day_has_no_sunrise() -> None:
    assert sun_times(date(2024, 6, 21), 69.65, 18.96) is None
    assert sun_times(date(2024, 12, 21), 69.65, 18.96) is None


def test_sun_lines_are_in_local_time_and_only_where_it_is_known(activity: Activity) -> None:
    sun = sun_hours(activity, "north")
    assert len(sun) == 6
    assert sun[date(2024, 6, 21)] == pytest.approx((4 + 43 / 60, 21 + 33 / 60), abs=0.04)
    assert sun_hours(activity, "nowhere") == {}
    assert "sun-rim" in make_report(activity)
    lost = [replace(one, position=None) for one in activity.archive.recordings]
    page = make_report(replace(activity, archive=replace(activity.archive, recordings=tuple(lost))))
    assert '"sun-rim"' not in page


@pytest.mark.parametrize(
    ("value", "top"), [(0, 1), (0.9, 1), (1.1, 1.2), (7, 8), (81, 100), (100, 100), (0.024, 0.025)]
)
def test_an_axis_ends_at_a_short_number_that_holds_all(value: float, top: float) -> None:
    assert nice_top(value) == pytest.approx(top)


def test_ticks_of_dates_are_days_or_months_that_fit() -> None:
    week = [date(2024, 5, 28) + timedelta(days=n) for n in range(7)]
    assert [words for _, words in date_ticks(week, 640)][:5] == [
        "28 May", "29 May", "30 May", "31 May", "1 Jun",
    ]  # fmt: skip
    years = [date(2023, 11, 5) + timedelta(days=n) for n in range(500)]
    ticks = date_ticks(years, 640)
    assert len(ticks) <= 11
    assert ticks[0] == (26, "Dec 2023")
    assert all(years[at].day == 1 for at, _ in ticks)


def test_a_picture_has_two_panels_for_each_label_and_site_and_the_same_bytes(
    activity: Activity, tmp_path: Path
) -> None:
    wrens = replace(activity, labels=("wren",))
    for name in ("a.png", "b.png", "a.svg"):
        plot_activity(wrens, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as image:
        size = image.size
    assert size == (8 * 130, round((0.5 + 2 * 2.5) * 130))
    drawn = (tmp_path / "a.svg").read_text()
    assert len(re.findall(r'<g id="axes_\d+">', drawn)) == 2 * 2 + 2  # two bars of colours
    assert "<!-- wren, north -->" in drawn
    assert NASTY not in drawn


def test_a_picture_of_more_than_a_page_is_refused(activity: Activity, tmp_path: Path) -> None:
    labels = tuple(f"bird {number}" for number in range(7))
    with pytest.raises(UsageError, match="holds 12 panels, and 7 labels at 2 sites are 14"):
        plot_activity(replace(activity, labels=labels), tmp_path / "a.png")


def test_paper_is_light_and_a_heading_stays_with_what_it_is_of() -> None:
    # Chromium's pages were looked at; this keeps what was mended there
    dark = re.findall(r"@media ([^{]*)prefers-color-scheme:dark", STYLE)
    assert dark == ["screen and ("] * len(dark) != []
    paper = STYLE.partition("@media print")[2]
    for rule in ("h2,h3,.site,h2+p", "break-after:avoid", "pre{break-inside:avoid}"):
        assert rule in paper
