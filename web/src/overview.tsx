// The archive at a glance: stores, damage, when was recorded and what was heard, labels, exports.

import { useEffect, useRef, useState } from "preact/hooks";
import { openList, toast, whyNot } from "./actions.ts";
import { address, getOverview, request } from "./api.ts";
import { cellWords, dayTicks, greatestRate, heatMaps, hourName, labelParts, lengthWords, paint, rounded, type HeatMap, type Part } from "./charts.ts";
import { onScale } from "./colours.ts";
import { copyText } from "./copy.ts";
import { usePage } from "./state.ts";
import { useDark } from "./theme.ts";
import type { Damage, ExportFormat, LabelFacts, Overview, StoreFacts } from "./types.ts";
import { dayName, number } from "./words.ts";
import "./overview.css";

const SITES_AT_FIRST = 12;
const DAMAGED_AT_FIRST = 8;

export function OverviewView() {
  const [overview, setOverview] = useState<Overview | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const online = usePage((page) => page.online);
  useEffect(() => {
    getOverview().then((answer) => { setProblem(null); setOverview(answer); }, (error) => setProblem(whyNot(error)));
  }, [online]);
  return (
    <section class="view overview" aria-label="Overview" aria-busy={!overview && !problem}>
      {problem && <p role="alert" class="problem">{problem}</p>}
      {!overview && !problem && <p role="status">Counting recordings …</p>}
      {overview && <All of={overview} />}
    </section>
  );
}

function All({ of }: { of: Overview }) {
  return (
    <>
      <Stores stores={of.stores} />
      <Labels labels={of.labels} />
      <Effort maps={heatMaps(of.effort)} counted={of.effort.some((cell) => cell.n !== null)} />
      <Damaged damaged={of.damaged} n={of.n_damaged} />
      <Exports labels={of.labels} />
    </>
  );
}

// ---- stores ----

function Stores({ stores }: { stores: StoreFacts[] }) {
  return (
    <section aria-labelledby="stores">
      <h2 id="stores">{stores.length === 1 ? "Recordings" : `Recordings in ${stores.length} stores`}</h2>
      <div class="stores">
        {stores.map((store) => <Store key={store.name} store={store} />)}
      </div>
    </section>
  );
}

function Store({ store }: { store: StoreFacts }) {
  const days = store.first_day === null ? "no dates" : store.first_day === store.last_day ? dayName(store.first_day) : `${dayName(store.first_day)} to ${dayName(store.last_day!)}`;
  return (
    <article class="store">
      <h3>{store.name}</h3>
      <dl class="figures">
        <Figure name="recordings" value={number(store.n_recordings)} />
        <Figure name={store.hours < 1 ? "minutes" : "hours"} value={rounded(store.hours < 1 ? 60 * store.hours : store.hours)} />
        <Figure name="windows" value={number(store.n_windows)} />
        {store.sites.length > 0 && <Figure name={store.sites.length === 1 ? "site" : "sites"} value={number(store.sites.length)} />}
      </dl>
      <p class="hint">{days} · {store.model} · a window of {rounded(store.window_s)} s every {rounded(store.hop_s)} s</p>
      {store.n_missing > 0 && <p class="warning">{number(store.n_missing)} of {number(store.n_recordings)} recordings cannot be found: no sound and no pictures of them; the rest works.</p>}
    </article>
  );
}

function Figure({ name, value }: { name: string; value: string }) {
  return <div><dt>{name}</dt><dd>{value}</dd></div>;
}

// ---- labels ----

function Labels({ labels }: { labels: LabelFacts[] }) {
  const total = (label: LabelFacts): number => label.present + label.absent + label.unsure + label.suggested;
  const greatest = Math.max(0, ...labels.map(total));
  return (
    <section aria-labelledby="labels">
      <h2 id="labels">Labels so far</h2>
      {labels.length === 0 && <p class="hint">None yet. In the grid, Y and N judge a sound.</p>}
      {labels.length > 0 && (
        <>
          <p class="chart-key" aria-hidden="true">{(["present", "absent", "unsure", "suggested"] as const).map((kind) => <span key={kind}><Key kind={kind} /> {kind}</span>)}</p>
          <ul class="labels">
            {labels.map((label) => (
              <li key={label.name}>
                <button type="button" title="Show these sounds" onClick={() => void openList({ place: "annotations", label: label.name, per_recording: null })}>{label.name}</button>
                <Bar parts={labelParts(label, greatest)} />
                <span class="counts">{labelWords(label)}</span>
              </li>
            ))}
          </ul>
        </>
      )}
    </section>
  );
}

function labelWords(label: LabelFacts): string {
  return (["present", "absent", "unsure", "suggested"] as const).filter((kind) => label[kind] > 0).map((kind) => `${number(label[kind])} ${kind}`).join(", ");
}

function Bar({ parts }: { parts: Part[] }) {
  return (
    <svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
      {parts.map((part) => <rect key={part.kind} class={`is-${part.kind}`} x={100 * part.from} y="0" width={Math.max(0.6, 100 * part.width)} height="10" />)}
    </svg>
  );
}

function Key({ kind }: { kind: Part["kind"] }) {
  return <svg class="swatch" viewBox="0 0 10 10" aria-hidden="true"><rect class={`is-${kind}`} width="10" height="10" /></svg>;
}

// ---- effort and activity ----

function Effort({ maps, counted }: { maps: HeatMap[]; counted: boolean }) {
  const [all, setAll] = useState(false);
  const greatest = greatestRate(maps);
  const shown = all ? maps : maps.slice(0, SITES_AT_FIRST);
  return (
    <section aria-labelledby="effort">
      <h2 id="effort">{counted ? "When it was recorded, and what was heard" : "When it was recorded"}</h2>
      {maps.length === 0 ? (
        <p class="hint">The recordings carry no time of their own: no clock in their headers, and no date in their names that was understood. <code>dawnchorus doctor</code> says more.</p>
      ) : (
        <EffortKey greatest={greatest} counted={counted} />
      )}
      {maps.length === 1 && !maps[0]!.site && <p class="hint">The store names no sites. <code>dawnchorus embed --site-from parent</code> takes them from the folders.</p>}
      <div class="heats">{shown.map((map) => <Heat key={map.site} map={map} greatest={greatest} />)}</div>
      {maps.length > shown.length && <button type="button" class="quiet" onClick={() => setAll(true)}>all {maps.length} sites</button>}
    </section>
  );
}

function EffortKey({ greatest, counted }: { greatest: number; counted: boolean }) {
  const dark = useDark();
  return (
    <p class="chart-key">
      <span><svg class="swatch" viewBox="0 0 10 10" aria-hidden="true"><rect class="is-away" width="10" height="10" /></svg> not recorded</span>
      {counted && greatest > 0 ? (
        <span class="from-to">0
          <svg class="ramp" viewBox="0 0 20 1" preserveAspectRatio="none" aria-hidden="true">
            {Array.from({ length: 20 }, (_, i) => <rect key={i} x={i} y="0" width="1.05" height="1" fill={onScale(Math.sqrt(i / 19), dark)} />)}
          </svg>
          {rounded(greatest)} an hour of recording
        </span>
      ) : (
        <span><svg class="swatch" viewBox="0 0 10 10" aria-hidden="true"><rect width="10" height="10" fill={onScale(0.35, dark)} /></svg> recorded</span>
      )}
    </p>
  );
}

/** Hours by days of a site. The arrow keys go over the cells; the words below say each of them. */
function Heat({ map, greatest }: { map: HeatMap; greatest: number }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const dark = useDark();
  const [at, setAt] = useState<[number, number] | null>(null); // day, hour
  useEffect(() => paint(canvas.current!, map, greatest, dark), [map, greatest, dark]);
  const n = map.days.length;
  const go = (event: KeyboardEvent): void => {
    const step = ARROWS[event.key];
    if (!step) return;
    event.preventDefault();
    const [day, hour] = at ?? [0, 0];
    setAt([Math.min(n - 1, Math.max(0, day + step[0])), Math.min(23, Math.max(0, hour + step[1]))]);
  };
  const point = (event: PointerEvent): void => {
    const box = canvas.current!.getBoundingClientRect();
    const share = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    setAt([Math.min(n - 1, Math.max(0, Math.floor(share[0]! * n))), Math.min(23, Math.max(0, 23 - Math.floor(share[1]! * 24)))]);
  };
  const ticks = dayTicks(map.days, 6);
  const words = at ? cellWords(map, at[0], at[1]) : `${lengthWords(map.n_hours)} on ${map.n_days} of ${n} days${map.busiest ? `, most at ${map.busiest}` : ""}`;
  return (
    <figure class="heat">
      <figcaption>{map.site || "no site"}</figcaption>
      <div class="heat-box" style={{ maxWidth: `${Math.max(340, n * 24)}px` }}>
        <div class="hours" aria-hidden="true">{[0, 6, 12, 18].map((hour) => <span key={hour} style={{ bottom: `${(100 * hour) / 24}%` }}>{hourName(hour)}</span>)}</div>
        <div class="cells" tabIndex={0} role="application" aria-label={`${map.site}: hours by days. ${words}. Arrow keys go over the hours.`} onKeyDown={go} onPointerMove={point} onPointerLeave={() => setAt(null)} onBlur={() => setAt(null)}>
          <canvas ref={canvas} aria-hidden="true" />
          {at && <span class="cell" style={{ left: `${(100 * at[0]) / n}%`, width: `${100 / n}%`, bottom: `${(100 * at[1]) / 24}%` }} />}
        </div>
        <div class="days" aria-hidden="true">{ticks.map((i) => <span key={i} style={{ left: `${(100 * (i + 0.5)) / n}%` }}>{dayName(map.days[i]!, false)}</span>)}</div>
      </div>
      <p class="hint" aria-live="polite">{words}</p>
    </figure>
  );
}

const ARROWS: Record<string, [number, number]> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

// ---- damage ----

function Damaged({ damaged, n }: { damaged: Damage[]; n: number }) {
  const [all, setAll] = useState(false);
  const shown = all ? damaged : damaged.slice(0, DAMAGED_AT_FIRST);
  return (
    <section aria-labelledby="damage">
      <h2 id="damage">Damage</h2>
      {n === 0 ? <p class="hint">Every recording was read from beginning to end.</p> : (
        <>
          <p>{number(n)} {n === 1 ? "recording was" : "recordings were"} not, or not wholly, read.</p>
          <div class="table" tabIndex={0} role="region" aria-label="Damaged recordings">
            <table>
              <thead><tr><th scope="col">recording</th><th scope="col">state</th><th scope="col">why</th></tr></thead>
              <tbody>{shown.map((one, i) => <tr key={i}><td>{one.path}</td><td>{readWords(one)}</td><td>{reasonOf(one)}</td></tr>)}</tbody>
            </table>
          </div>
          {damaged.length > shown.length && <button type="button" class="quiet" onClick={() => setAll(true)}>{number(damaged.length - shown.length)} more</button>}
          {n > damaged.length && <p class="hint">The first {number(damaged.length)} are listed; <code>dawnchorus doctor</code> lists all.</p>}
        </>
      )}
    </section>
  );
}

/** How much of it is in the store; "done" of a recording that breaks off would say that all is well. */
function readWords({ status, reason }: Damage): string {
  if (status === "failed") return "not read";
  if (status === "partial") return "not finished";
  return /^(damaged|truncated)/.test(reason) ? "read in part" : "read, with doubts";
}

/** Why, without the path, which stands beside it already. */
function reasonOf({ path, reason }: Damage): string {
  const at = reason.indexOf(`${path}: `);
  return at < 0 ? reason : reason.slice(at + path.length + 2);
}

// ---- exports ----

const FORMATS: readonly { format: ExportFormat; says: string }[] = [
  { format: "csv", says: "CSV table" }, { format: "parquet", says: "Parquet table" },
  { format: "raven", says: "Raven selection tables" }, { format: "audacity", says: "Audacity labels" },
  { format: "kaleidoscope", says: "Kaleidoscope table" },
];

function Exports({ labels }: { labels: LabelFacts[] }) {
  const [format, setFormat] = useState<ExportFormat>("csv");
  const [label, setLabel] = useState("");
  const [command, setCommand] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const path = address("/api/export", { format, label: label || null });
  useEffect(() => {
    let wanted = true;
    setCommand(null);
    request(path, { method: "HEAD" }).then((answer) => wanted && setCommand(commandOf(answer)), () => {});
    return () => void (wanted = false);
  }, [path]);
  const save = async (): Promise<void> => {
    setBusy(true);
    try {
      const answer = await request(path);
      download(await answer.blob(), nameOf(answer) ?? `annotations.${format}`);
      setCommand(commandOf(answer));
    } catch (error) {
      toast(whyNot(error));
    }
    setBusy(false);
  };
  return (
    <section aria-labelledby="export">
      <h2 id="export">Export the annotations</h2>
      <form class="export" onSubmit={(event) => { event.preventDefault(); void save(); }}>
        <label>as <select value={format} onChange={(event) => setFormat(event.currentTarget.value as ExportFormat)}>
          {FORMATS.map((one) => <option key={one.format} value={one.format}>{one.says}</option>)}
        </select></label>
        <label>of <select value={label} onChange={(event) => setLabel(event.currentTarget.value)}>
          <option value="">all labels</option>
          {labels.map((one) => <option key={one.name} value={one.name}>{one.name}</option>)}
        </select></label>
        <button type="submit" class="main" disabled={busy || labels.length === 0}>Download</button>
      </form>
      {command && <p class="command"><span class="hint">On the command line:</span> <code>{command}</code> <button type="button" class="quiet" onClick={() => void copyText(command).then((worked) => toast(worked ? "Copied." : "This browser does not let pages copy."))}>Copy</button></p>}
    </section>
  );
}

function commandOf(answer: Response): string | null {
  const text = answer.headers.get("X-Command");
  return text === null ? null : decodeURIComponent(text);
}

function nameOf(answer: Response): string | null {
  const encoded = /filename\*=UTF-8''([^;]+)/.exec(answer.headers.get("Content-Disposition") ?? "")?.[1];
  return encoded === undefined ? null : decodeURIComponent(encoded);
}

function download(content: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  // the browser reads it after the click; a minute is long enough for it to begin
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
