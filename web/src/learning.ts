// A round of learning: fit on what was judged, show what to judge next, say what changed.

import { getAbout, getJob, startJob } from "./api.ts";
import { sendWaiting } from "./judging.ts";
import { takeList } from "./lists.ts";
import { showHash, toast, whyNot } from "./page.ts";
import { change, state } from "./state.ts";
import type { ListAnswer } from "./types.ts";

const JOB_POLL_MS = 500;

/** Fits a probe on what was judged, then shows what to judge next and what changed. */
export async function learn(): Promise<void> {
  const { list, query, author, job } = state();
  const label = list?.label ?? query?.label;
  if (!label) return change({ panel: "sources", toast: "Choose a label first: learning is about one label." });
  if (job) return toast("It is still learning.");
  try {
    await sendWaiting(); // what it learns from must be there
    let now = await startJob({ kind: "learn", label, n: 20, author });
    change({ job: now, said: `Learning ${label}` });
    while (now.state === "running") {
      await new Promise((then) => setTimeout(then, JOB_POLL_MS));
      now = await getJob(now.id);
      change({ job: now });
    }
    change({ job: null });
    if (now.state === "failed" || !now.result) return change({ list_problem: null, toast: now.message, said: now.message });
    takeRound(label, now.result);
    change({ learned: now, said: [`Learned ${label}.`, ...now.summary].join(" ") });
    void refreshAbout();
  } catch (error) {
    change({ job: null });
    toast(whyNot(error));
  }
}

function takeRound(label: string, result: ListAnswer): void {
  const { query, focus, left } = state();
  change({
    left: query ? [...left, { query, focus }] : left, query: { place: "suggest", label, k: 20 },
    view: "grid", anchor: null, strokes: [], list_problem: null,
  });
  showHash("grid");
  takeList(result, 0);
}

export async function refreshAbout(): Promise<void> {
  try {
    const about = await getAbout();
    const ours = (state().about?.names ?? []).filter((name) => !about.names.includes(name));
    change({ about: { ...about, names: [...about.names, ...ours] } });
  } catch {
    // the banner says it if the server is gone
  }
}
