// Requests to the server: one function a route, typed as bodies.py says.

import type {
  About, Changes, ClipAnswer, DroppedClip, Item, JobAnswer, JobQuery, Judgements, ListAnswer, ListQuery,
  MapColours, Overview, Recording, Saved, ScoreTrack, Span,
} from "./types.ts";

/** The server answered, and said no; the message says why and what to do. */
export class Refusal extends Error {
  constructor(readonly status: number, message: string) {
    super(message);
  }
}

/** Nobody answered: the server was stopped, or the network is gone. */
export class Offline extends Error {}

type Versions = (version: string) => void;
let on_version: Versions = () => {};

/** Who is told the server's version, at each answer. */
export function watchVersion(watcher: Versions): void {
  on_version = watcher;
}

export async function request(path: string, init: RequestInit = {}): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(path, { credentials: "same-origin", ...init });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Offline("the server does not answer");
  }
  const version = answer.headers.get("X-Dawnchorus-Version");
  if (version) on_version(version);
  if (!answer.ok) throw new Refusal(answer.status, await reason(answer));
  return answer;
}

async function reason(answer: Response): Promise<string> {
  const text = await answer.text().catch(() => "");
  try {
    const body = JSON.parse(text) as { error?: unknown };
    if (typeof body.error === "string") return body.error;
  } catch {
    // not ours: something between the page and the server answered
  }
  return `the server answered ${answer.status}`;
}

async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await request(path, signal ? { signal } : {})).json() as Promise<T>;
}

async function post<T>(path: string, body: unknown, signal?: AbortSignal): Promise<T> {
  const init: RequestInit = {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    ...(signal ? { signal } : {}),
  };
  return (await request(path, init)).json() as Promise<T>;
}

/** A path with a query; what is null or undefined is left out. */
export function address(path: string, values: Record<string, string | number | null | undefined>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value !== null && value !== undefined) query.set(name, String(value));
  }
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

export const getAbout = () => get<About>("/api/about");
export const makeList = (query: ListQuery, signal?: AbortSignal) => post<ListAnswer>("/api/lists", query, signal);
export const getItems = (list: string, offset: number, limit: number) =>
  get<ListAnswer>(address(`/api/lists/${encodeURIComponent(list)}`, { offset, limit }));
export const getChanges = (cursor: string | null, list: string | null) =>
  get<Changes>(address("/api/changes", { cursor, list }), AbortSignal.timeout(10_000));
export const sendJudgements = (judgements: Judgements) =>
  post<Saved>("/api/judgements", judgements, AbortSignal.timeout(20_000));
export const sendClip = (clip: DroppedClip) => post<ClipAnswer>("/api/clips", clip);
export const getRecording = (id: string) => get<Recording>(`/api/recordings/${encodeURIComponent(id)}`);
export const getScores = (id: string, label: string | null, probe: string | null) =>
  get<ScoreTrack>(address(`/api/recordings/${encodeURIComponent(id)}/scores`, { label, probe }));
export const startJob = (job: JobQuery) => post<JobAnswer>("/api/jobs", job);
export const getJob = (id: string) => get<JobAnswer>(`/api/jobs/${encodeURIComponent(id)}`);
export const getOverview = () => get<Overview>("/api/overview");
export const getMapItem = (row: number) => get<Item>(address("/api/map/item", { row }));

/** x then y of every point of the map, or null if no map was made yet. */
export async function getMapPoints(): Promise<Float32Array> {
  return new Float32Array(await (await request("/api/map/points")).arrayBuffer());
}

/** What each point is coloured by: a code each, and what the codes mean. */
export async function getMapColours(by: string): Promise<{ codes: Uint16Array; meaning: MapColours }> {
  const answer = await request(address("/api/map/colours", { by }));
  const meaning = JSON.parse(decodeURIComponent(answer.headers.get("X-Colours") ?? "{}")) as MapColours;
  return { codes: new Uint16Array(await answer.arrayBuffer()), meaning };
}

export interface Band {
  low_hz: number | null;
  high_hz: number | null;
}

export function pictureAddress(span: Span, width: number, height: number, band?: Band): string {
  return address("/api/picture", {
    recording: span.recording_id, start: seconds(span.start_s), stop: seconds(span.stop_s), width, height,
    low_hz: band?.low_hz, high_hz: band?.high_hz,
  });
}

export function soundAddress(span: Span, how?: Partial<Band> & { slow?: number; gain_db?: number }): string {
  return address("/api/sound", {
    recording: span.recording_id, start: seconds(span.start_s), stop: seconds(span.stop_s),
    low_hz: how?.low_hz, high_hz: how?.high_hz,
    slow: how?.slow === 1 ? undefined : how?.slow, gain_db: how?.gain_db === 0 ? undefined : how?.gain_db,
  });
}

// fixed digits, so that one span always has one address, and caches hit
function seconds(value: number): string {
  return String(Math.round(value * 1000) / 1000);
}
