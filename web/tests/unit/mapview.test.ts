// The map stays under the hand.

import assert from "node:assert/strict";
import { test } from "node:test";
import { atMost } from "../../src/mapmodel.ts";
import { fit, moved, toMap, toPage, zoomed } from "../../src/mapview.ts";
import { shuffled } from "../../src/points.ts";

const SIZE = { width: 800, height: 600 };
const BOUNDS = { left: -2, right: 6, bottom: 1, top: 4 };
const near = (a: readonly number[], b: readonly number[]) =>
  a.forEach((value, i) => assert.ok(Math.abs(value - b[i]!) < 1e-9, `${a} is not ${b}`));

test("all of the map is seen, with up being up", () => {
  const view = fit(BOUNDS, SIZE);
  const [left, bottom] = toPage(view, SIZE, BOUNDS.left, BOUNDS.bottom);
  const [right, top] = toPage(view, SIZE, BOUNDS.right, BOUNDS.top);
  assert.ok(left > 0 && right < SIZE.width && top > 0 && bottom < SIZE.height);
  assert.ok(top < bottom);
  near([left, SIZE.width - right], [SIZE.width - right, left]);
});

test("there and back is the same place", () => {
  const view = { x: 1.5, y: -2, scale: 37 };
  near(toPage(view, SIZE, ...toMap(view, SIZE, 123, 456)), [123, 456]);
});

test("zooming keeps what is under the hand under it", () => {
  const whole = fit(BOUNDS, SIZE);
  const under = toMap(whole, SIZE, 610, 90);
  for (const factor of [1.3, 20, 0.7]) {
    const view = zoomed(whole, SIZE, [610, 90], factor, whole);
    near(toMap(view, SIZE, 610, 90), under);
  }
});

test("nobody gets lost: zoom ends where nothing more is to see", () => {
  const whole = fit(BOUNDS, SIZE);
  assert.equal(zoomed(whole, SIZE, [0, 0], 1e-9, whole).scale, whole.scale * 0.5);
  assert.equal(zoomed(whole, SIZE, [0, 0], 1e99, whole).scale, whole.scale * 4_000);
});

test("dragging moves the map as paper", () => {
  const view = { x: 0, y: 0, scale: 10 };
  const before = toMap(view, SIZE, 100, 100);
  near(toMap(moved(view, 30, -20), SIZE, 130, 80), before);
});

test("a list takes an even part of too many points", () => {
  const rows = Uint32Array.from({ length: 1_000 }, (_, i) => 3 * i);
  assert.deepEqual(atMost(rows, 4), [0, 750, 1_500, 2_250]);
  assert.deepEqual(atMost(rows, 1_000), [...rows]);
  assert.equal(new Set(atMost(rows, 999)).size, 999);
});

test("the order of drawing is a shuffle, the same each time", () => {
  const order = shuffled(1_000);
  assert.deepEqual([...order].sort((a, b) => a - b), [...Array(1_000).keys()]);
  assert.deepEqual(order, shuffled(1_000));
  // a fair sample: of the first tenth about a half is from the first half
  const low = order.slice(0, 100).filter((row) => row < 500).length;
  assert.ok(low > 35 && low < 65, `${low} of 100`);
});
