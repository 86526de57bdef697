// Where two pictures differ, pixel by pixel and exactly, and pictures of it; knows no page.
import type { Picture, Rect } from "./pictures";

export interface Difference {
  width: number;
  height: number;
  /** Per pixel: 0 equal, 1 changed, 2 added, 3 removed. */
  what: Uint8Array;
  /** Per pixel: the greatest difference of a channel, 0..255. */
  by: Uint8Array;
  changed: number;
  added: number;
  removed: number;
  most: number;
}

const [CHANGED, ADDED, REMOVED] = [1, 2, 3];
const NEAR = 2; // pixels between two places that count as one region
const known = new WeakMap<Picture, WeakMap<Picture, Difference>>();

/** How `now` differs from `before`, laid over each other at the top left; what lies under alpha 0 is nothing. */
export function difference(before: Picture, now: Picture): Difference {
  let of = known.get(before);
  if (!of) known.set(before, (of = new WeakMap()));
  const found = of.get(now);
  if (found) return found;
  const made = compute(before, now);
  of.set(now, made);
  return made;
}

function compute(before: Picture, now: Picture): Difference {
  const width = Math.max(before.width, now.width);
  const height = Math.max(before.height, now.height);
  const what = new Uint8Array(width * height);
  const by = new Uint8Array(width * height);
  const counts = [0, 0, 0, 0];
  let most = 0;
  const [old, fresh] = [packed(before), packed(now)];
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      const a = x < before.width && y < before.height ? old[y * before.width + x]! : 0;
      const b = x < now.width && y < now.height ? fresh[y * now.width + x]! : 0;
      if (a === b || !((a | b) >>> 24)) continue;
      const kind = !(a >>> 24) ? ADDED : !(b >>> 24) ? REMOVED : CHANGED;
      let far = Math.abs((a >>> 24) - (b >>> 24));
      if (kind === CHANGED) {
        for (let shift = 0; shift < 24; shift += 8) {
          far = Math.max(far, Math.abs(((a >>> shift) & 255) - ((b >>> shift) & 255)));
        }
      }
      what[at] = kind;
      by[at] = far;
      counts[kind]!++;
      if (far > most) most = far;
    }
  }
  return { width, height, what, by, changed: counts[1]!, added: counts[2]!, removed: counts[3]!, most };
}

/** A pixel as one number: alpha in the highest byte. */
function packed(of: Picture): Uint32Array {
  return new Uint32Array(of.rgba.buffer, of.rgba.byteOffset, of.width * of.height);
}

/** A heat map over a faint gray of `now`: dark red to pale yellow for changed, green for added, blue for removed. */
export function heat(of: Difference, now: Picture | null): Picture {
  const rgba = new Uint8ClampedArray(of.width * of.height * 4);
  for (let y = 0, at = 0; y < of.height; y++) {
    for (let x = 0; x < of.width; x++, at++) {
      const to = at * 4;
      const kind = of.what[at];
      if (kind === ADDED) rgba.set([64, 214, 132, 255], to);
      else if (kind === REMOVED) rgba.set([92, 156, 255, 255], to);
      else if (kind === CHANGED) rgba.set([...ramp(of.by[at]!), 255], to);
      else if (now && x < now.width && y < now.height) {
        const from = (y * now.width + x) * 4;
        const gray = (now.rgba[from]! * 54 + now.rgba[from + 1]! * 183 + now.rgba[from + 2]! * 19) >> 8;
        rgba.set([gray, gray, gray, now.rgba[from + 3]! >> 2], to);
      }
    }
  }
  return { width: of.width, height: of.height, rgba };
}

/** Dark red over orange to pale yellow; even the smallest difference is well visible. */
function ramp(by: number): [number, number, number] {
  const t = Math.sqrt(by / 255);
  return [Math.min(255, 150 + 210 * t), Math.min(255, Math.max(0, 330 * t - 70)), Math.max(0, 420 * t - 230)];
}

/** A picture that marks the pixels that differ. */
export function marks(of: Difference): Picture {
  return mask(of.width, of.height, (at) => of.what[at] !== 0, [255, 0, 170, 200], [0, 0, 0, 0]);
}

/** A picture that leaves the pixels of a color clear and dims all others. */
export function only(of: Picture, hex: string): { mask: Picture; count: number } {
  const wanted = hex.replace("#", "").padEnd(8, "f").toLowerCase();
  const [r, g, b, a] = [0, 2, 4, 6].map((at) => Number.parseInt(wanted.slice(at, at + 2), 16)) as [
    number,
    number,
    number,
    number,
  ];
  const value = ((a << 24) | (b << 16) | (g << 8) | r) >>> 0;
  const pixels = packed(of);
  let count = 0;
  for (const pixel of pixels) if (pixel === value) count++;
  return { mask: mask(of.width, of.height, (at) => pixels[at] !== value, [20, 22, 26, 215], [0, 0, 0, 0]), count };
}

type Rgba = [number, number, number, number];

function mask(width: number, height: number, on: (at: number) => boolean, yes: Rgba, no: Rgba): Picture {
  const rgba = new Uint8ClampedArray(width * height * 4);
  for (let at = 0; at < width * height; at++) rgba.set(on(at) ? yes : no, at * 4);
  return { width, height, rgba };
}

/** The places that differ as boxes, from the top left down, those that nearly touch as one. */
export function regions(of: Difference): Rect[] {
  const { width, height, what } = of;
  const seen = new Uint8Array(width * height);
  const found: Rect[] = [];
  for (let start = 0; start < what.length; start++) {
    if (!what[start] || seen[start]) continue;
    let [left, top, right, bottom] = [width, height, 0, 0];
    const open = [start];
    seen[start] = 1;
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      const x = at % width;
      const y = (at - x) / width;
      left = Math.min(left, x);
      right = Math.max(right, x + 1);
      top = Math.min(top, y);
      bottom = Math.max(bottom, y + 1);
      for (let v = Math.max(0, y - NEAR); v <= Math.min(height - 1, y + NEAR); v++) {
        for (let u = Math.max(0, x - NEAR); u <= Math.min(width - 1, x + NEAR); u++) {
          const next = v * width + u;
          if (what[next] && !seen[next]) {
            seen[next] = 1;
            open.push(next);
          }
        }
      }
    }
    found.push([left, top, right - left, bottom - top]);
  }
  return found.sort((a, b) => a[1] - b[1] || a[0] - b[0]);
}
