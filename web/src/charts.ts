// Small charts of the overview: what stands where, and the pixels of a heat map. No library.

import { onScale, rgb } from "./colours.ts";
import type { EffortCell, LabelFacts } from "./types.ts";
import { dayName } from "./words.ts";

const DAY_MS = 86_400_000;
const HOURS = 24;

/** Hours by days of one site; `hours` is NaN where nothing was recorded, `rate` where not counted. */
export interface HeatMap {
  site: string;
  days: string[]; // each day from first to last, 2026-05-01
  hours: Float32Array; // recorded, days x 24
  rate: Float32Array; // counts a recorded hour
  n_hours: number;
  n_days: number; // with any recording
  busiest: string | null; // the hour with most counts a recorded hour
}

/** Days from first to last, both of them. */
export function daysBetween(first: string, last: string): string[] {
  const [from, to] = [Date.parse(`${first}T00:00:00Z`), Date.parse(`${last}T00:00:00Z`)];
  const n = Math.round((to - from) / DAY_MS) + 1;
  return Array.from({ length: Math.max(0, n) }, (_, i) =>
    new Date(from + i * DAY_MS).toISOString().slice(0, 10),
  );
}

/** A heat map for each site, in the order of their names, all over the same days. */
export function heatMaps(cells: readonly EffortCell[]): HeatMap[] {
  if (cells.length === 0) return [];
  const dates = cells.map((cell) => cell.date).sort();
  const days = daysBetween(dates[0]!, dates[dates.length - 1]!);
  const sites = [...new Set(cells.map((cell) => cell.site))].sort();
  return sites.map((site) => heatMap(site, days, cells.filter((cell) => cell.site === site)));
}

function heatMap(site: string, days: string[], cells: readonly EffortCell[]): HeatMap {
  const column = new Map(days.map((day, i) => [day, i]));
  const hours = new Float32Array(days.length * HOURS).fill(NaN);
  const rate = new Float32Array(days.length * HOURS).fill(NaN);
  const [counts, effort] = [new Float64Array(HOURS), new Float64Array(HOURS)];
  for (const cell of cells) {
    const at = column.get(cell.date)! * HOURS + cell.hour;
    hours[at] = cell.recorded_hours;
    if (cell.n === null || cell.recorded_hours <= 0) continue;
    rate[at] = cell.n / cell.recorded_hours;
    counts[cell.hour]! += cell.n;
    effort[cell.hour]! += cell.recorded_hours;
  }
  const n_hours = cells.reduce((sum, cell) => sum + cell.recorded_hours, 0);
  const n_days = new Set(cells.map((cell) => cell.date)).size;
  return { site, days, hours, rate, n_hours, n_days, busiest: busiestHour(counts, effort) };
}

function busiestHour(counts: Float64Array, effort: Float64Array): string | null {
  let best = -1;
  for (let hour = 0; hour < HOURS; hour++) {
    if (!counts[hour]) continue;
    if (best < 0 || counts[hour]! / effort[hour]! > counts[best]! / effort[best]!) best = hour;
  }
  return best < 0 ? null : hourName(best);
}

/** The greatest rate of all; the sites share one scale, so that they can be compared. */
export function greatestRate(maps: readonly HeatMap[]): number {
  let greatest = 0;
  for (const map of maps) for (const rate of map.rate) if (rate > greatest) greatest = rate;
  return greatest;
}

/** The colour of a cell: null where nothing was recorded. */
export function cellColour(map: HeatMap, at: number, greatest: number, dark: boolean): string | null {
  if (Number.isNaN(map.hours[at])) return null;
  const rate = map.rate[at]!;
  if (Number.isNaN(rate) || greatest === 0) return onScale(0.35, dark);
  // the root: a few counts are seen beside many
  return onScale(Math.sqrt(rate / greatest), dark);
}

/** Draw it, a pixel a cell; the page scales it up. Midnight is at the bottom. */
export function paint(canvas: HTMLCanvasElement, map: HeatMap, greatest: number, dark: boolean): void {
  canvas.width = map.days.length;
  canvas.height = HOURS;
  const context = canvas.getContext("2d");
  if (!context) return;
  const image = context.createImageData(map.days.length, HOURS);
  for (let day = 0; day < map.days.length; day++) {
    for (let hour = 0; hour < HOURS; hour++) {
      const colour = cellColour(map, day * HOURS + hour, greatest, dark);
      if (colour === null) continue; // the page's grey shows through
      image.data.set([...rgb(colour), 255], 4 * ((HOURS - 1 - hour) * map.days.length + day));
    }
  }
  context.putImageData(image, 0, 0);
}

/** A cell in words: 1 May 2026, 04:00: 0.8 h recorded, 12 an hour. */
export function cellWords(map: HeatMap, day: number, hour: number): string {
  const at = day * HOURS + hour;
  const when = `${dayName(map.days[day]!)}, ${hourName(hour)}`;
  if (Number.isNaN(map.hours[at])) return `${when}: not recorded`;
  const recorded = `${lengthWords(map.hours[at]!)} recorded`;
  const rate = map.rate[at]!;
  return `${when}: ${recorded}${Number.isNaN(rate) ? "" : `, ${rounded(rate)} an hour`}`;
}

/** At most `most` days that get their date below them: first ones of months if there are many. */
export function dayTicks(days: readonly string[], most = 8): number[] {
  const all = days.map((_, i) => i);
  if (days.length <= most) return all;
  const months = all.filter((i) => days[i]!.endsWith("-01"));
  if (months.length >= 3) return thinned(months, most);
  return thinned(all, most);
}

function thinned(indices: number[], most: number): number[] {
  const step = Math.ceil(indices.length / most);
  return indices.filter((_, i) => i % step === 0);
}

/** 04:00 */
export function hourName(hour: number): string {
  return `${String(hour).padStart(2, "0")}:00`;
}

/** 12 h, or 40 min if it is less than an hour. */
export function lengthWords(hours: number): string {
  return hours < 1 ? `${rounded(60 * hours)} min` : `${rounded(hours)} h`;
}

/** A number with as many digits as a person reads. */
export function rounded(value: number): string {
  const digits = value !== 0 && Math.abs(value) < 10 ? 1 : 0;
  return value.toLocaleString(undefined, { maximumFractionDigits: digits });
}

/** A part of a bar: where it begins and how wide it is, from 0 to 1. */
export interface Part {
  kind: "present" | "absent" | "unsure" | "suggested";
  n: number;
  from: number;
  width: number;
}

/** What is said of a label as parts of a bar; `greatest` fills it. */
export function labelParts(label: LabelFacts, greatest: number): Part[] {
  const parts: Part[] = [];
  let from = 0;
  for (const kind of ["present", "absent", "unsure", "suggested"] as const) {
    const width = label[kind] / Math.max(1, greatest);
    if (label[kind] > 0) parts.push({ kind, n: label[kind], from, width });
    from += width;
  }
  return parts;
}
