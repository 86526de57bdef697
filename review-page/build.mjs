// Builds the pages in spritebuild/review/page from the sources here, the same bytes from the same sources; knows no server.
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2] ?? join(here, "../spritebuild/review/page");
const bundled = ["preact", "@preact/signals", "@preact/signals-core"];

// The first line of what is built names its sources, so that a test can tell without npm whether they belong together.
const sources = createHash("sha256");
const named = ["package.json", "package-lock.json", "tsconfig.json", "build.mjs"];
for (const name of [...named, ...readdirSync(join(here, "src")).map((file) => `src/${file}`)].sort()) {
  sources
    .update(`${name}\0`)
    .update(readFileSync(join(here, name)))
    .update("\0");
}
const banner = `/* A page of spritebuild, built from review-page/; sources sha256:${sources.digest("hex")} */`;

mkdirSync(out, { recursive: true });
await build({
  absWorkingDir: here,
  entryPoints: { app: "src/main.tsx", watch: "src/watch.tsx" },
  outdir: out,
  bundle: true,
  format: "esm",
  target: "es2022",
  jsx: "automatic",
  jsxImportSource: "preact",
  minify: true,
  charset: "utf8",
  legalComments: "none",
  logLevel: "warning",
  banner: { js: banner, css: banner },
});
for (const page of ["index.html", "watch.html"]) copyFileSync(join(here, "src", page), join(out, page));

const notices = bundled.map((name) => {
  const folder = join(here, "node_modules", name);
  const { version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  return `${name} ${version} (${license})\n\n${readFileSync(join(folder, "LICENSE"), "utf8").trim()}\n`;
});
const rule = `\n${"-".repeat(80)}\n\n`;
const head = "app.js and watch.js bundle these libraries besides spritebuild's own sources (Apache-2.0).\n";
writeFileSync(join(out, "LICENSES.txt"), [head, ...notices].join(rule));
