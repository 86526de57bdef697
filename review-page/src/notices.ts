// What the page tells its reader in passing; knows nobody who tells.
import { signal } from "@preact/signals";
import { Refusal } from "./api";

export interface Notice {
  words: string;
  hint: string;
  kind: "note" | "error";
}

export const notice = signal<Notice | null>(null);
let timer = 0;

export function tell(words: string, hint = ""): void {
  show({ words, hint, kind: "note" }, 4000);
}

/** An error in the server's words; it stays until it is dismissed. */
export function complain(error: unknown): void {
  const refusal = error instanceof Refusal ? error : null;
  show({ words: refusal?.message ?? String(error), hint: refusal?.hint ?? "", kind: "error" }, 0);
}

export function dismiss(): void {
  notice.value = null;
}

function show(what: Notice, milliseconds: number): void {
  clearTimeout(timer);
  notice.value = what;
  if (milliseconds) timer = window.setTimeout(dismiss, milliseconds);
}
