// Judgements on their way to the server. None is lost: each lies in the browser's storage from the
// stroke until the server has said that it is on disk, over a lost connection, a closed tab or a
// restarted server. Sending one twice is harmless, since the server knows it by its key.

import { Offline, Refusal } from "./api.ts";
import type { Judgement, Judgements, Saved } from "./types.ts";

export interface Waiting {
  archive: string; // which stores it is of: another server may be met at the same address
  order: number;
  author: string;
  list_id: string | null;
  judgement: Judgement;
}

export interface Told {
  waiting(n: number): void;
  saved(saved: Saved): void;
  offline(): void;
  refused(reason: string): void;
}

type Kept = Pick<Storage, "getItem" | "setItem" | "removeItem" | "key" | "length">;
type Send = (judgements: Judgements) => Promise<Saved>;
type Later = (then: () => void, wait_ms: number) => void;

const PREFIX = "dawnchorus.waiting."; // one entry a judgement, so that two tabs cannot overwrite each other
const MOST_AT_ONCE = 500; // half of what the server takes
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 10_000;

export class Queue {
  private entries = new Map<string, Waiting>();
  private aside = new Set<string>(); // refused; tried again when the page is loaded again
  private sending = false;
  private wait_ms = FIRST_WAIT_MS;
  private order = Date.now() * 1_000; // grows within a tab, and from one to the next

  constructor(
    private readonly archive: string,
    private readonly storage: Kept,
    private readonly send: Send,
    private readonly told: Told,
    private readonly later: Later = (then, wait_ms) => void setTimeout(then, wait_ms),
  ) {
    for (const [key, entry] of stored(storage)) {
      if (entry.archive === archive) this.entries.set(key, entry);
    }
    told.waiting(this.entries.size);
  }

  get size(): number {
    return this.entries.size;
  }

  /** Keeps judgements, then sends them. */
  add(judgements: readonly Judgement[], author: string, list_id: string | null): Promise<void> {
    for (const judgement of judgements) {
      const entry = { archive: this.archive, order: this.order++, author, list_id, judgement };
      this.entries.set(judgement.key, entry);
      try {
        this.storage.setItem(PREFIX + judgement.key, JSON.stringify(entry));
      } catch {
        // storage is full or forbidden: it stays in this tab's memory, and is sent all the same
      }
    }
    this.told.waiting(this.entries.size);
    return this.flush();
  }

  /** Sends all that waits, oldest first; does nothing while it is being sent already. */
  async flush(): Promise<void> {
    if (this.sending) return; // the loop below meets what was added meanwhile
    this.sending = true;
    try {
      let at_once = MOST_AT_ONCE;
      for (let batch = this.batch(at_once); batch.length; batch = this.batch(at_once)) {
        const trouble = await this.sendBatch(batch);
        if (trouble === "retry") return this.tryLater();
        // one bad judgement refuses its whole request: alone it is found, and set aside
        at_once = trouble === "split" ? 1 : at_once;
      }
    } finally {
      this.sending = false;
    }
  }

  private async sendBatch(batch: readonly Waiting[]): Promise<"sent" | "split" | "retry"> {
    const first = batch[0]!;
    try {
      const saved = await this.send({
        author: first.author, list_id: first.list_id, judgements: batch.map((entry) => entry.judgement),
      });
      return this.forget(batch, saved);
    } catch (error) {
      if (!(error instanceof Refusal) || mayPass(error.status)) {
        if (error instanceof Refusal) this.told.refused(error.message);
        else if (error instanceof Offline || error instanceof DOMException) this.told.offline();
        else this.told.refused(String(error));
        return "retry";
      }
      if (batch.length > 1) return "split";
      this.aside.add(first.judgement.key);
      this.told.refused(error.message);
      return "sent";
    }
  }

  private forget(batch: readonly Waiting[], saved: Saved): "sent" | "retry" {
    const known = saved.keys.filter((key) => this.entries.delete(key));
    for (const key of known) {
      try {
        this.storage.removeItem(PREFIX + key);
      } catch {
        // sent again at the next start, which changes nothing
      }
    }
    this.wait_ms = FIRST_WAIT_MS;
    this.told.waiting(this.entries.size);
    this.told.saved(saved);
    // a server that takes a request and confirms nothing of it would be asked for ever
    return batch.some((entry) => !this.entries.has(entry.judgement.key)) ? "sent" : "retry";
  }

  private batch(at_once: number): Waiting[] {
    const due = [...this.entries.values()]
      .filter((entry) => !this.aside.has(entry.judgement.key))
      .sort((a, b) => a.order - b.order); // an undo must come after what it undoes
    const first = due[0];
    if (!first) return [];
    const other = due.findIndex((entry) => entry.author !== first.author || entry.list_id !== first.list_id);
    return due.slice(0, Math.min(at_once, other < 0 ? due.length : other));
  }

  private tryLater(): void {
    this.later(() => void this.flush(), this.wait_ms);
    this.wait_ms = Math.min(2 * this.wait_ms, LONGEST_WAIT_MS);
  }
}

/** Whether the same request may be taken later: the server is busy, in trouble, or wants the cookie. */
function mayPass(status: number): boolean {
  return status >= 500 || status === 401 || status === 403 || status === 408 || status === 429;
}

function stored(storage: Kept): [string, Waiting][] {
  const found: [string, Waiting][] = [];
  for (let i = 0; i < storage.length; i++) {
    const name = storage.key(i);
    if (!name?.startsWith(PREFIX)) continue;
    try {
      const entry = JSON.parse(storage.getItem(name) ?? "") as Waiting;
      if (entry.judgement.key === name.slice(PREFIX.length)) found.push([entry.judgement.key, entry]);
    } catch {
      // not ours, or cut off: nothing that could be sent
    }
  }
  return found;
}

/** A key for a judgement. Not crypto.randomUUID, which a page from another machine may not use. */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
