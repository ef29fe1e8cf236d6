// The grid: 24 sounds a page, and what happens when there are none.

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { reload, turnPage } from "./actions.ts";
import { run, setColumns, useActions } from "./dispatch.ts";
import { picture } from "./pictures.ts";
import { prepare } from "./player.ts";
import { PAGE_SIZE, pageOf, usePage } from "./state.ts";
import { Tile, tileAddress } from "./tile.tsx";
import type { Item } from "./types.ts";
import { number } from "./words.ts";

/** How many tiles stand in a row: divisors of 24, so that a page has no hole. */
export function columnsFor(width_rem: number): number {
  if (width_rem < 44) return 2;
  if (width_rem < 54) return 3;
  if (width_rem < 68) return 4;
  return 6;
}

export function GridView() {
  const items = usePage((page) => page.items);
  const focus = usePage((page) => page.focus);
  const loading = usePage((page) => page.loading);
  const problem = usePage((page) => page.list_problem);
  useActions(() => false);
  if (loading) return <Waiting />;
  if (problem) return <Problem problem={problem} />;
  if (!items.length) return <Empty />;
  return <Page items={items} page={pageOf(focus)} focus={focus} />;
}

function Page({ items, page, focus }: { items: (Item | undefined)[]; page: number; focus: number }) {
  const anchor = usePage((state) => state.anchor);
  const label = usePage((state) => state.list?.label ?? null);
  const author = usePage((state) => state.author);
  const [ref, columns] = useColumns();
  const first = page * PAGE_SIZE;
  const shown = items.slice(first, first + PAGE_SIZE);
  usePrefetch(items, first, focus);
  const [low, high] = [Math.min(anchor ?? focus, focus), Math.max(anchor ?? focus, focus)];
  const rows = Array.from({ length: Math.ceil(shown.length / columns) }, (_, row) => row);
  return (
    <div
      ref={ref} class="grid" role="grid" aria-label="Sounds" aria-multiselectable="true"
      aria-rowcount={Math.ceil(items.length / columns)} aria-colcount={columns} style={{ "--columns": String(columns), "--rows": String(PAGE_SIZE / columns) }}
    >
      {rows.map((row) => (
        <div key={row} role="row" class="row" aria-rowindex={Math.floor(first / columns) + row + 1}>
          {shown.slice(row * columns, (row + 1) * columns).map((item, column) => {
            const index = first + row * columns + column;
            return (
              <Tile
                key={index} item={item} index={index} n={items.length} column={column + 1} label={label} author={author}
                is_focused={index === focus} is_selected={anchor !== null && index >= low && index <= high}
              />
            );
          })}
        </div>
      ))}
    </div>
  );
}

function useColumns() {
  const ref = useRef<HTMLDivElement>(null);
  const [columns, set] = useState(6);
  useLayoutEffect(() => {
    const look = () => {
      const rem = parseFloat(getComputedStyle(document.documentElement).fontSize); // larger text, fewer tiles
      const n = columnsFor((ref.current?.clientWidth ?? 1280) / rem);
      setColumns(n);
      set(n);
    };
    look();
    const watcher = new ResizeObserver(look);
    if (ref.current) watcher.observe(ref.current);
    return () => watcher.disconnect();
  }, []);
  return [ref, columns] as const;
}

/** The next page's pictures, and the sounds of this tile and the next. */
function usePrefetch(items: (Item | undefined)[], first: number, focus: number): void {
  const next_is_there = Boolean(items[first + PAGE_SIZE]);
  useEffect(() => {
    for (const item of items.slice(first + PAGE_SIZE, first + 2 * PAGE_SIZE)) {
      if (item?.has_sound) picture(tileAddress(item), 0).catch(() => {}); // said when it is shown
    }
  }, [first, next_is_there]);
  useEffect(() => {
    // a moment later: who runs through the tiles with a held key listens to none of them
    const timer = setTimeout(() => {
      for (const item of [items[focus], items[focus + 1]]) if (item?.has_sound) prepare(item);
    }, 150);
    return () => clearTimeout(timer);
  }, [focus, items[focus]?.recording_id]);
}

/** Where in the list the page is, with buttons for the mouse. */
export function Pager() {
  const focus = usePage((state) => state.focus);
  const n = usePage((state) => state.items.length);
  if (n === 0) return null;
  const page = pageOf(focus);
  const last = pageOf(n - 1);
  const [from, to] = [page * PAGE_SIZE + 1, Math.min(n, (page + 1) * PAGE_SIZE)];
  return (
    <div class="pager">
      {last > 0 && <button type="button" class="quiet" aria-label="Page before" title="Page before (Page ↑)" disabled={page === 0} onClick={() => turnPage(-1)}>‹</button>}
      <span>{number(from)}–{number(to)} of {number(n)}</span>
      {last > 0 && <button type="button" class="quiet" aria-label="Next page" title="Next page (Page ↓)" disabled={page === last} onClick={() => turnPage(1)}>›</button>}
    </div>
  );
}

function Waiting() {
  return (
    <div class="grid is-coming" role="status" aria-label="Sounds are loading" style={{ "--columns": "6", "--rows": "4" }}>
      {Array.from({ length: PAGE_SIZE }, (_, i) => <div key={i} class="tile is-coming"><div class="picture" /></div>)}
    </div>
  );
}

function Problem({ problem }: { problem: string }) {
  return (
    <div class="message" role="alert">
      <h2>These sounds cannot be shown</h2>
      <p>{problem}</p>
      <p>
        <button type="button" class="main" onClick={() => reload()}>Try again</button>{" "}
        <button type="button" onClick={() => run("sources")}>Show other sounds</button>
      </p>
    </div>
  );
}

function Empty() {
  const query = usePage((state) => state.query);
  const n_windows = usePage((state) => state.about?.stores.reduce((sum, store) => sum + store.n_windows, 0) ?? 0);
  const is_filtered = Boolean(query?.filters && Object.values(query.filters).some((value) => value && value !== "all" && String(value)));
  return (
    <div class="message">
      <h2>{n_windows === 0 ? "This archive holds no sounds yet" : EMPTY[query?.place ?? "windows"]}</h2>
      <p>{n_windows === 0 ? "Fill it with dawnchorus embed, then load this page again." : `${number(n_windows)} windows are in the archive.`}</p>
      <p>
        {is_filtered && <button type="button" class="main" onClick={() => run("filter")}>Change the filters</button>}{" "}
        {n_windows > 0 && <button type="button" onClick={() => run("sources")}>Show other sounds</button>}
      </p>
    </div>
  );
}

const EMPTY = {
  search: "Nothing like it was found", detections: "Nothing was detected", cluster: "This cluster is empty",
  suggest: "There is nothing left to judge", annotations: "Nothing was judged yet", novel: "Nothing stands out",
  windows: "No sound passes",
};
