// Runs one consumer in headless Chromium: what it is told comes as JSON on stdin, what it saw goes as JSON to stdout.
//
//     node run.mjs pixi.mjs EXPORT < told.json
//
// EXPORT is served as /export/, this folder as /. A consumer is a module whose default export is an async function of
// what it is told. Anything on the page's console, and any request that fails, is part of the answer.

import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import path from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import puppeteer from "puppeteer-core";

const HERE = path.dirname(fileURLToPath(import.meta.url));
const TYPES = {
  ".gif": "image/gif", ".html": "text/html", ".js": "text/javascript", ".json": "application/json",
  ".mjs": "text/javascript", ".png": "image/png", ".webp": "image/webp",
};
const PAGE = "<!doctype html><meta charset=utf-8><link rel=icon href=data:,><body></body>";
const FLAGS = [
  "--no-sandbox", "--force-color-profile=srgb", "--force-device-scale-factor=1",
  "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
];

const [consumer, folder] = process.argv.slice(2);

async function stdin() {
  const parts = [];
  for await (const part of process.stdin) parts.push(part);
  return JSON.parse(Buffer.concat(parts).toString("utf-8"));
}

async function answer(request, response) {
  const name = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
  if (name === "/") return response.writeHead(200, { "content-type": "text/html" }).end(PAGE);
  const [root, rest] = name.startsWith("/export/") ? [folder, name.slice(8)] : [HERE, name.slice(1)];
  const file = path.resolve(root, rest);
  if (path.relative(root, file).startsWith("..")) return response.writeHead(404).end();
  try {
    const data = await readFile(file);
    return response.writeHead(200, { "content-type": TYPES[path.extname(file)] ?? "application/octet-stream" }).end(data);
  } catch {
    return response.writeHead(404).end();
  }
}

async function main() {
  const told = await stdin();
  const server = createServer(answer);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const browser = await puppeteer.launch({ executablePath: process.env.CHROMIUM, headless: true, args: FLAGS });
  try {
    const page = await browser.newPage();
    const said = [];
    page.on("console", (message) => said.push(`${message.type()}: ${message.text()}`));
    page.on("pageerror", (error) => said.push(`error: ${error.message}`));
    page.on("requestfailed", (request) => said.push(`failed: ${request.url()}`));
    await page.goto(`http://127.0.0.1:${server.address().port}/`);
    const saw = await page.evaluate(
      async (module, given) => (await import(module)).default(given), `/${consumer}`, told,
    );
    process.stdout.write(JSON.stringify({ saw, said }));
  } finally {
    await browser.close();
    server.close();
  }
}

await main();
