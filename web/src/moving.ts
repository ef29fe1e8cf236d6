// Moving over the tiles, selecting ranges, hearing the one with the keyboard.

import { fetchAround, fetchItems, firstGap } from "./lists.ts";
import { remember, toast } from "./page.ts";
import { forgetWishes } from "./pictures.ts";
import { play, stop } from "./player.ts";
import { change, PAGE_SIZE, pageOf, spanKey, state } from "./state.ts";
import type { Item, Span } from "./types.ts";

const MOST_SELECTED = 1_000; // as many judgements as the server takes at once

export function moveTo(index: number, how: { extend?: boolean } = {}): void {
  const { items, focus, anchor, autoplay } = state();
  if (!items.length) return;
  const to = Math.max(0, Math.min(items.length - 1, index));
  change({ focus: to, anchor: how.extend ? (anchor ?? focus) : null });
  remember("focus", String(to));
  void fetchAround(to);
  if (autoplay && to !== focus && !how.extend) playFocused();
  else if (to !== focus && !autoplay) stop();
}

export function moveBy(step: number, how: { extend?: boolean } = {}): void {
  moveTo(state().focus + step, how);
}

/** The same place on another page. */
export function turnPage(step: 1 | -1, how: { extend?: boolean } = {}): void {
  const { focus, items } = state();
  const page = pageOf(focus) + step;
  if (page < 0 || page > pageOf(items.length - 1)) return;
  forgetWishes(); // pictures of the page that is left
  moveTo(how.extend ? focus + step * PAGE_SIZE : page * PAGE_SIZE, how);
}

/** Selects the page; if it is selected already, the whole list. */
export async function selectAll(): Promise<void> {
  const { items, focus, anchor, list } = state();
  const first = pageOf(focus) * PAGE_SIZE;
  const last = Math.min(items.length, first + PAGE_SIZE) - 1;
  const page_is_selected = Math.min(anchor ?? focus, focus) === first && Math.max(anchor ?? focus, focus) === last;
  if (!page_is_selected || items.length <= PAGE_SIZE) return change({ anchor: last, focus: first, said: `${last - first + 1} sounds selected` });
  if (items.length > MOST_SELECTED) return toast(`At most ${MOST_SELECTED} sounds are judged at once; this list has ${items.length}.`);
  for (let gap = firstGap(items, 0, items.length); list && gap !== null; gap = firstGap(state().items, 0, items.length)) {
    await fetchItems(list.id, gap, 200);
    if (state().list?.id !== list.id || !state().online) return;
  }
  change({ anchor: items.length - 1, focus: 0, said: `all ${items.length} sounds selected` });
}

export function focused(): Item | undefined {
  return state().items[state().focus];
}

export function playFocused(around = false): void {
  const item = focused();
  if (!item) return;
  if (!item.has_sound) return toast("No sound here: the recording cannot be found. The rest works.");
  void play(spanKey(item), around ? surroundings(item) : item);
}

/** A span with half of its length on each side, so that one sees what it is cut out of. */
export function surroundings(item: Span): Span {
  const side = (item.stop_s - item.start_s) / 2;
  return { recording_id: item.recording_id, start_s: Math.max(0, item.start_s - side), stop_s: item.stop_s + side };
}
