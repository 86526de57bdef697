// What is there to review and what of it is listed and chosen; asks no server and draws nothing.
import { computed, signal } from "@preact/signals";
import type { Case, Kind, Project, Row } from "./api";

export type Filter = "all" | "undecided" | "changed" | "new" | "deleted" | "passed" | "violations";
export const FILTERS: Filter[] = ["all", "undecided", "changed", "new", "deleted", "passed", "violations"];

/** A line of the list: an asset, or a heading that stands for all assets of one identical change. */
export interface Entry {
  id: string;
  path: string;
  members: string[];
  nested: boolean;
}

const CHANGED: ReadonlySet<Kind> = new Set(["flip", "shift", "recolor", "edit", "different", "other", "missing"]);

export const project = signal<Project | null>(null);
export const rows = signal<ReadonlyMap<string, Row>>(new Map());
export const filter = signal<Filter>("all");
export const query = signal("");
export const grouped = signal(true);
export const opened = signal<ReadonlySet<string>>(new Set());
export const listed = signal<string[]>([]);
export const cursor = signal("");
export const details = signal<ReadonlyMap<string, Case>>(new Map());
export const unsaved = signal(0);
export const loading = signal(true);

export const isChanged = (row: Row) => CHANGED.has(row.kind);
export const needs = (row: Row) => isChanged(row) || row.kind === "new" || row.kind === "deleted";
export const undecided = (row: Row) => needs(row) && !row.decision;
/** Whether there is anything to approve or reject: bytes, or their absence, that nobody approved yet. */
export const decidable = (row: Row) =>
  !project.value?.read_only && row.digest !== row.baseline && row.kind !== "missing";

export function matches(row: Row, by: Filter): boolean {
  switch (by) {
    case "all":
      return true;
    case "undecided":
      return undecided(row);
    case "changed":
      return isChanged(row);
    case "passed":
      return !needs(row) && row.verdict !== "fail";
    case "violations":
      return row.violations > 0;
    default:
      return row.kind === by;
  }
}

export const counts = computed(() => {
  const found = Object.fromEntries(FILTERS.map((name) => [name, 0])) as Record<Filter, number>;
  for (const row of rows.value.values()) for (const name of FILTERS) if (matches(row, name)) found[name]++;
  return found;
});

export const decided = computed(() => {
  let [approved, rejected] = [0, 0];
  for (const row of rows.value.values()) {
    if (row.decision === "approve") approved++;
    else if (row.decision === "reject") rejected++;
  }
  return { approved, rejected };
});

/** List what fits the filter and the text now; a decision made later removes nothing from under the reader's eyes. */
export function list(): void {
  const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
  const found: string[] = [];
  for (const row of rows.value.values()) {
    if (!matches(row, filter.value)) continue;
    const text = words.length ? `${row.path} ${row.target} ${row.kind} ${row.words}`.toLowerCase() : "";
    if (words.every((word) => text.includes(word))) found.push(row.path);
  }
  listed.value = found;
}

/** All assets of the identical change that a row is one of; itself alone if there is no other. */
export function group(row: Row): Row[] {
  return row.group ? (groups.value.get(row.group) ?? [row]) : [row];
}

const groups = computed(() => {
  const found = new Map<string, Row[]>();
  for (const row of rows.value.values()) {
    if (!row.group || !needs(row)) continue;
    const members = found.get(row.group);
    if (members) members.push(row);
    else found.set(row.group, [row]);
  }
  return found;
});

const groupOf = computed(() => {
  listed.value;
  const all = rows.peek(); // a decision changes no group
  return new Map(listed.value.map((path) => [path, all.get(path)?.group ?? ""]));
});

export const entries = computed<Entry[]>(() => {
  const alone = (path: string, nested = false) => ({ id: `p:${path}`, path, members: [path], nested });
  if (!grouped.value) return listed.value.map((path) => alone(path));
  const members = new Map<string, string[]>();
  for (const [path, name] of groupOf.value) {
    if (!name) continue;
    const known = members.get(name);
    if (known) known.push(path);
    else members.set(name, [path]);
  }
  const made: Entry[] = [];
  for (const path of listed.value) {
    const name = groupOf.value.get(path) ?? "";
    const together = members.get(name) ?? [];
    if (together.length < 2) made.push(alone(path));
    else if (together[0] === path) {
      made.push({ id: `g:${name}`, path, members: together, nested: false });
      if (opened.value.has(name)) for (const each of together) made.push(alone(each, true));
    }
  }
  return made;
});

export const position = computed(() => entries.value.findIndex((entry) => entry.id === cursor.value));
export const entry = computed<Entry | null>(() => entries.value[position.value] ?? null);
export const current = computed<Row | null>(() => (entry.value ? (rows.value.get(entry.value.path) ?? null) : null));
export const currentPath = computed(() => current.value?.path ?? "");
export const detail = computed<Case | null>(() => details.value.get(currentPath.value) ?? null);

/** What a decision now is about: the whole group where its heading is chosen, otherwise the asset alone. */
export const subject = computed<Row[]>(() => {
  const row = current.value;
  if (!row || !entry.value) return [];
  return entry.value.members.length > 1 ? group(row) : [row];
});

export function toggleGroup(name: string): void {
  const now = new Set(opened.value);
  if (!now.delete(name)) now.add(name);
  opened.value = now;
}

export function put(changed: Iterable<Row>): void {
  const now = new Map(rows.value);
  for (const row of changed) if (now.has(row.path)) now.set(row.path, row);
  rows.value = now;
}
