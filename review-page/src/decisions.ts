// Approving, rejecting, commenting, undoing and saving; knows rows and the server, nothing of what is shown.
import { computed, signal } from "@preact/signals";
import * as api from "./api";
import type { Decision, Item, Row } from "./api";
import { goTo, load, next } from "./navigation";
import { complain, tell } from "./notices";
import { decidable, group, project, put, rows, subject, undecided, unsaved } from "./state";

interface Done {
  words: string;
  before: Item[];
  after: Item[];
}

const past = signal<Done[]>([]);
const future = signal<Done[]>([]);
export const canUndo = computed(() => past.value.length > 0);
export const canRedo = computed(() => future.value.length > 0);
export const saving = signal<"" | "asked" | "busy">("");
export const saved = signal<api.Saved | null>(null);

export const pending = signal(0); // decisions on their way to the server
const waiting: { items: Item[]; before: Row[] }[] = [];
let sending: Promise<unknown> = Promise.resolve();

const VERBS: Record<Decision, string> = { approve: "approved", reject: "rejected", "": "undecided" };

/** Decide on what is chosen, then go on to the next undecided asset. */
export function decide(decision: Decision): void {
  judge(subject.value, decision);
}

/** Decide on all assets of the identical change at once. */
export function decideGroup(decision: Decision): void {
  const first = subject.value[0];
  if (first) judge(group(first), decision);
}

function judge(on: Row[], decision: Decision): void {
  const open = on.filter(decidable);
  if (!open.length) {
    return on[0] && tell(undecidable(on[0]));
  }
  const target = next(undecided, new Set(open.map((row) => row.path)));
  const words =
    open.length > 1 ? `${open.length} identical changes ${VERBS[decision]}` : `${open[0]!.path} ${VERBS[decision]}`;
  apply(
    open.map((row) => item(row, { decision })),
    words,
  );
  if (target) goTo(target);
  else if (decision) tell("Everything listed is decided.", "Ctrl+S saves the approvals to the lock.");
}

/** Why there is nothing to decide about an asset. */
export function undecidable(row: Row): string {
  if (project.value?.read_only) return "This review is read-only.";
  return row.kind === "missing"
    ? "Nothing to decide: it is not built here."
    : "Nothing to decide: exactly these bytes are approved.";
}

export function comment(path: string, text: string): void {
  const row = rows.value.get(path);
  if (row && text !== row.comment) apply([item(row, { comment: text })], `comment on ${path}`);
}

function item(row: Row, change: Partial<Item>): Item {
  const { path, digest, decision, comment: text } = row;
  return { path, digest, decision, comment: text, ...change };
}

function apply(after: Item[], words: string): void {
  const known = rows.value;
  past.value = [...past.value, { words, before: after.map(({ path }) => item(known.get(path)!, {})), after }];
  future.value = [];
  send(after);
}

export function undo(): void {
  const done = past.value.at(-1);
  if (!done) return tell("Nothing to undo.");
  past.value = past.value.slice(0, -1);
  future.value = [...future.value, done];
  send(done.before);
  goTo(done.before[0]!.path);
  tell(`Undone: ${short(done.words)}.`);
}

export function redo(): void {
  const done = future.value.at(-1);
  if (!done) return tell("Nothing to redo.");
  future.value = future.value.slice(0, -1);
  past.value = [...past.value, done];
  send(done.after);
  goTo(done.after[0]!.path);
  tell(`Redone: ${short(done.words)}.`);
}

const short = (words: string) => (words.length > 120 ? `${words.slice(0, 50)}\u2026${words.slice(-60)}` : words);

/** Show decisions at once, and put back what was there if the server refuses them. */
function send(items: Item[]): void {
  const before = items.flatMap(({ path }) => rows.value.get(path) ?? []);
  const changed = items.flatMap((each) => {
    const row = rows.value.get(each.path);
    return row ? { ...row, decision: each.decision, comment: each.comment } : [];
  });
  put(changed);
  waiting.push({ items, before });
  if (!pending.value) sending = deliver();
}

/** Send what waits, all that came meanwhile at once: the last word on each asset. */
async function deliver(): Promise<void> {
  for (let batch = waiting.splice(0); batch.length; batch = waiting.splice(0)) {
    pending.value = batch.length;
    const last = new Map(batch.flatMap(({ items }) => items).map((each) => [each.path, each]));
    try {
      unsaved.value = (await api.decide([...last.values()])).unsaved;
    } catch (error) {
      batch.push(...waiting.splice(0));
      put(batch.reverse().flatMap(({ before }) => before)); // the oldest state last
      const gone = new Set(batch.map(({ items }) => items));
      past.value = past.value.filter((done) => !gone.has(done.after));
      future.value = [];
      if (error instanceof api.Refusal && error.status === 409) {
        tell("It changed since it was shown here. Look at it again, then decide.");
        await load();
      } else complain(error);
    }
  }
  pending.value = 0;
}

/** Write the approvals into the lock; the page then reads everything again. */
export async function save(): Promise<void> {
  saving.value = "busy";
  await sending;
  try {
    saved.value = await api.save();
    past.value = [];
    future.value = [];
    await load();
  } catch (error) {
    saving.value = "";
    complain(error);
  }
}

export async function refresh(): Promise<void> {
  await sending;
  try {
    await api.refresh();
    past.value = [];
    future.value = [];
    await load();
    tell("Read again.");
  } catch (error) {
    complain(error);
  }
}

/** Ask from time to time whether the project is still as it was shown. */
export async function watch(): Promise<void> {
  if (document.hidden) return;
  try {
    const now = await api.project();
    if (project.value && now.stale !== project.value.stale)
      project.value = { ...project.value, stale: now.stale ?? false };
  } catch (error) {
    complain(error);
  }
}
