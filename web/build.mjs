// Builds the page into src/dawnchorus/serve/static/, where the server and the wheel find it.
// page.js holds preact (MIT, LICENSE-preact.txt); all else in it is ours.
//
//   node build.mjs          page.js, page.css, index.html; the same bytes on every machine
//   node build.mjs --unit   the tests of web/tests/unit into build/web-unit/, for `node --test`

import { copyFileSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const static_folder = join(here, "../src/dawnchorus/serve/static");
const unit_folder = join(here, "../build/web-unit");
const MOST_BYTES = 250_000;

async function page() {
  mkdirSync(static_folder, { recursive: true });
  await build({
    absWorkingDir: here, // else paths of this machine would decide the order of modules
    entryPoints: { page: "src/main.tsx" },
    outdir: static_folder,
    bundle: true,
    minify: true,
    format: "esm",
    target: ["es2022"],
    charset: "utf8",
    legalComments: "inline",
    logLevel: "warning",
  });
  for (const name of ["index.html", "icon.svg"]) copyFileSync(join(here, name), join(static_folder, name));
  // preact is in page.js, and its licence has to come with it
  copyFileSync(join(here, "node_modules/preact/LICENSE"), join(static_folder, "LICENSE-preact.txt"));
  const bytes = readdirSync(static_folder).reduce((sum, name) => sum + statSync(join(static_folder, name)).size, 0);
  console.log(`page: ${bytes} bytes of at most ${MOST_BYTES}`);
  if (bytes > MOST_BYTES) process.exitCode = 1;
}

async function unit_tests() {
  const tests = join(here, "tests/unit");
  rmSync(unit_folder, { recursive: true, force: true });
  await build({
    absWorkingDir: here,
    entryPoints: readdirSync(tests).filter((name) => name.endsWith(".test.ts")).map((name) => join(tests, name)),
    outdir: unit_folder,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    platform: "node",
    format: "esm",
    sourcemap: "inline",
    logLevel: "warning",
  });
}

await (process.argv.includes("--unit") ? unit_tests() : page());
