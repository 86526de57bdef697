// How the chosen asset is looked at: mode, zoom, place, frame, and the pictures that follow; draws nothing.
import { computed, effect, signal } from "@preact/signals";
import { type Difference, difference, regions } from "./difference";
import { type Picture, cut, picture } from "./pictures";
import { currentPath, detail } from "./state";

export type Mode = "side" | "swipe" | "onion" | "difference" | "blink" | "baseline" | "new";
export type Background = "checker" | "black" | "white" | "tint";
export type Tab = "compare" | "steps" | "candidates";
export const BACKGROUNDS: Background[] = ["checker", "black", "white", "tint"];
export const MOST_ZOOM = 32;
export const GRID_FROM = 8;
const SMALL = 1 << 16; // pixels that are compared at once; larger pictures are shown first, compared later
const MOST_TILED = 1 << 24;

export const tab = signal<Tab>("compare");
export const mode = signal<Mode>("side");
export const zoom = signal(0); // 0: whatever fits
export const fitting = signal(1); // what fits now
export const center = signal<{ x: number; y: number } | null>(null); // in pixels of the picture; null: the middle
export const background = signal<Background>("checker");
export const tint = signal("#5a7d3c");
export const grid = signal(true);
export const tiled = signal(false);
export const marked = signal(false);
export const former = signal(false); // compare with the baseline before the present one
export const split = signal(50); // percent, for swipe
export const mix = signal(50); // percent of the new one, for onion skin
export const phase = signal<"baseline" | "new">("new"); // of blink
export const frame = signal(-1); // -1: all of it
export const playing = signal(false);
export const fps = signal(0); // 0: as declared
export const tagged = signal(-1); // the tag that is played; -1: all frames
export const file = signal(""); // of a folder asset
export const hovered = signal(""); // a color whose pixels are shown
export const held = signal(""); // the same, until it is let go
export const region = signal(-1);
export const pointed = signal<{ x: number; y: number } | null>(null);
export const paletteShown = signal(true);
export const still = signal(matchMedia("(prefers-reduced-motion: reduce)").matches);

interface Shown {
  path: string;
  before: Picture | null;
  now: Picture | null;
  digest: string;
  lacking: string; // why there is no picture of the baseline
}

export const shown = signal<Shown | null>(null);

/** The pictures of what is chosen, frame by frame where one is chosen. */
export const pair = computed<{ before: Picture | null; now: Picture | null }>(() => {
  const all = shown.value;
  if (!all) return { before: null, now: null };
  const chosen = frame.value >= 0 ? detail.value?.frames[frame.value] : undefined;
  if (!chosen) return { before: all.before, now: all.now };
  return {
    before:
      chosen.baseline && all.before && !former.value
        ? cut(all.before, chosen.baseline.rect, chosen.baseline.at, chosen.baseline.source)
        : null,
    now: chosen.now && all.now ? cut(all.now, chosen.now.rect, chosen.now.at, chosen.now.source) : null,
  };
});

export const size = computed(() => {
  const { before, now } = pair.value;
  return {
    width: Math.max(before?.width ?? 0, now?.width ?? 0),
    height: Math.max(before?.height ?? 0, now?.height ?? 0),
  };
});

export const scale = computed(() => zoom.value || fitting.value);
export const tileable = computed(() => size.value.width * size.value.height * 9 <= MOST_TILED);
export const color = computed(() => hovered.value || held.value);
export const differs = signal<Difference | null>(null);
export const places = computed(() => (differs.value ? regions(differs.value) : []));

/** Load what the cursor chose, and compare it. */
export function follow(): void {
  effect(() => {
    const path = currentPath.value;
    const about = detail.value;
    if (!path || !about) {
      if (!path) shown.value = null;
      return;
    }
    const framed = about.frames[frame.value];
    const page = file.value ? about.pages?.find((each) => each.file === file.value) : undefined;
    const shows = page ?? about.pictures;
    const now = framed ? (framed.now?.url ?? null) : shows.now;
    const before = former.value ? shows.former : framed ? (framed.baseline?.url ?? null) : shows.baseline;
    const known = former.value ? about.former : about.baseline;
    void Promise.all([now ? picture(now) : null, before ? picture(before) : null]).then(([a, b]) => {
      if (currentPath.peek() !== path || detail.peek() !== about) return;
      const lacking = b
        ? ""
        : known
          ? "Its pixels are not on this machine."
          : former.value
            ? "There was none before."
            : "It is new.";
      shown.value = { path, before: b, now: a, digest: about.digest, lacking };
    });
  });
  let last = "";
  effect(() => {
    const path = currentPath.value;
    if (path === last) return;
    last = path;
    if (region.peek() >= 0) zoom.value = 0; // it was near for that place's sake
    [frame.value, file.value, region.value, held.value, hovered.value] = [-1, "", -1, "", ""];
    [playing.value, center.value, tagged.value, former.value, tab.value, fps.value] = [
      false,
      null,
      -1,
      false,
      "compare",
      0,
    ];
  });
  effect(() => {
    const { before, now } = pair.value;
    differs.value = null;
    if (!before || !now) return;
    if (before.width * before.height + now.width * now.height <= SMALL) {
      differs.value = difference(before, now);
      return;
    }
    const timer = setTimeout(() => (differs.value = difference(before, now)), 30);
    return () => clearTimeout(timer);
  });
  effect(() => {
    if (mode.value !== "blink" || still.value || tab.value !== "compare") return;
    const timer = setInterval(() => (phase.value = phase.peek() === "new" ? "baseline" : "new"), 500);
    return () => clearInterval(timer);
  });
  effect(() => {
    tick.value;
    if (!playing.value) return;
    const order = sequence.value;
    const at = order[turn % order.length]!;
    if (frame.peek() !== at) frame.value = at;
    const wait = fps.value ? 1000 / fps.value : detail.value?.frames[at]?.duration_ms || 1000 / declaredFps.value;
    const timer = setTimeout(() => ((turn += 1), (frame.value = order[turn % order.length]!), (tick.value += 1)), wait);
    return () => clearTimeout(timer);
  });
  matchMedia("(prefers-reduced-motion: reduce)").addEventListener("change", (event) => (still.value = event.matches));
}

/** How fast the project says that the frames are shown. */
export const declaredFps = computed(() => {
  const about = detail.value;
  const milliseconds = about?.frames[Math.max(0, frame.value)]?.duration_ms;
  return Math.round(about?.tags[tagged.value]?.fps ?? 0) || (milliseconds ? Math.round(1000 / milliseconds) : 0) || 8;
});

const tick = signal(0);
let turn = 0;

/** The frames that are played, in their order. */
const sequence = computed(() => {
  const about = detail.value;
  const tag = about?.tags[tagged.value];
  const [from, to] = tag ? [tag.from, tag.to] : [0, Math.max(0, (about?.frames.length ?? 1) - 1)];
  const forth = Array.from({ length: to - from + 1 }, (_, n) => from + n);
  if (tag?.direction?.startsWith("reverse")) return forth.reverse();
  return tag?.direction?.startsWith("pingpong") ? [...forth, ...forth.slice(1, -1).reverse()] : forth;
});

export function setMode(to: Mode): void {
  tab.value = "compare";
  mode.value = to;
}

/** Show one side: in blink it stops on it. */
export function side(which: "baseline" | "new"): void {
  if (mode.value === "blink" && still.value) phase.value = which;
  else setMode(which);
}

const STEPS = [0.125, 0.25, 0.5, ...Array.from({ length: MOST_ZOOM }, (_, n) => n + 1)];

/** Zoom by whole steps; doubles beyond four so that few steps lead from 1 to 32. */
export function zoomBy(direction: 1 | -1, at: { x: number; y: number } | null = null): void {
  const now = scale.value;
  const wanted = now >= 4 ? Math.round(direction > 0 ? now * 1.25 + 0.49 : now / 1.25 - 0.49) : 0;
  const near = direction > 0 ? STEPS.find((step) => step > now) : STEPS.findLast((step) => step < now);
  const to = wanted ? Math.max(3, Math.min(MOST_ZOOM, wanted)) : near;
  if (!to) return;
  if (at) {
    const middle = center.value ?? { x: size.value.width / 2, y: size.value.height / 2 };
    center.value = { x: at.x + ((middle.x - at.x) * now) / to, y: at.y + ((middle.y - at.y) * now) / to };
  }
  zoom.value = to;
}

export function fit(): void {
  zoom.value = 0;
  center.value = null;
  region.value = -1;
}

export function pan(x: number, y: number): void {
  const middle = center.value ?? { x: size.value.width / 2, y: size.value.height / 2 };
  const clamp = (value: number, most: number) => Math.max(0, Math.min(most, value));
  center.value = { x: clamp(middle.x + x, size.value.width), y: clamp(middle.y + y, size.value.height) };
}

/** Go to the next place that differs, or the one before, and look at it closely. */
export function goToRegion(by: 1 | -1): boolean {
  const all = places.value;
  if (!all.length) return false;
  const to = region.value < 0 ? (by > 0 ? 0 : all.length - 1) : (region.value + by + all.length) % all.length;
  const [left, top, width, height] = all[to]!;
  region.value = to;
  center.value = { x: left + width / 2, y: top + height / 2 };
  zoom.value = Math.max(fitting.value, Math.min(16, scale.value < 8 ? 8 : scale.value));
  return true;
}

export function nextBackground(): void {
  background.value = BACKGROUNDS[(BACKGROUNDS.indexOf(background.value) + 1) % BACKGROUNDS.length]!;
}

export function stepFrame(by: number): void {
  const many = detail.value?.frames.length ?? 0;
  if (!many) return;
  playing.value = false;
  frame.value = frame.value < 0 ? (by > 0 ? 0 : many - 1) : (frame.value + by + many) % many;
}

export function play(): void {
  if (!detail.value?.frames.length) return;
  turn = Math.max(0, sequence.value.indexOf(frame.value));
  playing.value = !playing.value;
}
