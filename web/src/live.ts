// The beginning of the page, and what it hears from the server while it is open: what others judge,
// whether the server is there, whether it became a newer one.

import { getAbout, getChanges, Offline, Refusal, watchVersion } from "./api.ts";
import { allSent, sendWaiting, startQueue, takeJudged } from "./judging.ts";
import { lastFocus, lastQuery, openList, reload } from "./lists.ts";
import { recall, show, viewNamed, whyNot } from "./page.ts";
import { change, state } from "./state.ts";
import type { Changes, ListQuery } from "./types.ts";

const POLL_MS = 2_000;
const POLL_HIDDEN_MS = 15_000; // nobody looks: only so that it is not far behind
const FEW_LABELS = 9;

let cursor: string | null = null; // of /api/changes

/** Loads what the page needs, then the list that this tab showed last, or a first one. */
export async function begin(): Promise<void> {
  watchVersion(noteVersion);
  const view = viewNamed(location.hash.slice(1)); // before the list sets it
  try {
    const about = await getAbout();
    const author = recall("author") || about.author;
    const used = about.labels.filter((label) => label.present + label.absent + label.unsure > 0).map((label) => label.name);
    change({ about, author, used: used.length || about.names.length > 9 ? used : about.names, broken: null, online: true });
    startQueue(about.stores.map((store) => store.name).join("\n"));
    void poll();
    const opened = openList(lastQuery() ?? firstQuery(), { focus: lastFocus() });
    if (view) show(view);
    await opened;
  } catch (error) {
    const locked = error instanceof Refusal && (error.status === 401 || error.status === 403);
    change({ broken: locked ? "locked" : whyNot(error) });
    if (error instanceof Offline) setTimeout(() => void begin(), POLL_MS);
  }
}

/** What to show when nothing was asked for: what the annotations or scores offer, else all, in time. */
function firstQuery(): ListQuery {
  const about = state().about;
  const suggested = about?.labels.find((label) => label.suggested > 0);
  if (suggested) return { place: "suggest", label: suggested.name, suggest_more: false };
  const scored = about?.stores.flatMap((store) => store.score_labels) ?? [];
  // of a model with hundreds of labels none is more likely meant than another
  if (scored[0] && scored.length <= FEW_LABELS) return { place: "detections", label: scored[0], order: "score" };
  return { place: "windows", order: "time", per_recording: null, k: 10_000 };
}

let own_version: string | null = null;

// the first version that is heard is the one this tab was loaded from
function noteVersion(version: string): void {
  own_version ??= version;
  const other = version === own_version ? null : version;
  if (state().server_version !== other) change({ server_version: other });
}

async function poll(): Promise<void> {
  for (;; await new Promise((then) => setTimeout(then, document.hidden ? POLL_HIDDEN_MS : POLL_MS))) {
    try {
      const list = state().list?.id ?? null;
      const was_offline = !state().online;
      const changes = await getChanges(cursor, list);
      takeChanges(changes, list);
      if (was_offline) cameBack();
    } catch (error) {
      if (!(error instanceof Refusal)) change({ online: false });
      else takeRefusal(error);
    }
  }
}

function takeChanges(changes: Changes, list: string | null): void {
  if (state().refused === RESTARTED) change({ refused: null });
  const is_first = cursor === null;
  cursor = changes.cursor;
  if (changes.judged.length && !is_first) takeJudged(changes.judged);
  // one's own strokes that are not there yet would be missing from the server's count
  if (changes.progress && allSent() && state().list?.id === list) change({ progress: changes.progress });
}

// a server that was started anew knows no list and no cursor of before, and wants its own key
function takeRefusal(error: Refusal): void {
  if (error.status === 401 || error.status === 403) change({ online: true, refused: RESTARTED });
  else cursor = null;
}

const RESTARTED = "It was started anew: open the address that it printed in this browser, then this tab goes on.";

function cameBack(): void {
  change({ online: true, said: "The server answers again." });
  void sendWaiting();
  if (state().list_problem) reload();
}
