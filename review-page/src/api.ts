// What the server says and how it is asked; knows nothing of what is shown.

export type Decision = "approve" | "reject" | "";
export type Kind =
  | "same"
  | "imperceptible"
  | "flip"
  | "shift"
  | "recolor"
  | "edit"
  | "different"
  | "other"
  | "new"
  | "deleted"
  | "missing";

export interface Row {
  path: string;
  target: string;
  kind: Kind;
  verdict: "pass" | "notice" | "fail";
  words: string;
  digest: string;
  baseline: string;
  size: [number, number] | null;
  group: string;
  violations: number;
  decision: Decision;
  comment: string;
  candidates: number;
  folder: boolean;
  frames: number;
}

export interface Cut {
  url: string;
  rect: [number, number, number, number];
  at?: [number, number]; // where it lies in the untrimmed frame
  source?: [number, number]; // the size of that
}
export interface Frame {
  name: string;
  duration_ms: number;
  now: Cut | null;
  baseline: Cut | null;
}
export interface Tag {
  name: string;
  from: number;
  to: number;
  fps: number;
  direction?: string;
}
export interface Page {
  file: string;
  now: string | null;
  baseline: string | null;
  former: string | null;
}
export interface Part {
  file: string;
  kind: Kind;
  words: string;
  digest: string;
  baseline: string;
}
export interface Param {
  name: string;
  value: unknown;
  origin: string;
  was?: unknown;
}
export interface Action {
  action: string;
  stage: string;
  version: number | string;
  verdict: string;
  reason: string;
  params: Param[];
}
export interface Candidate {
  seed: number;
  rank: number;
  scores: Record<string, number>;
  words: string;
  picked: boolean;
  url: string;
  digest?: string;
}
export interface Step {
  name: string;
  url: string;
}

export interface Case extends Omit<Row, "violations" | "candidates" | "frames"> {
  declared: string;
  file: string;
  line: number;
  former: string;
  measures: Record<string, unknown>;
  violations: { limit: string; words: string }[];
  parts: Part[];
  why: string[];
  graph: Action[];
  graph_left_out?: number;
  palette: {
    now: string[];
    baseline: string[];
    added: string[];
    removed: string[];
    moved: [string, string, number][];
  } | null;
  pages?: Page[];
  pictures: { now: string | null; baseline: string | null; former: string | null };
  frames: Frame[];
  tags: Tag[];
  same: string[];
  candidates: Candidate[];
}

export interface Project {
  project: string;
  counts: Record<string, number>;
  total: number;
  failed: number;
  notes: string[];
  unsaved: number;
  version: string;
  candidates: string[];
  stale?: boolean;
  read_only?: boolean;
}

export interface Item {
  path: string;
  digest: string;
  decision: Decision;
  comment: string;
}
export interface Saved {
  approved: number;
  rejected: unknown[];
  lock: string;
}

/** What the server refused, in its words; `body` is all that it said. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly hint: string,
    readonly body: unknown,
  ) {
    super(message);
  }
}

async function ask<T>(url: string, init?: RequestInit): Promise<T> {
  let response: Response;
  try {
    response = await fetch(url, { credentials: "same-origin", ...init });
  } catch {
    throw new Refusal(
      0,
      "the server does not answer",
      "start `spritebuild review` again and open the address it prints",
      null,
    );
  }
  const body: unknown = await response.json().catch(() => null);
  if (!response.ok) {
    const said = (body ?? {}) as { error?: unknown; hint?: unknown };
    const words = typeof said.error === "string" ? said.error : `the server answered ${response.status}`;
    throw new Refusal(response.status, words, typeof said.hint === "string" ? said.hint : "", body);
  }
  return body as T;
}

function post<T>(url: string, body: unknown): Promise<T> {
  const headers = { "Content-Type": "application/json", "X-Spritebuild": "1" };
  return ask<T>(url, { method: "POST", headers, body: JSON.stringify(body) });
}

export const project = () => ask<Project>("/api/project");
export const cases = () => ask<{ cases: Row[] }>("/api/cases").then((said) => said.cases);
export const caseOf = (path: string) => ask<Case>(`/api/case?path=${encodeURIComponent(path)}`);
export const steps = (path: string) =>
  ask<{ steps: Step[] }>(`/api/steps?path=${encodeURIComponent(path)}`).then((said) => said.steps);
export const decide = (items: Item[]) => post<{ items: Row[]; unsaved: number }>("/api/decide", { items });
export const save = () => post<Saved>("/api/save", {});
export const refresh = () => post<unknown>("/api/refresh", {});
export const pick = (target: string, seed: number, digest: string) =>
  post<{ candidates: Candidate[] }>("/api/pick", { target, seed, digest });
