// Judgements: made by a stroke, shown at once, sent by the queue, taken back by another stroke.

import { sendJudgements } from "./api.ts";
import { openList } from "./lists.ts";
import { moveTo } from "./moving.ts";
import { remember, toast } from "./page.ts";
import { newKey, Queue } from "./queue.ts";
import { change, progressAfter, selected, spanKey, state, verdictOf, verdicts, withJudged, type Said } from "./state.ts";
import type { Item, Judged, Judgement, Span, State as Verdict } from "./types.ts";

let queue: Queue | null = null;

/** Takes up what waits in the storage for these stores, and sends it. */
export function startQueue(archive: string): void {
  queue = new Queue(archive, localStorageOrMemory(), sendJudgements, {
    waiting: (waiting) => change(waiting ? { waiting } : { waiting, refused: null }),
    saved: (saved) => {
      // one's own strokes that are not there yet would be missing from the server's count
      if (saved.progress && allSent()) change({ progress: saved.progress });
      change({ online: true });
    },
    offline: () => change({ online: false }),
    refused: (refused) => change({ refused }),
  });
  void queue.flush();
}

export function allSent(): boolean {
  return !queue?.size;
}

export async function sendWaiting(): Promise<void> {
  await queue?.flush();
}

/** Judges what is selected, for the list's label, and goes on to the next. */
export function judge(verdict: Verdict): void {
  const label = state().list?.label;
  if (!label) return change({ panel: "label", pending_state: verdict });
  judgeAs(label, verdict);
}

/** Judges as the panel was told. A list that asked about no label asks about this one from now on. */
export function judgeNamed(label: string): void {
  const { pending_state, query, list, strokes } = state();
  judgeAs(label, pending_state ?? "present");
  if (pending_state === null || !query || list?.label) return;
  const made = state().strokes;
  void openList({ ...query, label }, { focus: state().focus, forget: true });
  change({ strokes: made.length > strokes.length ? made : strokes }); // Z still takes it back
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
  const before = verdicts(item.judged, label, state().author).own?.state ?? null;
  send([{ ...judgementOf(item, label, verdict), span: spanOf(span), was, ...band }]);
  // the tile knows it at once, or it would be counted again when the server tells it
  takeJudged([now(item, label, verdict)]);
  const stroke = { focus: state().focus, before: [{ item, label, state: before, was: spanOf(span) }] };
  change({ strokes: [...state().strokes, stroke].slice(-200) });
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

function apply(all: readonly Said[]): void {
  takeJudged(all.map(({ item, label, state: verdict }) => now(item, label, verdict)));
  send(all.map(({ item, label, state: verdict, was }) => ({ ...judgementOf(item, label, verdict), ...(was && { was }) })));
}

function now(item: Item, label: string, verdict: Verdict | null): [Span, Judged] {
  return [item, { id: "", label, state: verdict, author: state().author, at: new Date().toISOString() }];
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

export function spanOf(span: Span): Span {
  return { recording_id: span.recording_id, start_s: span.start_s, stop_s: span.stop_s };
}

/** Shows judgements, one's own or others', on the tiles they are of; counts them in the progress. */
export function takeJudged(said: readonly [Span, Judged][]): void {
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
  void sendWaiting();
}

export function setAuthor(author: string): void {
  const name = author.trim().slice(0, 200);
  if (!name) return;
  remember("author", name);
  change({ author: name });
}

function localStorageOrMemory(): Storage {
  try {
    localStorage.length;
    return localStorage;
  } catch {
    return { length: 0, key: () => null, getItem: () => null, setItem: () => {}, removeItem: () => {}, clear: () => {} };
  }
}
