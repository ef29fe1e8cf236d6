// Lists of sounds: opening one, going back to the one before, fetching more of it, sorting it.

import { getItems, makeList, Offline, Refusal } from "./api.ts";
import { copyText } from "./copy.ts";
import { isAbort, recall, remember, showHash, toast, whyNot } from "./page.ts";
import { forgetWishes } from "./pictures.ts";
import { stop } from "./player.ts";
import { change, PAGE_SIZE, pageOf, progressLine, state } from "./state.ts";
import type { Item, ListAnswer, ListQuery, Order } from "./types.ts";

const ITEMS_AT_ONCE = 96; // four pages: a turn of the page finds the next ones there

let asking: AbortController | null = null;

/** Opens another list, and remembers the one it replaces for Backspace. */
export async function openList(query: ListQuery, how: { focus?: number; forget?: boolean } = {}): Promise<void> {
  const before = state();
  asking?.abort();
  asking = new AbortController();
  const mine = asking;
  stop();
  forgetWishes();
  const left = before.query && before.list && !how.forget ? [...before.left, { query: before.query, focus: before.focus }] : before.left;
  change({
    query, loading: true, list_problem: null, left, items: [], progress: null, list: null, view: "grid",
    focus: 0, anchor: null, strokes: [], panel: "none", learned: null,
  });
  showHash("grid");
  try {
    const answer = await makeList(query, mine.signal);
    if (asking !== mine) return;
    takeList(answer, how.focus ?? 0);
  } catch (error) {
    if (asking !== mine || isAbort(error)) return;
    change({ loading: false, list_problem: whyNot(error), said: whyNot(error), online: !(error instanceof Offline) });
  }
}

export function takeList(answer: ListAnswer, focus: number): void {
  const { items, progress, ...list } = answer;
  const all: (Item | undefined)[] = new Array(progress.n);
  items.forEach((item, i) => (all[i] = item));
  fetching.clear();
  change({
    list, progress, items: all, loading: false, online: true, query: settled(state().query),
    focus: Math.min(focus, Math.max(0, progress.n - 1)),
    said: `${list.title}: ${progress.n} sounds, ${progressLine(progress, list.label)}`,
  });
  remember("query", JSON.stringify(state().query));
  void fetchAround(state().focus);
}

/** The query to ask again: it shows what waits, and adds no suggestion that nobody asked for. */
function settled(query: ListQuery | null): ListQuery | null {
  return query?.place === "suggest" ? { ...query, suggest_more: false } : query;
}

/** Asks for the list again as it is now, for instance after the connection came back. */
export function reload(): void {
  const { query, focus } = state();
  if (query) void openList(query, { focus, forget: true });
}

/** The same list, other order or filters. */
export function refine(part: Partial<ListQuery>): void {
  const { query } = state();
  if (query) void openList({ ...query, ...part }, { forget: true });
}

/** Back to the list before this one. */
export function leaveList(): void {
  const left = state().left;
  const last = left[left.length - 1];
  if (!last) return toast("There is no list before this one.");
  change({ left: left.slice(0, -1) });
  void openList(last.query, { focus: last.focus, forget: true });
}

const fetching = new Set<number>(); // first indices of stretches that are on their way

/** Sees to it that the items around an index are there, the next page too. */
export async function fetchAround(index: number): Promise<void> {
  const { list, items } = state();
  if (!list) return;
  const page = pageOf(index) * PAGE_SIZE;
  for (const first of [page, page + PAGE_SIZE, page - PAGE_SIZE]) {
    const gap = firstGap(items, first, first + PAGE_SIZE);
    if (gap === null || fetching.has(gap)) continue;
    await fetchItems(list.id, gap, ITEMS_AT_ONCE);
  }
}

export async function fetchItems(list: string, offset: number, limit: number): Promise<void> {
  fetching.add(offset);
  try {
    const answer = await getItems(list, offset, limit);
    if (state().list?.id !== list) return;
    const items = state().items.slice();
    // a judgement may be newer here than in the answer: what is here already stays
    answer.items.forEach((item, i) => (items[offset + i] ??= item));
    change({ items });
  } catch (error) {
    if (error instanceof Refusal && error.status === 404) return reload(); // the server was started anew
    if (error instanceof Offline) change({ online: false });
  } finally {
    fetching.delete(offset);
  }
}

export function firstGap(items: readonly (Item | undefined)[], from: number, to: number): number | null {
  for (let i = Math.max(0, from); i < Math.min(to, items.length); i++) if (!items[i]) return i;
  return null;
}

export const ORDERS: readonly { order: Order; says: string }[] = [
  { order: "given", says: "as found" }, { order: "score", says: "score" }, { order: "novelty", says: "novelty" },
  { order: "time", says: "time" }, { order: "site", says: "site" }, { order: "margin", says: "least sure" },
];
export function sortNext(): void {
  const at = ORDERS.findIndex((one) => one.order === (state().query?.order ?? "given"));
  const next = ORDERS[(at + 1) % ORDERS.length];
  if (!next) return;
  toast(`Sorted by ${next.says}`);
  refine({ order: next.order });
}

export async function copyCommand(): Promise<void> {
  const command = state().list?.command;
  if (command) toast((await copyText(command)) ? "Copied the command." : "This browser lets nobody copy; select the text instead.");
}

/** The list that this tab showed before it was loaded again. */
export function lastQuery(): ListQuery | null {
  try {
    const query = JSON.parse(recall("query") ?? "null") as ListQuery | null;
    // a clip is gone when the server is started anew, and a tab may be opened on another archive
    const holds_clip = [...(query?.like ?? []), ...(query?.unlike ?? [])].some((sound) => sound.clip);
    return query && !holds_clip ? query : null;
  } catch {
    return null;
  }
}

export function lastFocus(): number {
  return Number(recall("focus") ?? 0) || 0;
}
