// The map as it is now: points, what is seen of them, and where each of them is. Knows no page.

import { fit, moved, toMap, toPage, zoomed, type Bounds, type Size } from "./mapview.ts";
import { Grid, range } from "./nearest.ts";
import { Points, type View } from "./points.ts";

const REACH_PX = 14; // how far from a point a hand may be to mean it

/** x and y of all points, as the server gave them. */
export interface Places {
  x: Float32Array;
  y: Float32Array;
  bounds: Bounds;
  grid: Grid;
}

/** The server's answer: all x, then all y. */
export function placesOf(values: Float32Array): Places {
  const n = values.length / 2;
  const [x, y] = [values.subarray(0, n), values.subarray(n)];
  const [left, right] = range(x);
  const [bottom, top] = range(y);
  return { x, y, bounds: { left, right, bottom, top }, grid: new Grid(x, y) };
}

export class MapModel {
  readonly points: Points;
  view: View = { x: 0, y: 0, scale: 1 };
  private size: Size = { width: 1, height: 1 };
  private whole: View = this.view;

  /**
   * @param told is called after each move.
   * @throws Error The browser gives no WebGL2.
   */
  constructor(
    canvas: HTMLCanvasElement,
    private readonly places: Places,
    private readonly told: () => void,
  ) {
    this.points = new Points(canvas);
    this.points.setPlaces(places.x, places.y);
  }

  resize(width: number, height: number): void {
    const was_whole = this.isWhole;
    this.size = { width, height };
    this.whole = fit(this.places.bounds, this.size);
    this.points.resize(width, height);
    this.look(was_whole ? this.whole : this.view);
  }

  /** Whether all of the map is seen, as at first. */
  get isWhole(): boolean {
    return this.view.scale === this.whole.scale && this.view.x === this.whole.x && this.view.y === this.whole.y;
  }

  get centre(): [number, number] {
    return [this.size.width / 2, this.size.height / 2];
  }

  seeAll(): void {
    this.look(this.whole);
  }

  pan(dx: number, dy: number): void {
    this.look(moved(this.view, dx, dy));
  }

  /** A step with the keyboard: a share of what is seen. */
  step(right: number, up: number): void {
    this.pan(-right * this.size.width, up * this.size.height);
  }

  zoom(factor: number, at: [number, number] = this.centre): void {
    this.look(zoomed(this.view, this.size, at, factor, this.whole));
  }

  /** The row under a place of the page, or -1. */
  under(at: [number, number], reach_px: number = REACH_PX): number {
    return this.places.grid.nearest(...toMap(this.view, this.size, ...at), reach_px / this.view.scale);
  }

  /** The row in the middle of what is seen, which the keyboard means; -1 if nothing is seen. */
  inTheMiddle(): number {
    for (const share of [0.02, 0.1, 0.5]) {
      const row = this.under(this.centre, share * Math.max(this.size.width, this.size.height));
      if (row >= 0) return row;
    }
    return -1;
  }

  /** Where a row is on the page. */
  where(row: number): [number, number] {
    return toPage(this.view, this.size, this.places.x[row]!, this.places.y[row]!);
  }

  /** Rows inside a line that was drawn on the page. */
  inLine(line: readonly number[]): Uint32Array {
    const polygon: number[] = [];
    for (let i = 0; i < line.length; i += 2) polygon.push(...toMap(this.view, this.size, line[i]!, line[i + 1]!));
    return this.places.grid.inside(polygon);
  }

  /** All rows that are seen now. */
  inSight(): Uint32Array {
    const { width, height } = this.size;
    return this.inLine([0, 0, width, 0, width, height, 0, height]);
  }

  close(): void {
    this.points.close();
  }

  private look(view: View): void {
    this.view = view;
    this.points.look(view);
    this.told();
  }
}

/** At most `most` rows, evenly from all; a list takes no more. */
export function atMost(rows: Uint32Array, most: number): number[] {
  if (rows.length <= most) return [...rows];
  return Array.from({ length: most }, (_, i) => rows[Math.floor((i * rows.length) / most)]!);
}
