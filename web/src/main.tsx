// The page: a head, a view, a foot; what the keyboard, a dropped file and a lost connection do.

import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { begin, copyCommand, drawByChance, N_DRAWN, ORDERS, refine, retrySending, searchLikeFile, show, viewFromHash } from "./actions.ts";
import { onKey, run } from "./dispatch.ts";
import { GridView, Pager } from "./grid.tsx";
import { MapView } from "./map.tsx";
import { OverviewView } from "./overview.tsx";
import { KeysPanel, LabelPanel } from "./panel.tsx";
import { SoundView } from "./sound.tsx";
import { Examples, FiltersPanel, filterWords, SourcesPanel } from "./sources.tsx";
import { change, progressLine, selected, usePage, type View } from "./state.ts";
import "./style.css";
import type { Order } from "./types.ts";
import { number } from "./words.ts";

function App() {
  const view = usePage((page) => page.view);
  const panel = usePage((page) => page.panel);
  const broken = usePage((page) => page.broken);
  const about = usePage((page) => page.about);
  if (broken) return <Broken reason={broken} />;
  if (!about) return <div class="message" role="status"><p>Opening the archive …</p></div>;
  return (
    <>
      <Banners />
      <Head view={view} />
      <main class={`view-${view}`}>
        {view === "grid" && <GridView />}
        {view === "sound" && <SoundView />}
        {view === "map" && <MapView />}
        {view === "overview" && <OverviewView />}
      </main>
      {view === "grid" && <Foot />}
      {panel === "sources" && <SourcesPanel />}
      {panel === "filters" && <FiltersPanel />}
      {panel === "label" && <LabelPanel />}
      {panel === "keys" && <KeysPanel />}
      <Dropping />
      <Said />
    </>
  );
}

const VIEWS: readonly { view: View; name: string }[] = [
  { view: "grid", name: "Sounds" }, { view: "map", name: "Map" }, { view: "overview", name: "Overview" },
];

function Head({ view }: { view: View }) {
  return (
    <header class="head">
      <nav aria-label="Views">
        {VIEWS.map((one) => (
          <a key={one.view} href={`#${one.view}`} aria-current={one.view === view || (one.view === "grid" && view === "sound") ? "page" : undefined} onClick={(event) => (event.preventDefault(), show(one.view))}>{one.name}</a>
        ))}
      </nav>
      {view === "grid" && <ListHead />}
      <button type="button" class="quiet keys-button" title="All keys (?)" onClick={() => run("help")}><kbd>?</kbd> Keys</button>
    </header>
  );
}

/** What the list is, how far it is judged, how it is sorted and filtered. */
function ListHead() {
  const list = usePage((page) => page.list);
  const query = usePage((page) => page.query);
  const progress = usePage((page) => page.progress);
  const job = usePage((page) => page.job);
  const filters = filterWords(query?.filters);
  return (
    <>
      <div class="list-head">
        <h1>
          <button type="button" class="title" aria-haspopup="dialog" title="Choose which sounds to show (O)" onClick={() => run("sources")}>{list?.title ?? "Sounds"}<span aria-hidden="true"> ▾</span></button>
        </h1>
        <p class="live">{progress && progress.n > 0 ? progressLine(progress, list?.label ?? null) : "\u00a0"}</p>
      </div>
      <div class="list-tools">
        {list?.label && <button type="button" class="learn" disabled={Boolean(job)} title="Learn from what was judged, show what to judge next (L)" onClick={() => run("learn")}>{job?.kind === "learn" ? "Learning …" : "Learn"}</button>}
        {list?.label && <button type="button" disabled={Boolean(job)} title="Estimate how many windows hold it (E)" onClick={() => run("density")}>{job?.kind === "density" ? "Counting …" : "How many?"}</button>}
        <label class="sort"><span>Sort</span>
          <select value={query?.order ?? "given"} onChange={(event) => refine({ order: event.currentTarget.value as Order })}>
            {ORDERS.map(({ order, says }) => <option key={order} value={order}>{says}</option>)}
          </select>
        </label>
        <button type="button" class={filters.length ? "is-on" : ""} title="Filter (/)" onClick={() => run("filter")}>{filters.length ? filters.join(" · ") : "Filter"}</button>
        <Pager />
      </div>
      <Learned />
      <Notes />
      <Examples />
    </>
  );
}

/** What a round of learning changed, or how many windows hold the label; how far a running job is. */
function Learned() {
  const job = usePage((page) => page.job);
  const learned = usePage((page) => page.learned);
  if (job) {
    return (
      <div class="note" role="status">
        {job.total > 0 ? <progress value={job.done} max={job.total} aria-label="How far it is" /> : <progress aria-label="How far it is" />} {job.message || "at work"}
      </div>
    );
  }
  if (!learned) return null;
  return (
    <div class="note is-learned">
      <ul>{learned.summary.map((line) => <li key={line}>{line}</li>)}</ul>
      {learned.kind === "density" && !learned.result && <button type="button" onClick={() => void drawByChance()}>Draw {N_DRAWN} by chance</button>}
      <button type="button" class="quiet" aria-label="Close what changed" onClick={() => change({ learned: null })}>✕</button>
    </div>
  );
}

function Notes() {
  const notes = usePage((page) => page.list?.notes);
  const about = usePage((page) => page.about);
  const missing = about?.stores.reduce((sum, store) => sum + store.n_missing, 0) ?? 0;
  const all = about?.stores.reduce((sum, store) => sum + store.n_recordings, 0) ?? 0;
  const place = usePage((page) => page.query?.place);
  const lines = [...(notes ?? [])];
  if (place === "windows" && !about?.read_only && !about?.labels.length) {
    lines.push("Looking for one kind of sound? Drop a clip of it anywhere on this page, or press M on one of these. Space plays, Y and N judge, ? shows all keys.");
  }
  if (missing > 0 && !lines.some((line) => line.includes("cannot be found"))) {
    lines.push(`${missing === all ? "The recordings" : `${number(missing)} of ${number(all)} recordings`} cannot be found: no sound and no pictures of them. All else works.`);
  }
  if (!lines.length) return null;
  return <div class="note">{lines.map((line) => <p key={line}>{line}</p>)}</div>;
}

/** The command that gives the same, the digits' labels, the keys one needs first. */
function Foot() {
  const command = usePage((page) => page.list?.command);
  const names = usePage((page) => page.used);
  const label = usePage((page) => page.list?.label);
  const anchor = usePage((page) => page.anchor);
  const focus = usePage((page) => page.focus);
  const n_selected = selected({ focus, anchor }).length;
  return (
    <footer class="foot">
      <p class="digits">
        {n_selected > 1 && <b class="selection">{number(n_selected)} selected</b>}
        {label ? <span>Is it <b>{label}</b>? <kbd>Y</kbd> <kbd>N</kbd> <kbd>U</kbd></span> : <span><kbd>I</kbd> names it</span>}
        {names.slice(0, 9).map((name, i) => <button key={name} type="button" class="quiet digit" onClick={() => run("label", String(i + 1))}><kbd>{i + 1}</kbd> {name}</button>)}
      </p>
      {command && (
        <p class="command">
          <code tabIndex={0} aria-label="The same on the command line">{command}</code>
          <button type="button" class="quiet" title="Copy (C)" onClick={() => void copyCommand()}>Copy</button>
        </p>
      )}
    </footer>
  );
}

/** What is wrong now, above all else; gone when it is mended. */
function Banners() {
  const online = usePage((page) => page.online);
  const waiting = usePage((page) => page.waiting);
  const refused = usePage((page) => page.refused);
  const server = usePage((page) => page.server_version);
  const waits = waiting === 1 ? "1 judgement waits for the server" : `${number(waiting)} judgements wait for the server`;
  return (
    <div class="banners" role="status">
      {server && (
        <p class="banner">The server is dawnchorus {server} now, this page is older. <button type="button" onClick={() => location.reload()}>Load the page again</button></p>
      )}
      {!online && <p class="banner is-bad">The server does not answer; it is asked again every 2 seconds. {waiting > 0 ? `${waits}. Nothing is lost.` : "You can go on judging: nothing is lost."}</p>}
      {online && refused && (
        <p class="banner is-bad">{waiting > 0 && `${waits}. `}{refused} <button type="button" onClick={retrySending}>Send again</button></p>
      )}
    </div>
  );
}

function Broken({ reason }: { reason: string }) {
  if (reason === "locked") {
    return (
      <main class="message"><div role="alert">
        <h1>This page is locked</h1>
        <p>Open it by the address that <code>dawnchorus serve</code> printed: it holds a key that only you have.</p>
      </div></main>
    );
  }
  return (
    <main class="message"><div role="alert">
      <h1>The archive cannot be opened</h1>
      <p>{reason}</p>
      <p><button type="button" class="main" onClick={() => void begin()}>Try again</button></p>
    </div></main>
  );
}

/** Takes files that are dropped anywhere. */
function Dropping() {
  const [over, setOver] = useState(false);
  useEffect(() => {
    const holds_file = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
    const enter = (event: DragEvent) => {
      if (!holds_file(event)) return;
      event.preventDefault(); // else the browser opens the file instead of this page
      setOver(true);
    };
    const leave = (event: DragEvent) => event.relatedTarget === null && setOver(false);
    const drop = (event: DragEvent) => {
      if (!holds_file(event)) return;
      event.preventDefault();
      setOver(false);
      const file = event.dataTransfer?.files[0];
      if (file) void searchLikeFile(file);
    };
    addEventListener("dragover", enter);
    addEventListener("dragleave", leave);
    addEventListener("drop", drop);
    return () => {
      removeEventListener("dragover", enter);
      removeEventListener("dragleave", leave);
      removeEventListener("drop", drop);
    };
  }, []);
  return over ? <div class="dropping"><p>Drop it to find sounds like it</p></div> : null;
}

function Said() {
  const said = usePage((page) => page.said);
  const toast = usePage((page) => page.toast);
  const progress = usePage((page) => page.progress);
  const label = usePage((page) => page.list?.label ?? null);
  const [slow_line, setLine] = useState("");
  useEffect(() => {
    // spoken when judging rests, not after each stroke
    const timer = setTimeout(() => setLine(progress ? progressLine(progress, label) : ""), 1_500);
    return () => clearTimeout(timer);
  }, [progress, label]);
  return (
    <>
      {toast && <p class="toast" aria-hidden="true">{toast}</p>}
      <p class="unseen" aria-live="polite">{said}</p>
      <p class="unseen" aria-live="polite">{slow_line}</p>
    </>
  );
}

addEventListener("keydown", onKey);
addEventListener("popstate", viewFromHash);
render(<App />, document.getElementById("page") as HTMLElement);
void begin();
