// Every view: reachable, readable, offline, on a phone too, and nobody's text becomes a script.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { copyOfArchive, freePort, goTo, launch, openTab, serve, tilesAreDrawn } from "./harness.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const SERIOUS = new Set(["serious", "critical"]);
let archive, server, browser, cookies;
const asked = []; // every address that any tab asked for

before(async () => {
  archive = copyOfArchive();
  server = await serve(archive.home, await freePort());
  browser = await launch();
  const { page, context } = await enter({});
  cookies = await context.cookies();
  await page.close();
});

after(async () => {
  await browser?.close();
  await server?.kill("SIGTERM");
  archive?.remove();
});

/** A tab of its own context; the one-time address was used by the first one. */
async function enter(how) {
  const tab = await openTab(browser, how);
  tab.page.on("request", (request) => asked.push(request.url()));
  if (cookies) await tab.context.addCookies(cookies);
  await tab.page.goto(cookies ? server.address.replace(/\?.*/, "") : server.address);
  await tilesAreDrawn(tab.page);
  return tab;
}

async function see(page, view) {
  if (view === "sound") {
    await page.keyboard.press("Enter");
    await page.locator("main.view-sound canvas.is-drawn").first().waitFor();
  } else if (["keys", "sources", "filters"].includes(view)) {
    await page.keyboard.press({ keys: "?", sources: "o", filters: "/" }[view]);
    await page.locator("dialog").waitFor();
  } else {
    if (view !== "grid") await goTo(page, view);
    if (view === "map") await page.locator(".legend .name").first().waitFor();
    if (view === "overview") await page.locator("#export").waitFor();
  }
}

async function faults(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const bad = violations.filter((one) => SERIOUS.has(one.impact));
  return bad.map((one) => `${one.id}: ${one.help}: ${one.nodes.slice(0, 3).map((node) => node.html).join(" | ")}`);
}

for (const scheme of ["light", "dark"]) {
  test(`axe finds no serious fault in any view, ${scheme}`, async () => {
    const { page, context, complaints } = await enter({ scheme });
    for (const view of ["grid", "keys", "sources", "filters", "sound", "map", "overview"]) {
      await see(page, view);
      assert.deepEqual(await faults(page), [], view);
      await page.keyboard.press("Escape");
    }
    assert.deepEqual(complaints, []);
    await context.close();
  });
}

test("on a phone nothing scrolls sideways", async () => {
  const { page, context } = await enter({ width: 360, height: 740 });
  for (const view of ["grid", "keys", "sources", "sound", "map", "overview"]) {
    await see(page, view);
    const { wide, room } = await page.evaluate(() => ({ wide: document.documentElement.scrollWidth, room: innerWidth }));
    assert.ok(wide <= room, `${view} is ${wide} wide, on a page of ${room}`);
    await page.keyboard.press("Escape");
  }
  await context.close();
});

test("a script in a label or a site is text", async () => {
  const { page, context, complaints } = await enter({});
  const hacked = () => page.evaluate(() => globalThis.hacked);
  for (const [view, text] of [["overview", "<script>hacked=1</script>"], ["map", "<script>hacked=1</script>"], ["overview", "<img src=x onerror=hacked=1>"]]) {
    await goTo(page, view);
    await page.getByText(text, { exact: false }).first().waitFor();
    assert.equal(await hacked(), undefined);
  }
  await goTo(page, "grid");
  await page.getByText("<img src=x onerror=hacked=1>", { exact: false }).first().waitFor();
  assert.equal(await hacked(), undefined);
  assert.deepEqual(complaints, []);
  await context.close();
});

test("sound comes as it is asked for, and is heard to its end", async () => {
  const { page, context, complaints } = await enter({});
  const [answer] = await Promise.all([page.waitForResponse((one) => one.url().includes("/api/sound")), page.keyboard.press(" ")]);
  assert.equal(answer.status(), 200);
  await page.locator(".tile.is-focused .cursor").waitFor({ state: "attached" });
  await page.locator(".tile.is-focused .cursor").waitFor({ state: "detached" });
  assert.deepEqual(complaints, []);
  await context.close();
});

test("the page downloads what the command line writes, and says with which command", async () => {
  const { page, context } = await enter({});
  await goTo(page, "overview");
  await page.locator(".overview .command code").waitFor();
  assert.match(await page.locator(".overview .command code").textContent(), /^dawnchorus label export /);
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download" }).click()]);
  const bytes = readFileSync(await download.path(), "utf8");
  assert.match(bytes, /^path,start_s,end_s,/);
  assert.match(bytes, /<script>hacked=1<\/script>/);
  await context.close();
});

test("no request leaves this machine", () => {
  const elsewhere = asked.filter((address) => !/^(http:\/\/127\.0\.0\.1:\d+\/|data:|blob:)/.test(address));
  assert.ok(asked.length > 50);
  assert.deepEqual(elsewhere, []);
});
