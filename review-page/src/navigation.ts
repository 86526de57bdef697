// Going from asset to asset: the cursor, what is read for it, and what is read ahead; decides nothing.
import { effect } from "@preact/signals";
import * as api from "./api";
import type { Row } from "./api";
import { complain, tell } from "./notices";
import { picture } from "./pictures";
import {
  FILTERS,
  type Filter,
  currentPath,
  cursor,
  details,
  entries,
  filter,
  grouped,
  list,
  listed,
  loading,
  matches,
  opened,
  position,
  project,
  query,
  rows,
  toggleGroup,
  undecided,
  unsaved,
} from "./state";

const AHEAD = [1, 2, 3, -1];
const MOST_DETAILS = 400;
const asked = new Map<string, Promise<void>>();

/** Read the project and its assets; the cursor stays where it was if it can. */
export async function load(): Promise<void> {
  try {
    const [about, found] = await Promise.all([api.project(), api.cases()]);
    asked.clear();
    const stay = currentPath.peek() || fromHash();
    const first = !project.value;
    project.value = about;
    unsaved.value = about.unsaved;
    details.value = new Map();
    rows.value = new Map(found.map((row) => [row.path, row]));
    if (first && !rows.value.has(stay) && found.some(undecided)) filter.value = "undecided";
    list();
    if (!listed.value.length && filter.value !== "all") {
      filter.value = "all";
      list();
    }
    if (rows.value.has(stay)) goTo(stay);
    else cursor.value = entries.value[0]?.id ?? "";
    loading.value = false;
    void read(currentPath.value);
    document.title = `${undecidedCount()} ${about.project} · spritebuild review`.trim();
  } catch (error) {
    loading.value = false;
    complain(error);
  }
}

function undecidedCount(): string {
  const left = [...rows.value.values()].filter(undecided).length;
  return left ? `(${left})` : "";
}

/** Read what there is to say of an asset, once. */
export function read(path: string): Promise<void> {
  if (!path || details.peek().has(path)) return Promise.resolve();
  let reading = asked.get(path);
  if (!reading) {
    reading = api.caseOf(path).then((said) => {
      if (asked.get(path) !== reading) return;
      const now = new Map(details.value);
      now.set(path, said);
      if (now.size > MOST_DETAILS) {
        const oldest = now.keys().next().value!;
        now.delete(oldest);
        asked.delete(oldest);
      }
      details.value = now;
      for (const url of [said.pictures.now, said.pictures.baseline]) if (url && !said.folder) void picture(url);
    });
    asked.set(path, reading);
    reading.catch(() => asked.delete(path)); // so that it can be asked again
  }
  return reading;
}

/** Forget what was read of an asset and read it again. */
export function again(path: string): Promise<void> {
  asked.delete(path);
  const now = new Map(details.value);
  now.delete(path);
  details.value = now;
  return read(path);
}

/** Follow the cursor: read its asset, then its neighbors, and keep the address in step. */
export function follow(): void {
  let timer = 0;
  let naming = 0;
  effect(() => {
    const path = currentPath.value;
    if (!path) return;
    clearTimeout(timer);
    clearTimeout(naming);
    naming = window.setTimeout(() => history.replaceState(null, "", `#${encodeURIComponent(path)}`), 150);
    read(path).then(() => {
      if (currentPath.peek() !== path) return;
      timer = window.setTimeout(() => {
        for (const step of AHEAD) {
          const neighbor = entries.peek()[position.peek() + step];
          if (neighbor) read(neighbor.path).catch(() => undefined);
        }
      }, 0);
    }, complain);
  });
  window.addEventListener("hashchange", () => {
    clearTimeout(naming);
    if (rows.value.has(fromHash())) goTo(fromHash());
  });
}

function fromHash(): string {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return "";
  }
}

export function move(by: number): void {
  const to = Math.max(0, Math.min(entries.value.length - 1, Math.max(0, position.value) + by));
  cursor.value = entries.value[to]?.id ?? "";
}

/** Choose an asset, whatever is listed: its own line if it is there, otherwise its group's. */
export function goTo(path: string): void {
  if (!listed.value.includes(path)) {
    query.value = "";
    filter.value = "all";
    list();
  }
  const found = entries.value.find((entry) => entry.id === `p:${path}`);
  if (found) cursor.value = found.id;
  else {
    const heading = entries.value.find((entry) => entry.members.includes(path));
    if (heading && heading.path !== path) opened.value = new Set([...opened.value, heading.id.slice(2)]);
    cursor.value = heading && heading.path === path ? heading.id : `p:${path}`;
  }
}

/** The path of the next listed asset of that sort, from the cursor on and around the end; none of `but`. */
export function next(of: (row: Row) => boolean, but: ReadonlySet<string> = new Set()): string {
  const all = entries.value;
  for (let step = 1; step <= all.length; step++) {
    const entry = all[(position.value + step) % all.length]!;
    const found = entry.members.find((path) => !but.has(path) && of(rows.value.get(path)!));
    if (found) return found;
  }
  return "";
}

/** List only some, and choose the first. */
export function show(by: Filter): void {
  const stay = currentPath.value;
  filter.value = by;
  list();
  stayAt(stay);
}

/** Choose what was chosen before, or the first if that is not listed now. */
function stayAt(path: string): void {
  if (listed.value.includes(path)) goTo(path);
  else cursor.value = entries.value[0]?.id ?? "";
}

/** Close the group that an asset is listed in, and choose its heading. */
export function closeGroup(path: string): void {
  const heading = entries.value.find((entry) => entry.members.length > 1 && entry.members.includes(path));
  if (!heading) return;
  toggleGroup(heading.id.slice(2));
  cursor.value = heading.id;
}

export function showNumber(number: number): void {
  show(FILTERS[number - 1] ?? "all");
}

/** Go to the next asset of that sort, listing all where the list has none. */
export function jump(by: Filter): void {
  if (!next((row) => matches(row, by))) {
    if (![...rows.value.values()].some((row) => matches(row, by))) return tell(`Nothing ${by} here.`);
    const stay = currentPath.value;
    show("all");
    if (stay) goTo(stay);
  }
  goTo(next((row) => matches(row, by)));
}

export function search(text: string): void {
  query.value = text;
  const stay = currentPath.value;
  list();
  stayAt(stay);
}

export function toggleGrouping(): void {
  const stay = currentPath.value;
  grouped.value = !grouped.value;
  if (stay) goTo(stay);
}
