// What the grid finds is what a look at every point finds.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Grid, isInside, range } from "../../src/nearest.ts";

const N = 3_000;

/** Numbers from 0 to 1 that are the same in each run. */
function numbers(n: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length: n }, () => {
    state = (state * 1_664_525 + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  });
}

function everyInside(x: Float32Array, y: Float32Array, polygon: number[]): number[] {
  return [...x.keys()].filter((row) => isInside(x[row]!, y[row]!, polygon));
}

test("the nearest point is the one that a look at all of them gives", () => {
  const [x, y] = [numbers(N, 1), numbers(N, 2)];
  const grid = new Grid(x, y);
  const [px, py] = [numbers(200, 3), numbers(200, 4)];
  for (let i = 0; i < px.length; i++) {
    const far = (row: number) => (x[row]! - px[i]!) ** 2 + (y[row]! - py[i]!) ** 2;
    const best = [...x.keys()].reduce((a, b) => (far(b) < far(a) ? b : a));
    assert.equal(grid.nearest(px[i]!, py[i]!, 0.5), best);
  }
});

test("a point out of reach is not found", () => {
  const grid = new Grid(Float32Array.of(0, 1), Float32Array.of(0, 1));
  assert.equal(grid.nearest(0.5, 0.5, 0.1), -1);
  assert.equal(grid.nearest(0.05, 0.05, 0.1), 0);
  assert.equal(grid.nearest(-3, 9, 0.1), -1);
});

test("a line around points takes those that the even-odd rule takes, in rising order", () => {
  const [x, y] = [numbers(N, 5), numbers(N, 6)];
  const grid = new Grid(x, y);
  const star = Array.from({ length: 10 }, (_, i) => {
    const far = i % 2 ? 0.18 : 0.55;
    return [0.5 + far * Math.cos((i * Math.PI) / 5), 0.5 + far * Math.sin((i * Math.PI) / 5)];
  }).flat();
  const bow = [0.1, 0.1, 0.9, 0.9, 0.9, 0.1, 0.1, 0.9]; // its lines cross
  for (const polygon of [star, bow, [0.2, 0.2, 0.21, 0.2, 0.21, 0.21], [2, 2, 3, 2, 3, 3]]) {
    assert.deepEqual([...grid.inside(polygon)], everyInside(x, y, polygon));
  }
});

test("a line as fine as a hand draws it loses no point", () => {
  const [x, y] = [numbers(N, 7), numbers(N, 8)];
  const circle = Array.from({ length: 720 }, (_, i) => {
    const turn = (i * Math.PI) / 360;
    return [0.4 + 0.3 * Math.cos(turn), 0.6 + 0.3 * Math.sin(turn)];
  }).flat();
  const chosen = [...new Grid(x, y).inside(circle)];
  assert.ok(chosen.length > 500);
  assert.deepEqual(chosen, everyInside(x, y, circle));
});

test("points in one place, one point and no point are maps too", () => {
  const same = new Grid(Float32Array.of(2, 2, 2), Float32Array.of(3, 3, 3));
  assert.equal(same.nearest(2.01, 3, 0.1), 0);
  assert.deepEqual([...same.inside([1, 2, 3, 2, 3, 4, 1, 4])], [0, 1, 2]);
  const none = new Grid(new Float32Array(0), new Float32Array(0));
  assert.equal(none.nearest(0, 0, 1), -1);
  assert.deepEqual([...none.inside([0, 0, 1, 0, 1, 1])], []);
});

test("the range of numbers", () => {
  assert.deepEqual(range([3, -1, 2]), [-1, 3]);
  assert.deepEqual(range([]), [0, 0]);
});
