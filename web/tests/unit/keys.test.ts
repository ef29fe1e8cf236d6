// Each key does what the help says, and nothing while one types.

import assert from "node:assert/strict";
import { test } from "node:test";
import { BINDINGS, bindingOf, keyName, type Place, type Stroke } from "../../src/keys.ts";
import type { View } from "../../src/state.ts";

function stroke(key: string, how: Partial<Stroke> = {}): Stroke {
  return { key, shiftKey: false, ctrlKey: false, altKey: false, metaKey: false, ...how };
}

const action = (key: string, view: View = "grid", how: Partial<Stroke> = {}, place: Place = "page") =>
  bindingOf(stroke(key, how), view, place)?.action ?? null;

test("the keys of the grid", () => {
  const expected = {
    j: "next", ArrowRight: "next", k: "previous", ArrowLeft: "previous", ArrowDown: "down", ArrowUp: "up",
    PageDown: "next-page", PageUp: "previous-page", " ": "play", y: "present", n: "absent", u: "unsure",
    a: "all", z: "undo", "/": "filter", s: "sort", m: "more", l: "learn", e: "density", Enter: "open", Escape: "back", "?": "help",
    "1": "label", "9": "label",
  };
  for (const [key, does] of Object.entries(expected)) assert.equal(action(key), does, key);
  assert.equal(action("0"), null);
});

test("Shift selects a range", () => {
  assert.equal(action("J", "grid", { shiftKey: true }), "extend-next");
  assert.equal(action("ArrowDown", "grid", { shiftKey: true }), "extend-down");
  assert.equal(action("PageDown", "grid", { shiftKey: true }), "extend-next-page");
});

test("Caps Lock changes nothing", () => {
  assert.equal(action("Y"), "present");
  assert.equal(keyName(stroke("Y")), "y");
});

test("signs are the same on keyboards where they need Shift", () => {
  for (const how of [{}, { shiftKey: true }]) {
    assert.equal(action("?", "grid", how), "help");
    assert.equal(action("/", "grid", how), "filter");
    assert.equal(action("1", "grid", how), "label");
    assert.equal(action("+", "sound", how), "zoom-in");
  }
});

test("the browser keeps its own keys", () => {
  for (const how of [{ ctrlKey: true }, { metaKey: true }, { altKey: true }]) {
    for (const key of ["a", "c", "n", "l", "ArrowLeft", "1"]) assert.equal(action(key, "grid", how), null);
  }
});

test("letters typed into a field are text; only Escape leaves it", () => {
  for (const binding of BINDINGS) {
    for (const key of binding.keys) {
      const does = bindingOf(stroke(key), binding.views[0]!, "field");
      assert.equal(does?.action ?? null, key === "Escape" ? "back" : null, key);
    }
  }
});

test("Space and Enter press a button that has the keyboard, other keys still work", () => {
  assert.equal(action(" ", "grid", {}, "button"), null);
  assert.equal(action("Enter", "grid", {}, "button"), null);
  assert.equal(action("y", "grid", {}, "button"), "present");
});

test("arrows move a slider that has the keyboard", () => {
  assert.equal(action("ArrowLeft", "sound", {}, "slider"), null);
  assert.equal(action("ArrowLeft", "sound"), "pan-left");
  assert.equal(action(" ", "sound", {}, "slider"), "play");
});

test("no key has two meanings in one view", () => {
  for (const view of ["grid", "sound", "map", "overview"] as const) {
    const keys = BINDINGS.filter((binding) => binding.views.includes(view)).flatMap((binding) => binding.keys);
    const twice = keys.filter((key, i) => keys.indexOf(key) !== i);
    assert.deepEqual(twice, [], view);
  }
});

test("the help says each thing once in a group", () => {
  const lines = BINDINGS.filter((binding) => binding.shown).map((binding) => `${binding.group} ${binding.shown}`);
  assert.equal(new Set(lines).size, lines.length);
  for (const binding of BINDINGS) assert.ok(binding.says.length > 2 && binding.keys.length > 0);
});
