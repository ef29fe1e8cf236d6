// How numbers, times and places are written.

import { verdicts } from "./state.ts";
import type { Item, State as Verdict } from "./types.ts";

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

export const SIGN: Record<Verdict, string> = { present: "✓", absent: "✕", unsure: "?" };

/** "1 May 2025 04:07", as the clock at the site showed it: never moved to the reader's own zone. */
export function localTime(iso: string | null): string {
  const parts = /^(\d{4})-(\d\d)-(\d\d)T(\d\d:\d\d)/.exec(iso ?? "");
  if (!parts) return "";
  return `${Number(parts[3])} ${MONTHS[Number(parts[2]) - 1]} ${parts[1]} ${parts[4]}`;
}

/** "1 May 2025", of a date. */
export function dayName(day: string, year = true): string {
  return localTime(`${day}T00:00`).replace(year ? / 00:00$/ : / \d{4} 00:00$/, "");
}

/** "1 May 04:07": enough on a tile, where a year would crowd out the site. */
export function shortTime(iso: string | null): string {
  return localTime(iso).replace(/ \d{4} /, " ");
}

/** "1:02.5", for an axis or a span. */
export function clock(seconds: number, digits = 1): string {
  const minutes = Math.floor(seconds / 60);
  const rest = (seconds - 60 * minutes).toFixed(digits);
  return minutes ? `${minutes}:${rest.padStart(digits ? 3 + digits : 2, "0")}` : `${rest} s`;
}

/** "8 kHz", "800 Hz" */
export function hertz(hz: number): string {
  return hz >= 1000 ? `${Number((hz / 1000).toFixed(1))} kHz` : `${Math.round(hz)} Hz`;
}

export function number(value: number): string {
  return value.toLocaleString("en");
}

export function score(item: Item): string {
  return item.score === null ? "" : item.score.toFixed(2);
}

/** All of a tile in a sentence, for who does not see it. */
export function describe(item: Item, index: number, n: number, label: string | null, author: string): string {
  const parts = [`Sound ${index + 1} of ${n}`, place(item)];
  const time = localTime(item.local_time);
  if (time) parts.push(time);
  parts.push(`${clock(item.start_s)} to ${clock(item.stop_s)} of ${item.path}`);
  if (item.score !== null) parts.push(`score ${score(item)}`);
  const { own, others } = verdicts(item.judged, label, author);
  if (own) parts.push(`you judged ${own.state}`);
  for (const other of others) parts.push(`${other.author} judged ${other.state}`);
  const names = item.judged.filter((one) => one.label !== label && one.state === "present").map((one) => one.label);
  if (names.length) parts.push(`labelled ${names.join(", ")}`);
  if (!own && !others.length && !names.length) parts.push("not judged");
  if (!item.has_sound) parts.push("no sound here");
  return `${parts.join(". ")}.`;
}

/** Where a sound is from, in few letters: its site, else the name of its file. */
export function place(item: Pick<Item, "site" | "path">): string {
  return item.site ?? item.path.replace(/^.*\//, "").replace(/\.\w+$/, "");
}

/** Steps of 1, 2 or 5 times a power of ten, about `count` of them between two values. */
export function ticks(low: number, high: number, count: number): number[] {
  const range = high - low;
  if (!(range > 0)) return [];
  const rough = range / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((times) => times * power >= rough) ?? 10);
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, i) => (first + i) * step);
}
