// The cards, as many as are in sight, each with its picture at a whole zoom; knows no server.
import { signal } from "@preact/signals";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { type Card, counts, cursor, opened, position, shown } from "./sheet";
import { Line, visible } from "./text";

export const SIZES = [48, 64, 96, 128, 192, 256, 384];
export const size = signal(3);
export const BACKS = ["checker", "black", "white"] as const;
export const back = signal<(typeof BACKS)[number]>("checker");
export const columns = signal(1);
export const page = signal(1); // rows in sight

const AROUND = 16; // CSS pixels beside a picture, as in the style sheet
const BELOW = 52; // for the name, and what is told
const MARGIN = 2; // rows beyond what is in sight

const naturals = new Map<string, [number, number]>(); // of pictures, by digest

/** The size in which a picture is shown in a square: a whole multiple, or smaller where it is larger than that. */
export function fitted([width, height]: [number, number], room: number): [number, number, boolean] {
  const most = Math.max(width, height, 1);
  const zoom = most <= room ? Math.floor(room / most) : room / most;
  return [Math.max(1, width * zoom), Math.max(1, height * zoom), most > room];
}

export function Picture({ digest, room, alt }: { digest: string; room: number; alt: string }) {
  const [natural, setNatural] = useState(naturals.get(digest) ?? null);
  const [missing, setMissing] = useState("");
  const known = naturals.get(digest) ?? natural;
  const [width, height, shrunk] = known ? fitted(known, room) : [0, 0, false];
  if (missing === digest) return <span class="nothing">{"\u2205"}</span>;
  return (
    <img
      src={`/pixels/${digest}.png`}
      alt={alt}
      class={shrunk ? "smooth" : ""}
      style={known ? { width: `${width}px`, height: `${height}px` } : { maxWidth: `${room}px`, opacity: 0 }}
      onLoad={(event) => {
        const { naturalWidth, naturalHeight } = event.currentTarget;
        naturals.set(digest, [naturalWidth, naturalHeight]);
        setNatural([naturalWidth, naturalHeight]);
      }}
      onError={() => setMissing(digest)}
    />
  );
}

const WORDS: Record<string, string> = { final: "", waiting: "waiting", drawing: "drawing", draft: "draft" };

/** What a card's badge says, and what kind of thing that is. */
export function told(card: Card): [string, string] {
  if (card.state === "failed") return ["failed", "failed"];
  if (card.state !== "final") return [WORDS[card.state]!, card.state];
  return card.changed === "changed" ? ["changed", "changed"] : card.changed === "new" ? ["new", "new"] : ["", "same"];
}

export function Shelf() {
  const ref = useRef<HTMLDivElement>(null);
  const [seen, setSeen] = useState({ top: 0, height: 900, width: 1400 });
  const all = shown.value;
  const at = position.value;
  const room = SIZES[size.value]!;
  const wide = room + AROUND;
  const high = room + AROUND + BELOW;
  const across = Math.max(1, Math.floor((seen.width - 12) / wide));
  const inset = Math.max(6, Math.floor((seen.width - across * wide) / 2));

  useLayoutEffect(() => {
    const box = ref.current!;
    const look = () => setSeen({ top: box.scrollTop, height: box.clientHeight, width: box.clientWidth });
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
    columns.value = across;
    page.value = Math.max(1, Math.floor(seen.height / high));
  }, [across, high, seen.height]);
  useLayoutEffect(() => {
    if (at < 0) return;
    const row = Math.floor(at / across);
    const low = (row + 1) * high + 12 - seen.height;
    const to = row * high < seen.top ? row * high : low > seen.top ? low : seen.top;
    if (to !== seen.top) ref.current!.scrollTop = to;
  }, [at, across, high]);

  const first = Math.max(0, Math.floor(seen.top / high) - MARGIN) * across;
  const last = Math.min(all.length, (Math.ceil((seen.top + seen.height) / high) + MARGIN) * across);
  const there = at >= first && at < last;
  return (
    <div
      class={`shelf back-${back.value}`}
      ref={ref}
      id="shelf"
      role="listbox"
      aria-label={`${all.length} of ${counts.value.all} sprites`}
      tabindex={0}
      aria-activedescendant={there ? `card-${at}` : undefined}
    >
      <div
        class="space"
        role="presentation"
        style={{ height: `${Math.ceil(all.length / across) * high + 12}px` }}
      >
        {all.slice(first, last).map((card, n) => {
          const place = first + n;
          const left = inset + (place % across) * wide;
          const top = Math.floor(place / across) * high + 6;
          return (
            <Tile
              key={card.name}
              card={card}
              at={place}
              of={all.length}
              room={room}
              place={`translate(${left}px, ${top}px)`}
              chosen={card.name === cursor.value}
            />
          );
        })}
      </div>
    </div>
  );
}

interface Tiled {
  card: Card;
  at: number;
  of: number;
  room: number;
  place: string;
  chosen: boolean;
}

function Tile({ card, at, of, room, place, chosen }: Tiled) {
  const [badge, kind] = told(card);
  const name = card.name.slice(card.name.indexOf(".") + 1);
  const label = [visible(card.name.slice(0, 300)), badge || "as approved"].join(", ");
  return (
    <div
      class={`tile is-${kind}${chosen ? " chosen" : ""}`}
      role="option"
      id={`card-${at}`}
      aria-selected={chosen}
      aria-posinset={at + 1}
      aria-setsize={of}
      aria-label={label}
      data-name={card.name}
      data-state={card.state}
      data-picture={card.picture ?? ""}
      style={{ transform: place, width: `${room + AROUND}px`, height: `${room + AROUND + BELOW}px` }}
      onClick={() => {
        if (cursor.value === card.name) opened.value = true;
        cursor.value = card.name;
      }}
    >
      <span class="frame" style={{ width: `${room}px`, height: `${room}px` }} aria-hidden="true">
        {card.picture ? (
          <Picture key={card.picture} digest={card.picture} room={room} alt="" />
        ) : (
          <span class="nothing">{card.state === "failed" ? "\u2715" : "\u2026"}</span>
        )}
        {card.pages && card.pages > 1 ? <span class="pages">{card.pages} pages</span> : null}
      </span>
      <Line text={name} class="name" />
      {badge && <span class={`flag ${kind}`}>{badge}</span>}
    </div>
  );
}
