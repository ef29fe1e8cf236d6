// Colours of points and cells: told apart with every kind of colour vision, on light and on dark.

import type { MapColours } from "./types.ts";

// Okabe and Ito's, as in the pictures of the command line; yellow vanishes on white, wine on black
const LIGHT = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#882255"];
const DARK = ["#3D9BD9", "#E69F00", "#00B386", "#CC79A7", "#8CCBF0", "#E8743B", "#F0E442"];
const NONE = { light: "#C9CCD1", dark: "#43474E" };
const OTHER = { light: "#82878F", dark: "#8B9099" };
// what is high stands out from the paper: dark on light, bright on dark
const SCALE = {
  light: ["#F2E8A8", "#C9B863", "#8F8B6B", "#575D6D", "#00224E"],
  dark: ["#2B4C8C", "#5B6480", "#8F8B6B", "#C9B863", "#FEE838"],
};
// midnight, six, noon, eighteen: a circle, so that 23 and 1 are alike
const CLOCK = {
  light: ["#2B1A4A", "#3F7FBF", "#D9A400", "#B8443A"],
  dark: ["#6C57BE", "#5AA2E0", "#FFE27A", "#E0705F"],
};
export const N_COLOURED = LIGHT.length;
const MOST_NAMED = 250; // a shade is a byte; what comes after shares one
const NO_CODE = 65_535;

/** A name of the legend: the shade of its points, and how many there are. */
export interface LegendLine {
  shade: number;
  name: string;
  count: number;
}

/** Points as shades from 0 (none) to 255, and what the shades mean. */
export interface Shades {
  by: MapColours["by"];
  shades: Uint8Array;
  lines: LegendLine[]; // most frequent first; empty where values are numbers
  low: number | null;
  high: number | null;
  n_none: number;
}

/** Whether the page is dark now. */
export function isDark(): boolean {
  return window.matchMedia("(prefers-color-scheme: dark)").matches;
}

/** Codes of the server as shades: names in order of how many points they have. */
export function shadesOf(codes: Uint16Array, colours: MapColours): Shades {
  const facts = { by: colours.by, low: colours.low ?? null, high: colours.high ?? null };
  const numbers = colours.names.length === 0;
  const shades = new Uint8Array(codes.length);
  if (numbers) {
    let n_none = 0;
    for (let i = 0; i < codes.length; i++) {
      if (codes[i] === NO_CODE) n_none++;
      else shades[i] = 1 + Math.floor((codes[i]! / NO_CODE) * 255);
    }
    return { ...facts, shades, lines: [], n_none };
  }
  const counts = new Uint32Array(NO_CODE + 1);
  for (let i = 0; i < codes.length; i++) counts[codes[i]!]!++;
  const order = [...colours.names.keys()].sort((a, b) => counts[b]! - counts[a]! || a - b);
  const shadeOf = new Uint8Array(NO_CODE + 1);
  order.forEach((code, rank) => (shadeOf[code] = Math.min(rank, MOST_NAMED) + 1));
  for (let i = 0; i < codes.length; i++) shades[i] = shadeOf[codes[i]!]!;
  return { ...facts, shades, lines: legend(order, counts, colours.names), n_none: counts[NO_CODE]! };
}

function legend(order: number[], counts: Uint32Array, names: readonly string[]): LegendLine[] {
  const lines = order.slice(0, MOST_NAMED).map((code, rank) => ({
    shade: rank + 1,
    name: names[code]!,
    count: counts[code]!,
  }));
  const rest = order.slice(MOST_NAMED);
  if (rest.length > 0) {
    const count = rest.reduce((sum, code) => sum + counts[code]!, 0);
    lines.push({ shade: MOST_NAMED + 1, name: `${rest.length} more`, count });
  }
  return lines.filter((line) => line.count > 0);
}

/** The colour of one shade, as #rrggbb. */
export function shadeColour(of: Pick<Shades, "by" | "lines">, shade: number, dark: boolean): string {
  const paper = dark ? "dark" : "light";
  if (shade === 0) return NONE[paper];
  if (of.by === "hour") return onCircle(CLOCK[paper], (shade - 1) / 255);
  if (of.lines.length === 0) return onScale((shade - 1) / 254, dark);
  return (dark ? DARK : LIGHT)[shade - 1] ?? OTHER[paper];
}

/**
 * 256 colours (RGBA) for `Points`.
 *
 * With `only`, the points of that shade keep a colour of their own and all others step back.
 */
export function paletteOf(of: Pick<Shades, "by" | "lines">, dark: boolean, only = -1): Uint8Array {
  const palette = new Uint8Array(256 * 4);
  const paper = dark ? "dark" : "light";
  for (let shade = 0; shade < 256; shade++) {
    let colour = shadeColour(of, shade, dark);
    if (only >= 0) colour = shade === only ? shown(of, shade, dark) : NONE[paper];
    palette.set([...rgb(colour), 255], 4 * shade);
  }
  return palette;
}

/** The colour of a shade that is looked at alone; grey would not stand out. */
function shown(of: Pick<Shades, "by" | "lines">, shade: number, dark: boolean): string {
  return of.lines.length > 0 && shade > N_COLOURED ? (dark ? DARK : LIGHT)[5]! : shadeColour(of, shade, dark);
}

/** A place from 0 to 1 on the scale for numbers. */
export function onScale(share: number, dark: boolean): string {
  const stops = SCALE[dark ? "dark" : "light"];
  const at = Math.min(1, Math.max(0, share)) * (stops.length - 1);
  const below = Math.min(stops.length - 2, Math.floor(at));
  return mix(stops[below]!, stops[below + 1]!, at - below);
}

function onCircle(stops: string[], share: number): string {
  const at = (share % 1) * stops.length;
  const below = Math.floor(at);
  return mix(stops[below]!, stops[(below + 1) % stops.length]!, at - below);
}

/** Red, green and blue (0 to 255) of #rrggbb. */
export function rgb(colour: string): [number, number, number] {
  const value = parseInt(colour.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

function mix(from: string, to: string, share: number): string {
  const [a, b] = [rgb(from), rgb(to)];
  const parts = a.map((value, i) => Math.round(value + (b[i]! - value) * share));
  return `#${parts.map((value) => value.toString(16).padStart(2, "0")).join("")}`;
}
