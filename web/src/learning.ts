// Jobs about a label: a round of learning (fit on what was judged, show what to judge next, say what
// changed), and how many windows hold it.

import { getAbout, getJob, startJob } from "./api.ts";
import { sendWaiting } from "./judging.ts";
import { takeList } from "./lists.ts";
import { showHash, toast, whyNot } from "./page.ts";
import { change, state } from "./state.ts";
import type { JobAnswer, JobQuery, ListAnswer } from "./types.ts";

const JOB_POLL_MS = 500;

/** Fits a probe on what was judged, then shows what to judge next and what changed. */
export async function learn(): Promise<void> {
  await finish("Learning", (label) => ({ kind: "learn", label, n: 20 }));
}

/** Estimates how many windows hold the label, by those that were drawn by chance and judged. */
export async function howMany(): Promise<void> {
  await finish("Counting", (label) => ({ kind: "density", label }));
}

export const N_DRAWN = 50;

/** Draws windows by chance, to be judged for an estimate, and shows them. */
export async function drawByChance(): Promise<void> {
  await finish("Drawing sounds for", (label) => ({ kind: "density", label, n: N_DRAWN, draw: true }));
}

/** Runs a job about the list's label, and shows the sounds and sentences that come of it. */
async function finish(doing: string, query: (label: string) => JobQuery): Promise<void> {
  const { list, author, job } = state();
  const label = list?.label ?? state().query?.label;
  if (!label) return change({ panel: "sources", toast: "Choose a label first: this is about one label." });
  if (job) return toast("It is still busy.");
  try {
    await sendWaiting(); // what it works on must be there
    change({ said: `${doing} ${label}` });
    const done = await watched(await startJob({ ...query(label), author }), (now) => change({ job: now }));
    change({ job: null });
    // it stays until it is closed: why something failed is read more than once
    if (done.state === "failed") return change({ learned: { ...done, summary: [done.message] }, said: done.message });
    if (done.result) takeRound(label, done.result);
    change({ learned: done, said: done.summary.join(" ") });
    void refreshAbout();
  } catch (error) {
    change({ job: null });
    toast(whyNot(error));
  }
}

/** Asks after a job until it has ended, and tells each time how far it is. */
export async function watched(job: JobAnswer, tell: (job: JobAnswer) => void): Promise<JobAnswer> {
  let now = job;
  for (tell(now); now.state === "running"; tell(now)) {
    await new Promise((then) => setTimeout(then, JOB_POLL_MS));
    now = await getJob(now.id);
  }
  return now;
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
