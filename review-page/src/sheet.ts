// The contact sheet as the server tells it, and what of it is chosen; draws nothing.
import { computed, effect, signal } from "@preact/signals";

export type State = "waiting" | "drawing" | "draft" | "final" | "failed";
export interface Card {
  name: string;
  path: string;
  state: State;
  picture?: string;
  baseline?: string;
  changed?: "same" | "changed" | "new";
  why?: string;
  error?: string;
  pages?: number;
}
export interface Fault {
  file: string;
  line: number;
  column: number;
  source: string;
  width: number;
  message: string;
  hint: string;
}
export interface Failure {
  message: string;
  where: string;
  facts: [string, string][];
  hint: string;
  faults: Fault[];
  more: number;
}
export interface About {
  state?: "reading" | "building" | "watching" | "broken";
  saved?: string[];
  error?: Failure | null;
  ran?: number;
  installed?: number;
  seconds?: number;
}
interface Said {
  number: number;
  project?: string;
  order?: string[];
  cards?: Card[];
  about?: About;
}

export const project = signal("");
export const about = signal<About>({});
export const live = signal<"opening" | "live" | "lost" | "ended">("opening");
export const cards = signal<ReadonlyMap<string, Card>>(new Map());
const order = signal<string[]>([]);

export const FILTERS = ["all", "at work", "drafts", "changed", "new", "failed"] as const;
export type Filter = (typeof FILTERS)[number];
export const filter = signal<Filter>("all");
export const query = signal("");
export const cursor = signal(""); // the chosen card's name
export const opened = signal(false); // whether it is shown large

const BELONGS: Record<Filter, (card: Card) => boolean> = {
  all: () => true,
  "at work": (card) => card.state === "waiting" || card.state === "drawing",
  drafts: (card) => card.state === "draft",
  changed: (card) => card.changed === "changed",
  new: (card) => card.changed === "new",
  failed: (card) => card.state === "failed",
};

const all = computed(() => order.value.flatMap((name) => cards.value.get(name) ?? []));
export const counts = computed(() => {
  const found = Object.fromEntries(FILTERS.map((name) => [name, 0])) as Record<Filter, number>;
  for (const card of all.value) for (const name of FILTERS) if (BELONGS[name](card)) found[name]++;
  return found;
});
export const shown = computed(() => {
  const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
  const belongs = BELONGS[filter.value];
  return all.value.filter(
    (card) => belongs(card) && words.every((word) => `${card.name} ${card.path}`.toLowerCase().includes(word)),
  );
});
export const position = computed(() => shown.value.findIndex((card) => card.name === cursor.value));
export const chosen = computed(() => cards.value.get(cursor.value) ?? null);

/** Choose the card that lies so much further; the first where none is chosen. */
export function move(by: number): void {
  const last = shown.value.length - 1;
  if (last < 0) return;
  const at = position.value;
  const to = at < 0 ? (by === Infinity ? last : 0) : Math.max(0, Math.min(last, at + by));
  cursor.value = shown.value[to]!.name;
}

/** Choose the next card of which something is true, from the chosen one on and round. */
export function next(wanted: (card: Card) => boolean): void {
  const found = shown.value;
  for (let n = 1; n <= found.length; n++) {
    const card = found[(Math.max(0, position.value) + n - (position.value < 0 ? 1 : 0)) % found.length]!;
    if (wanted(card)) {
      cursor.value = card.name;
      return;
    }
  }
}

function hear(said: Said): void {
  if (said.order) {
    order.value = said.order;
    project.value = said.project ?? "";
    cards.value = new Map((said.cards ?? []).map((card) => [card.name, card]));
    if (cursor.value && !cards.value.has(cursor.value)) {
      cursor.value = "";
      opened.value = false;
    }
  } else if (said.cards) {
    const known = new Map(cards.value);
    for (const card of said.cards) known.set(card.name, card);
    cards.value = known;
  }
  if (said.about) about.value = said.about;
}

/** Hear what the server tells, for as long as it is there. */
export function listen(): void {
  const events = new EventSource("/api/events");
  events.onmessage = (event: MessageEvent<string>) => {
    live.value = "live";
    hear(JSON.parse(event.data) as Said);
  };
  events.addEventListener("end", () => {
    live.value = "ended";
    events.close();
  });
  events.onerror = () => {
    live.value = events.readyState === EventSource.CLOSED ? "ended" : "lost";
  };
  effect(() => {
    const failed = counts.value.failed;
    const mark = about.value.state === "broken" ? "(!) " : failed ? `(${failed} failed) ` : "";
    document.title = `${mark}${project.value || "spritebuild"} \u00b7 spritebuild watch`;
  });
}
