// The strips below the picture: frames of a sheet or an animation, and the palette.
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Frame } from "./api";
import { difference, only } from "./difference";
import { Pixels } from "./pane";
import { type Picture, cut, picture } from "./pictures";
import { detail } from "./state";
import { Line, digits, many, visible } from "./text";
import * as view from "./view";

const WIDE = 68; // CSS pixels of a frame in the strip, as in the style sheet

export function Frames() {
  const about = detail.value;
  const ref = useRef<HTMLDivElement>(null);
  const [seen, setSeen] = useState({ left: 0, width: 1600 });
  const at = view.frame.value;
  const frames = about?.frames ?? [];
  useLayoutEffect(() => {
    const box = ref.current;
    if (!box) return;
    const look = () => setSeen({ left: box.scrollLeft, width: box.clientWidth });
    look();
    box.addEventListener("scroll", look, { passive: true });
    return () => box.removeEventListener("scroll", look);
  }, [frames.length > 0]);
  useLayoutEffect(() => {
    const box = ref.current;
    if (!box || at < 0) return;
    if (at * WIDE < box.scrollLeft || (at + 1) * WIDE > box.scrollLeft + box.clientWidth) {
      box.scrollLeft = at * WIDE - box.clientWidth / 2;
    }
  }, [at]);
  if (!about || !frames.length) return null;
  const first = Math.max(0, Math.floor(seen.left / WIDE) - 4);
  const last = Math.min(frames.length, Math.ceil((seen.left + seen.width) / WIDE) + 4);
  return (
    <section class="frames" aria-label="Frames">
      <div class="player">
        <button onClick={view.play} aria-pressed={view.playing.value} title="Run or stop (R)">
          {view.playing.value ? "Stop" : "Play"}
        </button>
        <button onClick={() => view.stepFrame(-1)} aria-label="Previous frame" title="Previous frame (,)">
          {"\u2039"}
        </button>
        <button onClick={() => view.stepFrame(1)} aria-label="Next frame" title="Next frame (.)">
          {"\u203a"}
        </button>
        <label>
          <input
            type="number"
            min="1"
            max="60"
            value={view.fps.value || view.declaredFps.value}
            onInput={(event) => (view.fps.value = Math.max(0, Math.min(60, event.currentTarget.valueAsNumber || 0)))}
          />{" "}
          fps
        </label>
        {about.tags.length > 0 && (
          <select
            aria-label="Animation"
            value={view.tagged.value}
            onChange={(event) => {
              view.tagged.value = Number(event.currentTarget.value);
              view.frame.value = about.tags[view.tagged.value]?.from ?? 0;
            }}
          >
            <option value={-1}>all frames</option>
            {about.tags.map((tag, n) => (
              <option key={n} value={n}>
                {visible(tag.name.slice(0, 60))}
              </option>
            ))}
          </select>
        )}
        <button aria-pressed={at < 0} onClick={() => ((view.playing.value = false), (view.frame.value = -1))}>
          Whole sheet
        </button>
        <span class="which">
          {at >= 0 ? (
            <>
              frame {at + 1} of {frames.length} <Line text={frames[at]?.name ?? ""} />
            </>
          ) : (
            many(frames.length, "frame")
          )}
        </span>
      </div>
      <div class="strip" ref={ref} tabindex={0} role="group" aria-label="All frames">
        <div class="space" style={{ width: `${frames.length * WIDE}px` }}>
          {frames.slice(first, last).map((frame, n) => (
            <FrameButton key={first + n} frame={frame} number={first + n} />
          ))}
        </div>
      </div>
    </section>
  );
}

function FrameButton({ frame, number }: { frame: Frame; number: number }) {
  const [sides, setSides] = useState<{ before: Picture | null; now: Picture | null }>({ before: null, now: null });
  useLayoutEffect(() => {
    let current = true;
    const get = async (of: Frame["now"]) => {
      const whole = of ? await picture(of.url) : null;
      return whole && of ? cut(whole, of.rect, of.at, of.source) : null;
    };
    void Promise.all([get(frame.now), get(frame.baseline)]).then(
      ([now, before]) => current && setSides({ now, before }),
    );
    return () => {
      current = false;
    };
  }, [frame]);
  const { before, now } = sides;
  const found = before && now ? difference(before, now) : null;
  const differ = found ? found.changed + found.added + found.removed : 0;
  const words = !frame.baseline ? "new" : !frame.now ? "gone" : differ ? `${differ} px` : "";
  const shown = now ?? before;
  const told = !words ? "the same" : differ ? `${many(differ, "pixel")} ${differ === 1 ? "differs" : "differ"}` : words;
  const zoom = shown ? Math.min(48 / shown.width, 40 / shown.height) : 1;
  return (
    <button
      class={`frame${words ? " differs" : ""}`}
      aria-pressed={view.frame.value === number}
      style={{ left: `${number * WIDE}px` }}
      aria-label={`Frame ${number + 1}, ${visible(frame.name.slice(0, 80))}, ${told}`}
      title={visible(frame.name)}
      onClick={() => ((view.playing.value = false), (view.frame.value = number))}
    >
      <span class="still">
        {shown && (
          <Pixels
            of={shown}
            style={{ width: `${shown.width * fitted(zoom)}px`, height: `${shown.height * fitted(zoom)}px` }}
          />
        )}
      </span>
      <span class="tell">{words || number + 1}</span>
    </button>
  );
}

const fitted = (zoom: number) => (zoom >= 1 ? Math.floor(zoom) : zoom);

type Role = "kept" | "added" | "removed";

export function Palette() {
  const about = detail.value?.palette;
  if (!about || !view.paletteShown.value || !(about.now.length + about.baseline.length)) return null;
  const gone = new Set(about.removed);
  const fresh = new Set(about.added);
  const colors: [string, Role][] = [
    ...about.now.map((hex): [string, Role] => [hex, fresh.has(hex) ? "added" : "kept"]),
    ...about.removed.map((hex): [string, Role] => [hex, "removed"]),
  ];
  const color = view.color.value;
  const { before, now } = view.pair.value;
  const pixels = color
    ? { now: now ? only(now, color).count : 0, before: before ? only(before, color).count : 0 }
    : null;
  return (
    <section class="palette" aria-label="Palette">
      <div class="about">
        <strong>{many(about.now.length, "color")}</strong>
        {fresh.size > 0 && <span class="added">+{fresh.size} added</span>}
        {gone.size > 0 && (
          <span class="removed">
            {"\u2212"}
            {gone.size} removed
          </span>
        )}
        {about.moved.length > 0 && <span>{about.moved.length} moved</span>}
        <span class="which">
          {pixels
            ? `${color}: ${many(pixels.now, "pixel")}${before ? `, ${digits(pixels.before)} in the baseline` : ""}`
            : ""}
        </span>
      </div>
      <div class="colors" role="group" aria-label="Colors">
        {colors.slice(0, 256).map(([hex, role]) => (
          <Color key={`${role}${hex}`} hex={hex} role={role} />
        ))}
        {colors.length > 256 && <span>and {colors.length - 256} more</span>}
      </div>
      {about.moved.length > 0 && (
        <div class="colors moves" role="group" aria-label="Moved colors">
          {about.moved.slice(0, 24).map(([from, to, count], n) => (
            <span class="move" key={n} title={`${from} became ${to} in ${many(count, "pixel")}`}>
              <Color hex={from} role="removed" />
              <span aria-hidden="true">{"\u2192"}</span>
              <Color hex={to} role="added" />
              <span class="count">{digits(count)}</span>
            </span>
          ))}
          {about.moved.length > 24 && <span>and {about.moved.length - 24} more</span>}
        </div>
      )}
    </section>
  );
}

function Color({ hex, role }: { hex: string; role: Role }) {
  const known = /^#[0-9a-f]{6}([0-9a-f]{2})?$/i.test(hex) ? hex : "#000000";
  const words = role === "kept" ? known : `${known}, ${role}`;
  return (
    <button
      class={`color ${role}`}
      aria-label={words}
      title={words}
      aria-pressed={view.held.value === known}
      style={{ backgroundColor: known }}
      onMouseEnter={() => (view.hovered.value = known)}
      onMouseLeave={() => (view.hovered.value = "")}
      onFocus={() => (view.hovered.value = known)}
      onBlur={() => (view.hovered.value = "")}
      onClick={() => (view.held.value = view.held.value === known ? "" : known)}
    />
  );
}
