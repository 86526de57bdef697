// Puts the page together and starts it.
import { render } from "preact";
import "./app.css";
import { canRedo, canUndo, pending, redo, refresh, saved, saving, undo, watch } from "./decisions";
import { Help, Save } from "./dialogs";
import { Inspector } from "./inspector";
import { help, listen } from "./keys";
import { List } from "./list";
import * as navigation from "./navigation";
import { dismiss, notice } from "./notices";
import { Candidates, Steps } from "./panels";
import { current, decided, counts, project, rows, undecided, unsaved } from "./state";
import { Frames, Palette } from "./strips";
import { Line, Prose, digits, many } from "./text";
import * as theme from "./theme";
import * as view from "./view";
import { Compare, Figures, Tools } from "./viewer";

const LOOK_AGAIN = 5000; // milliseconds

function Top() {
  const about = project.value;
  const { approved, rejected } = decided.value;
  const left = counts.value.undecided;
  const total = left + [...rows.value.values()].filter((row) => row.decision && !undecided(row)).length;
  return (
    <header class="top">
      <h1>
        <span class="logo" aria-hidden="true" />
        <Line text={about?.project ?? "spritebuild"} /> <span class="dim">review</span>
      </h1>
      <div class="progress" role="status" aria-busy={pending.value > 0}>
        <progress max={total || 1} value={total ? total - left : 1} aria-label="Decided" />
        <span>{left ? `${digits(left)} undecided` : total ? "all decided" : "nothing to decide"}</span>
        {approved > 0 && <span class="approved">{digits(approved)} approved</span>}
        {rejected > 0 && <span class="rejected">{digits(rejected)} rejected</span>}
      </div>
      <div class="actions">
        {unsaved.value > 0 && (
          <span class="unsaved" title="Approved, but not yet in the lock">
            {many(unsaved.value, "unsaved approval")}
          </span>
        )}
        <button onClick={undo} disabled={!canUndo.value} title="Undo (U)">
          Undo
        </button>
        <button onClick={redo} disabled={!canRedo.value} title="Redo (Shift+U)">
          Redo
        </button>
        <button
          class="primary"
          onClick={() => ((saved.value = null), (saving.value = "asked"))}
          title="Save the approvals to the lock (Ctrl+S)"
        >
          Save{"\u2026"}
        </button>
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

function Banners() {
  const about = project.value;
  const said = notice.value;
  return (
    <>
      {about?.stale && (
        <div class="banner" role="alert">
          The project changed since it was read here. <button onClick={() => void refresh()}>Read it again</button>
        </div>
      )}
      {about?.notes.map((note, n) => (
        <div class="banner note" key={n}>
          <Prose text={note} />
        </div>
      ))}
      <div
        class="toasts"
        role={said?.kind === "error" ? "alert" : "status"}
        aria-live={said?.kind === "error" ? "assertive" : "polite"}
      >
        {said && (
          <div class={`toast ${said.kind}`}>
            <div>
              <Prose text={said.words} />
              {said.hint && (
                <p class="dim">
                  <Prose text={said.hint} />
                </p>
              )}
            </div>
            <button onClick={dismiss} aria-label="Dismiss">
              {"\u2715"}
            </button>
          </div>
        )}
      </div>
    </>
  );
}

function Middle() {
  const tab = view.tab.value;
  return (
    <main aria-label={current.value ? "The picture" : "No picture"}>
      <Tools />
      <div class="stage">{tab === "steps" ? <Steps /> : tab === "candidates" ? <Candidates /> : <Compare />}</div>
      {tab === "compare" && <Figures />}
      {tab === "compare" && <Frames />}
      {tab === "compare" && <Palette />}
    </main>
  );
}

function Page() {
  return (
    <>
      <Top />
      <Banners />
      <div class="columns">
        <List />
        <Middle />
        <Inspector />
      </div>
      <Help />
      <Save />
    </>
  );
}

theme.follow();
view.follow();
navigation.follow();
listen();
render(<Page />, document.getElementById("app")!);
void navigation.load();
setInterval(() => void watch(), LOOK_AGAIN);
document.addEventListener("visibilitychange", () => void watch());
