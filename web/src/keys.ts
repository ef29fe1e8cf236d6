// Which key does what. The table is all there is: the help (`?`) shows it, the page obeys it.

import type { View } from "./state.ts";

export type Action =
  | "next" | "previous" | "up" | "down" | "first" | "last" | "next-page" | "previous-page"
  | "extend-next" | "extend-previous" | "extend-up" | "extend-down" | "extend-next-page" | "extend-previous-page"
  | "all" | "play" | "play-around" | "autoplay" | "present" | "absent" | "unsure" | "undo" | "label" | "name"
  | "filter" | "sort" | "more" | "add-like" | "add-unlike" | "learn" | "density" | "sources" | "open" | "back" | "leave"
  | "help" | "copy" | "sounds" | "map" | "overview"
  | "pan-left" | "pan-right" | "pan-up" | "pan-down" | "zoom-in" | "zoom-out" | "zoom-in-hz" | "zoom-out-hz"
  | "zoom-reset" | "start-earlier" | "start-later" | "stop-earlier" | "stop-later" | "slow" | "band"
  | "map-take" | "map-line" | "map-colour";

export interface Binding {
  keys: readonly string[]; // as `keyName` gives them
  action: Action;
  shown: string; // how the key is written
  says: string;
  group: "Move" | "Listen" | "Judge" | "Find" | "Look closer" | "Map" | "Page";
  views: readonly View[];
}

const GRID: readonly View[] = ["grid"];
const SOUND: readonly View[] = ["sound"];
const MAP: readonly View[] = ["map"];
const BOTH: readonly View[] = ["grid", "sound"];
const ALL: readonly View[] = ["grid", "sound", "map", "overview"];

const hidden = ""; // a binding that the help leaves out, since another line says it

export const BINDINGS: readonly Binding[] = [
  { keys: ["j", "ArrowRight"], action: "next", shown: "J →", says: "next sound", group: "Move", views: GRID },
  { keys: ["k", "ArrowLeft"], action: "previous", shown: "K ←", says: "sound before", group: "Move", views: GRID },
  { keys: ["ArrowDown"], action: "down", shown: "↓ ↑", says: "row below, row above", group: "Move", views: GRID },
  { keys: ["ArrowUp"], action: "up", shown: hidden, says: "row above", group: "Move", views: GRID },
  { keys: ["PageDown"], action: "next-page", shown: "Page ↓ ↑", says: "next page, page before", group: "Move", views: GRID },
  { keys: ["PageUp"], action: "previous-page", shown: hidden, says: "page before", group: "Move", views: GRID },
  { keys: ["Home"], action: "first", shown: "Home End", says: "first, last sound of the list", group: "Move", views: GRID },
  { keys: ["End"], action: "last", shown: hidden, says: "last sound of the list", group: "Move", views: GRID },
  { keys: ["Shift+j", "Shift+ArrowRight"], action: "extend-next", shown: "Shift + move", says: "select a range", group: "Move", views: GRID },
  { keys: ["Shift+k", "Shift+ArrowLeft"], action: "extend-previous", shown: hidden, says: "select backwards", group: "Move", views: GRID },
  { keys: ["Shift+ArrowDown"], action: "extend-down", shown: hidden, says: "select to the row below", group: "Move", views: GRID },
  { keys: ["Shift+ArrowUp"], action: "extend-up", shown: hidden, says: "select to the row above", group: "Move", views: GRID },
  { keys: ["Shift+PageDown"], action: "extend-next-page", shown: hidden, says: "select to the next page", group: "Move", views: GRID },
  { keys: ["Shift+PageUp"], action: "extend-previous-page", shown: hidden, says: "select to the page before", group: "Move", views: GRID },
  { keys: ["a"], action: "all", shown: "A", says: "select the page; again: the whole list", group: "Move", views: GRID },
  { keys: ["j"], action: "next", shown: hidden, says: "next sound", group: "Move", views: SOUND },
  { keys: ["k"], action: "previous", shown: hidden, says: "sound before", group: "Move", views: SOUND },

  { keys: [" "], action: "play", shown: "Space", says: "play, stop", group: "Listen", views: BOTH },
  { keys: ["Shift+ "], action: "play-around", shown: "Shift + Space", says: "play with what is around it", group: "Listen", views: BOTH },
  { keys: ["p"], action: "autoplay", shown: "P", says: "play each sound when you come to it", group: "Listen", views: BOTH },
  { keys: ["s"], action: "slow", shown: "S", says: "slower: 1, 2, 5, 10 times", group: "Look closer", views: SOUND },
  { keys: ["b"], action: "band", shown: "B", says: "hear only the frequencies in view", group: "Look closer", views: SOUND },

  { keys: ["y"], action: "present", shown: "Y", says: "yes, it is", group: "Judge", views: BOTH },
  { keys: ["n"], action: "absent", shown: "N", says: "no, it is not", group: "Judge", views: BOTH },
  { keys: ["u"], action: "unsure", shown: "U", says: "not sure", group: "Judge", views: BOTH },
  { keys: ["1", "2", "3", "4", "5", "6", "7", "8", "9"], action: "label", shown: "1 … 9", says: "it is that label", group: "Judge", views: BOTH },
  { keys: ["i"], action: "name", shown: "I", says: "it is … (type a name)", group: "Judge", views: BOTH },
  { keys: ["z"], action: "undo", shown: "Z", says: "undo", group: "Judge", views: BOTH },
  { keys: ["l"], action: "learn", shown: "L", says: "learn from what was judged, show what to judge next", group: "Judge", views: BOTH },
  { keys: ["e"], action: "density", shown: "E", says: "estimate how many windows hold it", group: "Judge", views: BOTH },

  { keys: ["m"], action: "more", shown: "M", says: "more like this", group: "Find", views: BOTH },
  { keys: ["+"], action: "add-like", shown: "+ −", says: "also like this, not like this", group: "Find", views: GRID },
  { keys: ["-"], action: "add-unlike", shown: hidden, says: "not like this", group: "Find", views: GRID },
  { keys: ["o"], action: "sources", shown: "O", says: "choose which sounds to show", group: "Find", views: ALL },
  { keys: ["/"], action: "filter", shown: "/", says: "filter", group: "Find", views: GRID },
  { keys: ["s"], action: "sort", shown: "S", says: "sort by the next order", group: "Find", views: GRID },
  { keys: ["Backspace"], action: "leave", shown: "Backspace", says: "back to the list before", group: "Find", views: GRID },
  { keys: ["c"], action: "copy", shown: "C", says: "copy the command that gives this list", group: "Find", views: GRID },

  { keys: ["Enter"], action: "open", shown: "Enter", says: "one sound large", group: "Look closer", views: GRID },
  { keys: ["ArrowRight"], action: "pan-right", shown: "← →", says: "move in time", group: "Look closer", views: SOUND },
  { keys: ["ArrowLeft"], action: "pan-left", shown: hidden, says: "move back in time", group: "Look closer", views: SOUND },
  { keys: ["ArrowUp"], action: "pan-up", shown: "↑ ↓", says: "move in frequency", group: "Look closer", views: SOUND },
  { keys: ["ArrowDown"], action: "pan-down", shown: hidden, says: "move down in frequency", group: "Look closer", views: SOUND },
  { keys: ["+", "="], action: "zoom-in", shown: "+ −", says: "zoom in time", group: "Look closer", views: SOUND },
  { keys: ["-"], action: "zoom-out", shown: hidden, says: "zoom out in time", group: "Look closer", views: SOUND },
  { keys: ["Shift+ArrowUp"], action: "zoom-in-hz", shown: "Shift + ↑ ↓", says: "zoom in frequency", group: "Look closer", views: SOUND },
  { keys: ["Shift+ArrowDown"], action: "zoom-out-hz", shown: hidden, says: "zoom out in frequency", group: "Look closer", views: SOUND },
  { keys: ["0"], action: "zoom-reset", shown: "0", says: "as at first", group: "Look closer", views: SOUND },
  { keys: ["["], action: "start-earlier", shown: "[ ]", says: "move where the span begins", group: "Look closer", views: SOUND },
  { keys: ["]"], action: "start-later", shown: hidden, says: "begin the span later", group: "Look closer", views: SOUND },
  { keys: ["{", ","], action: "stop-earlier", shown: ", .", says: "move where the span ends", group: "Look closer", views: SOUND },
  { keys: ["}", "."], action: "stop-later", shown: hidden, says: "end the span later", group: "Look closer", views: SOUND },

  { keys: ["ArrowRight"], action: "pan-right", shown: "← → ↑ ↓", says: "move over the map", group: "Map", views: MAP },
  { keys: ["ArrowLeft"], action: "pan-left", shown: hidden, says: "move to the left", group: "Map", views: MAP },
  { keys: ["ArrowUp"], action: "pan-up", shown: hidden, says: "move up", group: "Map", views: MAP },
  { keys: ["ArrowDown"], action: "pan-down", shown: hidden, says: "move down", group: "Map", views: MAP },
  { keys: ["+", "="], action: "zoom-in", shown: "+ − 0", says: "nearer, farther, all of it", group: "Map", views: MAP },
  { keys: ["-"], action: "zoom-out", shown: hidden, says: "farther", group: "Map", views: MAP },
  { keys: ["0"], action: "zoom-reset", shown: hidden, says: "all of it", group: "Map", views: MAP },
  { keys: [" "], action: "play", shown: "Space", says: "play the sound of the marked point", group: "Map", views: MAP },
  { keys: ["Enter"], action: "open", shown: "Enter", says: "that sound large", group: "Map", views: MAP },
  { keys: ["m"], action: "more", shown: "M", says: "more like it", group: "Map", views: MAP },
  { keys: ["g"], action: "map-take", shown: "G", says: "all points in view into the grid", group: "Map", views: MAP },
  { keys: ["d"], action: "map-line", shown: "D", says: "draw a line around points (or hold Shift)", group: "Map", views: MAP },
  { keys: ["c"], action: "map-colour", shown: "C", says: "colour by the next property", group: "Map", views: MAP },

  { keys: ["F2"], action: "sounds", shown: "F2 F3 F4", says: "sounds, map, overview", group: "Page", views: ALL },
  { keys: ["F3"], action: "map", shown: hidden, says: "map", group: "Page", views: ALL },
  { keys: ["F4"], action: "overview", shown: hidden, says: "overview", group: "Page", views: ALL },
  { keys: ["Escape"], action: "back", shown: "Esc", says: "back; select nothing", group: "Page", views: ALL },
  { keys: ["?"], action: "help", shown: "?", says: "this list", group: "Page", views: ALL },
];

/** What of a keyboard event decides; so that tests need no browser. */
export interface Stroke {
  key: string;
  shiftKey: boolean;
  ctrlKey: boolean;
  altKey: boolean;
  metaKey: boolean;
}

/** Where the keyboard is: letters typed into a field are text, Space on a button presses it. */
export type Place = "page" | "button" | "field" | "slider";

/**
 * A stroke as the table writes it. Caps Lock makes no difference; Shift is named for letters, Space
 * and named keys, not for signs, which need it on some keyboards and not on others.
 */
export function keyName(stroke: Stroke): string {
  const is_sign = stroke.key.length === 1 && stroke.key !== " " && stroke.key.toLowerCase() === stroke.key.toUpperCase();
  const name = stroke.key.length === 1 ? stroke.key.toLowerCase() : stroke.key;
  return stroke.shiftKey && !is_sign ? `Shift+${name}` : name;
}

/** What a stroke asks for, or null where it is the browser's. */
export function bindingOf(stroke: Stroke, view: View, place: Place = "page"): Binding | null {
  if (stroke.ctrlKey || stroke.altKey || stroke.metaKey) return null;
  const name = keyName(stroke);
  if (place === "field" && name !== "Escape") return null;
  if (place === "button" && (name === " " || name === "Enter")) return null;
  if (place === "slider" && (name.includes("Arrow") || name.includes("Page") || name === "Home" || name === "End")) return null;
  return BINDINGS.find((binding) => binding.views.includes(view) && binding.keys.includes(name)) ?? null;
}

/** Which kind of place an element is. */
export function placeOf(element: Element | null): Place {
  if (!element) return "page";
  const role = element.getAttribute("role");
  if (role === "slider" || (element.tagName === "INPUT" && element.getAttribute("type") === "range")) return "slider";
  if (["INPUT", "TEXTAREA", "SELECT"].includes(element.tagName)) {
    return element.getAttribute("type") === "checkbox" ? "button" : "field";
  }
  if (["BUTTON", "A", "SUMMARY"].includes(element.tagName) || role === "button") return "button";
  return "page";
}
