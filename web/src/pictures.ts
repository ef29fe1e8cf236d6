// Spectrograms from the server: few requests at once, what is looked at first, the rest kept ready.
//
// They are drawn into a canvas, not shown by an <img>, since the height of the frequency axis comes
// in a header of the answer.

import { Offline, Refusal, request } from "./api.ts";

export interface Picture {
  bitmap: ImageBitmap;
  high_hz: number; // the upper edge of the picture
}

const MOST_AT_ONCE = 4; // a browser opens six connections; judgements and sounds need the others
const MOST_KEPT = 200; // about 75 MB of 480 x 192 pixels

/** 2: what one looks at alone; 1: a tile on the screen; 0: what will likely be turned to. */
export type Urgency = 0 | 1 | 2;

interface Wish {
  address: string;
  urgency: Urgency;
  begin: () => void;
  drop: () => void;
}

const kept = new Map<string, Promise<Picture>>(); // in the order of last use
const wishes: Wish[] = [];
let running = 0;

/** The picture at an address; the more urgent comes first, and of one urgency the earlier. */
export function picture(address: string, urgency: Urgency = 1): Promise<Picture> {
  const known = kept.get(address);
  if (known) {
    kept.delete(address);
    kept.set(address, known);
    const waiting = wishes.find((wish) => wish.address === address);
    if (waiting && waiting.urgency < urgency) waiting.urgency = urgency;
    return known;
  }
  const promise = new Promise<Picture>((resolve, reject) => {
    wishes.push({
      address, urgency,
      begin: () => void load(address).then(resolve, reject).finally(ended),
      drop: () => reject(new DOMException("no longer wanted", "AbortError")),
    });
  });
  promise.catch(() => kept.delete(address)); // so that it is asked for again, not kept as a failure
  kept.set(address, promise);
  trim();
  beginSome();
  return promise;
}

/** Forgets what was wished for and not begun: the page was turned. */
export function forgetWishes(): void {
  for (const wish of wishes.splice(0)) {
    kept.delete(wish.address);
    wish.drop();
  }
}

function beginSome(): void {
  while (running < MOST_AT_ONCE && wishes.length) {
    const most = Math.max(...wishes.map((wish) => wish.urgency));
    const [wish] = wishes.splice(wishes.findIndex((one) => one.urgency === most), 1);
    running += 1;
    wish?.begin();
  }
}

function ended(): void {
  running -= 1;
  beginSome();
}

function trim(): void {
  for (const address of kept.keys()) {
    if (kept.size <= MOST_KEPT) return;
    kept.delete(address);
  }
}

async function load(address: string): Promise<Picture> {
  const answer = await request(address);
  const bitmap = await createImageBitmap(await answer.blob());
  return { bitmap, high_hz: Number(answer.headers.get("X-High-Hz") ?? 0) };
}

/** Why there is no picture, in a few words. */
export function whyNoPicture(error: unknown): string {
  if (error instanceof Offline) return "the server does not answer";
  if (error instanceof Refusal) return error.message;
  return "this picture cannot be shown";
}
