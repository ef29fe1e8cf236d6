// The one store of the page: everything that is shown is a function of `State`.
//
// A view reads with `usePage(pick)` and is drawn again when what it picked changes; only the
// functions of actions.ts, queue.ts and player.ts change it, by `change({...})`.

import { useEffect, useReducer, useRef } from "preact/hooks";
import type { About, Item, JobAnswer, Judged, ListAnswer, ListQuery, Progress, Span, State as Verdict } from "./types.ts";

export type View = "grid" | "sound" | "map" | "overview";
export const PAGE_SIZE = 24;

/** A list that was left for another one; Backspace goes back to it. */
export interface Left {
  query: ListQuery;
  focus: number;
}

/** What one stroke judged, to be undone by Z. */
export interface Stroke {
  focus: number;
  before: Said[];
}

/** A verdict on a tile; `was` is the span under which it stands, where its edges were moved. */
export interface Said {
  item: Item;
  label: string;
  state: Verdict | null;
  was?: Span;
}

/** What is heard now: `key` says which tile it belongs to. */
export interface Playing {
  key: string;
  span: Span;
  slow: number;
  began_at: number; // of performance.now(), in milliseconds
  loading: boolean;
}

export interface State {
  view: View;
  about: About | null;
  author: string;
  /** Labels that were used, here or before, in a steady order: the digits stand for the first nine. */
  used: string[];
  /** Why the page cannot begin at all; "locked" if the cookie is missing. */
  broken: string | null;

  query: ListQuery | null;
  list: Omit<ListAnswer, "items" | "progress"> | null;
  progress: Progress | null;
  items: (Item | undefined)[]; // of the whole list; undefined: not fetched yet
  loading: boolean;
  list_problem: string | null;
  left: Left[];

  focus: number; // index of the tile with the keyboard
  anchor: number | null; // the other end of a selected range
  strokes: Stroke[];

  online: boolean;
  waiting: number; // judgements that the server has not confirmed
  refused: string | null; // why the server will not take a judgement
  server_version: string | null; // where it is not the one that this tab was loaded from

  playing: Playing | null;
  autoplay: boolean;
  job: JobAnswer | null;
  learned: JobAnswer | null; // the last finished round, with what changed

  panel: "none" | "sources" | "filters" | "keys" | "label"; // what lies over the view
  pending_state: Verdict | null; // judged already, but of which label is asked by the panel
  said: string; // for the live region: screen readers speak it
  toast: string | null; // shown for a moment
}

export const beginning: State = {
  view: "grid", about: null, author: "", used: [], broken: null,
  query: null, list: null, progress: null, items: [], loading: false, list_problem: null, left: [],
  focus: 0, anchor: null, strokes: [],
  online: true, waiting: 0, refused: null, server_version: null,
  playing: null, autoplay: false, job: null, learned: null,
  panel: "none", pending_state: null, said: "", toast: null,
};

let now: State = beginning;
const listeners = new Set<() => void>();

export function state(): State {
  return now;
}

export function change(part: Partial<State>): void {
  now = { ...now, ...part };
  for (const listener of [...listeners]) listener();
}

export function listen(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/**
 * The hook of every view: what `pick` takes from the state, kept up to date.
 *
 * A view is drawn again only if what it picks is another value, so pick values that stay the same
 * object while nothing of them changed.
 */
export function usePage<T>(pick: (state: State) => T): T {
  const [, redraw] = useReducer((n: number, _: number) => n + 1, 0);
  const value = pick(now);
  const latest = useRef({ pick, value });
  latest.current = { pick, value };
  useEffect(() => {
    const look = () => {
      if (!Object.is(latest.current.pick(now), latest.current.value)) redraw(0);
    };
    look(); // it may have changed between the first drawing and now
    return listen(look);
  }, []);
  return value;
}

// ---- what follows from the state ----

/** Names a span, to find it again in another answer; a millisecond is far below any hop. */
export function spanKey(span: Span): string {
  return `${span.recording_id}|${span.start_s.toFixed(3)}|${span.stop_s.toFixed(3)}`;
}

/** Indices of the selected tiles: the range, or the focused one alone. */
export function selected(state: Pick<State, "focus" | "anchor">): number[] {
  const other = state.anchor ?? state.focus;
  const first = Math.min(other, state.focus);
  return Array.from({ length: Math.abs(other - state.focus) + 1 }, (_, i) => first + i);
}

/** What is said of a label in a span: by this author, and by the others. */
export function verdicts(judged: readonly Judged[], label: string | null, author: string): { own: Judged | null; others: Judged[] } {
  const of_label = judged.filter((one) => one.label === label && one.state !== null);
  return {
    own: of_label.find((one) => one.author === author) ?? null,
    others: of_label.filter((one) => one.author !== author),
  };
}

/** The verdict to show and to count: one's own, else what the others agree on. */
export function verdictOf(judged: readonly Judged[], label: string | null, author: string): Verdict | null {
  const { own, others } = verdicts(judged, label, author);
  if (own) return own.state;
  const states = new Set(others.map((one) => one.state));
  return states.size === 1 ? (others[0]?.state ?? null) : states.size > 1 ? "unsure" : null;
}

/** The judgements of a span after one more; a state of null takes back. */
export function withJudged(judged: readonly Judged[], one: Judged): Judged[] {
  const rest = judged.filter((other) => other.label !== one.label || other.author !== one.author);
  return one.state === null ? rest : [...rest, one];
}

/** 95 % Wilson interval of `present` among `present + absent`, as the server has it. */
export function wilson(present: number, absent: number): { precision: number; low: number; high: number } | null {
  const n = present + absent;
  if (n === 0) return null;
  const z = 1.959963984540054;
  const share = present / n;
  const middle = (share + (z * z) / (2 * n)) / (1 + (z * z) / n);
  const half = (z / (1 + (z * z) / n)) * Math.sqrt((share * (1 - share)) / n + (z * z) / (4 * n * n));
  return { precision: share, low: Math.max(0, middle - half), high: Math.min(1, middle + half) };
}

/** Progress after one verdict was replaced by another. */
export function progressAfter(progress: Progress, before: Verdict | null, after: Verdict | null): Progress {
  const counts = { present: progress.present, absent: progress.absent, unsure: progress.unsure };
  if (before) counts[before] -= 1;
  if (after) counts[after] += 1;
  const interval = wilson(counts.present, counts.absent);
  return {
    n: progress.n, ...counts,
    precision: interval?.precision ?? null, low: interval?.low ?? null, high: interval?.high ?? null,
  };
}

/** "reviewed 120 of 300, precision 0.83 [0.74, 0.90]"; without a label there is nothing to be precise about. */
export function progressLine(progress: Progress, label: string | null): string {
  const reviewed = progress.present + progress.absent + progress.unsure;
  const line = `reviewed ${reviewed.toLocaleString("en")} of ${progress.n.toLocaleString("en")}`;
  if (label === null || progress.precision === null || progress.low === null || progress.high === null) return line;
  return `${line}, precision ${progress.precision.toFixed(2)} [${progress.low.toFixed(2)}, ${progress.high.toFixed(2)}]`;
}

export function pageOf(index: number): number {
  return Math.floor(index / PAGE_SIZE);
}
