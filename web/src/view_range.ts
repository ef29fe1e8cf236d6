// Which part of a recording is looked at: seconds to the right, hertz upwards. Pure arithmetic, so
// that zooming and panning can be tested without a browser.

export interface Range {
  start_s: number;
  stop_s: number;
  low_hz: number;
  high_hz: number;
}

/** The edges of what can be looked at. */
export interface Limits {
  duration_s: number;
  top_hz: number;
}

const SHORTEST_S = 0.02;
export const LONGEST_S = 120; // more is drawn by no server in a moment, and shows no call
const NARROWEST_HZ = 200;

/** A part moved back into the recording, with its size kept where it fits. */
export function within(range: Range, limits: Limits): Range {
  const [start_s, stop_s] = fit(range.start_s, range.stop_s, limits.duration_s, SHORTEST_S, LONGEST_S);
  const [low_hz, high_hz] = fit(range.low_hz, range.high_hz, limits.top_hz, NARROWEST_HZ, Infinity);
  return { start_s, stop_s, low_hz, high_hz };
}

function fit(low: number, high: number, end: number, least: number, most: number): [number, number] {
  const size = Math.min(Math.max(high - low, Math.min(least, end)), Math.min(most, end));
  const begin = Math.min(Math.max(0, low), Math.max(0, end - size));
  return [begin, begin + size];
}

/** Makes the time that is seen `times` as long, around a point (a share of the width). */
export function zoomTime(range: Range, times: number, at: number, limits: Limits): Range {
  const size = range.stop_s - range.start_s;
  const point = range.start_s + at * size;
  const next = Math.min(Math.max(size * times, SHORTEST_S), Math.min(LONGEST_S, limits.duration_s));
  return within({ ...range, start_s: point - at * next, stop_s: point + (1 - at) * next }, limits);
}

/** Makes the frequencies that are seen `times` as wide, around a point (a share of the height, from below). */
export function zoomHz(range: Range, times: number, at: number, limits: Limits): Range {
  const size = range.high_hz - range.low_hz;
  const point = range.low_hz + at * size;
  const next = Math.min(Math.max(size * times, NARROWEST_HZ), limits.top_hz);
  return within({ ...range, low_hz: point - at * next, high_hz: point + (1 - at) * next }, limits);
}

/** Moves by shares of what is seen. */
export function pan(range: Range, right: number, up: number, limits: Limits): Range {
  const seconds = right * (range.stop_s - range.start_s);
  const hz = up * (range.high_hz - range.low_hz);
  return within(
    { start_s: range.start_s + seconds, stop_s: range.stop_s + seconds, low_hz: range.low_hz + hz, high_hz: range.high_hz + hz },
    limits,
  );
}

const SHORTEST_SPAN_S = 0.01;

/** A span with one edge moved; an edge never passes the other, nor leaves the recording. */
export function moveEdge(
  span: { start_s: number; stop_s: number }, edge: "start" | "stop", to_s: number, duration_s: number,
): { start_s: number; stop_s: number } {
  const to = Math.round(to_s * 1000) / 1000;
  if (edge === "start") return { ...span, start_s: Math.max(0, Math.min(to, span.stop_s - SHORTEST_SPAN_S)) };
  return { ...span, stop_s: Math.min(duration_s, Math.max(to, span.start_s + SHORTEST_SPAN_S)) };
}
