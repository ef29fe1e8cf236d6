// Made from src/dawnchorus/serve/bodies.py by web/make_types.py; change it there.

export type Place = "search" | "detections" | "cluster" | "suggest" | "annotations" | "novel" | "windows";
export type Order = "score" | "novelty" | "time" | "site" | "margin" | "given";
export type Colour = "cluster" | "label" | "site" | "hour" | "score";
export type JobKind = "learn" | "density" | "cluster";
export type ExportFormat = "csv" | "parquet" | "raven" | "audacity" | "kaleidoscope";
export type State = "present" | "absent" | "unsure";
export type Purpose = "train" | "estimate";
export type Strategy = "mixed" | "margin" | "high" | "diverse" | "random";

/**
 * A stretch of one recording.
 *
 * Attributes:
 *     recording_id: as in the store.
 *     start_s, stop_s: in the recording, in seconds.
 */
export interface Span {
  recording_id: string;
  start_s: number;
  stop_s: number;
}

/**
 * What a search is to be like: a span of the store, or a clip that was dropped on the page.
 */
export interface Sound {
  span?: Span | null;
  clip?: string | null;
}

/**
 * Which windows pass; texts as of the command line's flags of the same names.
 */
export interface Filters {
  sites?: string[];
  dates?: string | null;
  time_of_day?: string | null;
  recording?: string | null;
  text?: string | null;
  judged?: "all" | "judged" | "unjudged";
}

/**
 * Which sounds to show, and in what order.
 *
 * Attributes:
 *     place: where they come from.
 *     label: that is asked about; judgements of the list are of it. Of ``detections``: whose
 *         scores.
 *     like, unlike: of ``search``; without any, the windows of ``label`` in the annotations.
 *     probe: of ``detections`` and ``suggest``: a probe's name; None: the store's own scores, or
 *         of ``suggest`` likeness to what was judged.
 *     strategy: of ``suggest``.
 *     suggest_more: of ``suggest``: where fewer than ``k`` wait to be judged, add windows to them.
 *     cluster: of ``cluster``.
 *     rows: of ``windows``: rows of the archive, such as a lasso gave; None: all, in time.
 *     min_score: of ``detections``.
 *     k: most windows in the list.
 *     per_recording: at most so many of one recording; None: any number.
 */
export interface ListQuery {
  place: Place;
  label?: string | null;
  like?: Sound[];
  unlike?: Sound[];
  probe?: string | null;
  strategy?: Strategy;
  suggest_more?: boolean;
  cluster?: number | null;
  rows?: number[] | null;
  min_score?: number | null;
  filters?: Filters;
  order?: Order;
  k?: number;
  per_recording?: number | null;
}

/**
 * What one author said last of one label in one span.
 */
export interface Judged {
  id: string;
  label: string;
  state: State | null;
  author: string;
  at: string;
}

/**
 * One sound of a list.
 *
 * Attributes:
 *     row: of the archive; -1 for an annotation that is no window.
 *     label: that is asked about here.
 *     score, percentile, margin, novelty: None where the list has none.
 *     local_time: ISO 8601, of the span's beginning; None: the recording's clock is not known.
 *     purpose: of a suggestion.
 *     judged: what was said of this span so far, of any label, by anybody.
 *     has_sound: whether the recording can be opened.
 */
export interface Item {
  row: number;
  recording_id: string;
  path: string;
  start_s: number;
  stop_s: number;
  label: string | null;
  score: number | null;
  percentile: number | null;
  margin: number | null;
  novelty: number | null;
  site: string | null;
  local_time: string | null;
  purpose: Purpose;
  judged: Judged[];
  has_sound: boolean;
}

/**
 * How far a list is judged, and what that says of it.
 *
 * Attributes:
 *     n: sounds in the list.
 *     present, absent, unsure: judged so, for the list's label.
 *     precision: present / (present + absent); None before any is judged.
 *     low, high: its 95 % Wilson interval.
 */
export interface Progress {
  n: number;
  present: number;
  absent: number;
  unsure: number;
  precision: number | null;
  low: number | null;
  high: number | null;
}

/**
 * The beginning of a list; further items by ``/api/lists/ID?offset=``.
 *
 * Attributes:
 *     command: that gives the same on the command line.
 *     notes: what to mind, in sentences.
 */
export interface ListAnswer {
  id: string;
  title: string;
  label: string | null;
  items: Item[];
  progress: Progress;
  command: string;
  notes: string[];
}

/**
 * A judgement that the page sends; sending it again changes nothing.
 *
 * Attributes:
 *     key: made by the page, unique; a second one of the same key is ignored.
 *     state: None takes back what this author said of this span and label.
 *     start_s, stop_s of the span; ``was`` where its edges were moved: the span before.
 */
export interface Judgement {
  key: string;
  span: Span;
  was?: Span | null;
  label: string;
  state: State | null;
  purpose?: Purpose;
  score?: number | null;
  low_hz?: number | null;
  high_hz?: number | null;
  at: string;
}

/**
 * Judgements of one author.
 */
export interface Judgements {
  author: string;
  judgements: Judgement[];
  list_id?: string | null;
}

/**
 * What became of judgements: all of these keys are on disk now.
 */
export interface Saved {
  keys: string[];
  progress: Progress | null;
  cursor: string;
}

/**
 * What anybody judged since ``cursor``; ask again with the new one.
 */
export interface Changes {
  cursor: string;
  judged: [Span, Judged][];
  progress: Progress | null;
}

/**
 * One store, for the page's head and overview.
 */
export interface StoreFacts {
  name: string;
  n_windows: number;
  n_recordings: number;
  n_failed: number;
  hours: number;
  model: string;
  window_s: number;
  hop_s: number;
  sites: string[];
  first_day: string | null;
  last_day: string | null;
  score_labels: string[];
  n_missing: number;
}

/**
 * What is said of one label so far.
 */
export interface LabelFacts {
  name: string;
  present: number;
  absent: number;
  unsure: number;
  suggested: number;
}

/**
 * All that the page needs to begin.
 */
export interface About {
  version: string;
  stores: StoreFacts[];
  labels: LabelFacts[];
  names: string[];
  probes: string[];
  authors: string[];
  author: string;
  read_only: boolean;
  has_map: boolean;
  has_clusters: [number, string, number][];
}

/**
 * One recording, for the large view.
 */
export interface Recording {
  recording_id: string;
  path: string;
  duration_s: number;
  rate: number;
  channels: number;
  site: string | null;
  recorded_at: string | null;
  status: string;
  reason: string | null;
  has_sound: boolean;
  judged: [Span, Judged][];
}

/**
 * What a model or probe says over a recording: one score a window.
 */
export interface ScoreTrack {
  label: string;
  start_s: number[];
  stop_s: number[];
  scores: number[];
}

/**
 * A sound that was dropped on the page, as base64; so that writes are JSON and nothing else.
 */
export interface DroppedClip {
  name: string;
  content: string;
}

/**
 * A dropped clip, kept for searches while the server runs.
 */
export interface ClipAnswer {
  id: string;
  name: string;
  duration_s: number;
}

/**
 * Something that takes a while.
 *
 * ``learn``: fit a probe on the annotations of ``label`` and suggest ``n`` windows to judge next.
 * ``density``: how many windows hold ``label``; with ``draw`` first ``n`` windows are drawn by
 * chance, and ``result`` is the list of those that are to be judged. ``cluster``: make the map.
 */
export interface JobQuery {
  kind: JobKind;
  label?: string | null;
  n?: number;
  draw?: boolean;
  author?: string;
}

/**
 * How far it is, and what came of it.
 *
 * Attributes:
 *     done, total: steps; total 0: not known.
 *     message: what it is doing, or what went wrong and what to do.
 *     result: of ``learn``: the list of what to judge next, and in ``summary`` what changed.
 */
export interface JobAnswer {
  id: string;
  kind: JobKind;
  state: "running" | "done" | "failed";
  done: number;
  total: number;
  message: string;
  result: ListAnswer | null;
  summary: string[];
  command: string;
}

/**
 * What the points of the map are coloured by; codes come as bytes beside.
 *
 * Attributes:
 *     names: of the codes, from 0; code 65535 is none. Empty where values are numbers.
 *     low, high: of ``score`` and ``hour``, which are scaled into 0 to 65534.
 */
export interface MapColours {
  by: Colour;
  names: string[];
  low: number | null;
  high: number | null;
}

/**
 * One hour of one day at one site.
 */
export interface EffortCell {
  site: string;
  date: string;
  hour: number;
  recorded_hours: number;
  n: number | null;
}

/**
 * A recording that was not, or not wholly, read.
 */
export interface Damage {
  path: string;
  status: string;
  reason: string;
}

/**
 * Recordings, damage, effort, labels.
 */
export interface Overview {
  stores: StoreFacts[];
  damaged: Damage[];
  n_damaged: number;
  effort: EffortCell[];
  labels: LabelFacts[];
}

/**
 * Any refusal: what was found, what is needed, what to do.
 */
export interface ErrorBody {
  error: string;
}
