// Which point lies under the hand, and which inside a line drawn around them, without a look at all.

/** Points sorted into the squares of a grid. */
export class Grid {
  private readonly start: Uint32Array;
  private readonly rows: Uint32Array;
  private readonly left: number;
  private readonly bottom: number;
  private readonly cell: number;
  private readonly across: number;
  private readonly up: number;

  constructor(
    private readonly x: Float32Array,
    private readonly y: Float32Array,
  ) {
    const n = x.length;
    const [left, right] = range(x);
    const [bottom, top] = range(y);
    this.left = left;
    this.bottom = bottom;
    const side = Math.min(1024, Math.max(1, Math.ceil(Math.sqrt(n / 2)))); // two points a square
    this.cell = (Math.max(right - left, top - bottom) || 1) / side;
    this.across = Math.floor((right - left) / this.cell) + 1;
    this.up = Math.floor((top - bottom) / this.cell) + 1;
    this.start = new Uint32Array(this.across * this.up + 1);
    this.rows = new Uint32Array(n);
    this.sort(n);
  }

  /** The row that is nearest to a place, within `reach` in map units; -1 if there is none. */
  nearest(x: number, y: number, reach: number): number {
    let best = -1;
    let limit = reach * reach;
    this.visit(x - reach, y - reach, x + reach, y + reach, (first, stop) => {
      for (let i = first; i < stop; i++) {
        const row = this.rows[i]!;
        const far = (this.x[row]! - x) ** 2 + (this.y[row]! - y) ** 2;
        // of two in the same place the first row, whatever the order in the square
        if (far < limit || (far === limit && best >= 0 && row < best)) {
          limit = far;
          best = row;
        }
      }
    });
    return best;
  }

  /** Rows inside of a polygon (x, y, x, y, ...), in rising order. */
  inside(polygon: readonly number[]): Uint32Array {
    const [left, right] = range(polygon.filter((_, i) => i % 2 === 0));
    const [bottom, top] = range(polygon.filter((_, i) => i % 2 === 1));
    const crossed = this.crossed(polygon);
    const chosen = new Uint32Array(this.rows.length);
    let n = 0;
    this.visit(left, bottom, right, top, (first, stop, square) => {
      if (first === stop) return;
      // no line runs through this square: all of it is inside, or nothing
      if (!crossed.has(square)) {
        const row = this.rows[first]!;
        if (!isInside(this.x[row]!, this.y[row]!, polygon)) return;
        for (let i = first; i < stop; i++) chosen[n++] = this.rows[i]!;
        return;
      }
      for (let i = first; i < stop; i++) {
        const row = this.rows[i]!;
        if (isInside(this.x[row]!, this.y[row]!, polygon)) chosen[n++] = row;
      }
    });
    return chosen.slice(0, n).sort(); // of whole numbers by value, and not as text
  }

  private sort(n: number): void {
    const square = new Uint32Array(n);
    for (let row = 0; row < n; row++) {
      square[row] = this.row(this.y[row]!) * this.across + this.column(this.x[row]!);
      this.start[square[row]! + 1]!++;
    }
    for (let i = 1; i < this.start.length; i++) this.start[i]! += this.start[i - 1]!;
    const next = this.start.slice();
    for (let row = 0; row < n; row++) this.rows[next[square[row]!]!++] = row;
  }

  private column(x: number): number {
    return Math.min(this.across - 1, Math.max(0, Math.floor((x - this.left) / this.cell)));
  }

  private row(y: number): number {
    return Math.min(this.up - 1, Math.max(0, Math.floor((y - this.bottom) / this.cell)));
  }

  private visit(
    left: number,
    bottom: number,
    right: number,
    top: number,
    each: (first: number, stop: number, square: number) => void,
  ): void {
    for (let row = this.row(bottom); row <= this.row(top); row++) {
      for (let column = this.column(left); column <= this.column(right); column++) {
        const square = row * this.across + column;
        each(this.start[square]!, this.start[square + 1]!, square);
      }
    }
  }

  /** Squares that an edge of the polygon may run through; some more do no harm. */
  private crossed(polygon: readonly number[]): Set<number> {
    const squares = new Set<number>();
    for (let i = 0; i < polygon.length; i += 2) {
      const [x0, y0] = [polygon[i]!, polygon[i + 1]!];
      const [x1, y1] = [
        polygon[(i + 2) % polygon.length]!,
        polygon[(i + 3) % polygon.length]!,
      ];
      const length = Math.max(Math.abs(x1 - x0), Math.abs(y1 - y0));
      // steps as long as a square; a line far beyond the map makes longer ones, which take more
      const steps = Math.min(Math.ceil(length / this.cell), 4 * (this.across + this.up)) + 1;
      let [xa, ya] = [x0, y0];
      for (let step = 1; step <= steps; step++) {
        const [xb, yb] = [x0 + ((x1 - x0) * step) / steps, y0 + ((y1 - y0) * step) / steps];
        const [low, high] = [this.row(Math.min(ya, yb)), this.row(Math.max(ya, yb))];
        for (let row = low; row <= high; row++) {
          for (let c = this.column(Math.min(xa, xb)); c <= this.column(Math.max(xa, xb)); c++) {
            squares.add(row * this.across + c);
          }
        }
        [xa, ya] = [xb, yb];
      }
    }
    return squares;
  }
}

/** Whether a place is inside a polygon (x, y, x, y, ...), by the even-odd rule. */
export function isInside(x: number, y: number, polygon: readonly number[]): boolean {
  let inside = false;
  const n = polygon.length;
  for (let i = 0, j = n - 2; i < n; j = i, i += 2) {
    const [xi, yi, xj, yj] = [polygon[i]!, polygon[i + 1]!, polygon[j]!, polygon[j + 1]!];
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) inside = !inside;
  }
  return inside;
}

/** Least and greatest of numbers; 0 and 0 of none. */
export function range(values: ArrayLike<number>): [number, number] {
  if (values.length === 0) return [0, 0];
  let [low, high] = [Infinity, -Infinity];
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}
