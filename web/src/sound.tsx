// One sound large: the recording around it, what was said of it, what the model says over time,
// and its neighbours.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { focused, judge, judgeMoved, moreLikeThis, moveBy, openList, show, surroundings, toast, whyNot } from "./actions.ts";
import { getRecording, getScores, makeList, pictureAddress } from "./api.ts";
import { useActions } from "./dispatch.ts";
import type { Action } from "./keys.ts";
import { LabelField } from "./panel.tsx";
import { picture, whyNoPicture, type Picture } from "./pictures.ts";
import { play, stop, type How } from "./player.ts";
import { spanKey, state, usePage, verdicts } from "./state.ts";
import { PlayCursor, Spectrogram, tileAddress } from "./tile.tsx";
import type { Item, Recording, ScoreTrack, Span, State as Verdict } from "./types.ts";
import { moveEdge, pan, within, zoomHz, zoomTime, type Limits, type Range } from "./view_range.ts";
import { clock, hertz, localTime, place, score, shortTime, SIGN, ticks } from "./words.ts";

const SLOWS = [1, 2, 5, 10] as const;
const SETTLED_MS = 120; // after the last move, the picture is drawn anew
const EDGE_STEP_S = 0.05;
const N_NEIGHBOURS = 12;

export function SoundView() {
  const item = usePage((page) => page.items[page.focus]);
  const loading = usePage((page) => page.loading);
  const [recording, setRecording] = useState<Recording | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const online = usePage((page) => page.online);
  const id = item?.recording_id;
  useEffect(() => {
    if (!id) return;
    let wanted = true;
    setProblem(null);
    getRecording(id).then((one) => wanted && setRecording(one), (error: unknown) => wanted && setProblem(whyNot(error)));
    return () => void (wanted = false);
  }, [id, online]);
  if (!item) return <div class="message"><h2>{loading ? "Loading …" : "No sound is chosen"}</h2><p><button type="button" onClick={() => show("grid")}>To the sounds</button></p></div>;
  if (problem && recording?.recording_id !== id) return <div class="message" role="alert"><h2>This recording cannot be shown</h2><p>{problem}</p><p><button type="button" onClick={() => show("grid")}>Back (Esc)</button></p></div>;
  if (recording?.recording_id !== id || !recording) return <div class="message" role="status"><p>Opening {item.path} …</p></div>;
  return <Large key={spanKey(item)} item={item} recording={recording} />;
}

function Large({ item, recording }: { item: Item; recording: Recording }) {
  const limits: Limits = { duration_s: Math.max(recording.duration_s, item.stop_s), top_hz: recording.rate / 2 };
  const first = useMemo(() => firstRange(item, limits), [item.recording_id]);
  const [range, setRange] = useState<Range>(first);
  const [span, setSpan] = useState({ start_s: item.start_s, stop_s: item.stop_s });
  const [how, setHow] = useState<Required<How>>({ slow: 1, gain_db: 0, low_hz: null, high_hz: null });
  const label = usePage((page) => page.list?.label ?? null);
  const [name, setName] = useState(label ?? "");
  const whole: Span = { recording_id: item.recording_id, ...span };
  const is_moved = spanKey(whole) !== spanKey(item);

  const listen = (what: Span) => {
    if (!recording.has_sound) return toast("No sound here: the recording cannot be found. The rest works.");
    void play(spanKey(item), what, how);
  };
  const verdict = (state_: Verdict) => {
    const said = name.trim();
    if (!said) return toast("Type a label first.");
    const is_plain = !is_moved && said === label && how.low_hz === null;
    if (is_plain) judge(state_);
    else {
      judgeMoved(item, whole, said, state_, { low_hz: how.low_hz, high_hz: how.high_hz });
      toast(`Saved: ${said} ${state_}, ${clock(span.start_s, 2)} to ${clock(span.stop_s, 2)}`);
      moveBy(1);
    }
  };
  const focus_s = Math.min(1, Math.max(0, ((span.start_s + span.stop_s) / 2 - range.start_s) / (range.stop_s - range.start_s)));
  const edge = (which: "start" | "stop", by_s: number) => setSpan((old) => moveEdge(old, which, old[`${which}_s`] + by_s, limits.duration_s));
  const does: Partial<Record<Action, () => void>> = {
    play: () => (state().playing ? stop() : listen(whole)),
    "play-around": () => (state().playing ? stop() : listen({ ...whole, start_s: range.start_s, stop_s: range.stop_s })),
    present: () => verdict("present"), absent: () => verdict("absent"), unsure: () => verdict("unsure"),
    "pan-left": () => setRange((old) => pan(old, -0.2, 0, limits)), "pan-right": () => setRange((old) => pan(old, 0.2, 0, limits)),
    "pan-up": () => setRange((old) => pan(old, 0, 0.2, limits)), "pan-down": () => setRange((old) => pan(old, 0, -0.2, limits)),
    "zoom-in": () => setRange((old) => zoomTime(old, 1 / 1.5, focus_s, limits)), "zoom-out": () => setRange((old) => zoomTime(old, 1.5, focus_s, limits)),
    "zoom-in-hz": () => setRange((old) => zoomHz(old, 1 / 1.5, 0, limits)), "zoom-out-hz": () => setRange((old) => zoomHz(old, 1.5, 0, limits)),
    "zoom-reset": () => (setRange(first), setSpan({ start_s: item.start_s, stop_s: item.stop_s })),
    "start-earlier": () => edge("start", -EDGE_STEP_S), "start-later": () => edge("start", EDGE_STEP_S),
    "stop-earlier": () => edge("stop", -EDGE_STEP_S), "stop-later": () => edge("stop", EDGE_STEP_S),
    slow: () => setHow({ ...how, slow: SLOWS[(SLOWS.indexOf(how.slow as 1) + 1) % SLOWS.length] ?? 1 }),
    band: () => setHow(how.low_hz === null ? { ...how, low_hz: Math.round(range.low_hz), high_hz: Math.round(range.high_hz) } : { ...how, low_hz: null, high_hz: null }),
    name: () => document.getElementById("sound-name")?.focus(),
  };
  useActions((action) => {
    const act = does[action];
    act?.();
    return Boolean(act);
  });
  useEffect(() => {
    if (state().playing) listen(whole); // what is heard follows what is set
  }, [how]);

  const { own, others } = verdicts(item.judged, label, state().author);
  return (
    <div class="sound">
      <div class="sound-head">
        <button type="button" class="quiet" title="Back to the sounds (Esc)" onClick={() => show("grid")}>← Back</button>
        <h1>{place(item)}{item.local_time && <>, <time>{localTime(item.local_time)}</time></>}</h1>
        <p class="sound-path">{recording.path}</p>
        {item.score !== null && <p>score {score(item)}</p>}
        {[own, ...others].map((one) => one?.state && <p key={one.author} class={`verdict is-${one.state}`}>{SIGN[one.state]} {one.label}, {one.author}</p>)}
      </div>
      <div class="sound-body">
        <div class="sound-main">
          <JudgedLane recording={recording} range={range} item={item} />
          <BigPicture item={item} recording={recording} range={range} onRange={setRange} limits={limits} span={span} onSpan={setSpan} how={how} onHow={setHow} />
          <Scores recording={recording} range={range} label={name.trim() || label} span={span} />
          <Controls how={how} onHow={setHow} range={range} limits={limits} onPlay={() => does.play?.()} onBand={() => does.band?.()} onReset={() => does["zoom-reset"]?.()} />
          <form class="line sound-judge" onSubmit={(event) => (event.preventDefault(), verdict("present"))}>
            <label for="sound-name">Label</label>
            <LabelField id="sound-name" value={name} onValue={setName} />
            <button type="submit" class="is-present"><kbd>Y</kbd> yes</button>
            <button type="button" class="is-absent" onClick={() => verdict("absent")}><kbd>N</kbd> no</button>
            <button type="button" class="is-unsure" onClick={() => verdict("unsure")}><kbd>U</kbd> not sure</button>
            <span class="span-words">{clock(span.start_s, 2)} to {clock(span.stop_s, 2)}{is_moved && " (moved)"}</span>
          </form>
        </div>
        <Neighbours item={item} />
      </div>
    </div>
  );
}

function firstRange(item: Span, limits: Limits): Range {
  const side = item.stop_s - item.start_s; // as much on each side as the span is long
  return within({ start_s: item.start_s - side, stop_s: item.stop_s + side, low_hz: 0, high_hz: limits.top_hz }, limits);
}

interface Drawn {
  picture: Picture;
  range: Range;
}

interface BigProps {
  item: Item;
  recording: Recording;
  range: Range;
  onRange: (change: (old: Range) => Range) => void;
  limits: Limits;
  span: { start_s: number; stop_s: number };
  onSpan: (change: (old: { start_s: number; stop_s: number }) => { start_s: number; stop_s: number }) => void;
  how: Required<How>;
  onHow: (how: Required<How>) => void;
}

/** The picture: dragged to move, the wheel zooms in time (with Shift in frequency). */
function BigPicture({ item, recording, range, onRange, limits, span, onSpan, how, onHow }: BigProps) {
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [drawn, setDrawn] = useState<Drawn | null>(null);
  const [problem, setProblem] = useState<string | null>(recording.has_sound ? null : "No sound here: the recording cannot be found.");
  const size_s = range.stop_s - range.start_s;

  useEffect(() => {
    if (!recording.has_sound) return;
    let wanted = true;
    const timer = setTimeout(() => {
      const { width, height } = pixels(box.current);
      const address = pictureAddress({ recording_id: recording.recording_id, start_s: range.start_s, stop_s: range.stop_s }, width, height, { low_hz: Math.round(range.low_hz), high_hz: Math.round(range.high_hz) });
      picture(address, 2).then(
        (one) => wanted && (setProblem(null), setDrawn({ picture: one, range: { ...range, high_hz: one.high_hz || range.high_hz } })),
        (error: unknown) => wanted && setProblem(whyNoPicture(error)),
      );
    }, drawn ? SETTLED_MS : 0);
    return () => {
      wanted = false;
      clearTimeout(timer);
    };
  }, [range, recording.recording_id]);

  useEffect(() => {
    if (canvas.current && drawn) paint(canvas.current, drawn, range);
  }, [drawn, range]);

  // preact listens passively to the wheel, and would let the page scroll under it
  useEffect(() => {
    const wheel = (event: WheelEvent) => {
      event.preventDefault();
      const place = box.current?.getBoundingClientRect();
      if (!place) return;
      const times = Math.exp(Math.max(-1, Math.min(1, (event.deltaY || event.deltaX) / 300)));
      if (event.shiftKey) onRange((old) => zoomHz(old, times, 1 - (event.clientY - place.top) / place.height, limits));
      else onRange((old) => zoomTime(old, times, (event.clientX - place.left) / place.width, limits));
    };
    box.current?.addEventListener("wheel", wheel, { passive: false });
    return () => box.current?.removeEventListener("wheel", wheel);
  }, []);

  const left = (at_s: number) => `${(100 * (at_s - range.start_s)) / size_s}%`;
  const bottom = (hz: number) => `${(100 * (hz - range.low_hz)) / (range.high_hz - range.low_hz)}%`;
  const timeAt = (x: number) => {
    const place = box.current?.getBoundingClientRect();
    return place ? range.start_s + ((x - place.left) / place.width) * size_s : 0;
  };
  const hzAt = (y: number) => {
    const place = box.current?.getBoundingClientRect();
    return place ? range.high_hz - ((y - place.top) / place.height) * (range.high_hz - range.low_hz) : 0;
  };
  const drag = useDrag((dx, dy) => {
    const place = box.current?.getBoundingClientRect();
    if (place) onRange((old) => pan(old, -dx / place.width, dy / place.height, limits));
  });
  const moved = (which: "start" | "stop") => (to_s: number) => onSpan((old) => moveEdge(old, which, to_s, limits.duration_s));
  const shade_left = Math.max(0, Math.min(100, (100 * (span.start_s - range.start_s)) / size_s));
  const shade_right = Math.max(0, Math.min(100, (100 * (range.stop_s - span.stop_s)) / size_s));
  return (
    <div class="big">
      <div class="hz-axis" aria-hidden="true">
        {ticks(range.low_hz, range.high_hz, 6).map((hz) => <span key={hz} style={{ bottom: bottom(hz) }}>{hertz(hz)}</span>)}
      </div>
      <div ref={box} class="big-picture" {...drag}>
        <canvas ref={canvas} class={drawn ? "is-drawn" : ""} role="img" aria-label={`Spectrogram of ${recording.path}, ${clock(range.start_s)} to ${clock(range.stop_s)}, ${hertz(range.low_hz)} to ${hertz(range.high_hz)}`} />
        <span class="shade at-left" style={{ width: `${shade_left}%` }} />
        <span class="shade at-right" style={{ width: `${shade_right}%` }} />
        {problem && <span class="no-picture">{problem}</span>}
        {how.low_hz !== null && how.high_hz !== null && (
          <>
            <Line name="Lowest frequency heard" at={how.low_hz} text={hertz(how.low_hz)} least={0} most={how.high_hz} step={50} style={{ bottom: bottom(how.low_hz) }} from={(event) => hzAt(event.clientY)} onMove={(hz) => onHow({ ...how, low_hz: Math.max(0, Math.min(Math.round(hz), (how.high_hz ?? 0) - 50)) })} class="band-line" upright />
            <Line name="Highest frequency heard" at={how.high_hz} text={hertz(how.high_hz)} least={how.low_hz} most={limits.top_hz} step={50} style={{ bottom: bottom(how.high_hz) }} from={(event) => hzAt(event.clientY)} onMove={(hz) => onHow({ ...how, high_hz: Math.min(limits.top_hz, Math.max(Math.round(hz), (how.low_hz ?? 0) + 50)) })} class="band-line" upright />
          </>
        )}
        <Line name="Beginning of the span" at={span.start_s} text={clock(span.start_s, 2)} least={0} most={span.stop_s} step={EDGE_STEP_S} style={{ left: left(span.start_s) }} from={(event) => timeAt(event.clientX)} onMove={moved("start")} class="edge" />
        <Line name="End of the span" at={span.stop_s} text={clock(span.stop_s, 2)} least={span.start_s} most={limits.duration_s} step={EDGE_STEP_S} style={{ left: left(span.stop_s) }} from={(event) => timeAt(event.clientX)} onMove={moved("stop")} class="edge" />
        <PlayCursor of={spanKey(item)} around={{ recording_id: item.recording_id, start_s: range.start_s, stop_s: range.stop_s }} />
      </div>
      <div class="time-axis" aria-hidden="true">
        {ticks(range.start_s, range.stop_s, Math.min(8, Math.max(2, (box.current?.clientWidth ?? 800) / 90))).map((at) => <span key={at} style={{ left: left(at) }}>{clock(at, size_s < 1 ? 2 : size_s < 16 ? 1 : 0)}</span>)}
      </div>
    </div>
  );
}

// steps of 64, so that a window one pixel wider does not ask for all pictures again
function pixels(box: HTMLElement | null): { width: number; height: number } {
  const scale = Math.min(2, devicePixelRatio || 1);
  const round = (n: number, most: number) => Math.min(most, Math.max(128, 64 * Math.ceil((n * scale) / 64)));
  return { width: round(box?.clientWidth ?? 960, 2048), height: round(box?.clientHeight ?? 384, 768) };
}

/** Draws the last picture where it belongs in what is looked at now, until the next one is there. */
function paint(canvas: HTMLCanvasElement, drawn: Drawn, range: Range): void {
  const { bitmap } = drawn.picture;
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  const across = canvas.width / (range.stop_s - range.start_s);
  const up = canvas.height / (range.high_hz - range.low_hz);
  canvas.getContext("2d")?.drawImage(
    bitmap,
    (drawn.range.start_s - range.start_s) * across, (range.high_hz - drawn.range.high_hz) * up,
    (drawn.range.stop_s - drawn.range.start_s) * across, (drawn.range.high_hz - drawn.range.low_hz) * up,
  );
}

/** Pointer handlers that tell how far it was dragged since the last time. */
function useDrag(onDrag: (dx: number, dy: number) => void) {
  const last = useRef<{ x: number; y: number } | null>(null);
  return {
    onPointerDown: (event: PointerEvent) => {
      if (event.button !== 0) return;
      last.current = { x: event.clientX, y: event.clientY };
      (event.currentTarget as HTMLElement).setPointerCapture(event.pointerId);
    },
    onPointerMove: (event: PointerEvent) => {
      if (!last.current) return;
      onDrag(event.clientX - last.current.x, event.clientY - last.current.y);
      last.current = { x: event.clientX, y: event.clientY };
    },
    onPointerUp: () => void (last.current = null),
    onPointerCancel: () => void (last.current = null),
  };
}

interface LineProps {
  name: string;
  at: number;
  text: string;
  least: number;
  most: number;
  step: number;
  style: Record<string, string>;
  from: (event: PointerEvent) => number;
  onMove: (to: number) => void;
  class: string;
  upright?: boolean;
}

/** A line in the picture that is dragged, or moved by the arrows once it has the keyboard. */
function Line({ name, at, text, least, most, step, style, from, onMove, class: kind, upright = false }: LineProps) {
  const held = useRef(false);
  const key = (event: KeyboardEvent) => {
    const by = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    onMove(at + by * step);
  };
  return (
    <span
      role="slider" tabIndex={0} class={`line-handle ${kind}`} style={style} aria-label={name} aria-valuenow={at} aria-valuetext={text} aria-valuemin={least} aria-valuemax={most} aria-orientation={upright ? "vertical" : "horizontal"} title={`${name}: ${text}`}
      onKeyDown={key}
      onPointerDown={(event) => {
        event.stopPropagation(); // the picture must not move with it
        held.current = true;
        event.currentTarget.setPointerCapture(event.pointerId);
      }}
      onPointerMove={(event) => held.current && onMove(from(event))}
      onPointerUp={() => void (held.current = false)}
      onPointerCancel={() => void (held.current = false)}
    />
  );
}

/** What anybody said of this recording, each over its span. */
function JudgedLane({ recording, range, item }: { recording: Recording; range: Range; item: Item }) {
  const size = range.stop_s - range.start_s;
  const here = item.judged.map((one) => [item, one] as const);
  const elsewhere = recording.judged.filter(([span]) => spanKey(span) !== spanKey(item));
  const seen = [...here, ...elsewhere].filter(([span, one]) => one.state && span.stop_s > range.start_s && span.start_s < range.stop_s);
  return (
    <ul class="lane" aria-label="Judged in this recording">
      {seen.map(([span, one]) => one.state && (
        <li key={spanKey(span) + one.label + one.author} class={`verdict is-${one.state}`} style={{ left: `${Math.max(0, (100 * (span.start_s - range.start_s)) / size)}%`, width: `${(100 * (Math.min(span.stop_s, range.stop_s) - Math.max(span.start_s, range.start_s))) / size}%` }} title={`${one.label}: ${one.state}, ${one.author}`}>
          {SIGN[one.state]} {one.label}
        </li>
      ))}
    </ul>
  );
}

/** What the model or a probe says over time, one bar a window. */
function Scores({ recording, range, label, span }: { recording: Recording; range: Range; label: string | null; span: { start_s: number; stop_s: number } }) {
  const probe = usePage((page) => page.query?.probe ?? null);
  const about = usePage((page) => page.about);
  const [track, setTrack] = useState<ScoreTrack | null>(null);
  const [asked, setAsked] = useState(label);
  useEffect(() => {
    const timer = setTimeout(() => setAsked(label), 400); // while a name is typed, most of it is no label
    return () => clearTimeout(timer);
  }, [label]);
  useEffect(() => {
    let wanted = true;
    setTrack(null);
    const has_scores = probe !== null || about?.stores.some((store) => store.score_labels.includes(asked ?? ""));
    if (!asked || !has_scores) return;
    getScores(recording.recording_id, asked, probe).then((one) => wanted && setTrack(one), () => {}); // no scores of it: nothing to draw
    return () => void (wanted = false);
  }, [recording.recording_id, asked, probe]);
  if (!track?.scores.length) return null;
  const [low, high] = [Math.min(0, ...track.scores), Math.max(1e-9, ...track.scores)];
  const size = range.stop_s - range.start_s;
  const middle = (span.start_s + span.stop_s) / 2;
  const distances = track.start_s.map((start, i) => Math.abs((start + (track.stop_s[i] ?? 0)) / 2 - middle));
  const at = distances.indexOf(Math.min(...distances)); // the window that lies best on the span
  const here = track.scores[at];
  const step = track.scores.length > 1 ? (track.start_s[1] ?? 0) - (track.start_s[0] ?? 0) : (track.stop_s[0] ?? 1) - (track.start_s[0] ?? 0);
  return (
    <figure class="scores">
      <figcaption>{track.label}{here !== undefined && <>: {here.toFixed(2)} here</>}, at most {high.toFixed(2)} in this recording</figcaption>
      <svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img" aria-label={`Scores of ${track.label} over time`}>
        {track.scores.map((value, i) => {
          // windows may overlap, and bars over bars would say nothing: each is as wide as the step to the next
          const centre = ((track.start_s[i] ?? 0) + (track.stop_s[i] ?? 0)) / 2;
          const x = (100 * (centre - step / 2 - range.start_s)) / size;
          const width = (100 * step) / size;
          const height = (100 * (value - low)) / (high - low);
          return x + width < 0 || x > 100 ? null : <rect key={i} class={i === at ? "is-here" : ""} x={x + 0.1} width={Math.max(0.1, width - 0.2)} y={100 - height} height={height} />;
        })}
      </svg>
    </figure>
  );
}

interface ControlProps {
  how: Required<How>;
  onHow: (how: Required<How>) => void;
  range: Range;
  limits: Limits;
  onPlay: () => void;
  onBand: () => void;
  onReset: () => void;
}

function Controls({ how, onHow, limits, onPlay, onBand, onReset }: ControlProps) {
  const playing = usePage((page) => page.playing !== null);
  return (
    <div class="controls">
      <button type="button" class="main" onClick={onPlay} title="Play (Space)">{playing ? "■ Stop" : "▶ Play"}</button>
      <div class="segments" role="group" aria-label="Slower">
        {SLOWS.map((slow) => <button key={slow} type="button" aria-pressed={how.slow === slow} onClick={() => onHow({ ...how, slow })}>{slow === 1 ? "1×" : `1/${slow}`}</button>)}
      </div>
      <label class="line">Gain <input type="range" min={0} max={40} step={1} value={how.gain_db} aria-valuetext={`${how.gain_db} decibels`} onInput={(event) => onHow({ ...how, gain_db: Number(event.currentTarget.value) })} /> <span class="unit">{how.gain_db} dB</span></label>
      <label class="check"><input type="checkbox" checked={how.low_hz !== null} onChange={onBand} /> Band</label>
      {how.low_hz !== null && how.high_hz !== null && (
        <span class="line">
          <input type="number" aria-label="from, in hertz" min={0} max={limits.top_hz} step={50} value={how.low_hz} onChange={(event) => onHow({ ...how, low_hz: Math.max(0, Math.min(Number(event.currentTarget.value), (how.high_hz ?? 0) - 50)) })} />
          to <input type="number" aria-label="to, in hertz" min={0} max={limits.top_hz} step={50} value={how.high_hz} onChange={(event) => onHow({ ...how, high_hz: Math.min(limits.top_hz, Math.max(Number(event.currentTarget.value), (how.low_hz ?? 0) + 50)) })} /> Hz
        </span>
      )}
      <button type="button" class="quiet" title="As at first (0)" onClick={onReset}>Reset view</button>
    </div>
  );
}

/** What lies nearest to it in the archive; heard by a click. */
function Neighbours({ item }: { item: Item }) {
  const [items, setItems] = useState<Item[] | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const like = useMemo(() => [{ span: { recording_id: item.recording_id, start_s: item.start_s, stop_s: item.stop_s } }], [item.row]);
  useEffect(() => {
    const asking = new AbortController();
    // a moment later: who pages through sounds does not wait for neighbours that nobody sees
    const timer = setTimeout(() => {
      makeList({ place: "search", like, k: N_NEIGHBOURS + 1, per_recording: 2 }, asking.signal).then(
        (list) => setItems(list.items.filter((one) => spanKey(one) !== spanKey(item)).slice(0, N_NEIGHBOURS)),
        (error: unknown) => !asking.signal.aborted && setProblem(whyNot(error)),
      );
    }, 250);
    return () => {
      clearTimeout(timer);
      asking.abort();
    };
  }, [item.row]);
  return (
    <aside class="neighbours" aria-label="Sounds like it">
      <div class="neighbours-head"><h2>Like it</h2><button type="button" class="quiet" title="More like this (M)" onClick={() => (focused() ? moreLikeThis() : void openList({ place: "search", like }))}>More</button></div>
      {problem && <p class="hint">{problem}</p>}
      {!items && !problem && <p class="hint" role="status">Looking …</p>}
      <ul>
        {items?.map((one) => (
          <li key={spanKey(one)}>
            <button type="button" class="neighbour" title="Play" onClick={() => (one.has_sound ? void play(spanKey(one), one) : toast("No sound here: the recording cannot be found."))}>
              <span class="picture"><Spectrogram address={one.has_sound ? tileAddress(one) : null} around={surroundings(one)} span={one} /></span>
              <span class="facts"><span class="where"><span class="unseen">Play </span>{place(one)}</span> <span class="when">{shortTime(one.local_time)}</span> <span class="score">{score(one)}</span></span>
            </button>
          </li>
        ))}
      </ul>
    </aside>
  );
}
