// One sound of the grid: its picture in its surroundings, where and when it is from, what was said of it.

import { memo } from "preact/compat";
import { useEffect, useRef, useState } from "preact/hooks";
import { judge, moveTo, playFocused, surroundings } from "./actions.ts";
import { pictureAddress } from "./api.ts";
import { run } from "./dispatch.ts";
import { picture, whyNoPicture } from "./pictures.ts";
import { position, stop } from "./player.ts";
import { spanKey, state, usePage, verdicts, type State } from "./state.ts";
import type { Item, Judged, Span, State as Verdict } from "./types.ts";
import { describe, hertz, localTime, place, score, shortTime, SIGN } from "./words.ts";

// one size for all screens, so that the server draws a picture once and its cache hits
const WIDTH = 480;
const HEIGHT = 192;

export function tileAddress(item: Span): string {
  return pictureAddress(surroundings(item), WIDTH, HEIGHT);
}

let following = false; // the page moves the keyboard to the state's tile, so that is no wish to move

function followFocus(cell: HTMLElement | null): void {
  following = true;
  cell?.focus();
  following = false;
}

interface Props {
  item: Item | undefined;
  index: number;
  n: number;
  column: number;
  is_focused: boolean;
  is_selected: boolean;
  label: string | null;
  author: string;
}

export const Tile = memo(function Tile({ item, index, n, column, is_focused, is_selected, label, author }: Props) {
  const cell = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const at = document.activeElement;
    const keyboard_is_here = !at || at === document.body || at.closest(".grid");
    // by now a quick hand may have gone on: then the next tile takes the keyboard
    if (!is_focused || state().focus !== index || !keyboard_is_here || state().panel !== "none") return;
    if (!cell.current?.contains(at)) followFocus(cell.current);
  }, [is_focused, index]);
  if (!item) return <div role="gridcell" ref={cell} aria-colindex={column} class="tile is-coming" aria-label={`Sound ${index + 1} of ${n} is loading`} tabIndex={is_focused ? 0 : -1}><div class="picture" /></div>;

  const { own, others } = verdicts(item.judged, label, author);
  const shown = own ?? others[0] ?? null;
  const names = item.judged.filter((one) => one.label !== label && one.state === "present").map((one) => one.label);
  const classes = ["tile", is_focused && "is-focused", is_selected && "is-selected", shown?.state && `is-${shown.state}`];
  const press = (event: MouseEvent) => {
    moveTo(index, { extend: event.shiftKey });
    if (!event.shiftKey) state().playing?.key === spanKey(item) ? stop() : playFocused();
  };
  return (
    <div
      role="gridcell" ref={cell} aria-colindex={column} aria-selected={is_selected} class={classes.filter(Boolean).join(" ")}
      tabIndex={is_focused ? 0 : -1}
      onFocus={(event) => !following && event.target === event.currentTarget && state().focus !== index && moveTo(index)}
    >
      <span class="unseen">{describe(item, index, n, label, author)}</span>
      <div class="picture" onClick={press} onDblClick={() => run("open")} onMouseDown={(event) => event.shiftKey && event.preventDefault()}>
        <Spectrogram address={item.has_sound ? tileAddress(item) : null} around={surroundings(item)} span={item} />
        <Verdicts own={own} others={others} names={names} />
      </div>
      <div class="facts" aria-hidden="true" title={`${localTime(item.local_time)} ${item.path}`}>
        <span class="where">{place(item)}</span>
        <span class="when">{shortTime(item.local_time)}</span>
        <span class="score">{score(item)}</span>
      </div>
      <TileButtons index={index} can_focus={is_focused} own={own?.state ?? null} />
    </div>
  );
});

function Verdicts({ own, others, names }: { own: Judged | null; others: Judged[]; names: string[] }) {
  if (!own && !others.length && !names.length) return null;
  return (
    <div class="verdicts" aria-hidden="true">
      {own?.state && <span class={`verdict is-${own.state}`}>{SIGN[own.state]}</span>}
      {others.map((one) => one.state && <span key={one.author} class={`verdict is-${one.state}`}>{SIGN[one.state]} {one.author}</span>)}
      {names.map((name) => <span key={name} class="verdict is-name">{name}</span>)}
    </div>
  );
}

// for the mouse and for fingers; the keyboard has keys for all of them
function TileButtons({ index, can_focus, own }: { index: number; can_focus: boolean; own: Verdict | null }) {
  const does = (what: () => void) => (event: Event) => {
    event.stopPropagation();
    const { focus, anchor } = state();
    const in_range = anchor !== null && index >= Math.min(anchor, focus) && index <= Math.max(anchor, focus);
    if (!in_range) moveTo(index);
    what();
  };
  const tab = can_focus ? 0 : -1;
  return (
    <div class="buttons">
      {(["present", "absent", "unsure"] as const).map((verdict) => (
        <button key={verdict} type="button" tabIndex={tab} class={`is-${verdict}`} aria-pressed={own === verdict} aria-label={JUDGES[verdict]} title={JUDGES[verdict]} onClick={does(() => judge(verdict))}><span aria-hidden="true">{SIGN[verdict]}</span></button>
      ))}
      <button type="button" tabIndex={tab} aria-label="Large" title="Large (Enter)" onClick={does(() => run("open"))}><span aria-hidden="true">⤢</span></button>
    </div>
  );
}

const JUDGES: Record<Verdict, string> = { present: "Yes (Y)", absent: "No (N)", unsure: "Not sure (U)" };

interface Shown {
  address: string | null; // null: there is no recording
  around: Span;
  span: Span;
}

/** A picture with the span marked in it, a frequency axis, and the cursor of what is heard. */
export function Spectrogram({ address, around, span }: Shown) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [high_hz, setHigh] = useState(0);
  const [problem, setProblem] = useState<string | null>(address ? null : "no sound here");
  const [drawn, setDrawn] = useState("");
  const tries = usePage((page) => page.online); // asked for again when the server is back
  useEffect(() => {
    if (!address || address === drawn) return setProblem(address ? null : "no sound here");
    let wanted = true;
    setProblem(null);
    picture(address).then(
      ({ bitmap, high_hz }) => {
        const target = canvas.current;
        if (!wanted || !target) return;
        target.width = bitmap.width;
        target.height = bitmap.height;
        target.getContext("2d")?.drawImage(bitmap, 0, 0);
        setHigh(high_hz);
        setDrawn(address);
      },
      (error: unknown) => {
        if (wanted && !(error instanceof DOMException)) setProblem(whyNoPicture(error));
      },
    );
    return () => void (wanted = false);
  }, [address, tries]);
  const length = around.stop_s - around.start_s;
  const left = (100 * (span.start_s - around.start_s)) / length;
  const right = (100 * (around.stop_s - span.stop_s)) / length;
  const is_drawn = drawn === address && !problem;
  return (
    <>
      <canvas ref={canvas} class={is_drawn ? "is-drawn" : ""} aria-hidden="true" />
      {is_drawn && <span class="shade at-left" style={{ width: `${left}%` }} />}
      {is_drawn && <span class="shade at-right" style={{ width: `${right}%` }} />}
      {is_drawn && high_hz > 0 && <span class="hz at-top" aria-hidden="true">{hertz(high_hz)}</span>}
      {is_drawn && high_hz > 0 && <span class="hz at-middle" aria-hidden="true">{hertz(high_hz / 2)}</span>}
      {problem && <span class="no-picture" aria-hidden="true">{problem}</span>}
      <PlayCursor of={spanKey(span)} around={around} />
    </>
  );
}

/** A line that moves with the sound. */
export function PlayCursor({ of, around }: { of: string; around: Span }) {
  const line = useRef<HTMLSpanElement>(null);
  const mine = usePage((page: State) => (page.playing?.key === of ? page.playing : null));
  useEffect(() => {
    if (!mine || mine.loading) return;
    let frame = requestAnimationFrame(function move() {
      const at = position();
      if (at !== null && line.current) {
        line.current.style.left = `${(100 * (at - around.start_s)) / (around.stop_s - around.start_s)}%`;
      }
      frame = requestAnimationFrame(move);
    });
    return () => cancelAnimationFrame(frame);
  }, [mine, around.start_s, around.stop_s]);
  return mine ? <span ref={line} class={mine.loading ? "cursor is-coming" : "cursor"} /> : null;
}
