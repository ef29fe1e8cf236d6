// What follows from the state: selections, verdicts, progress, and what is written of them.

import assert from "node:assert/strict";
import { test } from "node:test";
import { columnsFor } from "../../src/grid.tsx";
import {
  beginning, change, listen, pageOf, progressAfter, progressLine, selected, spanKey, state, verdictOf, verdicts, wilson, withJudged,
} from "../../src/state.ts";
import type { Item, Judged, Progress, State } from "../../src/types.ts";
import { moveEdge, pan, within, zoomHz, zoomTime } from "../../src/view_range.ts";
import { clock, describe, hertz, localTime, shortTime, ticks } from "../../src/words.ts";

const judged = (author: string, verdict: State | null, label = "owl"): Judged => ({ id: "", label, state: verdict, author, at: "2025-05-01T00:00:00Z" });
const progress = (present: number, absent: number, unsure = 0, n = 300): Progress => ({ n, present, absent, unsure, precision: null, low: null, high: null });

test("listeners hear each change, and none after they left", () => {
  let heard = 0;
  const leave = listen(() => (heard += 1));
  change({ focus: 3 });
  assert.equal(state().focus, 3);
  leave();
  change({ focus: 4 });
  assert.equal(heard, 1);
  change(beginning);
});

test("a range is selected in both directions, and without one the tile alone", () => {
  assert.deepEqual(selected({ focus: 5, anchor: null }), [5]);
  assert.deepEqual(selected({ focus: 5, anchor: 3 }), [3, 4, 5]);
  assert.deepEqual(selected({ focus: 3, anchor: 5 }), [3, 4, 5]);
});

test("a span has one name, however its seconds were computed", () => {
  assert.equal(spanKey({ recording_id: "r", start_s: 0.1 + 0.2, stop_s: 5 }), spanKey({ recording_id: "r", start_s: 0.3, stop_s: 5 }));
  assert.notEqual(spanKey({ recording_id: "r", start_s: 0, stop_s: 5 }), spanKey({ recording_id: "s", start_s: 0, stop_s: 5 }));
});

test("one's own verdict is shown before those of others", () => {
  const all = [judged("ben", "absent"), judged("anna", "present"), judged("anna", "absent", "wren")];
  assert.equal(verdicts(all, "owl", "anna").own?.state, "present");
  assert.deepEqual(verdicts(all, "owl", "anna").others.map((one) => one.author), ["ben"]);
  assert.equal(verdictOf(all, "owl", "anna"), "present");
  assert.equal(verdictOf(all, "owl", "carla"), "unsure", "the others do not agree");
  assert.equal(verdictOf([judged("ben", "absent")], "owl", "carla"), "absent");
  assert.equal(verdictOf(all, "rain", "anna"), null);
});

test("a new judgement replaces the author's last of that label, and null takes it back", () => {
  const before = [judged("anna", "present"), judged("ben", "absent")];
  assert.deepEqual(withJudged(before, judged("anna", "unsure")).map((one) => one.state), ["absent", "unsure"]);
  assert.deepEqual(withJudged(before, judged("anna", null)).map((one) => one.author), ["ben"]);
  assert.equal(withJudged(before, judged("anna", "present", "wren")).length, 3);
});

test("progress follows one verdict, its change, and its undoing", () => {
  const one = progressAfter(progress(0, 0), null, "present");
  assert.deepEqual([one.present, one.absent, one.precision], [1, 0, 1]);
  const other = progressAfter(one, "present", "absent");
  assert.deepEqual([other.present, other.absent, other.precision], [0, 1, 0]);
  assert.deepEqual(progressAfter(other, "absent", null), progress(0, 0));
});

test("the interval is Wilson's", () => {
  // 83 of 100, by hand from Wilson (1927): 0.83 [0.7445, 0.8911]
  const interval = wilson(83, 17);
  assert.ok(interval && Math.abs(interval.low - 0.7445) < 1e-4 && Math.abs(interval.high - 0.8911) < 1e-4);
  assert.equal(wilson(0, 0), null);
  assert.equal(wilson(0, 10)?.low, 0);
  for (let present = 0; present <= 20; present++) {
    const { precision, low, high } = wilson(present, 20 - present)!;
    assert.ok(0 <= low && low <= precision && precision <= high && high <= 1);
  }
});

test("the live line says what was reviewed, and precision once there is one", () => {
  assert.equal(progressLine(progress(0, 0), "owl"), "reviewed 0 of 300");
  const line = progressLine(progressAfter(progress(82, 17, 20), null, "present"), "owl");
  assert.equal(line, "reviewed 120 of 300, precision 0.83 [0.74, 0.89]");
  assert.equal(progressLine(progressAfter(progress(82, 17, 20), null, "present"), null), "reviewed 120 of 300");
});

test("24 tiles fill rows without a hole at any width", () => {
  for (let width = 10; width < 300; width++) assert.equal(24 % columnsFor(width), 0);
  assert.equal(columnsFor(24), 2);
  assert.equal(columnsFor(78), 6);
  assert.equal(pageOf(23), 0);
  assert.equal(pageOf(24), 1);
});

test("times are those of the site's clock, wherever the reader is", () => {
  assert.equal(localTime("2025-05-01T04:07:30+02:00"), "1 May 2025 04:07");
  assert.equal(localTime("2025-12-31T23:59:00-11:00"), "31 Dec 2025 23:59");
  assert.equal(shortTime("2025-05-01T04:07:30+02:00"), "1 May 04:07");
  assert.equal(localTime(null), "");
});

test("seconds and hertz are written shortly", () => {
  assert.deepEqual([clock(5), clock(62.5), clock(62, 0), clock(0.25, 2)], ["5.0 s", "1:02.5", "1:02", "0.25 s"]);
  assert.deepEqual([hertz(800), hertz(8000), hertz(22050)], ["800 Hz", "8 kHz", "22.1 kHz"]);
});

test("ticks are round and within the axis", () => {
  assert.deepEqual(ticks(0, 8000, 4), [0, 2000, 4000, 6000, 8000]);
  assert.deepEqual(ticks(1, 1, 4), []);
  const some = ticks(3.2, 9.7, 6);
  assert.ok(some.every((at) => at >= 3.2 && at <= 9.7) && some.length >= 3);
});

test("a screen reader hears all of a tile", () => {
  const item: Item = {
    row: 1, recording_id: "r", path: "North/a.flac", start_s: 5, stop_s: 10, label: "owl", score: 0.934, percentile: null, margin: null,
    novelty: null, site: "North", local_time: "2025-05-01T04:07:00+02:00", purpose: "train", has_sound: true,
    judged: [judged("anna", "present"), judged("ben", "absent"), judged("ben", "present", "wren")],
  };
  assert.equal(
    describe(item, 2, 300, "owl", "anna"),
    "Sound 3 of 300. North. 1 May 2025 04:07. 5.0 s to 10.0 s of North/a.flac. score 0.93. you judged present. ben judged absent. labelled wren.",
  );
  assert.match(describe({ ...item, judged: [], has_sound: false }, 0, 1, "owl", "anna"), /not judged\. no sound here\.$/);
});

const limits = { duration_s: 60, top_hz: 8000 };
const range = { start_s: 20, stop_s: 30, low_hz: 0, high_hz: 8000 };

test("zooming keeps the point under the pointer, panning the size", () => {
  const near = zoomTime(range, 0.5, 0.2, limits);
  assert.ok(Math.abs(near.start_s + 0.2 * (near.stop_s - near.start_s) - 22) < 1e-9);
  assert.equal(near.stop_s - near.start_s, 5);
  const moved = pan(near, 1, 0, limits);
  assert.ok(Math.abs(moved.stop_s - moved.start_s - 5) < 1e-9 && Math.abs(moved.start_s - near.stop_s) < 1e-9);
  assert.deepEqual(zoomHz(range, 0.5, 0, limits), { ...range, high_hz: 4000 });
});

test("what is looked at never leaves the recording", () => {
  for (const right of [-100, -1, 1, 100]) {
    const at = pan(range, right, right, limits);
    assert.ok(at.start_s >= 0 && at.stop_s <= 60 && at.low_hz >= 0 && at.high_hz <= 8000);
    assert.ok(Math.abs(at.stop_s - at.start_s - 10) < 1e-9);
  }
  const all = zoomTime(range, 1000, 0.5, limits);
  assert.deepEqual([all.start_s, all.stop_s], [0, 60]);
  assert.deepEqual(within({ start_s: -5, stop_s: 1, low_hz: 0, high_hz: 9e9 }, { duration_s: 3, top_hz: 4000 }), { start_s: 0, stop_s: 3, low_hz: 0, high_hz: 4000 });
});

test("an edge of a span never passes the other", () => {
  const span = { start_s: 20, stop_s: 25 };
  assert.deepEqual(moveEdge(span, "start", 30, 60), { start_s: 24.99, stop_s: 25 });
  assert.deepEqual(moveEdge(span, "stop", 10, 60), { start_s: 20, stop_s: 20.01 });
  assert.deepEqual(moveEdge(span, "start", -3, 60), { start_s: 0, stop_s: 25 });
  assert.deepEqual(moveEdge(span, "stop", 99, 60), { start_s: 20, stop_s: 60 });
});
