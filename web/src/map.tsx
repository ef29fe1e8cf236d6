// The map: every window a point, those that sound alike beside each other. See, hear, take a part of it.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { openList, refreshAbout, toast, watched, whyNot } from "./actions.ts";
import { getMapColours, getMapPoints, startJob } from "./api.ts";
import { paletteOf, shadesOf, type LegendLine, type Shades } from "./colours.ts";
import { useActions } from "./dispatch.ts";
import type { Action } from "./keys.ts";
import { Legend } from "./legend.tsx";
import { Card, moreLike, openLarge, playPicked, usePicked } from "./mapcard.tsx";
import { atMost, MapModel, placesOf, type Places } from "./mapmodel.ts";
import { listenToHands } from "./mapview.ts";
import { state, usePage } from "./state.ts";
import { useDark } from "./theme.ts";
import type { Colour, JobAnswer } from "./types.ts";
import { number } from "./words.ts";
import "./map.css";

const COLOURS: readonly { by: Colour; says: string }[] = [
  { by: "cluster", says: "cluster" }, { by: "label", says: "label" }, { by: "site", says: "site" },
  { by: "hour", says: "hour of day" }, { by: "score", says: "score" },
];
const MOST_ROWS = 100_000; // in one list
const REST_MS = 60; // a hand that moves on means no point
const STEP = 0.12; // of what is seen, for an arrow key
const CLOSER = 1.35;

export function MapView() {
  const about = usePage((page) => page.about);
  if (!about) return <section class="view map" aria-label="Map" aria-busy="true" />;
  return (
    <section class="view map" aria-label="Map">
      {about.has_map ? <LoadedMap n={about.stores.reduce((sum, store) => sum + store.n_windows, 0)} /> : <NoMap read_only={about.read_only} />}
    </section>
  );
}

// ---- before there is a map ----

function NoMap({ read_only }: { read_only: boolean }) {
  const [job, setJob] = useState<JobAnswer | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const make = async (): Promise<void> => {
    setProblem(null);
    try {
      const done = await watched(await startJob({ kind: "cluster", author: state().author }), setJob);
      if (done.state === "failed") setProblem(done.message);
      else await refreshAbout();
    } catch (error) {
      setProblem(whyNot(error));
    }
    setJob(null);
  };
  return (
    <div class="empty">
      <h2>No map yet</h2>
      <p>A map lays out every window so that sounds that are alike lie beside each other, and finds groups of them. It needs no labels. Some minutes for a million windows.</p>
      {job ? (
        <p role="status">{job.message || "Making the map"} <progress max={job.total || undefined} value={job.total ? job.done : undefined} aria-label="how far the map is" /></p>
      ) : read_only ? (
        <p>This server may only read. On the command line: <code>dawnchorus cluster</code> with the stores, then open this page again.</p>
      ) : (
        <button type="button" class="main" onClick={() => void make()}>Make the map</button>
      )}
      {problem && <p role="alert" class="problem">{problem}</p>}
    </div>
  );
}

function LoadedMap({ n }: { n: number }) {
  const [places, setPlaces] = useState<Places | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const online = usePage((page) => page.online);
  useEffect(() => {
    if (places) return;
    getMapPoints().then((values) => { setProblem(null); setPlaces(placesOf(values)); }, (error) => setProblem(whyNot(error)));
  }, [online]);
  if (problem) return <p role="alert" class="empty problem">{problem}</p>;
  return places ? <PointMap places={places} /> : <p class="empty" role="status">Fetching {number(n)} points …</p>;
}

// ---- the map ----

function PointMap({ places }: { places: Places }) {
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [model, setModel] = useState<MapModel | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [, moved] = useState(0); // drawn again when the map moves: the mark goes with it
  const [by, setBy] = useState<Colour>("cluster");
  const [shades, setShades] = useState<Shades | null>(null);
  const [only, setOnly] = useState(-1);
  const [line, setLine] = useState<number[]>([]);
  const [draws, setDraws] = useState(false);
  const dark = useDark();
  const { picked, pick } = usePicked();
  const drawing = useRef(draws);
  drawing.current = draws;

  useEffect(() => {
    try {
      const made = new MapModel(canvas.current!, places, () => moved((count) => count + 1));
      setModel(made);
      const room = box.current!; // it may be gone from the page when the last call comes
      const watch = new ResizeObserver(() => made.resize(room.clientWidth, room.clientHeight));
      watch.observe(room);
      const deaf = listenToHands(room, {
        pan: (dx, dy) => made.pan(dx, dy),
        zoom: (at, factor) => made.zoom(factor, at),
        hover: (at) => at && pick(made.under(at), REST_MS),
        click: (at) => pick(made.under(at), 0, true),
        draws: (event) => drawing.current || event.shiftKey,
        line: (points, closed) => {
          setLine(closed ? [] : [...points]);
          if (closed) takeRows(made.inLine(points));
        },
      });
      return () => { watch.disconnect(); deaf(); made.close(); };
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
      return undefined;
    }
  }, [places]);

  useEffect(() => {
    let wanted = true;
    setOnly(-1);
    getMapColours(by).then(
      ({ codes, meaning }) => wanted && setShades(shadesOf(codes, meaning)),
      (error) => wanted && toast(whyNot(error)),
    );
    return () => void (wanted = false);
  }, [by]);

  useEffect(() => {
    if (model && shades) model.points.setColours(shades.shades, paletteOf(shades, dark, only));
  }, [model, shades, dark, only]);

  const keyed = (move: () => void): boolean => {
    move();
    const row = model!.inTheMiddle();
    pick(row, REST_MS);
    return true;
  };
  useActions((action: Action) => {
    if (!model) return false;
    switch (action) {
      case "pan-left": return keyed(() => model.step(-STEP, 0));
      case "pan-right": return keyed(() => model.step(STEP, 0));
      case "pan-up": return keyed(() => model.step(0, STEP));
      case "pan-down": return keyed(() => model.step(0, -STEP));
      case "zoom-in": return keyed(() => model.zoom(CLOSER));
      case "zoom-out": return keyed(() => model.zoom(1 / CLOSER));
      case "zoom-reset": return keyed(() => model.seeAll());
      case "map-take": return takeRows(model.inSight()), true;
      case "map-line": return setDraws(!draws), true;
      case "map-colour": return setBy(COLOURS[(COLOURS.findIndex((one) => one.by === by) + 1) % COLOURS.length]!.by), true;
      case "play": return playPicked(picked?.item), true;
      case "more": return moreLike(picked?.item), true;
      case "open": return void openLarge(picked?.item), true;
      case "back": return draws ? (setDraws(false), true) : false;
      default: return false;
    }
  });

  const takeLine = (named: LegendLine): void => {
    const rows: number[] = [];
    shades!.shades.forEach((shade, row) => shade === named.shade && rows.push(row));
    takeRows(Uint32Array.from(rows));
  };
  const legend = useMemo(
    () => shades && <Legend of={shades} only={only} dark={dark} choose={setOnly} take={takeLine} />,
    [shades, only, dark],
  );

  if (problem) return <NoPicture problem={problem} />;
  const name = shades && picked ? nameOf(shades, picked.row) : null;
  return (
    <div class="map-page">
      <div class="map-tools" role="toolbar" aria-label="Map">
        <label>coloured by{" "}
          <select value={by} onChange={(event) => setBy(event.currentTarget.value as Colour)}>
            {COLOURS.map((one) => <option key={one.by} value={one.by}>{one.says}</option>)}
          </select>
        </label>
        <button type="button" aria-pressed={draws} title="Draw a line around points (D), or hold Shift" onClick={() => setDraws(!draws)}>Draw around</button>
        <button type="button" title="All that is seen, into the grid (G)" onClick={() => model && takeRows(model.inSight())}>Take all in view</button>
        <span class="group">
          <button type="button" aria-label="Nearer (+)" onClick={() => model?.zoom(CLOSER)}>+</button>
          <button type="button" aria-label="Farther (−)" onClick={() => model?.zoom(1 / CLOSER)}>−</button>
          <button type="button" aria-label="All of it (0)" onClick={() => model?.seeAll()}>all</button>
        </span>
      </div>
      <div
        class={draws ? "map-box draws" : "map-box"} ref={box} tabIndex={0} role="application"
        aria-label={`Map of ${number(places.x.length)} sounds. Arrow keys move, plus and minus zoom, Space plays the sound in the middle, G takes all in view.`}
      >
        <canvas ref={canvas} aria-hidden="true" />
        <svg class="map-marks" aria-hidden="true">
          {line.length > 4 && <polygon points={line.map((value) => value.toFixed(0)).join(" ")} />}
          {model && picked && picked.row >= 0 && <Mark at={model.where(picked.row)} />}
        </svg>
      </div>
      <aside class="map-side">
        <Card picked={picked} by={COLOURS.find((one) => one.by === by)!.says} name={name} />
        {legend ?? <p class="hint" role="status">Fetching colours …</p>}
      </aside>
    </div>
  );
}

function Mark({ at }: { at: [number, number] }) {
  return <><circle class="outer" cx={at[0]} cy={at[1]} r="9" /><circle class="inner" cx={at[0]} cy={at[1]} r="9" /></>;
}

function NoPicture({ problem }: { problem: string }) {
  return (
    <div class="empty">
      <h2>No map in this browser</h2>
      <p role="alert">{problem}. Turn on hardware acceleration in the browser's settings, or try another browser.</p>
      <p>The clusters can be heard and judged without the map: press O and choose one.</p>
    </div>
  );
}

// ---- what it does ----

function nameOf(of: Shades, row: number): string | null {
  const shade = of.shades[row]!;
  return shade === 0 ? null : (of.lines.find((line) => line.shade === shade)?.name ?? null);
}

function takeRows(rows: Uint32Array): void {
  if (rows.length === 0) return toast("No point lies there.");
  if (rows.length > MOST_ROWS) toast(`${number(rows.length)} sounds: an even sample of ${number(MOST_ROWS)} is shown.`);
  const chosen = atMost(rows, MOST_ROWS);
  void openList({ place: "windows", rows: chosen, k: chosen.length, label: state().list?.label ?? null, per_recording: null });
}
