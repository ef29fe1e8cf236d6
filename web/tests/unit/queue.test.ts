// No judgement is lost: what waits is kept, sent in order, and sent again until it is confirmed.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Offline, Refusal } from "../../src/api.ts";
import { newKey, Queue, type Told } from "../../src/queue.ts";
import type { Judgement, Judgements, Saved, State } from "../../src/types.ts";

class Memory {
  private entries = new Map<string, string>();
  full = false;
  get length() {
    return this.entries.size;
  }
  key(i: number) {
    return [...this.entries.keys()][i] ?? null;
  }
  getItem(name: string) {
    return this.entries.get(name) ?? null;
  }
  setItem(name: string, value: string) {
    if (this.full) throw new Error("QuotaExceededError");
    this.entries.set(name, value);
  }
  removeItem(name: string) {
    this.entries.delete(name);
  }
}

/** A server that keeps what it is sent, and fails as told: one answer a request. */
class Server {
  requests: Judgements[] = [];
  kept = new Map<string, Judgement>();
  failures: (Error | null)[] = [];
  send = async (judgements: Judgements): Promise<Saved> => {
    this.requests.push(judgements);
    const failure = this.failures.shift();
    if (failure) throw failure;
    for (const one of judgements.judgements) this.kept.set(one.key, one);
    return { keys: judgements.judgements.map((one) => one.key), progress: null, cursor: "1" };
  };
}

function judgement(start_s = 0, state: State | null = "present"): Judgement {
  return { key: newKey(), span: { recording_id: "r", start_s, stop_s: start_s + 5 }, label: "owl", state, at: "2025-05-01T00:00:00Z" };
}

function told() {
  const heard = { waiting: [] as number[], offline: 0, refused: [] as string[], saved: 0 };
  const listener: Told = {
    waiting: (n) => heard.waiting.push(n),
    saved: () => (heard.saved += 1),
    offline: () => (heard.offline += 1),
    refused: (reason) => heard.refused.push(reason),
  };
  return { heard, listener };
}

function queueOn(server: Server, storage = new Memory(), archive = "a.store") {
  const later: { then: () => void; wait_ms: number }[] = [];
  const { heard, listener } = told();
  const queue = new Queue(archive, storage, server.send, listener, (then, wait_ms) => later.push({ then, wait_ms }));
  return { queue, storage, later, heard };
}

const settled = () => new Promise((then) => setImmediate(then));

test("a judgement is stored before it is sent, and forgotten when it is confirmed", async () => {
  const server = new Server();
  const { queue, storage, heard } = queueOn(server);
  const sending = queue.add([judgement()], "anna", "l1");
  assert.equal(storage.length, 1);
  await sending;
  assert.equal(storage.length, 0);
  assert.equal(queue.size, 0);
  assert.deepEqual(heard.waiting, [0, 1, 0]);
  assert.equal(server.requests[0]?.author, "anna");
  assert.equal(server.requests[0]?.list_id, "l1");
});

test("what an absent server was sent is sent again, with the same keys", async () => {
  const server = new Server();
  server.failures = [new Offline("gone"), new Offline("gone")];
  const { queue, storage, later, heard } = queueOn(server);
  const one = judgement();
  await queue.add([one], "anna", null);
  assert.equal(storage.length, 1);
  assert.equal(heard.offline, 1);
  for (let i = 0; i < 2; i++) {
    later[i]?.then();
    await settled();
  }
  assert.deepEqual(later.map((entry) => entry.wait_ms), [1_000, 2_000]);
  assert.deepEqual([...server.kept.keys()], [one.key]);
  assert.equal(server.requests.length, 3);
  assert.equal(storage.length, 0);
});

test("the wait between tries never passes ten seconds", async () => {
  const server = new Server();
  server.failures = Array.from({ length: 8 }, () => new Offline("gone"));
  const { queue, later } = queueOn(server);
  await queue.add([judgement()], "anna", null);
  for (let i = 0; i < 7; i++) {
    later[i]?.then();
    await settled();
  }
  assert.deepEqual(later.map((entry) => entry.wait_ms), [1, 2, 4, 8, 10, 10, 10, 10].map((s) => s * 1_000));
});

test("a tab that was closed loses nothing: the next one sends it, in the order it was made", async () => {
  const storage = new Memory();
  const gone = new Server();
  gone.failures = [new Offline("gone"), new Offline("gone")];
  const before = queueOn(gone, storage);
  const yes = judgement(0, "present");
  const back = judgement(0, null);
  await before.queue.add([yes], "anna", null);
  await before.queue.add([back], "anna", null);

  const server = new Server();
  const after = queueOn(server, storage);
  assert.equal(after.queue.size, 2);
  await after.queue.flush();
  assert.deepEqual(server.requests[0]?.judgements.map((one) => one.key), [yes.key, back.key]);
  assert.equal(storage.length, 0);
});

test("judgements of another archive at the same address are left alone", async () => {
  const storage = new Memory();
  const gone = new Server();
  gone.failures = [new Offline("gone")];
  await queueOn(gone, storage, "a.store").queue.add([judgement()], "anna", null);
  const server = new Server();
  const other = queueOn(server, storage, "b.store");
  await other.queue.flush();
  assert.equal(server.requests.length, 0);
  assert.equal(storage.length, 1);
});

test("one that the server refuses does not hold back the others", async () => {
  const bad = judgement(5);
  const server = new Server();
  const send = server.send;
  server.send = async (judgements) => {
    if (judgements.judgements.some((one) => one.key === bad.key)) throw new Refusal(422, "no such recording");
    return send(judgements);
  };
  const { queue, storage, heard, later } = queueOn(server);
  const others = [judgement(0), judgement(10)];
  await queue.add([others[0]!, bad, others[1]!], "anna", null);
  assert.deepEqual([...server.kept.keys()], others.map((one) => one.key));
  assert.deepEqual(heard.refused, ["no such recording"]);
  assert.equal(queue.size, 1);
  assert.equal(storage.length, 1, "it is kept, since it may be taken another day");
  assert.equal(later.length, 0, "it is not sent again and again");
});

test("a busy server is asked again, not believed to refuse", async () => {
  const server = new Server();
  server.failures = [new Refusal(503, "busy")];
  const { queue, later } = queueOn(server);
  await queue.add([judgement()], "anna", null);
  later[0]?.then();
  await settled();
  assert.equal(queue.size, 0);
});

test("what comes while a request is under way goes with the next one", async () => {
  const server = new Server();
  let release = () => {};
  const send = server.send;
  server.send = async (judgements) => {
    if (server.requests.length === 0) {
      server.requests.push(judgements);
      await new Promise<void>((then) => (release = then));
      server.requests.pop();
    }
    return send(judgements);
  };
  const { queue } = queueOn(server);
  const first = queue.add([judgement(0)], "anna", null);
  await queue.add([judgement(5)], "anna", null);
  await queue.add([judgement(10)], "anna", null);
  release();
  await first;
  assert.deepEqual(server.requests.map((request) => request.judgements.length), [1, 2]);
});

test("a request holds one author's judgements of one list", async () => {
  const server = new Server();
  server.failures = [new Offline("gone"), new Offline("gone"), new Offline("gone")];
  const { queue } = queueOn(server);
  await queue.add([judgement(0)], "anna", "l1");
  await queue.add([judgement(5)], "anna", "l2");
  await queue.add([judgement(10)], "ben", "l2");
  server.requests = [];
  await queue.flush();
  assert.deepEqual(server.requests.map((request) => [request.author, request.list_id, request.judgements.length]), [["anna", "l1", 1], ["anna", "l2", 1], ["ben", "l2", 1]]);
});

test("no request is larger than the server takes", async () => {
  const server = new Server();
  const { queue } = queueOn(server);
  await queue.add(Array.from({ length: 1_200 }, (_, i) => judgement(i)), "anna", null);
  assert.deepEqual(server.requests.map((request) => request.judgements.length), [500, 500, 200]);
});

test("full storage loses nothing that can still be sent", async () => {
  const server = new Server();
  const storage = new Memory();
  storage.full = true;
  const { queue } = queueOn(server, storage);
  await queue.add([judgement()], "anna", null);
  assert.equal(server.kept.size, 1);
});

test("a server that confirms nothing is not asked for ever", async () => {
  const server = new Server();
  server.send = async (judgements) => {
    server.requests.push(judgements);
    return { keys: [], progress: null, cursor: "1" };
  };
  const { queue, later } = queueOn(server);
  await queue.add([judgement()], "anna", null);
  assert.equal(server.requests.length, 1);
  assert.equal(later.length, 1);
  assert.equal(queue.size, 1);
});

test("what is not ours in the storage does no harm", () => {
  const storage = new Memory();
  storage.setItem("dawnchorus.waiting.x", "{not json");
  storage.setItem("dawnchorus.waiting.y", JSON.stringify({ archive: "a.store", judgement: { key: "other" } }));
  storage.setItem("something else", "1");
  assert.equal(queueOn(new Server(), storage).queue.size, 0);
});

test("keys are long and never the same", () => {
  const keys = new Set(Array.from({ length: 1_000 }, newKey));
  assert.equal(keys.size, 1_000);
  for (const key of keys) assert.match(key, /^[0-9a-f]{32}$/);
});
