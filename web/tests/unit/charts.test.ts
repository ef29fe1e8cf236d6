// The charts say what the server counted.

import assert from "node:assert/strict";
import { test } from "node:test";
import { cellColour, cellWords, dayTicks, daysBetween, greatestRate, heatMaps, labelParts } from "../../src/charts.ts";

const cell = (site: string, date: string, hour: number, recorded_hours: number, n: number | null) => ({
  site, date, hour, recorded_hours, n,
});
const CELLS = [
  cell("wood", "2026-03-30", 4, 1, 12),
  cell("wood", "2026-04-01", 5, 0.5, 10),
  cell("reed", "2026-03-31", 4, 1, 0),
  cell("reed", "2026-03-31", 6, 1, null),
];

test("days are counted over the ends of months and leap days", () => {
  assert.deepEqual(daysBetween("2028-02-28", "2028-03-01"), ["2028-02-28", "2028-02-29", "2028-03-01"]);
  assert.deepEqual(daysBetween("2026-05-01", "2026-05-01"), ["2026-05-01"]);
  assert.equal(daysBetween("2026-01-01", "2026-12-31").length, 365);
});

test("all sites have the same days, and a day without a recording stays empty", () => {
  const [reed, wood] = heatMaps(CELLS);
  assert.deepEqual([reed!.site, wood!.site], ["reed", "wood"]);
  assert.deepEqual(wood!.days, ["2026-03-30", "2026-03-31", "2026-04-01"]);
  assert.equal(wood!.hours[0 * 24 + 4], 1);
  assert.ok(Number.isNaN(wood!.hours[1 * 24 + 4]));
  assert.deepEqual([wood!.n_days, wood!.n_hours], [2, 1.5]);
});

test("a rate is counts by recorded hours: a short recording counts for what it is", () => {
  const maps = heatMaps(CELLS);
  assert.equal(maps[1]!.rate[2 * 24 + 5], 20);
  assert.equal(maps[1]!.busiest, "05:00");
  assert.equal(maps[0]!.busiest, null); // nothing was heard there
  assert.equal(greatestRate(maps), 20);
});

test("not recorded, nothing heard and not counted are three things", () => {
  const [reed] = heatMaps(CELLS);
  const [silent, uncounted, away] = [1 * 24 + 4, 1 * 24 + 6, 0];
  const colours = [silent, uncounted, away].map((at) => cellColour(reed!, at, 20, false));
  assert.equal(colours[2], null);
  assert.equal(new Set(colours).size, 3);
  assert.match(cellWords(reed!, 1, 4), /04:00: 1 h recorded, 0 an hour$/);
  assert.match(cellWords(reed!, 1, 6), /06:00: 1 h recorded$/);
  assert.match(cellWords(heatMaps(CELLS)[1]!, 2, 5), /05:00: 30 min recorded, 20 an hour$/);
  assert.match(cellWords(reed!, 0, 0), /00:00: not recorded$/);
});

test("no recordings with a clock give no heat map", () => {
  assert.deepEqual(heatMaps([]), []);
});

test("few days are all named, a year by its months", () => {
  assert.deepEqual(dayTicks(["2026-05-01", "2026-05-02"]), [0, 1]);
  const year = daysBetween("2026-01-01", "2026-12-31");
  assert.deepEqual(dayTicks(year).map((i) => year[i]!.slice(5)), [
    "01-01", "03-01", "05-01", "07-01", "09-01", "11-01",
  ]);
  const month = daysBetween("2026-05-03", "2026-06-01");
  assert.ok(dayTicks(month).length <= 8 && dayTicks(month)[0] === 0);
});

test("the parts of a bar follow each other, and an empty one is left out", () => {
  const label = { name: "wren", present: 3, absent: 0, unsure: 1, suggested: 4 };
  assert.deepEqual(labelParts(label, 8), [
    { kind: "present", n: 3, from: 0, width: 0.375 },
    { kind: "unsure", n: 1, from: 0.375, width: 0.125 },
    { kind: "suggested", n: 4, from: 0.5, width: 0.5 },
  ]);
});
