// The most frequent names have colours; everything else is 'other', and none is none.

import assert from "node:assert/strict";
import { test } from "node:test";
import { N_COLOURED, onScale, paletteOf, rgb, shadeColour, shadesOf } from "../../src/colours.ts";

const NONE = 65_535;

/** Contrast of two colours as the accessibility guidelines count it. */
function contrast(one: string, other: string): number {
  const light = (colour: string) => {
    const [r, g, b] = rgb(colour).map((value) => {
      const part = value / 255;
      return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
  };
  const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
  return (high! + 0.05) / (low! + 0.05);
}

test("names are ordered by how many points they have", () => {
  const codes = Uint16Array.of(2, 2, 2, 0, 1, 1, NONE);
  const of = shadesOf(codes, { by: "site", names: ["reed", "wood", "shore"], low: null, high: null });
  assert.deepEqual(of.lines.map((line) => [line.name, line.count]), [["shore", 3], ["wood", 2], ["reed", 1]]);
  assert.deepEqual([...of.shades], [1, 1, 1, 3, 2, 2, 0]);
  assert.equal(of.n_none, 1);
});

test("a name without a point is not in the legend", () => {
  const of = shadesOf(Uint16Array.of(1), { by: "label", names: ["wren", "robin"], low: null, high: null });
  assert.deepEqual(of.lines.map((line) => line.name), ["robin"]);
});

test("more names than a byte holds share one shade at the end", () => {
  const names = Array.from({ length: 400 }, (_, i) => `c${i}`);
  const codes = Uint16Array.from({ length: 800 }, (_, i) => i % 400);
  const of = shadesOf(codes, { by: "cluster", names, low: null, high: null });
  assert.equal(of.lines.length, 251);
  assert.deepEqual(of.lines.at(-1), { shade: 251, name: "150 more", count: 300 });
  assert.equal(Math.max(...of.shades), 251);
  assert.equal(of.lines.reduce((sum, line) => sum + line.count, 0), 800);
});

test("names after the coloured ones are grey, until one is looked at alone", () => {
  const of = { by: "cluster" as const, lines: [{ shade: 1, name: "a", count: 1 }] };
  const grey = shadeColour(of, N_COLOURED + 1, false);
  assert.equal(shadeColour(of, 200, false), grey);
  assert.notEqual(shadeColour(of, N_COLOURED, false), grey);
  const alone = paletteOf(of, false, 200);
  const at = (shade: number) => [...alone.slice(4 * shade, 4 * shade + 3)];
  assert.notDeepEqual(at(200), rgb(grey));
  assert.deepEqual(at(1), rgb(shadeColour(of, 0, false)));
});

test("numbers run over the scale from end to end, and none stays apart", () => {
  const of = shadesOf(Uint16Array.of(0, 65_534, NONE), { by: "score", names: [], low: -1, high: 1 });
  assert.deepEqual([...of.shades], [1, 255, 0]);
  assert.equal(shadeColour(of, 1, false), onScale(0, false).toLowerCase());
  assert.equal(shadeColour(of, 255, false), onScale(1, false));
});

test("the hours are a circle: 23 is nearer to 0 than to 12", () => {
  const of = { by: "hour" as const, lines: [] };
  const apart = (a: number, b: number) => {
    const [one, other] = [a, b].map((hour) => rgb(shadeColour(of, 1 + Math.floor((hour / 24) * 255), true)));
    return Math.hypot(...one!.map((value, i) => value - other![i]!));
  };
  assert.ok(apart(23, 0) < apart(23, 12) / 3);
});

test("high values stand out from the paper, in light and in dark", () => {
  assert.ok(contrast(onScale(1, false), "#ffffff") > 7);
  assert.ok(contrast(onScale(1, true), "#14161a") > 7);
  for (const dark of [false, true]) {
    const paper = dark ? "#14161a" : "#ffffff";
    const contrasts = [0, 0.25, 0.5, 0.75, 1].map((share) => contrast(onScale(share, dark), paper));
    assert.deepEqual(contrasts, [...contrasts].sort((a, b) => a - b));
  }
});
