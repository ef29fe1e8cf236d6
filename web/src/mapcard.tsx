// The sound of one point of the map: fetched when the hand rests on it, seen, heard, opened.

import { useEffect, useRef, useState } from "preact/hooks";
import { openList, show, surroundings, toast, whyNot } from "./actions.ts";
import { getMapItem } from "./api.ts";
import { play, stop } from "./player.ts";
import { change, spanKey, state, usePage } from "./state.ts";
import { Spectrogram, tileAddress } from "./tile.tsx";
import type { Item } from "./types.ts";
import { describe, localTime, place } from "./words.ts";

export interface Picked {
  row: number;
  item: Item | null; // null: on its way
}

/** The sound of the point: what it looks like, where it is from. */
export function Card({ picked, by, name }: { picked: Picked | null; by: string; name: string | null }) {
  const author = usePage((page) => page.author);
  const item = picked?.item;
  if (!item) return <div class="map-card"><div class="picture" /><p class="hint">{picked ? "…" : "Point at a dot to see it, press it to hear it. Arrow keys do the same."}</p></div>;
  return (
    <div class="map-card" aria-label={describe(item, 0, 1, null, author)} role="group">
      <div class="picture" onClick={() => playPicked(item)}>
        <Spectrogram address={item.has_sound ? tileAddress(item) : null} around={surroundings(item)} span={item} />
      </div>
      <p class="facts"><b>{place(item)}</b> <span>{localTime(item.local_time)}</span></p>
      {name && <p class="facts"><span class="hint">{by}</span> <b>{name}</b></p>}
      {item.judged.length > 0 && <p class="facts">{item.judged.map((one) => `${one.label}: ${one.state ?? "taken back"}`).join(", ")}</p>}
      <p class="map-does">
        <button type="button" disabled={!item.has_sound} title="Space" onClick={() => playPicked(item)}>Play</button>
        <button type="button" title="Enter" onClick={() => void openLarge(item)}>Large</button>
        <button type="button" title="M" onClick={() => moreLike(item)}>More like this</button>
      </p>
    </div>
  );
}

const known = new Map<number, Item>(); // items that were looked at
const MOST_KNOWN = 2_000;

/** The point that is looked at; its item is fetched when the hand rests. */
export function usePicked() {
  const [picked, setPicked] = useState<Picked | null>(null);
  const latest = useRef({ row: -1, timer: 0 });
  useEffect(() => () => clearTimeout(latest.current.timer), []);
  const fetchItem = async (row: number, heard: boolean): Promise<void> => {
    try {
      const item = known.get(row) ?? (await getMapItem(row));
      if (known.size > MOST_KNOWN) known.clear();
      known.set(row, item);
      if (latest.current.row !== row) return;
      setPicked({ row, item });
      change({ said: describe(item, 0, 1, null, state().author) });
      if (heard) playPicked(item);
    } catch (error) {
      if (latest.current.row === row) toast(whyNot(error));
    }
  };
  const pick = (row: number, wait_ms: number, heard = false): void => {
    if (row < 0 || (row === latest.current.row && !heard)) return;
    latest.current.row = row;
    clearTimeout(latest.current.timer);
    setPicked((before) => (before?.row === row ? before : { row, item: known.get(row) ?? null }));
    latest.current.timer = window.setTimeout(() => void fetchItem(row, heard), wait_ms);
  };
  return { picked, pick };
}

export function playPicked(item: Item | null | undefined): void {
  if (!item) return;
  if (state().playing?.key === spanKey(item)) return stop();
  if (!item.has_sound) return toast("No sound here: the recording cannot be found. The rest works.");
  void play(spanKey(item), item);
}

export function moreLike(item: Item | null | undefined): void {
  if (!item) return;
  const { recording_id, start_s, stop_s } = item;
  void openList({ place: "search", label: state().list?.label ?? null, like: [{ span: { recording_id, start_s, stop_s } }] });
}

export async function openLarge(item: Item | null | undefined): Promise<void> {
  if (!item) return;
  await openList({ place: "windows", rows: [item.row], label: state().list?.label ?? null, per_recording: null });
  show("sound");
}
