// The real server, the real program and a real browser, for the tests beside this file.
//
// BIN is the folder of the environment's programs, ARCHIVE what prepare.sh made, CHROMIUM the
// browser. Each test file works on a copy of the archive.

import { execFileSync, spawn } from "node:child_process";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const BIN = process.env.BIN ?? "../.venv/bin";
const ARCHIVE = process.env.ARCHIVE ?? "../build/page-test";
const SOFTWARE_RENDERING = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"];
export const PATIENCE_MS = 60_000; // two busy cores draw slowly; what is right comes at last

/** A copy of the archive, to be changed by one test file. */
export function copyOfArchive() {
  const home = mkdtempSync(join(tmpdir(), "dawnchorus-page-"));
  for (const name of ["recordings", "x.store", "x.annotations", "x.map"]) {
    cpSync(join(ARCHIVE, name), join(home, name), { recursive: true });
  }
  return { home, remove: () => rmSync(home, { recursive: true, force: true }) };
}

/** What the program prints; the first argument may be `{ input }`, for what is typed. */
export function dawnchorus(home, ...args) {
  const typed = typeof args[0] === "object" ? args.shift() : {};
  return execFileSync(join(BIN, "dawnchorus"), args, { cwd: home, encoding: "utf8", stdio: ["pipe", "pipe", "pipe"], ...typed });
}

/** A port that is free now, so that a server can come back to it. */
export async function freePort() {
  const server = createServer();
  await new Promise((then) => server.listen(0, "127.0.0.1", then));
  const { port } = server.address();
  await new Promise((then) => server.close(then));
  return port;
}

/** Starts `dawnchorus serve`; `address` holds the token, `kill` is as hard as a power cut. */
export async function serve(home, port, ...more) {
  const args = ["serve", "x.store", "--port", String(port), "--no-browser", "--author", "tester", ...more];
  const program = spawn(join(BIN, "dawnchorus"), args, { cwd: home, stdio: ["ignore", "pipe", "pipe"] });
  const ended = new Promise((then) => program.once("exit", then));
  let said = "";
  const address = await new Promise((then, otherwise) => {
    const listen = (bytes) => {
      said += bytes;
      const found = /http:\/\/\S+token=\S+/.exec(said);
      if (found) then(found[0]);
    };
    program.stdout.on("data", listen);
    program.stderr.on("data", listen);
    program.once("exit", (code) => otherwise(new Error(`the server ended with ${code}: ${said}`)));
  });
  const kill = async (signal = "SIGKILL") => {
    program.kill(signal);
    await ended;
  };
  return { address, kill };
}

export function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: SOFTWARE_RENDERING });
}

/** A tab, and what it asked for and complained about. */
export async function openTab(browser, { width = 1280, height = 800, scheme = "light", context } = {}) {
  const own = context ?? (await browser.newContext({ viewport: { width, height }, colorScheme: scheme, reducedMotion: "reduce" }));
  own.setDefaultTimeout(PATIENCE_MS);
  const page = await own.newPage();
  const requests = [];
  const complaints = [];
  page.on("request", (request) => requests.push(request.url()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => message.type() === "error" && complaints.push(`${message.text()} ${message.location().url}`));
  return { page, context: own, requests, complaints };
}

/** Waits for the tiles of the list, with their pictures. */
export async function tilesAreDrawn(page, least = 1) {
  const drawn = (n) => document.querySelectorAll(".tile canvas.is-drawn").length >= n;
  try {
    await page.waitForFunction(drawn, least, { timeout: PATIENCE_MS });
  } catch (error) {
    throw new Error(`no ${least} tiles; the page says: ${await page.locator("body").innerText()}`, { cause: error });
  }
}

/** The line that says how far the list is judged. */
export function progressLine(page) {
  return page.locator(".live").textContent();
}

/** Goes to a view as a person with a keyboard does. */
export async function goTo(page, view) {
  await page.keyboard.press({ grid: "F2", map: "F3", overview: "F4" }[view]);
  await page.locator(`main.view-${view}`).waitFor();
}
