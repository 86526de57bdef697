// Pictures by URL, decoded once and kept while there is room; cuts frames out of sheets.
import { decode, type Picture } from "./png";

export type { Picture } from "./png";
export type Rect = readonly [number, number, number, number];

const ROOM = 1 << 25; // pixels that are kept, 128 MiB
const kept = new Map<string, Promise<Picture | null>>();
const sizes = new Map<string, number>();
const cuts = new WeakMap<Picture, Map<string, Picture>>();

/** The picture at a URL of the server, or null if there is none that can be shown. */
export function picture(url: string): Promise<Picture | null> {
  let found = kept.get(url);
  if (found) {
    kept.delete(url); // to the end: the oldest go first
  } else {
    found = load(url);
  }
  kept.set(url, found);
  return found;
}

async function load(url: string): Promise<Picture | null> {
  try {
    const response = await fetch(url, { credentials: "same-origin" });
    if (!response.ok) throw new Error(url);
    const bytes = new Uint8Array(await response.arrayBuffer());
    const loaded = (await decode(bytes)) ?? (await drawn(bytes));
    sizes.set(url, loaded.width * loaded.height);
    forget();
    return loaded;
  } catch {
    kept.delete(url);
    return null;
  }
}

/** What the browser makes of a picture that is no plain PNG: interlaced, 16 bits deep, another format. */
async function drawn(bytes: Uint8Array<ArrayBuffer>): Promise<Picture> {
  const bitmap = await createImageBitmap(new Blob([bytes]), { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d")!;
  context.drawImage(bitmap, 0, 0);
  const { width, height, data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
  return { width, height, rgba: data as Uint8ClampedArray<ArrayBuffer> };
}

function forget(): void {
  let pixels = 0;
  for (const size of sizes.values()) pixels += size;
  for (const url of kept.keys()) {
    if (pixels <= ROOM || kept.size <= 2) return;
    pixels -= sizes.get(url) ?? 0;
    sizes.delete(url);
    kept.delete(url);
  }
}

/** A part of a picture, put at a place of an empty one if it was trimmed: the same object each time. */
export function cut(
  whole: Picture,
  rect: Rect,
  at: readonly [number, number] = [0, 0],
  source?: readonly [number, number],
): Picture {
  const [left, top, wide, high] = rect;
  const [width, height] = [Math.max(source?.[0] ?? 0, at[0] + wide), Math.max(source?.[1] ?? 0, at[1] + high)];
  const name = [...rect, ...at, width, height].join();
  let known = cuts.get(whole);
  if (!known) cuts.set(whole, (known = new Map()));
  const found = known.get(name);
  if (found) return found;
  const rgba = new Uint8ClampedArray(width * height * 4);
  for (let y = 0; y < high && top + y < whole.height; y++) {
    const from = ((top + y) * whole.width + left) * 4;
    const most = Math.max(0, Math.min(wide, whole.width - left)) * 4;
    rgba.set(whole.rgba.subarray(from, from + most), ((at[1] + y) * width + at[0]) * 4);
  }
  const made = { width, height, rgba };
  known.set(name, made);
  return made;
}

/** The color of a pixel as #rrggbb or #rrggbbaa; empty where nothing is. */
export function colorAt(of: Picture | null, x: number, y: number): string {
  if (!of || x < 0 || y < 0 || x >= of.width || y >= of.height) return "";
  const at = (y * of.width + x) * 4;
  const [r, g, b, a] = of.rgba.subarray(at, at + 4);
  if (!a) return "";
  const hex = [r!, g!, b!, ...(a === 255 ? [] : [a])].map((value) => value.toString(16).padStart(2, "0"));
  return `#${hex.join("")}`;
}
