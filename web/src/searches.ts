// Searches by example: more like this, also like that, not like that, like a dropped file.

import { sendClip } from "./api.ts";
import { spanOf } from "./judging.ts";
import { openList } from "./lists.ts";
import { toast, whyNot } from "./page.ts";
import { selected, state } from "./state.ts";
import type { Sound } from "./types.ts";

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
export async function searchLikeFile(file: File, label: string | null = null): Promise<void> {
  if (file.size > LARGEST_CLIP) {
    return toast(`${file.name} has ${Math.round(file.size / 1e6)} MB; a clip to search with may have 20 MB. Cut out a few seconds.`);
  }
  try {
    toast(`Listening to ${file.name} …`);
    const clip = await sendClip({ name: file.name, content: await base64(file) });
    clip_names.set(clip.id, clip.name);
    const { query, list } = state();
    const before = query?.place === "search" ? (query.like ?? []) : [];
    // a file that is dropped twice counts once
    const like = [...before.filter((sound) => sound.clip !== clip.id), { clip: clip.id }];
    await openList({ place: "search", label: label || (list?.label ?? null), like });
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
