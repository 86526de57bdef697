// The page of `spritebuild watch`: what is built, as it is built; decides nothing.
import { effect, signal } from "@preact/signals";
import { render } from "preact";
import { Dialog } from "./dialog";
import { BACKS, Picture, SIZES, Shelf, back, columns, page, size, told } from "./shelf";
import {
  FILTERS,
  type Card,
  type Failure,
  type Fault,
  about,
  chosen,
  counts,
  cursor,
  filter,
  listen,
  live,
  move,
  next,
  opened,
  project,
  query,
  shown,
} from "./sheet";
import { Line, Prose, digits, many, visible } from "./text";
import * as theme from "./theme";
import "./watch.css";

const help = signal(false);
const MOST_ROOM = 448; // CSS pixels of a picture that is shown large

function Top() {
  const { state, ran, installed, seconds, saved } = about.value;
  const left = counts.value["at work"];
  const words =
    live.value === "opening"
      ? "opening"
      : live.value !== "live"
        ? "not connected"
        : state === "broken"
          ? "waiting for a save that mends it"
          : state === "building" || left
            ? `building${left ? `, ${digits(left)} to go` : ""}`
            : state === "reading"
              ? "reading"
              : "watching";
  const mood = live.value !== "live" || state === "broken" ? "bad" : state === "watching" ? "good" : "busy";
  const done = ran || installed ? `${many(ran ?? 0, "action")} in ${(seconds ?? 0).toFixed(1)} s` : "nothing to do";
  const after = saved?.length ? `${done} after ${saved[0]}${saved.length > 1 ? ` and ${saved.length - 1} more` : ""}` : done;
  return (
    <header class="top">
      <h1>
        <span class="logo" aria-hidden="true" />
        <Line text={project.value || "spritebuild"} /> <span class="dim">watch</span>
      </h1>
      <div class="progress" role="status">
        <span class={`mood ${mood}`} data-mood={state ?? ""}>
          <span class="dot" aria-hidden="true" />
          {words}
        </span>
        {state === "watching" && <Line text={after} />}
      </div>
      <div class="actions">
        <button
          onClick={theme.toggleTheme}
          title="Dark or light (Shift+T)"
          aria-label={`Use the ${theme.theme.value === "dark" ? "light" : "dark"} theme`}
        >
          {theme.theme.value === "dark" ? "\u2600" : "\u263e"}
        </button>
        <button onClick={() => (help.value = true)} title="Keys (?)" aria-label="Keys">
          ?
        </button>
      </div>
    </header>
  );
}

function Bar() {
  const known = counts.value;
  return (
    <nav class="bar" aria-label="What is shown">
      <div class="filters" role="group" aria-label="Filter">
        {FILTERS.map((name, n) => (
          <button
            key={name}
            class={`filter ${name.replace(" ", "-")}`}
            aria-pressed={filter.value === name}
            title={`${n + 1}`}
            onClick={() => (filter.value = name)}
          >
            {name} <span class="count">{digits(known[name])}</span>
          </button>
        ))}
      </div>
      <input
        id="search"
        type="search"
        placeholder="Search"
        title="Search (/)"
        aria-label="Search sprites"
        autocomplete="off"
        spellcheck={false}
        value={query.value}
        onInput={(event) => (query.value = event.currentTarget.value)}
        onKeyDown={(event) => event.key === "Enter" && event.currentTarget.blur()}
      />
      <div class="sizes" role="group" aria-label="Size">
        <button onClick={() => zoom(-1)} disabled={size.value === 0} title="Smaller (-)" aria-label="Smaller">
          {"\u2212"}
        </button>
        <output class="zoom">{SIZES[size.value]}</output>
        <button onClick={() => zoom(1)} disabled={size.value === SIZES.length - 1} title="Larger (+)" aria-label="Larger">
          +
        </button>
      </div>
      <div class="backs" role="group" aria-label="Background">
        {BACKS.map((name) => (
          <button
            key={name}
            class={`swatch ${name}`}
            aria-pressed={back.value === name}
            aria-label={name}
            title={`${name} (V)`}
            onClick={() => (back.value = name)}
          />
        ))}
      </div>
    </nav>
  );
}

function Mistake({ fault }: { fault: Fault }) {
  const place = fault.line ? `${fault.file}:${fault.line}${fault.column ? `:${fault.column}` : ""}` : fault.file;
  const source = visible(fault.source.replaceAll("\t", " "));
  const margin = " ".repeat(String(fault.line).length);
  return (
    <li>
      <p>
        <code class="place">{visible(place)}</code> <Prose text={fault.message} />
      </p>
      {fault.source && (
        <pre tabindex={0} aria-label={`Line ${fault.line}`}>
          {`${fault.line} | ${source}`}
          {fault.column > 0 && `\n${margin} | ${" ".repeat(fault.column - 1)}${"^".repeat(Math.max(1, fault.width))}`}
        </pre>
      )}
      {fault.hint && <p class="remedy">hint: <Prose text={fault.hint} /></p>}
    </li>
  );
}

function Trouble({ error }: { error: Failure }) {
  return (
    <section class="trouble" role="alert" aria-label="Error" tabindex={0}>
      {error.message && (
        <p>
          {error.where && <code class="place">{visible(error.where)}</code>} <Prose text={error.message} />
        </p>
      )}
      {error.facts.length > 0 && (
        <dl>
          {error.facts.map(([name, value], n) => [
            <dt key={n}>{visible(name)}</dt>,
            <dd key={`${n}=`}>
              <Prose text={value} />
            </dd>,
          ])}
        </dl>
      )}
      {error.faults.length > 0 && (
        <ul>
          {error.faults.map((fault, n) => (
            <Mistake key={n} fault={fault} />
          ))}
        </ul>
      )}
      {error.more > 0 && <p class="dim">and {many(error.more, "more fault")}</p>}
      {error.hint && <p class="remedy">hint: <Prose text={error.hint} /></p>}
    </section>
  );
}

function Large({ card }: { card: Card }) {
  const [badge, kind] = told(card);
  const compared = card.baseline && card.baseline !== card.picture;
  const room = compared ? MOST_ROOM / 1.25 : MOST_ROOM;
  return (
    <Dialog title={visible(card.name)} close={() => (opened.value = false)} wide>
      <div class={`large back-${back.value}`}>
        {compared && (
          <figure>
            <div class="still">
              <Picture key={card.baseline!} digest={card.baseline!} room={room} alt={`${visible(card.name)} as approved`} />
            </div>
            <figcaption>approved</figcaption>
          </figure>
        )}
        <figure>
          <div class="still">
            {card.picture ? (
              <Picture key={card.picture} digest={card.picture} room={room} alt={visible(card.name)} />
            ) : (
              <span class="nothing">{"\u2026"}</span>
            )}
          </div>
          <figcaption>{card.state === "draft" ? "draft" : card.state === "final" ? "now" : "as it was"}</figcaption>
        </figure>
      </div>
      <div class="told">
        {badge && <span class={`flag ${kind}`}>{badge}</span>}
        <code>{visible(card.path)}</code>
        {card.why && (
          <span class="dim">
            <Prose text={card.why} />
          </span>
        )}
      </div>
      {card.error && <pre class="error" tabindex={0}>{visible(card.error).replaceAll("\u240a", "\n")}</pre>}
    </Dialog>
  );
}

function Empty() {
  if (counts.value.all && shown.value.length) return null;
  const none = live.value === "opening" ? "Opening\u2026" : counts.value.all ? "No sprite is like that." : "Nothing is built yet.";
  return <p class="none">{none}</p>;
}

function Page() {
  const error = about.value.error;
  const card = chosen.value;
  return (
    <>
      <Top />
      {(live.value === "lost" || live.value === "ended") && (
        <div class="banner" role="alert">
          {live.value === "lost"
            ? "The connection is lost; it is tried again."
            : "The watch has ended. Start `spritebuild watch` again and open the address it prints."}
        </div>
      )}
      {error && <Trouble error={error} />}
      <main aria-label="Contact sheet">
        <Bar />
        <Empty />
        <Shelf />
      </main>
      {opened.value && card && <Large key={card.name} card={card} />}
      {help.value && (
        <Dialog title="Keys" close={() => (help.value = false)}>
          <dl class="shortcuts">
            {KEYS.map(({ shown, words }) => [
              <dt key={shown}>
                {shown.split(/(, | \u2026 )/).map((part, n) => (n % 2 ? part : <kbd key={n}>{part}</kbd>))}
              </dt>,
              <dd key={`${shown}=`}>{words}</dd>,
            ])}
          </dl>
        </Dialog>
      )}
    </>
  );
}

function zoom(by: number): void {
  size.value = Math.max(0, Math.min(SIZES.length - 1, size.value + by));
}

interface Key {
  keys: string[];
  shown: string;
  words: string;
  run: (event: KeyboardEvent) => void;
}
const key = (keys: string, shown: string, words: string, run: Key["run"]): Key => ({
  keys: keys.split(" or "),
  shown,
  words,
  run,
});
const KEYS: Key[] = [
  key("arrowright or l", "\u2192, L", "next sprite", () => move(1)),
  key("arrowleft or h", "\u2190, H", "previous sprite", () => move(-1)),
  key("arrowdown or j", "\u2193, J", "the one below", () => move(columns.value)),
  key("arrowup or k", "\u2191, K", "the one above", () => move(-columns.value)),
  key("pagedown", "Page Down", "a page further", () => move(columns.value * page.value)),
  key("pageup", "Page Up", "a page back", () => move(-columns.value * page.value)),
  key("home", "Home", "first", () => move(-Infinity)),
  key("end", "End", "last", () => move(Infinity)),
  key("n", "N", "next that changed, is new or failed", () => next((card) => !["", "draft"].includes(told(card)[0]))),
  key("enter or  ", "Enter, Space", "large, beside what was approved", () => (opened.value = Boolean(chosen.value))),
  key("1 or 2 or 3 or 4 or 5 or 6", "1 \u2026 6", "all, at work, drafts, changed, new, failed", (event) => {
    filter.value = FILTERS[Number(event.key) - 1]!;
  }),
  key("/", "/", "search", () => document.querySelector<HTMLElement>("#search")?.focus()),
  key("+ or =", "+", "larger", () => zoom(1)),
  key("-", "-", "smaller", () => zoom(-1)),
  key("v", "V", "next background", () => (back.value = BACKS[(BACKS.indexOf(back.value) + 1) % BACKS.length]!)),
  key("shift+t", "Shift+T", "dark or light", theme.toggleTheme),
  key("?", "?", "this help", () => (help.value = true)),
  key("escape", "Esc", "back, from anywhere", () => {
    (document.activeElement as HTMLElement | null)?.blur();
    cursor.value = "";
  }),
];
const bound = new Map(KEYS.flatMap((each) => each.keys.map((name) => [name, each] as const)));
const WALKS = /^(arrow(left|right)|h|l|n)$/; // what goes on where a picture is shown large

function press(event: KeyboardEvent): void {
  if (event.altKey || event.ctrlKey || event.metaKey || event.defaultPrevented) return;
  const on = event.target;
  const plain = event.key.toLowerCase();
  const name = event.shiftKey && /^[a-z]$/.test(plain) ? `shift+${plain}` : plain;
  if (on instanceof HTMLElement && on.matches("input") && name !== "escape") return;
  if (on instanceof HTMLElement && on.matches("button") && (name === " " || name === "enter")) return;
  if (document.querySelector("dialog[open]") && !(opened.value && WALKS.test(name))) return;
  const found = bound.get(name);
  if (!found) return;
  event.preventDefault();
  found.run(event);
}

theme.follow();
listen();
window.addEventListener("keydown", press);
effect(() => {
  if (!chosen.value) opened.value = false;
});
render(<Page />, document.getElementById("app")!);
