// What keys and buttons do. Each function changes the one store, and asks the server where it must.

import {
  getAbout, getChanges, getItems, getJob, makeList, Offline, Refusal, sendClip, sendJudgements, startJob, watchVersion,
} from "./api.ts";
import { copyText } from "./copy.ts";
import { forgetWishes } from "./pictures.ts";
import { play, stop } from "./player.ts";
import { newKey, Queue } from "./queue.ts";
import {
  change, PAGE_SIZE, pageOf, progressAfter, progressLine, selected, spanKey, state, verdictOf, verdicts, withJudged,
  type View,
} from "./state.ts";
import type { Changes, Item, Judged, Judgement, ListAnswer, ListQuery, Order, Sound, Span, State as Verdict } from "./types.ts";

const POLL_MS = 2_000;
const POLL_HIDDEN_MS = 15_000; // nobody looks: only so that it is not far behind
const JOB_POLL_MS = 500;
const ITEMS_AT_ONCE = 96; // four pages: a turn of the page finds the next ones there
const MOST_SELECTED = 1_000; // as many judgements as the server takes at once
const TOAST_MS = 4_000;
const FEW_LABELS = 9;

let queue: Queue | null = null;
let cursor: string | null = null; // of /api/changes

// ---- the beginning ----

/** Loads what the page needs, then the list that this tab showed last, or a first one. */
export async function begin(): Promise<void> {
  watchVersion(noteVersion);
  const view = viewNamed(location.hash.slice(1)); // before the list sets it
  try {
    const about = await getAbout();
    const author = recall("author") || about.author;
    const used = about.labels.filter((label) => label.present + label.absent + label.unsure > 0).map((label) => label.name);
    change({ about, author, used: used.length || about.names.length > 9 ? used : about.names, broken: null, online: true });
    queue = new Queue(
      about.stores.map((store) => store.name).join("\n"), localStorageOrMemory(), sendJudgements,
      {
        waiting: (waiting) => change(waiting ? { waiting } : { waiting, refused: null }),
        saved: (saved) => {
          if (queue?.size === 0 && saved.progress) change({ progress: saved.progress });
          change({ online: true });
        },
        offline: () => change({ online: false }),
        refused: (refused) => change({ refused }),
      },
    );
    void queue.flush();
    void poll();
    const opened = openList(lastQuery() ?? firstQuery(), { focus: lastFocus() });
    if (view) show(view);
    await opened;
  } catch (error) {
    const locked = error instanceof Refusal && (error.status === 401 || error.status === 403);
    change({ broken: locked ? "locked" : whyNot(error) });
    if (error instanceof Offline) setTimeout(() => void begin(), POLL_MS);
  }
}

/** What to show when nothing was asked for: what the annotations or scores offer, else all, in time. */
function firstQuery(): ListQuery {
  const about = state().about;
  const suggested = about?.labels.find((label) => label.suggested > 0);
  if (suggested) return { place: "suggest", label: suggested.name };
  const scored = about?.stores.flatMap((store) => store.score_labels) ?? [];
  // of a model with hundreds of labels none is more likely meant than another
  if (scored[0] && scored.length <= FEW_LABELS) return { place: "detections", label: scored[0], order: "score" };
  return { place: "windows", order: "time", per_recording: null, k: 10_000 };
}

let own_version: string | null = null;

// the first version that is heard is the one this tab was loaded from
function noteVersion(version: string): void {
  own_version ??= version;
  const other = version === own_version ? null : version;
  if (state().server_version !== other) change({ server_version: other });
}

// ---- lists ----

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

function takeList(answer: ListAnswer, focus: number): void {
  const { items, progress, ...list } = answer;
  const all: (Item | undefined)[] = new Array(progress.n);
  items.forEach((item, i) => (all[i] = item));
  fetching.clear();
  change({
    list, progress, items: all, loading: false, online: true,
    focus: Math.min(focus, Math.max(0, progress.n - 1)),
    said: `${list.title}: ${progress.n} sounds, ${progressLine(progress)}`,
  });
  remember("query", JSON.stringify(state().query));
  void fetchAround(state().focus);
}

/** Asks for the list again as it is now, for instance after the connection came back. */
export function reload(): void {
  const { query, focus } = state();
  if (!state().about) void begin();
  else if (query) void openList(query, { focus, forget: true });
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

async function fetchItems(list: string, offset: number, limit: number): Promise<void> {
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

const ORDERS: readonly { order: Order; says: string }[] = [
  { order: "given", says: "as found" }, { order: "score", says: "score" }, { order: "novelty", says: "novelty" },
  { order: "time", says: "time" }, { order: "site", says: "site" }, { order: "margin", says: "least sure" },
];
export { ORDERS };

export function sortNext(): void {
  const at = ORDERS.findIndex((one) => one.order === (state().query?.order ?? "given"));
  const next = ORDERS[(at + 1) % ORDERS.length];
  if (!next) return;
  toast(`Sorted by ${next.says}`);
  refine({ order: next.order });
}

// ---- moving and selecting ----

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

// ---- judging ----

/** Judges what is selected, for the list's label, and goes on to the next. */
export function judge(verdict: Verdict): void {
  const label = state().list?.label;
  if (!label) return change({ panel: "label", pending_state: verdict });
  judgeAs(label, verdict);
}

/** The names that the digits stand for. */
export function digitNames(): string[] {
  return state().used.slice(0, 9);
}

export function judgeDigit(digit: number): void {
  const name = digitNames()[digit - 1];
  if (name) judgeAs(name, "present");
  else toast(`No label has the number ${digit} yet. I types a name.`);
}

export function judgeAs(label: string, verdict: Verdict): void {
  const { focus, items, anchor, author } = state();
  const indices = selected({ focus, anchor }).filter((i) => items[i]);
  if (!mayJudge() || !indices.length) return;
  const before = indices.map((i) => {
    const item = items[i] as Item;
    return { item, label, state: verdicts(item.judged, label, author).own?.state ?? null };
  });
  apply(before.map(({ item }) => ({ item, label, state: verdict })));
  change({ strokes: [...state().strokes, { focus, before }].slice(-200), panel: "none", pending_state: null });
  noteName(label);
  if (anchor === null) moveTo(focus + 1);
  else moveTo(Math.max(focus, anchor) + 1);
}

/** Judges a span whose edges were moved: a span of its own, instead of what it was. */
export function judgeMoved(item: Item, span: Span, label: string, verdict: Verdict, band: { low_hz: number | null; high_hz: number | null }): void {
  if (!mayJudge()) return;
  const was = spanKey(span) === spanKey(item) ? null : spanOf(item);
  send([{ ...judgementOf(item, label, verdict), span: spanOf(span), was, ...band }]);
  change({ strokes: [...state().strokes, { focus: state().focus, before: [{ item: { ...item, ...spanOf(span) }, label, state: null }] }] });
  noteName(label);
}

/** Takes the last stroke back, and goes where it was made. */
export function undo(): void {
  const { strokes } = state();
  const last = strokes[strokes.length - 1];
  if (!last) return toast("Nothing to undo.");
  if (!mayJudge()) return;
  apply(last.before);
  change({ strokes: strokes.slice(0, -1), focus: last.focus, anchor: null });
  toast(last.before.length === 1 ? "Undone." : `Undone for ${last.before.length} sounds.`);
}

function mayJudge(): boolean {
  if (!state().about?.read_only) return true;
  toast("This server was started with --read-only: nothing can be judged.");
  return false;
}

function apply(verdictsToSend: readonly { item: Item; label: string; state: Verdict | null }[]): void {
  const { author } = state();
  const at = new Date().toISOString();
  const said = verdictsToSend.map(({ item, label, state: verdict }): [Span, Judged] => [item, { id: "", label, state: verdict, author, at }]);
  takeJudged(said);
  send(verdictsToSend.map(({ item, label, state: verdict }) => judgementOf(item, label, verdict)));
}

function send(judgements: Judgement[]): void {
  void queue?.add(judgements, state().author, state().list?.id ?? null);
}

function judgementOf(item: Item, label: string, verdict: Verdict | null): Judgement {
  return {
    key: newKey(), span: spanOf(item), label, state: verdict, purpose: item.purpose, score: item.score,
    at: new Date().toISOString(),
  };
}

function spanOf(span: Span): Span {
  return { recording_id: span.recording_id, start_s: span.start_s, stop_s: span.stop_s };
}

/** Shows judgements, one's own or others', on the tiles they are of; counts them in the progress. */
function takeJudged(said: readonly [Span, Judged][]): void {
  const { items, list, progress, author } = state();
  const places = new Map<string, number>();
  items.forEach((item, i) => item && places.set(spanKey(item), i));
  const next = items.slice();
  let counted = progress;
  for (const [span, judged] of said) {
    const place = places.get(spanKey(span));
    const item = place === undefined ? undefined : next[place];
    if (place === undefined || !item) continue;
    const after = { ...item, judged: withJudged(item.judged, judged) };
    next[place] = after;
    if (counted && list?.label) {
      counted = progressAfter(counted, verdictOf(item.judged, list.label, author), verdictOf(after.judged, list.label, author));
    }
  }
  change({ items: next, progress: counted });
}

/** A label that was used is known from now on, for the digits and for completion. */
function noteName(label: string): void {
  const { about, used } = state();
  // at the end, for a digit must not change its meaning under the hand
  if (!used.includes(label)) change({ used: [...used, label] });
  if (about && !about.names.includes(label)) change({ about: { ...about, names: [label, ...about.names] } });
}

export function retrySending(): void {
  change({ refused: null });
  void queue?.flush();
}

// ---- searches ----

/** Sounds like the selected ones. */
export function moreLikeThis(): void {
  const like = selectedSpans();
  if (!like.length) return;
  void openList({ place: "search", label: state().list?.label ?? null, like, order: "given" });
}

/** Adds the selected sounds to the search that is shown, as examples or as counterexamples. */
export function addToSearch(which: "like" | "unlike"): void {
  const { query } = state();
  const sounds = selectedSpans();
  if (query?.place !== "search") return which === "like" ? moreLikeThis() : toast("− works in a search: press M on a sound first.");
  toast(which === "like" ? "Searching like this too" : "Searching away from this");
  void openList({ ...query, [which]: [...(query[which] ?? []), ...sounds] });
}

export function dropFromSearch(which: "like" | "unlike", index: number): void {
  const { query } = state();
  if (query) void openList({ ...query, [which]: (query[which] ?? []).filter((_, i) => i !== index) });
}

function selectedSpans(): Sound[] {
  const { items } = state();
  return selected(state()).flatMap((i) => (items[i] ? [{ span: spanOf(items[i]) }] : []));
}

const LARGEST_CLIP = 20_000_000;
export const clip_names = new Map<string, string>(); // of dropped clips, by their id

/** Searches for sounds like a file that was dropped on the page. */
export async function searchLikeFile(file: File): Promise<void> {
  if (file.size > LARGEST_CLIP) {
    return toast(`${file.name} has ${Math.round(file.size / 1e6)} MB; a clip to search with may have 20 MB. Cut out a few seconds.`);
  }
  try {
    toast(`Listening to ${file.name} …`);
    const clip = await sendClip({ name: file.name, content: await base64(file) });
    clip_names.set(clip.id, clip.name);
    const { query, list } = state();
    const like = [...(query?.place === "search" ? (query.like ?? []) : []), { clip: clip.id }];
    await openList({ place: "search", label: list?.label ?? null, like });
  } catch (error) {
    toast(whyNot(error));
  }
}

async function base64(file: File): Promise<string> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  let text = "";
  // in pieces, since all bytes as arguments of one call would overflow the stack
  for (let i = 0; i < bytes.length; i += 0x8000) text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return btoa(text);
}

// ---- a round of learning ----

/** Fits a probe on what was judged, then shows what to judge next and what changed. */
export async function learn(): Promise<void> {
  const { list, query, author, job } = state();
  const label = list?.label ?? query?.label;
  if (!label) return change({ panel: "sources", toast: "Choose a label first: learning is about one label." });
  if (job) return toast("It is still learning.");
  try {
    if (queue && queue.size > 0) await queue.flush(); // what it learns from must be there
    let now = await startJob({ kind: "learn", label, n: 20, author });
    change({ job: now, said: `Learning ${label}` });
    while (now.state === "running") {
      await new Promise((then) => setTimeout(then, JOB_POLL_MS));
      now = await getJob(now.id);
      change({ job: now });
    }
    change({ job: null });
    if (now.state === "failed" || !now.result) return change({ list_problem: null, toast: now.message, said: now.message });
    takeRound(label, now.result);
    change({ learned: now, said: [`Learned ${label}.`, ...now.summary].join(" ") });
    void refreshAbout();
  } catch (error) {
    change({ job: null });
    toast(whyNot(error));
  }
}

function takeRound(label: string, result: ListAnswer): void {
  const { query, focus, left } = state();
  change({
    left: query ? [...left, { query, focus }] : left, query: { place: "suggest", label, k: 20 },
    view: "grid", anchor: null, strokes: [], list_problem: null,
  });
  showHash("grid");
  takeList(result, 0);
}

export async function refreshAbout(): Promise<void> {
  try {
    const about = await getAbout();
    const ours = (state().about?.names ?? []).filter((name) => !about.names.includes(name));
    change({ about: { ...about, names: [...about.names, ...ours] } });
  } catch {
    // the banner says it if the server is gone
  }
}

// ---- what others do, and whether the server is there ----

async function poll(): Promise<void> {
  for (;;) {
    await new Promise((then) => setTimeout(then, document.hidden ? POLL_HIDDEN_MS : POLL_MS));
    try {
      const list = state().list?.id ?? null;
      const was_offline = !state().online;
      const changes = await getChanges(cursor, list);
      takeChanges(changes, list);
      if (was_offline) cameBack();
    } catch (error) {
      if (!(error instanceof Refusal)) change({ online: false });
      // a server that was started anew knows no list and no cursor of before
      else if (error.status === 404 || error.status === 400 || error.status === 422) cursor = null;
    }
  }
}

function takeChanges(changes: Changes, list: string | null): void {
  const is_first = cursor === null;
  cursor = changes.cursor;
  if (changes.judged.length && !is_first) takeJudged(changes.judged);
  // one's own strokes that are not there yet would be missing from the server's count
  if (changes.progress && queue?.size === 0 && state().list?.id === list) change({ progress: changes.progress });
}

function cameBack(): void {
  change({ online: true, said: "The server answers again." });
  void queue?.flush();
  if (state().list_problem) reload();
}

// ---- small things ----

export function setAuthor(author: string): void {
  const name = author.trim().slice(0, 200);
  if (!name) return;
  remember("author", name);
  change({ author: name });
}

export function show(view: View): void {
  if (view !== state().view) {
    stop();
    forgetWishes(); // what the other view still waited for
  }
  change({ view, panel: "none" });
  showHash(view);
}

function showHash(view: View): void {
  if (location.hash !== `#${view}`) history.pushState(null, "", `#${view}`);
}

/** The browser's back button, and an address with a view in it. */
export function viewFromHash(): void {
  const view = viewNamed(location.hash.slice(1));
  if (view) change({ view, panel: "none" });
}

function viewNamed(name: string): View | null {
  return (["grid", "sound", "map", "overview"] as const).find((view) => view === name) ?? null;
}

let toast_timer = 0;

export function toast(text: string): void {
  change({ toast: text, said: text });
  clearTimeout(toast_timer);
  toast_timer = window.setTimeout(() => change({ toast: null }), TOAST_MS);
}

export async function copyCommand(): Promise<void> {
  const command = state().list?.command;
  if (command) toast((await copyText(command)) ? "Copied the command." : "This browser lets nobody copy; select the text instead.");
}

export function whyNot(error: unknown): string {
  if (error instanceof Offline) return "The server does not answer.";
  return error instanceof Error ? error.message : String(error);
}

function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

// what a tab remembers is its own: two tabs may show two lists
function remember(name: string, value: string): void {
  try {
    sessionStorage.setItem(`dawnchorus.${name}`, value);
    if (name === "author") localStorage.setItem(`dawnchorus.${name}`, value);
  } catch {
    // forbidden: the page works without
  }
}

function recall(name: string): string | null {
  try {
    return sessionStorage.getItem(`dawnchorus.${name}`) ?? localStorage.getItem(`dawnchorus.${name}`);
  } catch {
    return null;
  }
}

function lastQuery(): ListQuery | null {
  try {
    const query = JSON.parse(recall("query") ?? "null") as ListQuery | null;
    // a clip is gone when the server is started anew, and a tab may be opened on another archive
    const holds_clip = [...(query?.like ?? []), ...(query?.unlike ?? [])].some((sound) => sound.clip);
    return query && !holds_clip ? query : null;
  } catch {
    return null;
  }
}

function lastFocus(): number {
  return Number(recall("focus") ?? 0) || 0;
}

function localStorageOrMemory(): Storage {
  try {
    localStorage.length;
    return localStorage;
  } catch {
    return { length: 0, key: () => null, getItem: () => null, setItem: () => {}, removeItem: () => {}, clear: () => {} };
  }
}
