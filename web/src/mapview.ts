// Where a point of the map is on the page, and what hands do to the map: drag, pinch, wheel, line.

import type { View } from "./points.ts";

export interface Size {
  width: number;
  height: number;
}

export interface Bounds {
  left: number;
  right: number;
  bottom: number;
  top: number;
}

const MOST_ZOOM = 4_000; // times the whole map
const STILL_PX = 5; // a hand that moves less has clicked

/** Pixels of the page to map units. */
export function toMap(view: View, size: Size, px: number, py: number): [number, number] {
  return [view.x + (px - size.width / 2) / view.scale, view.y - (py - size.height / 2) / view.scale];
}

/** Map units to pixels of the page. */
export function toPage(view: View, size: Size, x: number, y: number): [number, number] {
  return [size.width / 2 + (x - view.x) * view.scale, size.height / 2 - (y - view.y) * view.scale];
}

/** The view that shows all of the map, with some room around. */
export function fit(bounds: Bounds, size: Size): View {
  const width = Math.max(bounds.right - bounds.left, 1e-9);
  const height = Math.max(bounds.top - bounds.bottom, 1e-9);
  const scale = 0.92 * Math.min(size.width / width, size.height / height);
  return { x: (bounds.left + bounds.right) / 2, y: (bounds.bottom + bounds.top) / 2, scale };
}

/** Nearer or farther, with the place under the hand staying under it. */
export function zoomed(view: View, size: Size, at: [number, number], factor: number, whole: View): View {
  const scale = Math.min(whole.scale * MOST_ZOOM, Math.max(whole.scale * 0.5, view.scale * factor));
  const [x, y] = toMap(view, size, ...at);
  return {
    x: x - (at[0] - size.width / 2) / scale,
    y: y + (at[1] - size.height / 2) / scale,
    scale,
  };
}

/** Moved by pixels of the page, as if the map were paper under the hand. */
export function moved(view: View, dx: number, dy: number): View {
  return { ...view, x: view.x - dx / view.scale, y: view.y + dy / view.scale };
}

/** What the map does when a hand did something; places are pixels from its upper left corner. */
export interface Hands {
  pan(dx: number, dy: number): void;
  zoom(at: [number, number], factor: number): void;
  hover(at: [number, number] | null): void;
  click(at: [number, number]): void;
  line(points: number[], closed: boolean): void;
  draws(event: PointerEvent): boolean; // a line, rather than move the map
}

/** Listen to mouse, pen and fingers on the map; returns what stops it. */
export function listenToHands(element: HTMLElement, hands: Hands): () => void {
  const down = new Map<number, [number, number]>();
  let travelled = 0;
  let line: number[] | null = null;
  const place = (event: MouseEvent): [number, number] => {
    const box = element.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };

  const pressed = (event: PointerEvent): void => {
    if (event.button !== 0) return;
    element.setPointerCapture(event.pointerId);
    down.set(event.pointerId, place(event));
    if (down.size === 1) {
      travelled = 0;
      line = hands.draws(event) ? [...place(event)] : null;
    } else if (line) {
      line = null; // a second finger zooms
      hands.line([], false);
    }
  };
  const shifted = (event: PointerEvent): void => {
    const [x, y] = place(event);
    const before = down.get(event.pointerId);
    if (!before) return hands.hover([x, y]);
    const step = Math.hypot(x - before[0], y - before[1]);
    travelled += step;
    if (line) {
      if (step < 2) return; // a line needs no more points than pixels
      line.push(x, y);
      hands.line(line, false);
    } else if (down.size === 1) hands.pan(x - before[0], y - before[1]);
    else pinch(event.pointerId, before, [x, y]);
    down.set(event.pointerId, [x, y]);
  };
  const pinch = (id: number, before: [number, number], after: [number, number]): void => {
    const other = [...down].find(([key]) => key !== id)?.[1];
    if (!other) return;
    const was = Math.hypot(before[0] - other[0], before[1] - other[1]);
    const is = Math.hypot(after[0] - other[0], after[1] - other[1]);
    // a finger of two moves the middle by half of its way
    hands.pan((after[0] - before[0]) / 2, (after[1] - before[1]) / 2);
    if (was > 0) hands.zoom([(after[0] + other[0]) / 2, (after[1] + other[1]) / 2], is / was);
  };
  const released = (event: PointerEvent): void => {
    if (!down.delete(event.pointerId) || down.size > 0) return;
    const drawn = line;
    line = null;
    if (drawn && travelled > STILL_PX) hands.line(drawn, event.type === "pointerup");
    else if (drawn) hands.line([], false);
    else if (travelled <= STILL_PX && event.type === "pointerup") hands.click(place(event));
  };
  const rolled = (event: WheelEvent): void => {
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    // a wheel that is held with Ctrl is a pinch on a touch pad: small steps
    const speed = event.ctrlKey ? 0.01 : 0.0018;
    hands.zoom(place(event), Math.exp(-event.deltaY * lines * speed));
  };
  const gone = (): void => hands.hover(null);

  element.addEventListener("pointerdown", pressed);
  element.addEventListener("pointermove", shifted);
  element.addEventListener("pointerup", released);
  element.addEventListener("pointercancel", released);
  element.addEventListener("pointerleave", gone);
  element.addEventListener("wheel", rolled, { passive: false });
  return () => {
    element.removeEventListener("pointerdown", pressed);
    element.removeEventListener("pointermove", shifted);
    element.removeEventListener("pointerup", released);
    element.removeEventListener("pointercancel", released);
    element.removeEventListener("pointerleave", gone);
    element.removeEventListener("wheel", rolled);
  };
}
