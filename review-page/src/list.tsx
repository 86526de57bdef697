// The list at the left: filters, search, and as many lines as are in sight; decides nothing.
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Row } from "./api";
import { search, show, toggleGrouping } from "./navigation";
import {
  FILTERS,
  type Entry,
  counts,
  cursor,
  entries,
  entry,
  filter,
  grouped,
  opened,
  position,
  query,
  rows,
  toggleGroup,
} from "./state";
import { GLYPHS, Path, digits, many, visible } from "./text";

const LINE = 44; // CSS pixels, as in the style sheet
const MARGIN = 6; // lines beyond what is in sight

export function List() {
  const known = counts.value;
  return (
    <nav class="side" aria-label="Assets">
      <div class="filters" role="group" aria-label="Filter">
        {FILTERS.map((name, n) => (
          <button
            key={name}
            aria-pressed={filter.value === name}
            class={`filter ${name}`}
            disabled={!known[name] && name !== "all"}
            title={`${n + 1}`}
            onClick={() => show(name)}
          >
            {name} <span class="count">{digits(known[name])}</span>
          </button>
        ))}
      </div>
      <div class="search">
        <input
          id="search"
          type="search"
          placeholder="Search"
          title="Search (/)"
          aria-label="Search assets"
          autocomplete="off"
          spellcheck={false}
          value={query.value}
          onInput={(event) => search(event.currentTarget.value)}
          onKeyDown={(event) => event.key === "Enter" && event.currentTarget.blur()}
        />
        <button aria-pressed={grouped.value} title="Identical changes as one line (X)" onClick={toggleGrouping}>
          Group
        </button>
      </div>
      <Lines />
    </nav>
  );
}

function Lines() {
  const ref = useRef<HTMLDivElement>(null);
  const [seen, setSeen] = useState({ top: 0, height: 900 }); // what the box says is kept: to ask it anew costs a layout
  const all = entries.value;
  const at = position.value;

  useLayoutEffect(() => {
    const box = ref.current!;
    const look = () => setSeen({ top: box.scrollTop, height: box.clientHeight });
    look();
    box.addEventListener("scroll", look, { passive: true });
    const observer = new ResizeObserver(look);
    observer.observe(box);
    return () => {
      box.removeEventListener("scroll", look);
      observer.disconnect();
    };
  }, []);
  useLayoutEffect(() => {
    if (at < 0) return;
    const low = (at + 1) * LINE - seen.height;
    const to = at * LINE < seen.top ? at * LINE : low > seen.top ? low : seen.top;
    if (to === seen.top) return;
    ref.current!.scrollTop = to;
    setSeen({ ...seen, top: to });
  }, [at, all, seen.height]);

  const first = Math.max(0, Math.floor(seen.top / LINE) - MARGIN);
  const last = Math.min(all.length, Math.ceil((seen.top + seen.height) / LINE) + MARGIN);
  const inSight = all.slice(first, last);
  const chosen = entry.value;
  const there = chosen && at >= first && at < last;
  return (
    <div
      class="lines"
      ref={ref}
      role="listbox"
      aria-label={`${many(all.length, "line")}`}
      tabindex={0}
      aria-activedescendant={there ? `line-${at}` : undefined}
    >
      <div class="space" role="presentation" style={{ height: `${all.length * LINE}px` }}>
        {inSight.map((each, n) => (
          <Line key={each.id} entry={each} at={first + n} of={all.length} chosen={each.id === cursor.value} />
        ))}
      </div>
    </div>
  );
}

const MARKS: Record<string, [string, string]> = { approve: ["\u2713", "approved"], reject: ["\u2715", "rejected"] };

function Line({ entry, at, of, chosen }: { entry: Entry; at: number; of: number; chosen: boolean }) {
  const row = rows.value.get(entry.path);
  if (!row) return null;
  const group = entry.id.startsWith("g:") ? entry.id.slice(2) : "";
  const decision = group ? together(entry.members) : row.decision;
  const mark = MARKS[decision];
  const said = [
    group
      ? `${entry.members.length} identical changes, such as ${visible(row.path.slice(0, 300))}`
      : visible(row.path.slice(0, 300)),
    row.kind,
    row.violations ? many(row.violations, "violation") : "",
    mark?.[1] ?? "",
    row.comment ? "commented" : "",
  ];
  return (
    <div
      class={`entry${chosen ? " chosen" : ""}${entry.nested ? " nested" : ""}`}
      role="option"
      id={`line-${at}`}
      aria-selected={chosen}
      aria-posinset={at + 1}
      aria-setsize={of}
      aria-label={said.filter(Boolean).join(", ")}
      data-path={entry.path}
      style={{ transform: `translateY(${at * LINE}px)` }}
      onClick={() => (cursor.value = entry.id)}
    >
      <Thumb row={row} />
      <Path path={row.path} />
      <span class="facts">
        {group && (
          <span
            class="members"
            title="Open or close (X)"
            onClick={(event) => {
              event.stopPropagation();
              toggleGroup(group);
            }}
          >
            {opened.value.has(group) ? "\u25be" : "\u25b8"} {"\u00d7"}
            {entry.members.length}
          </span>
        )}
        {row.violations > 0 && (
          <span class="warn" title={many(row.violations, "violation")}>
            !
          </span>
        )}
        {row.comment && (
          <span class="commented" title="Commented">
            {"\u201c"}
          </span>
        )}
        <span class={`kind kind-${row.kind}`} title={row.kind}>
          {GLYPHS[row.kind]}
        </span>
        <span class={`mark ${decision}`}>{mark?.[0] ?? ""}</span>
      </span>
    </div>
  );
}

/** What was decided of all of them, if it is one thing. */
function together(members: string[]): string {
  const found = new Set(members.map((path) => rows.value.get(path)?.decision ?? ""));
  return found.size === 1 ? [...found][0]! : "";
}

function Thumb({ row }: { row: Row }) {
  const [failed, setFailed] = useState("");
  const digest = row.digest || row.baseline;
  if (row.folder || !row.size || !digest || failed === digest)
    return (
      <span class={`thumb none kind-${row.kind}`} aria-hidden="true">
        {GLYPHS[row.kind]}
      </span>
    );
  const big = row.size[0] > 64 || row.size[1] > 64;
  return (
    <span class={`thumb${row.kind === "deleted" ? " gone" : ""}`} aria-hidden="true">
      <img
        src={`/pixels/${digest}.png`}
        alt=""
        width={32}
        height={32}
        decoding="async"
        class={big ? "smooth" : ""}
        onError={() => setFailed(digest)}
      />
    </span>
  );
}
