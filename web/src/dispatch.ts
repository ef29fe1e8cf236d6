// From a key or a button to what it does. A view may answer an action itself (the large sound pans
// where the grid moves); what no view answers is done here.

import { useEffect, useRef } from "preact/hooks";
import {
  addToSearch, copyCommand, howMany, judge, judgeDigit, learn, leaveList, moreLikeThis, moveBy, moveTo, playFocused, selectAll,
  show, sortNext, toast, turnPage, undo,
} from "./actions.ts";
import { bindingOf, placeOf, type Action } from "./keys.ts";
import { stop } from "./player.ts";
import { change, state } from "./state.ts";

type Answer = (action: Action, key: string) => boolean;
const answers: Answer[] = []; // of the views on the screen, the latest first
let columns = 6; // tiles in a row, as the grid last drew them

export function setColumns(n: number): void {
  columns = n;
}

/** Lets a view answer actions while it is on the screen; false leaves them to the page. */
export function useActions(answer: Answer): void {
  const latest = useRef(answer);
  latest.current = answer;
  useEffect(() => {
    const mine: Answer = (action, key) => latest.current(action, key);
    answers.unshift(mine);
    return () => void answers.splice(answers.indexOf(mine), 1);
  }, []);
}

export function run(action: Action, key = ""): void {
  if (answers.some((answer) => answer(action, key))) return;
  DOES[action]?.(key);
}

const DOES: Partial<Record<Action, (key: string) => void>> = {
  next: () => moveBy(1),
  previous: () => moveBy(-1),
  down: () => moveBy(columns),
  up: () => moveBy(-columns),
  first: () => moveTo(0),
  last: () => moveTo(state().items.length - 1),
  "next-page": () => turnPage(1),
  "previous-page": () => turnPage(-1),
  "extend-next": () => moveBy(1, { extend: true }),
  "extend-previous": () => moveBy(-1, { extend: true }),
  "extend-down": () => moveBy(columns, { extend: true }),
  "extend-up": () => moveBy(-columns, { extend: true }),
  "extend-next-page": () => turnPage(1, { extend: true }),
  "extend-previous-page": () => turnPage(-1, { extend: true }),
  all: () => void selectAll(),
  play: () => (state().playing ? stop() : playFocused()),
  "play-around": () => playFocused(true),
  autoplay: () => {
    change({ autoplay: !state().autoplay });
    toast(state().autoplay ? "Each sound plays when you come to it." : "Sounds play when you press Space.");
  },
  present: () => judge("present"),
  absent: () => judge("absent"),
  unsure: () => judge("unsure"),
  label: (key) => judgeDigit(Number(key)),
  name: () => change({ panel: "label", pending_state: null }),
  undo: () => undo(),
  learn: () => void learn(),
  density: () => void howMany(),
  more: () => moreLikeThis(),
  "add-like": () => addToSearch("like"),
  "add-unlike": () => addToSearch("unlike"),
  sources: () => change({ panel: "sources" }),
  filter: () => change({ panel: "filters" }),
  sort: () => sortNext(),
  leave: () => leaveList(),
  copy: () => void copyCommand(),
  open: () => show("sound"),
  back: () => goBack(),
  help: () => change({ panel: "keys" }),
  sounds: () => show("grid"),
  map: () => show("map"),
  overview: () => show("overview"),
};

// what lies on top goes first
function goBack(): void {
  const { view, anchor, playing } = state();
  if (playing) stop();
  else if (view !== "grid") show("grid");
  else if (anchor !== null) change({ anchor: null });
}

/** The one listener to the keyboard. An open dialog keeps its keys to itself. */
export function onKey(event: KeyboardEvent): void {
  if (state().panel !== "none" || event.defaultPrevented || event.isComposing) return;
  const binding = bindingOf(event, state().view, placeOf(event.target instanceof Element ? event.target : null));
  if (!binding) return;
  if (event.repeat && !REPEATS.test(binding.action)) return event.preventDefault();
  event.preventDefault();
  if (binding.action === "back" && event.target instanceof HTMLElement && placeOf(event.target) === "field") event.target.blur();
  else run(binding.action, event.key);
}

// a key that is held down moves on and on, but judges once
const REPEATS = /^(next|previous|up|down|extend|pan|zoom|start|stop)/;
