// Texts of others on the page: always text, in a direction of their own, and never wider than their place.
import type { Kind } from "./api";

const INVISIBLE = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
const MOST = 400; // characters that are laid out; the whole is in the title

/** A name with what cannot be seen made visible: no name looks like another. */
export function visible(text: string): string {
  return text.replace(INVISIBLE, (character) => {
    const code = character.charCodeAt(0);
    if (code < 32) return String.fromCharCode(0x2400 + code);
    return `\u27e8${code.toString(16).toUpperCase().padStart(4, "0")}\u27e9`;
  });
}

/** One line that ends in an ellipsis; the whole is its title. */
export function Line({ text, class: name = "" }: { text: string; class?: string }) {
  return (
    <bdi class={`line ${name}`} title={visible(text)}>
      {visible(text.slice(0, MOST))}
    </bdi>
  );
}

/** A path as its name and, fainter, its folder. */
export function Path({ path }: { path: string }) {
  const at = path.lastIndexOf("/") + 1;
  return (
    <span class="path" title={visible(path)}>
      <bdi class="line name">{visible(path.slice(at, at + MOST)) || "/"}</bdi>
      {at > 0 && <bdi class="line folder">{visible(path.slice(0, Math.min(at, MOST)))}</bdi>}
    </span>
  );
}

/** A sentence that may wrap; more than it should be is cut, whole in the title. */
export function Prose({ text }: { text: string }) {
  const cut = text.length > 1200;
  return (
    <bdi class="prose" title={cut ? visible(text) : undefined}>
      {cut ? `${visible(text.slice(0, 1200))}\u2026` : visible(text)}
    </bdi>
  );
}

/** A value of a declaration as text. */
export function value(of: unknown): string {
  if (of === null || of === undefined) return "nothing";
  return typeof of === "string" ? of : JSON.stringify(of);
}

export const GLYPHS: Record<Kind, string> = {
  same: "=",
  imperceptible: "\u2248",
  flip: "\u21c4",
  shift: "\u2197",
  recolor: "\u25d1",
  edit: "\u25aa",
  different: "\u2260",
  other: "?",
  new: "+",
  deleted: "\u2212",
  missing: "\u2205",
};

export function KindBadge({ kind }: { kind: Kind }) {
  return (
    <span class={`badge kind-${kind}`}>
      <span aria-hidden="true">{GLYPHS[kind]} </span>
      {kind}
    </span>
  );
}

const numbers = new Intl.NumberFormat("en");

/** A whole number with its thousands apart. */
export const digits = (count: number) => numbers.format(count);
export const many = (count: number, one: string, more = `${one}s`) => `${digits(count)} ${count === 1 ? one : more}`;
