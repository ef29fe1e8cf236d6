// Judging by keyboard ends in the table that the command line reads, whatever becomes of the server.

import assert from "node:assert/strict";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { copyOfArchive, dawnchorus, freePort, launch, openTab, PATIENCE_MS, progressLine, serve, tilesAreDrawn } from "./harness.mjs";

const KEYS = { y: "present", n: "absent", u: "unsure" };
let archive, port, server, browser, tab;

before(async () => {
  archive = copyOfArchive();
  port = await freePort();
  server = await serve(archive.home, port);
  browser = await launch();
  tab = await openTab(browser);
  await tab.page.goto(server.address);
});

after(async () => {
  await browser?.close();
  await server?.kill("SIGTERM");
  archive?.remove();
});

/** Rows of the table as the command line exports them, as this author judged them. */
function judgedRows(home) {
  const file = "table.csv";
  rmSync(join(home, file), { force: true });
  dawnchorus(home, "label", "export", "x.annotations", "-o", file, "--label", "raven", "--author", "tester");
  const [head, ...lines] = readFileSync(join(home, file), "utf8").trim().split("\n").map((line) => line.split(","));
  const rows = lines.map((cells) => Object.fromEntries(head.map((name, i) => [name, cells[i]])));
  return rows.filter((row) => Object.values(KEYS).includes(row.dc_state));
}

/** Where, and what this author said of it. */
function verdicts(home) {
  return new Map(judgedRows(home).map((row) => [`${row.path} ${Number(row.start_s).toFixed(2)}`, row.dc_state]));
}

/** All that is kept of each judgement, but when it was made. */
function kept(home) {
  return judgedRows(home).map((row) => ({ ...row, dc_row: row.dc_row.replace(/&at=[^&]*/, "") }));
}

/** Where the tile with the keyboard lies, from what a screen reader is told of it. */
async function focusedPlace(page) {
  const words = await page.locator(".tile.is-focused > .unseen").textContent();
  const [, from, path] = /([\d:.]+)(?: s)? to \S+(?: s)? of (.+?\.opus)/.exec(words);
  return `${path} ${Number(from).toFixed(2)}`;
}

test("thirty tiles judged by keyboard alone are the table that label judge makes", async () => {
  const { page } = tab;
  const terminal = copyOfArchive();
  await tilesAreDrawn(page);
  assert.match(await progressLine(page), /reviewed 0 of /);
  const expected = new Map();
  const strokes = [..."yynuynynnyyuyynynyyynnyunyyyny"];
  for (const [i, key] of strokes.entries()) {
    expected.set(await focusedPlace(page), KEYS[key]);
    await page.keyboard.press(key);
    await page.locator(".live", { hasText: `reviewed ${i + 1} of ` }).waitFor();
  }
  assert.equal(expected.size, 30);
  await saved(page);
  assert.deepEqual(verdicts(archive.home), expected);
  dawnchorus(terminal.home, { input: `${strokes.join("\n")}\nq\n` }, "label", "judge", "x.store", "--label", "raven", "--author", "tester", "--no-sound");
  assert.deepEqual(kept(archive.home), kept(terminal.home));
  terminal.remove();
  const counts = strokes.filter((key) => key === "y").length;
  assert.match(dawnchorus(archive.home, "label", "list", "x.annotations"), new RegExp(`raven\\s+${counts}\\b`));
});

test("Z takes the last judgement back, in the table too", async () => {
  const { page } = tab;
  const before_it = verdicts(archive.home);
  await page.keyboard.press("z");
  await page.locator(".live", { hasText: "reviewed 29 of" }).waitFor();
  await saved(page);
  before_it.delete(await focusedPlace(page));
  assert.deepEqual(verdicts(archive.home), before_it);
});

test("a server that dies takes no judgement with it", async () => {
  const { page } = tab;
  await page.keyboard.press("Home");
  const expected = new Map();
  const judge = async (key) => {
    expected.set(await focusedPlace(page), KEYS[key]);
    await page.keyboard.press(key);
  };
  await judge("u");
  await judge("u");
  await server.kill(); // perhaps in the middle of the write
  for (const key of "ununuu") await judge(key);
  await page.locator(".banner.is-bad", { hasText: "does not answer" }).waitFor();
  assert.match(await page.locator(".banner.is-bad").textContent(), /judgements wait for the server. Nothing is lost/);

  server = await serve(archive.home, port);
  const other = await openTab(browser, { context: tab.context }); // the new server has a new key
  await other.page.goto(server.address);
  await other.page.close();
  await page.locator(".banner.is-bad").waitFor({ state: "detached" });
  await saved(page);
  const said = verdicts(archive.home);
  for (const [where, state] of expected) assert.equal(said.get(where), state, where);
});

test("what a closed tab could not send is sent by the next one", async () => {
  const { page } = tab;
  await page.keyboard.press("End");
  const where = await focusedPlace(page);
  await server.kill();
  await page.keyboard.press("u");
  await page.locator(".banner.is-bad", { hasText: "wait" }).waitFor();
  await page.close();
  server = await serve(archive.home, port);
  tab = await openTab(browser, { context: tab.context });
  await tab.page.goto(server.address);
  await tab.page.locator("main.view-grid").waitFor();
  await saved(tab.page);
  assert.equal(verdicts(archive.home).get(where), "unsure");
});

/** Until the server has confirmed every judgement: nothing waits in the browser's storage. */
async function saved(page) {
  await page.waitForFunction(
    () => !Object.keys(localStorage).some((key) => key.startsWith("dawnchorus.waiting.")), null, { timeout: PATIENCE_MS },
  );
}
