// Small things that all of the page uses: which view is shown, a short message, what a tab remembers.

import { Offline } from "./api.ts";
import { forgetWishes } from "./pictures.ts";
import { stop } from "./player.ts";
import { change, state, type View } from "./state.ts";

const TOAST_MS = 4_000;

export function show(view: View): void {
  if (view !== state().view) {
    stop();
    forgetWishes(); // what the other view still waited for
  }
  change({ view, panel: "none" });
  showHash(view);
}

export function showHash(view: View): void {
  if (location.hash !== `#${view}`) history.pushState(null, "", `#${view}`);
}

/** The browser's back button, and an address with a view in it. */
export function viewFromHash(): void {
  const view = viewNamed(location.hash.slice(1));
  if (view) change({ view, panel: "none" });
}

export function viewNamed(name: string): View | null {
  return (["grid", "sound", "map", "overview"] as const).find((view) => view === name) ?? null;
}

let toast_timer = 0;

export function toast(text: string): void {
  change({ toast: text, said: text });
  clearTimeout(toast_timer);
  toast_timer = window.setTimeout(() => change({ toast: null }), TOAST_MS);
}

export function whyNot(error: unknown): string {
  if (error instanceof Offline) return "The server does not answer.";
  return error instanceof Error ? error.message : String(error);
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

// what a tab remembers is its own: two tabs may show two lists
export function remember(name: string, value: string): void {
  try {
    sessionStorage.setItem(`dawnchorus.${name}`, value);
    if (name === "author") localStorage.setItem(`dawnchorus.${name}`, value);
  } catch {
    // forbidden: the page works without
  }
}

export function recall(name: string): string | null {
  try {
    return sessionStorage.getItem(`dawnchorus.${name}`) ?? localStorage.getItem(`dawnchorus.${name}`);
  } catch {
    return null;
  }
}
