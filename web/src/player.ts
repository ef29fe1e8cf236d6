// One sound at a time, with its place known to the millisecond, so that a cursor can move with it.

import { Offline, Refusal, request, soundAddress, type Band } from "./api.ts";
import { change, state } from "./state.ts";
import type { Span } from "./types.ts";

export interface How extends Partial<Band> {
  slow?: number;
  gain_db?: number;
}

const MOST_KEPT = 24; // decoded sounds: 5 s at 48 kHz take 1 MB each
const kept = new Map<string, Promise<AudioBuffer>>();
let context: AudioContext | null = null;
let source: AudioBufferSourceNode | null = null;
let turn = 0; // of the last call of play or stop: a sound that comes later than that is not played

/** Plays a span, instead of what is playing; `key` says whose cursor moves. */
export async function play(key: string, span: Span, how: How = {}): Promise<void> {
  stop();
  const mine = ++turn;
  const slow = how.slow ?? 1;
  change({ playing: { key, span, slow, began_at: performance.now(), loading: true } });
  try {
    const audio = audioContext();
    const [buffer] = await Promise.all([sound(soundAddress(span, how)), audio.resume()]);
    if (mine !== turn) return;
    source = audio.createBufferSource();
    source.buffer = buffer;
    source.connect(audio.destination);
    source.onended = () => {
      if (mine === turn) change({ playing: null });
    };
    source.start();
    change({ playing: { key, span, slow, began_at: performance.now(), loading: false } });
  } catch (error) {
    if (mine === turn) change({ playing: null, toast: whyNoSound(error), said: whyNoSound(error) });
  }
}

export function stop(): void {
  turn += 1;
  source?.stop();
  source = null;
  if (state().playing) change({ playing: null });
}

/** Fetches a sound that will likely be asked for next. */
export function prepare(span: Span, how: How = {}): void {
  sound(soundAddress(span, how)).catch(() => {}); // said when it is played
}

/** Where in the recording the sound is now, in seconds; null while nothing is heard. */
export function position(): number | null {
  const playing = state().playing;
  if (!playing || playing.loading) return null;
  const heard_s = (performance.now() - playing.began_at) / 1000 / playing.slow;
  return Math.min(playing.span.stop_s, playing.span.start_s + heard_s);
}

function audioContext(): AudioContext {
  context ??= new AudioContext();
  return context;
}

function sound(address: string): Promise<AudioBuffer> {
  const known = kept.get(address);
  if (known) return known;
  const promise = request(address)
    .then((answer) => answer.arrayBuffer())
    .then((bytes) => audioContext().decodeAudioData(bytes));
  promise.catch(() => kept.delete(address));
  kept.set(address, promise);
  for (const oldest of kept.keys()) {
    if (kept.size <= MOST_KEPT) break;
    kept.delete(oldest);
  }
  return promise;
}

function whyNoSound(error: unknown): string {
  if (error instanceof Offline) return "No sound: the server does not answer.";
  if (error instanceof Refusal) return `No sound: ${error.message}`;
  return "No sound: this browser cannot play it.";
}
