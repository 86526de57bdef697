// Every key of the page: what it is called and what it does; the help and the documentation list the same.
import { signal } from "@preact/signals";
import { decide, decideGroup, redo, saved, saving, undo } from "./decisions";
import { closeGroup, goTo, jump, move, next, showNumber, toggleGrouping } from "./navigation";
import { dismiss, tell } from "./notices";
import { detail, entry, toggleGroup, undecided } from "./state";
import { toggleTheme } from "./theme";
import * as view from "./view";

export const help = signal(false);

interface Binding {
  keys: string[];
  shown: string;
  words: string;
  run: (event: KeyboardEvent) => void;
}
export interface Section {
  title: string;
  bindings: Binding[];
}

const key = (keys: string, shown: string, words: string, run: Binding["run"]): Binding => ({
  keys: keys.split(" or "),
  shown,
  words,
  run,
});
const flip = (of: { value: boolean }) => () => (of.value = !of.value);
const onTab = (tab: view.Tab) => () => (view.tab.value = view.tab.value === tab ? "compare" : tab);

export const SECTIONS: Section[] = [
  {
    title: "Decide",
    bindings: [
      key("y", "Y", "approve, and go on to the next undecided", () => decide("approve")),
      key("n", "N", "reject, and go on", () => decide("reject")),
      key("i", "I", "leave it undecided, and go on", () => decide("")),
      key("shift+y", "Shift+Y", "approve all that changed identically", () => decideGroup("approve")),
      key("shift+n", "Shift+N", "reject all that changed identically", () => decideGroup("reject")),
      key("c", "C", "comment", () => focus("#comment")),
      key("u or ctrl+z", "U, Ctrl+Z", "undo", undo),
      key("shift+u or ctrl+shift+z or ctrl+y", "Shift+U, Ctrl+Y", "redo", redo),
      key("ctrl+s", "Ctrl+S", "save the approvals to the lock", () => ((saved.value = null), (saving.value = "asked"))),
    ],
  },
  {
    title: "Go",
    bindings: [
      key("arrowdown or l", "\u2193, L", "next asset", () => move(1)),
      key("arrowup or h", "\u2191, H", "previous asset", () => move(-1)),
      key("pagedown", "Page Down", "ten further", () => move(10)),
      key("pageup", "Page Up", "ten back", () => move(-10)),
      key("home", "Home", "first", () => move(-Infinity)),
      key("end", "End", "last", () => move(Infinity)),
      key("enter", "Enter", "next undecided", () => {
        const to = next(undecided);
        if (to) goTo(to);
      }),
      key("k", "K", "next changed place", () => region(1)),
      key("j", "J", "previous changed place", () => region(-1)),
      key("g c", "G then C", "next changed", () => jump("changed")),
      key("g n", "G then N", "next new", () => jump("new")),
      key("g d", "G then D", "next deleted", () => jump("deleted")),
      key("g p", "G then P", "next passed", () => jump("passed")),
      key(
        "1 or 2 or 3 or 4 or 5 or 6 or 7",
        "1 \u2026 7",
        "list all, undecided, changed, new, deleted, passed, violations",
        (event) => showNumber(Number(event.key)),
      ),
      key("/", "/", "search", () => focus("#search")),
      key("x", "X", "open or close a group", group),
    ],
  },
  {
    title: "Look",
    bindings: [
      key("s", "S", "side by side", () => view.setMode("side")),
      key("w", "W", "swipe", () => view.setMode("swipe")),
      key("o", "O", "onion skin", () => view.setMode("onion")),
      key("d", "D", "difference", () => view.setMode("difference")),
      key("b", "B", "blink", () => view.setMode("blink")),
      key("arrowleft", "\u2190", "the baseline alone", () => view.side("baseline")),
      key("arrowright", "\u2192", "the new one alone", () => view.side("new")),
      key("f", "F", "compare with the former baseline", () => {
        if (detail.value?.former) view.former.value = !view.former.value;
        else tell("There is no former baseline.");
      }),
      key("+ or =", "+", "zoom in (or the wheel)", () => view.zoomBy(1)),
      key("-", "-", "zoom out", () => view.zoomBy(-1)),
      key("0 or  ", "0, Space", "fit", view.fit),
      key(
        "shift+arrowleft or shift+arrowright or shift+arrowup or shift+arrowdown",
        "Shift+arrows",
        "move the picture (or drag it)",
        pan,
      ),
      key("shift+g", "Shift+G", "pixel grid", flip(view.grid)),
      key("t", "T", "repeat it three by three", flip(view.tiled)),
      key("m", "M", "mark the pixels that differ", flip(view.marked)),
      key("v", "V", "next background", view.nextBackground),
      key("p", "P", "palette", flip(view.paletteShown)),
    ],
  },
  {
    title: "More",
    bindings: [
      key("r", "R", "run the animation, or stop it", view.play),
      key(".", ".", "next frame", () => view.stepFrame(1)),
      key(",", ",", "previous frame", () => view.stepFrame(-1)),
      key("]", "]", "faster", () => faster(1)),
      key("[", "[", "slower", () => faster(-1)),
      key("e", "E", "every step on the way", onTab("steps")),
      key("a", "A", "candidates side by side", onTab("candidates")),
      key("shift+t", "Shift+T", "dark or light", toggleTheme),
      key("?", "?", "this help", () => (help.value = true)),
      key("escape", "Esc", "back to the picture, from anywhere", away),
    ],
  },
];

const bound = new Map(
  SECTIONS.flatMap(({ bindings }) =>
    bindings.flatMap((binding) => binding.keys.map((name) => [name, binding] as const)),
  ),
);

function focus(selector: string): void {
  document.querySelector<HTMLElement>(selector)?.focus();
}

function region(by: 1 | -1): void {
  if (!view.goToRegion(by)) tell("No place differs here.");
}

/** Open or close the group that the cursor is in; without one, list identical changes together, or each alone. */
function group(): void {
  const at = entry.value;
  if (at?.id.startsWith("g:")) toggleGroup(at.id.slice(2));
  else if (at?.nested) closeGroup(at.path);
  else toggleGrouping();
}

function pan(event: KeyboardEvent): void {
  const step = Math.max(1, Math.round(64 / view.scale.value));
  const by = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key];
  if (by) view.pan(by[0]!, by[1]!);
}

function faster(by: number): void {
  view.fps.value = Math.max(1, Math.min(60, (view.fps.value || view.declaredFps.value) + by));
}

function away(): void {
  dismiss();
  view.held.value = "";
  if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
  view.tab.value = "compare";
}

/** What was pressed, as it is called above. */
function pressed(event: KeyboardEvent): string {
  const name = event.key.toLowerCase();
  const shift = event.shiftKey && (/^[a-z]$/.test(name) || name.length > 1) ? "shift+" : "";
  return `${event.ctrlKey || event.metaKey ? "ctrl+" : ""}${shift}${name}`;
}

/** Whether whatever has the focus needs a key itself. */
function taken(event: KeyboardEvent, name: string): boolean {
  const on = event.target;
  if (name === "escape" || !(on instanceof HTMLElement)) return false;
  if (on.matches("textarea, select, input:not([type=range])")) return name !== "ctrl+s";
  if (on.matches("input[type=range]")) return /arrow|home|end|page/.test(name);
  return on.matches("button, a, summary") && (name === " " || name === "enter");
}

export function listen(): void {
  let prefix = "";
  let timer = 0;
  window.addEventListener("keydown", (event) => {
    if (event.altKey || event.defaultPrevented || document.querySelector("dialog[open]")) return;
    const name = pressed(event);
    if (taken(event, name)) return;
    const binding = bound.get(prefix ? `g ${name}` : name);
    clearTimeout(timer);
    const waits = !prefix && name === "g";
    prefix = waits ? "g" : "";
    if (waits) timer = window.setTimeout(() => (prefix = ""), 1500);
    if (!binding) return;
    event.preventDefault();
    binding.run(event);
  });
}
