// A million points in WebGL2, that stay quick where there is no graphics card.
//
// Points are kept in a fixed random order. While the picture moves, only as many of the first ones
// are drawn as fit into a frame: a fair sample of all. When it is still, the rest is added, a part
// a frame. A random order also means that no colour lies on top of all others.

/** Which part of the map is seen: its centre in map units, and pixels of the page per unit. */
export interface View {
  x: number;
  y: number;
  scale: number;
}

const VERTEX = `#version 300 es
in vec2 place;
in float shade;
uniform vec2 centre;
uniform vec2 zoom;
uniform float size;
uniform sampler2D palette;
out vec4 colour;
void main() {
  colour = texelFetch(palette, ivec2(int(shade), 0), 0);
  // what has no colour is not drawn: outside of the picture it costs nothing
  gl_Position = colour.a == 0.0 ? vec4(2.0, 2.0, 2.0, 1.0) : vec4((place - centre) * zoom, 0.0, 1.0);
  gl_PointSize = size;
}`;

const FRAGMENT = `#version 300 es
precision highp float;
in vec4 colour;
uniform float size;
uniform float strength;
out vec4 drawn;
void main() {
  float edge = size < 4.0 ? 1.0 : clamp((0.5 - distance(gl_PointCoord, vec2(0.5))) * size, 0.0, 1.0);
  float alpha = colour.a * strength * edge;
  drawn = vec4(colour.rgb * alpha, alpha);
}`;

const FEWEST = 20_000; // while moving: fewer no longer show what the map is
const QUICK_MS = 34; // a frame under this may hold more points
const SLOW_MS = 55; // and over this must hold fewer
const STILL_MS = 140; // after the last move

/** Rows in a random order that is the same each time: a sample of the first is a sample of all. */
export function shuffled(n: number): Uint32Array {
  const order = new Uint32Array(n);
  let state = 0x9e3779b9;
  for (let i = 0; i < n; i++) {
    // xorshift: its quality is enough for pixels, and no two tabs differ
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    const j = (state >>> 0) % (i + 1);
    order[i] = order[j]!;
    order[j] = i;
  }
  return order;
}

/** Points on a canvas. */
export class Points {
  private drawn = 0; // of the points, in the picture as it is now
  private n = 0;
  private readonly gl: WebGL2RenderingContext;
  private program!: WebGLProgram;
  private placeBuffer!: WebGLBuffer;
  private shadeBuffer!: WebGLBuffer;
  private order: Uint32Array = new Uint32Array(0);
  private places: Float32Array = new Float32Array(0);
  private shades: Uint8Array = new Uint8Array(0);
  private palette: Uint8Array = new Uint8Array(256 * 4);
  private view: View = { x: 0, y: 0, scale: 1 };
  private budget = 100_000;
  private frame = 0;
  private timer = 0;
  private last = 0;
  private moving = false;
  private stale = true;

  /**
   * @throws Error The browser gives no WebGL2.
   */
  constructor(private readonly canvas: HTMLCanvasElement) {
    const gl = canvas.getContext("webgl2", {
      antialias: false,
      depth: false,
      alpha: true,
      preserveDrawingBuffer: true, // later frames add to what is there
      powerPreference: "low-power",
    });
    if (!gl) throw new Error("this browser gives no WebGL2");
    this.gl = gl;
    this.prepare();
    canvas.addEventListener("webglcontextlost", this.onLost);
    canvas.addEventListener("webglcontextrestored", this.onRestored);
  }

  /** Show other points: `x` and `y` of each, in map units. */
  setPlaces(x: Float32Array, y: Float32Array): void {
    this.n = x.length;
    this.order = shuffled(this.n);
    this.places = new Float32Array(this.n * 2);
    for (let i = 0; i < this.n; i++) {
      const row = this.order[i]!;
      this.places[2 * i] = x[row]!;
      this.places[2 * i + 1] = y[row]!;
    }
    this.shades = new Uint8Array(this.n);
    this.uploadPlaces();
    this.uploadShades();
  }

  /** Colour them: a shade (0 to 255) for each row, and the palette (256 x RGBA) of the shades. */
  setColours(shades: Uint8Array, palette: Uint8Array): void {
    for (let i = 0; i < this.n; i++) this.shades[i] = shades[this.order[i]!]!;
    this.palette = palette;
    this.uploadShades();
    this.uploadPalette();
    this.still();
  }

  /** Look at another part; call it as often as the hand moves. */
  look(view: View): void {
    this.view = { ...view };
    this.stale = true;
    this.moving = true;
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.settle(), STILL_MS);
    this.schedule();
  }

  /** Draw all again, without a move before. */
  still(): void {
    this.stale = true;
    this.settle();
  }

  /** Fit the canvas to its place on the page. */
  resize(width: number, height: number): void {
    const ratio = window.devicePixelRatio || 1;
    const [w, h] = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
    if (this.canvas.width === w && this.canvas.height === h) return;
    this.canvas.width = w;
    this.canvas.height = h;
    this.still();
  }

  /** Let go of timers and of the graphics card. */
  close(): void {
    cancelAnimationFrame(this.frame);
    clearTimeout(this.timer);
    this.canvas.removeEventListener("webglcontextlost", this.onLost);
    this.canvas.removeEventListener("webglcontextrestored", this.onRestored);
    this.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }

  private readonly onLost = (event: Event): void => event.preventDefault();

  private readonly onRestored = (): void => {
    this.prepare();
    this.uploadPlaces();
    this.uploadShades();
    this.uploadPalette();
    this.still();
  };

  private settle(): void {
    this.moving = false;
    this.schedule();
  }

  private schedule(): void {
    if (this.frame === 0) this.frame = requestAnimationFrame(this.onFrame);
  }

  private readonly onFrame = (now: number): void => {
    this.frame = 0;
    this.adapt(now - this.last);
    this.last = now;
    if (this.stale) {
      this.clear();
      this.draw(0, Math.min(this.n, this.budget));
      this.stale = false;
    } else if (!this.moving && this.drawn < this.n) {
      this.draw(this.drawn, Math.min(this.n - this.drawn, this.budget));
    }
    if (this.stale || (!this.moving && this.drawn < this.n)) this.schedule();
    this.canvas.dataset.drawn = String(this.drawn);
  };

  /** More points a frame where frames are quick, fewer where they are slow. */
  private adapt(took: number): void {
    if (took > 1000) return; // nobody moved in between
    if (took < QUICK_MS) this.budget = Math.min(Math.max(this.n, FEWEST), this.budget * 1.2);
    else if (took > SLOW_MS) this.budget = Math.max(FEWEST, this.budget * (SLOW_MS / took));
    this.budget = Math.round(this.budget);
  }

  private clear(): void {
    const gl = this.gl;
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    this.drawn = 0;
  }

  private draw(first: number, count: number): void {
    const gl = this.gl;
    const ratio = window.devicePixelRatio || 1;
    const at = (name: string) => gl.getUniformLocation(this.program, name);
    gl.useProgram(this.program);
    const { x, y, scale } = this.view;
    const [size, strength] = pointStyle(this.n, scale, this.canvas.width / ratio);
    gl.uniform2f(at("centre"), x, y);
    gl.uniform2f(
      at("zoom"),
      (2 * scale * ratio) / this.canvas.width,
      (2 * scale * ratio) / this.canvas.height,
    );
    gl.uniform1f(at("size"), Math.max(1, size * ratio));
    gl.uniform1f(at("strength"), strength);
    gl.drawArrays(gl.POINTS, first, count);
    this.drawn = first + count;
  }

  private prepare(): void {
    const gl = this.gl;
    this.program = program(gl);
    gl.useProgram(this.program);
    this.placeBuffer = attribute(gl, this.program, "place", 2, gl.FLOAT);
    this.shadeBuffer = attribute(gl, this.program, "shade", 1, gl.UNSIGNED_BYTE);
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }

  private uploadPlaces(): void {
    this.gl.bindBuffer(this.gl.ARRAY_BUFFER, this.placeBuffer);
    this.gl.bufferData(this.gl.ARRAY_BUFFER, this.places, this.gl.STATIC_DRAW);
  }

  private uploadShades(): void {
    this.gl.bindBuffer(this.gl.ARRAY_BUFFER, this.shadeBuffer);
    this.gl.bufferData(this.gl.ARRAY_BUFFER, this.shades, this.gl.STATIC_DRAW);
  }

  private uploadPalette(): void {
    const gl = this.gl;
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, this.palette);
  }
}

/** How large and how strong a point is drawn: small and faint where many share the picture. */
export function pointStyle(n: number, scale: number, width: number): [number, number] {
  const zoomed = Math.max(1, (scale * 2) / Math.max(1, width)); // 1: the whole map is seen
  const room = (1_000 * zoomed) / Math.sqrt(Math.max(1, n)); // pixels between neighbours, about
  const size = Math.min(9, Math.max(1.5, room * 0.9));
  const strength = Math.min(0.9, Math.max(0.35, room * 0.35));
  return [size, strength];
}

function program(gl: WebGL2RenderingContext): WebGLProgram {
  const made = gl.createProgram()!;
  for (const [kind, source] of [
    [gl.VERTEX_SHADER, VERTEX],
    [gl.FRAGMENT_SHADER, FRAGMENT],
  ] as const) {
    const shader = gl.createShader(kind)!;
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(made, shader);
  }
  gl.linkProgram(made);
  if (!gl.getProgramParameter(made, gl.LINK_STATUS) && !gl.isContextLost()) {
    throw new Error(`the points cannot be drawn here: ${gl.getProgramInfoLog(made) ?? ""}`);
  }
  return made;
}

function attribute(
  gl: WebGL2RenderingContext,
  owner: WebGLProgram,
  name: string,
  parts: number,
  kind: number,
): WebGLBuffer {
  const buffer = gl.createBuffer()!;
  const at = gl.getAttribLocation(owner, name);
  gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
  gl.enableVertexAttribArray(at);
  gl.vertexAttribPointer(at, parts, kind, false, 0, 0);
  return buffer;
}
