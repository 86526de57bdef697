// The middle of the page: what the modes make of the two pictures, its tools and its line of figures.
import { useLayoutEffect, useRef } from "preact/hooks";
import { heat, marks, only } from "./difference";
import { Pane, type Layer } from "./pane";
import { type Picture, colorAt } from "./pictures";
import { current, detail, loading, project } from "./state";
import { digits, many } from "./text";
import * as view from "./view";
import type { Mode } from "./view";

const MODES: [Mode, string, string][] = [
  ["side", "Side by side", "S"],
  ["swipe", "Swipe", "W"],
  ["onion", "Onion skin", "O"],
  ["difference", "Difference", "D"],
  ["blink", "Blink", "B"],
  ["baseline", "Baseline", "\u2190"],
  ["new", "New", "\u2192"],
];

export function Tools() {
  const about = detail.value;
  return (
    <div class="tools" role="toolbar" aria-label="How it is shown">
      <div class="set" role="group" aria-label="Mode">
        {MODES.map(([name, words, key]) => (
          <button
            key={name}
            aria-pressed={view.mode.value === name && view.tab.value === "compare"}
            aria-keyshortcuts={key.toLowerCase()}
            onClick={() => view.setMode(name)}
            title={`${words} (${key})`}
          >
            {words}
          </button>
        ))}
      </div>
      <div class="set" role="group" aria-label="Zoom">
        <button onClick={() => view.zoomBy(-1)} aria-label="Zoom out" title="Zoom out (-)">
          {"\u2212"}
        </button>
        <output class="zoom" aria-label="Zoom">
          {view.scale.value >= 1 ? `${view.scale.value}\u00d7` : `1/${1 / view.scale.value}`}
        </output>
        <button onClick={() => view.zoomBy(1)} aria-label="Zoom in" title="Zoom in (+)">
          +
        </button>
        <button onClick={view.fit} aria-pressed={!view.zoom.value} title="Fit (0 or Space)">
          Fit
        </button>
      </div>
      <div class="set" role="group" aria-label="Background">
        {view.BACKGROUNDS.map((name) => (
          <button
            key={name}
            class={`swatch ${name}`}
            aria-pressed={view.background.value === name}
            aria-label={`${name} background`}
            title={`Background: ${name} (V)`}
            onClick={() => (view.background.value = name)}
            style={name === "tint" ? { backgroundColor: view.tint.value } : {}}
          />
        ))}
        {view.background.value === "tint" && (
          <input
            type="color"
            class="tint"
            aria-label="Color of the tint"
            value={view.tint.value}
            onInput={(event) => (view.tint.value = event.currentTarget.value)}
          />
        )}
      </div>
      <div class="set" role="group" aria-label="Over the picture">
        <Toggle of={view.grid} title="Pixel grid from 8x (Shift+G)">
          Grid
        </Toggle>
        <Toggle of={view.tiled} title="Repeat it three by three (T)" disabled={!view.tileable.value}>
          Tile
        </Toggle>
        <Toggle of={view.marked} title="Mark the pixels that differ (M)">
          Mark
        </Toggle>
        <Toggle of={view.former} title="Compare with the baseline before this one (F)" disabled={!about?.former}>
          Former
        </Toggle>
      </div>
      {(about?.candidates.length ?? 0) > 0 && (
        <TabButton name="candidates" title="All candidates side by side (A)">
          Candidates
        </TabButton>
      )}
      <TabButton name="steps" title="Every step on the way to this picture (E)">
        Steps
      </TabButton>
    </div>
  );
}

function Toggle({
  of,
  title,
  disabled = false,
  children,
}: {
  of: typeof view.grid;
  title: string;
  disabled?: boolean;
  children: string;
}) {
  return (
    <button aria-pressed={of.value} disabled={disabled} title={title} onClick={() => (of.value = !of.value)}>
      {children}
    </button>
  );
}

function TabButton({ name, title, children }: { name: view.Tab; title: string; children: string }) {
  const on = view.tab.value === name;
  return (
    <button class="tab" aria-pressed={on} title={title} onClick={() => (view.tab.value = on ? "compare" : name)}>
      {children}
    </button>
  );
}

export function Compare() {
  const ref = useRef<HTMLDivElement>(null);
  const all = view.shown.value;
  const { before, now } = view.pair.value;
  const mode = view.mode.value;
  const box = view.places.value[view.region.value] ?? null;
  useLayoutEffect(() => {
    if (!ref.current) return;
    ref.current.dataset.digest = all?.digest ?? "";
    ref.current.dataset.shown = all?.path ?? "";
  });
  if (!current.value)
    return (
      <div class="panes">
        <p class="empty">{nothing()}</p>
      </div>
    );

  const old = view.former.value ? "Former baseline" : "Baseline";
  const absent = all && current.value.kind === "deleted" ? "It is gone." : "No picture.";
  const lacking = all?.lacking ?? "";
  const sized = (of: Picture | null) => (of ? `${of.width} \u00d7 ${of.height}` : "");
  const layer = (of: Picture | null, name: string, more: Partial<Layer> = {}): Layer[] => [
    ...(of ? [{ picture: of, name, ...more }] : []),
  ];
  const over = (of: Picture | null): Layer[] => [
    ...(view.marked.value && view.differs.value ? layer(marks(view.differs.value), "Marks") : []),
    ...(view.color.value && of ? layer(only(of, view.color.value).mask, "Other colors") : []),
  ];
  const one = (which: "baseline" | "new", label: string) =>
    which === "new" ? (
      <Pane name={label} caption={sized(now)} layers={[...layer(now, "New"), ...over(now)]} empty={absent} box={box} />
    ) : (
      <Pane
        name={label}
        caption={sized(before)}
        layers={[...layer(before, old), ...over(before)]}
        empty={lacking}
        box={box}
      />
    );

  let panes;
  if (mode === "side")
    panes = (
      <>
        {one("baseline", old)}
        {one("new", "New")}
      </>
    );
  else if (mode === "baseline") panes = one("baseline", old);
  else if (mode === "new") panes = one("new", "New");
  else if (mode === "blink")
    panes = one(view.phase.value, `Blink: ${view.phase.value === "new" ? "new" : old.toLowerCase()}`);
  else if (mode === "swipe") {
    const at = view.split.value;
    const layers = [
      ...layer(before, old, { clip: [0, at] }),
      ...layer(now, "New", { clip: [at, 100] }),
      ...over(now ?? before),
    ];
    panes = <Pane name="Swipe" caption={`${old.toLowerCase()} | new`} layers={layers} box={box} swipe />;
  } else if (mode === "onion") {
    const at = view.mix.value / 100;
    const layers = [
      ...layer(before, old, { opacity: 1 - at, add: true }),
      ...layer(now, "New", { opacity: at, add: true }),
      ...over(now ?? before),
    ];
    panes = <Pane name="Onion skin" caption={`${view.mix.value} % new`} layers={layers} box={box} />;
  } else {
    const map = view.differs.value ? heat(view.differs.value, now) : null;
    const empty = before && now ? "Comparing\u2026" : `Nothing to compare with. ${lacking || absent}`;
    panes = <Pane name="Difference" layers={layer(map, "Heat map of the differences")} empty={empty} box={box} />;
  }
  return (
    <div class="panes" ref={ref} aria-busy={!all || all.path !== current.value.path}>
      <div class="row">{panes}</div>
      {mode === "swipe" && <Slider of={view.split} label="Where baseline and new meet" />}
      {mode === "onion" && <Slider of={view.mix} label="How much of the new one" />}
      {mode === "difference" && <Legend />}
      {mode === "blink" && view.still.value && (
        <p class="below">
          Your system asks for less motion: it blinks only by the arrow keys.{" "}
          <button onClick={() => (view.phase.value = view.phase.value === "new" ? "baseline" : "new")}>
            Blink once
          </button>
        </p>
      )}
    </div>
  );
}

function nothing(): string {
  if (loading.value) return "Reading the project\u2026";
  return project.value?.total ? "Nothing fits this filter." : "There are no assets yet. Build the project first.";
}

function Slider({ of, label }: { of: typeof view.split; label: string }) {
  return (
    <div class="below">
      <span aria-hidden="true">baseline</span>
      <input
        type="range"
        min="0"
        max="100"
        aria-label={label}
        value={of.value}
        onInput={(event) => (of.value = event.currentTarget.valueAsNumber)}
      />
      <span aria-hidden="true">new</span>
    </div>
  );
}

function Legend() {
  const found = view.differs.value;
  if (!found) return null;
  return (
    <p class="below legend">
      <span class="key changed" />
      {many(found.changed, "changed pixel")}, the most by {found.most} of 255
      <span class="key added" />
      {digits(found.added)} added
      <span class="key removed" />
      {digits(found.removed)} removed
    </p>
  );
}

/** The line below the picture: size, what differs, and the pixel under the pointer. */
export function Figures() {
  const { before, now } = view.pair.value;
  const found = view.differs.value;
  const at = view.pointed.value;
  const { width, height } = view.size.value;
  const differ = found ? found.changed + found.added + found.removed : 0;
  const [a, b] = at ? [colorAt(before, at.x, at.y) || "nothing", colorAt(now, at.x, at.y) || "nothing"] : ["", ""];
  return (
    <div class="figures">
      <span>{width ? `${width} \u00d7 ${height}` : "\u2013"}</span>
      <span>
        {found
          ? differ
            ? `${many(differ, "pixel")} ${differ === 1 ? "differs" : "differ"}`
            : "no pixel differs"
          : "\u00a0"}
      </span>
      <span>
        {view.region.value >= 0 && `place ${view.region.value + 1} of `}
        {view.places.value.length > 0 && many(view.places.value.length, "place")}
      </span>
      <span class="spot">
        {at ? `${at.x}, ${at.y}   ${before && now && a !== b ? `${a} \u2192 ${b}` : now ? b : a}` : ""}
      </span>
    </div>
  );
}
