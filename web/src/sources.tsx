// Where the sounds come from: the form behind the title, the filters, and what a search is like.

import { useState } from "preact/hooks";
import { clip_names, dropFromSearch, openList, refine, searchLikeFile } from "./actions.ts";
import { LabelField, Panel } from "./panel.tsx";
import { change, spanKey, state, usePage } from "./state.ts";
import { Spectrogram, tileAddress } from "./tile.tsx";
import { surroundings } from "./actions.ts";
import type { About, Filters, ListQuery, Place, Sound, Strategy } from "./types.ts";
import { number } from "./words.ts";

const PLACES: readonly { place: Place; name: string; says: string }[] = [
  { place: "search", name: "Like an example", says: "Sounds like a clip, a span, or what was labelled." },
  { place: "suggest", name: "What to judge next", says: "Where a judgement teaches most." },
  { place: "detections", name: "Detections", says: "What a probe or the model found." },
  { place: "cluster", name: "A cluster", says: "Sounds that are alike, of any kind." },
  { place: "novel", name: "The most novel", says: "Sounds that are like no others." },
  { place: "annotations", name: "What was judged", says: "The annotation table, to look at again." },
  { place: "windows", name: "All, in time", says: "Every window, as it was recorded." },
];

const STRATEGIES: Record<Strategy, string> = {
  mixed: "a mixture", margin: "least sure", high: "highest scores", diverse: "most different", random: "at random",
};

// a ranking is read from its top; what is in time, or was judged, is wanted whole; a suggestion is
// written into the annotations, so no more of them than one sits down to judge
function usualK(place: Place): string {
  if (place === "suggest") return "20";
  return place === "windows" || place === "annotations" ? "10000" : "300";
}

const MOST_CHOICES = 12; // more buttons than that are slower to read than a name is to type

/** The form: place, what it asks for, and one button. */
export function SourcesPanel() {
  const about = usePage((page) => page.about);
  const now = state().query;
  const [place, setPlace] = useState<Place>(now?.place ?? "windows");
  const [label, setLabel] = useState(now?.label ?? "");
  const [probe, setProbe] = useState(now?.probe ?? "");
  const [strategy, setStrategy] = useState<Strategy>(now?.strategy ?? "mixed");
  const [cluster, setCluster] = useState(now?.cluster ?? about?.has_clusters[0]?.[0] ?? 0);
  const [min_score, setMinScore] = useState(now?.min_score == null ? "" : String(now.min_score));
  const [k, setK] = useState(String(now?.k ?? usualK(now?.place ?? "windows")));
  if (!about) return null;
  const scored = [...new Set(about.stores.flatMap((store) => store.score_labels))];
  const needs_label = place === "suggest" || (place === "detections" && !probe);
  const choose = (next: Place) => {
    setPlace(next);
    if (k === usualK(place)) setK(usualK(next)); // a number that was typed stays
  };
  const submit = (event: Event) => {
    event.preventDefault();
    void openList(query());
  };
  function query(): ListQuery {
    const asked: ListQuery = { place, label: label.trim() || null, k: Math.max(1, Number(k) || Number(usualK(place))) };
    if (now?.filters) asked.filters = now.filters;
    if (place === "search" && now?.place === "search") Object.assign(asked, { like: now.like, unlike: now.unlike });
    if (place === "detections") Object.assign(asked, { probe: probe || null, order: "score", min_score: min_score === "" ? null : Number(min_score) });
    if (place === "suggest") Object.assign(asked, { probe: probe || null, strategy });
    if (place === "cluster") asked.cluster = cluster;
    if (place === "windows") Object.assign(asked, { order: "time", per_recording: null });
    return asked;
  }
  return (
    <Panel title="Which sounds?">
      <form class="sources" onSubmit={submit}>
        <fieldset class="places">
          <legend class="unseen">Where they come from</legend>
          {PLACES.map((one) => (
            <label key={one.place} class="place">
              <input type="radio" name="place" checked={place === one.place} onChange={() => choose(one.place)} autofocus={place === one.place} />
              <span><b>{one.name}</b><small>{one.says}</small></span>
            </label>
          ))}
        </fieldset>
        <div class="place-form">
          <div class="field">
            <label for="source-label">{needs_label ? "Of which label" : "Label to judge"}{needs_label ? "" : " (may be empty)"}</label>
            <LabelField id="source-label" value={label} onValue={setLabel} />
            {place === "detections" && !probe && <Known title="The model scores" names={scored.length > MOST_CHOICES ? [] : scored} onPick={setLabel} />}
            {(place !== "detections" || scored.length > MOST_CHOICES) && <Known title="Labelled so far" names={about.labels.slice(0, 9).map((one) => one.name)} onPick={setLabel} />}
          </div>
          {place === "search" && <SearchForm about={about} label={label.trim()} />}
          {(place === "detections" || place === "suggest") && (
            <div class="field">
              <label for="source-probe">Scored by</label>
              <select id="source-probe" value={probe} onChange={(event) => setProbe(event.currentTarget.value)}>
                <option value="">{place === "suggest" ? "likeness to what was judged" : "the model itself"}</option>
                {about.probes.map((name) => <option key={name} value={name}>{name}</option>)}
              </select>
            </div>
          )}
          {place === "detections" && (
            <div class="field"><label for="source-min">Lowest score (may be empty)</label><input id="source-min" type="number" step="any" value={min_score} onInput={(event) => setMinScore(event.currentTarget.value)} /></div>
          )}
          {place === "suggest" && (
            <div class="field">
              <label for="source-strategy">Choose</label>
              <select id="source-strategy" value={strategy} onChange={(event) => setStrategy(event.currentTarget.value as Strategy)}>
                {Object.entries(STRATEGIES).map(([name, says]) => <option key={name} value={name}>{says}</option>)}
              </select>
            </div>
          )}
          {place === "cluster" && <ClusterForm about={about} cluster={cluster} onCluster={setCluster} />}
          <div class="field"><label for="source-k">At most</label><input id="source-k" type="number" min={1} max={100000} value={k} onInput={(event) => setK(event.currentTarget.value)} /></div>
          <p><button type="submit" class="main" disabled={needs_label && !label.trim()}>Show</button></p>
        </div>
      </form>
    </Panel>
  );
}

function Known({ title, names, onPick }: { title: string; names: string[]; onPick: (name: string) => void }) {
  if (!names.length) return null;
  return (
    <div class="choices" role="group" aria-label={title}>
      {names.map((name) => <button key={name} type="button" onClick={() => onPick(name)}>{name}</button>)}
    </div>
  );
}

function SearchForm({ about, label }: { about: About; label: string }) {
  const query = usePage((page) => page.query);
  const has_examples = query?.place === "search" && Boolean(query.like?.length);
  return (
    <div class="field">
      <p class="hint">
        Drop a sound file anywhere on this page, or press <kbd>M</kbd> on a sound.
        {about.labels.length > 0 && !has_examples && " Without an example, the label's own sounds are the example."}
      </p>
      <label class="file">
        <span>Choose a file</span>
        <input
          type="file" accept="audio/*,.wav,.flac,.mp3,.ogg"
          onChange={(event) => {
            const file = event.currentTarget.files?.[0];
            if (file) void searchLikeFile(file, label);
          }}
        />
      </label>
      <Examples />
    </div>
  );
}

function ClusterForm({ about, cluster, onCluster }: { about: About; cluster: number; onCluster: (cluster: number) => void }) {
  if (!about.has_clusters.length) {
    return <p class="hint">No map was made yet. The Map page makes one, or <code>dawnchorus cluster</code>.</p>;
  }
  return (
    <div class="field">
      <label for="source-cluster">Cluster</label>
      <select id="source-cluster" value={String(cluster)} onChange={(event) => onCluster(Number(event.currentTarget.value))}>
        {about.has_clusters.map(([n, name, windows]) => <option key={n} value={String(n)}>{name} ({number(windows)})</option>)}
      </select>
    </div>
  );
}

/** What the search is like and unlike, each with its picture and a button that drops it. */
export function Examples() {
  const query = usePage((page) => page.query);
  if (query?.place !== "search") return null;
  const all = [
    ...(query.like ?? []).map((sound, i) => ({ sound, i, which: "like" as const })),
    ...(query.unlike ?? []).map((sound, i) => ({ sound, i, which: "unlike" as const })),
  ];
  if (!all.length) return null;
  return (
    <ul class="examples" aria-label="Examples of this search">
      {all.map(({ sound, i, which }) => (
        <li key={`${which}${i}`} class={`example is-${which}`}>
          <span class="example-sign" aria-hidden="true">{which === "like" ? "+" : "−"}</span>
          <ExamplePicture sound={sound} />
          <button type="button" class="quiet" aria-label={`Drop this ${which === "like" ? "example" : "counterexample"}`} title="Drop" onClick={() => dropFromSearch(which, i)}>✕</button>
        </li>
      ))}
    </ul>
  );
}

function ExamplePicture({ sound }: { sound: Sound }) {
  if (!sound.span) return <span class="example-name">{clip_names.get(sound.clip ?? "") ?? "a clip"}</span>;
  return <span class="picture" key={spanKey(sound.span)}><Spectrogram address={tileAddress(sound.span)} around={surroundings(sound.span)} span={sound.span} /></span>;
}

/** Which of the sounds pass. */
export function FiltersPanel() {
  const about = usePage((page) => page.about);
  const now: Filters = state().query?.filters ?? {};
  const [from, to] = (now.dates ?? "/").split("/");
  const [filters, set] = useState({
    text: now.text ?? "", sites: now.sites ?? [], from: from ?? "", to: to ?? "", hours: now.time_of_day ?? "",
    judged: now.judged ?? "all", each: state().query?.per_recording == null ? "" : String(state().query?.per_recording),
  });
  const sites = [...new Set(about?.stores.flatMap((store) => store.sites) ?? [])];
  const [hour_from, hour_to] = filters.hours.split("-");
  const submit = (event: Event) => {
    event.preventDefault();
    refine({
      filters: {
        text: filters.text.trim() || null, sites: filters.sites, judged: filters.judged,
        dates: filters.from || filters.to ? `${filters.from || filters.to}/${filters.to || filters.from}` : null,
        time_of_day: hour_from && hour_to ? filters.hours : null, recording: now.recording ?? null,
      },
      per_recording: filters.each === "" ? null : Math.max(1, Number(filters.each)),
    });
    change({ panel: "none" });
  };
  const toggle = (site: string) =>
    set({ ...filters, sites: filters.sites.includes(site) ? filters.sites.filter((one) => one !== site) : [...filters.sites, site] });
  const clear = () => {
    refine({ filters: {} });
    change({ panel: "none" });
  };
  return (
    <Panel title="Filter">
      <form onSubmit={submit} class="filters">
        <div class="field"><label for="filter-text">In the path or site</label><input id="filter-text" autofocus value={filters.text} onInput={(event) => set({ ...filters, text: event.currentTarget.value })} /></div>
        {sites.length > 1 && (
          <fieldset class="field">
            <legend>Sites</legend>
            <div class="choices">
              {sites.map((site) => <label key={site} class="check"><input type="checkbox" checked={filters.sites.includes(site)} onChange={() => toggle(site)} /> {site}</label>)}
            </div>
          </fieldset>
        )}
        <div class="field">
          <span id="filter-dates">Dates</span>
          <div class="line" role="group" aria-labelledby="filter-dates">
            <input type="date" aria-label="from" value={filters.from} onInput={(event) => set({ ...filters, from: event.currentTarget.value })} />
            to <input type="date" aria-label="to" value={filters.to} onInput={(event) => set({ ...filters, to: event.currentTarget.value })} />
          </div>
        </div>
        <div class="field">
          <span id="filter-hours">Time of day</span>
          <div class="line" role="group" aria-labelledby="filter-hours">
            <input type="time" aria-label="from" value={hour_from ?? ""} onInput={(event) => set({ ...filters, hours: `${event.currentTarget.value}-${hour_to ?? ""}` })} />
            to <input type="time" aria-label="to" value={hour_to ?? ""} onInput={(event) => set({ ...filters, hours: `${hour_from ?? ""}-${event.currentTarget.value}` })} />
          </div>
        </div>
        <fieldset class="field">
          <legend>Judged</legend>
          <div class="choices">
            {(["all", "unjudged", "judged"] as const).map((judged) => (
              <label key={judged} class="check"><input type="radio" name="judged" checked={filters.judged === judged} onChange={() => set({ ...filters, judged })} /> {JUDGED[judged]}</label>
            ))}
          </div>
        </fieldset>
        <div class="field"><label for="filter-each">At most from one recording</label><input id="filter-each" type="number" min={1} value={filters.each} placeholder="any number" onInput={(event) => set({ ...filters, each: event.currentTarget.value })} /></div>
        <p><button type="submit" class="main">Show</button> <button type="button" onClick={clear}>No filters</button></p>
      </form>
    </Panel>
  );
}

const JUDGED = { all: "all", unjudged: "not yet judged", judged: "judged" };

/** The filters in force, in words. */
export function filterWords(filters: Filters | undefined): string[] {
  if (!filters) return [];
  return [
    filters.text ? `“${filters.text}”` : "",
    (filters.sites ?? []).join(", "),
    filters.dates?.replace("/", " to ") ?? "",
    filters.time_of_day?.replace("-", "–") ?? "",
    filters.judged && filters.judged !== "all" ? JUDGED[filters.judged] : "",
    filters.recording ? "one recording" : "",
  ].filter(Boolean);
}
