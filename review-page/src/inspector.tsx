// The column at the right: the decision, what changed, why, and what belongs to it.
import { useLayoutEffect, useRef } from "preact/hooks";
import type { Action, Case, Row } from "./api";
import { comment, decide, decideGroup, undecidable } from "./decisions";
import { sentences } from "./measures";
import { goTo } from "./navigation";
import { current, decidable, detail, group, project, subject } from "./state";
import { KindBadge, Line, Path, Prose, many, value, visible } from "./text";
import * as view from "./view";

const WHY: Partial<Record<Row["kind"], string>> = {
  same: "Nothing changed.",
  new: "It was declared since the last approval.",
  deleted: "Nothing declares it any more.",
};
const MOST_LINES = 200; // of a long list; more can be found by the search

export function Inspector() {
  const row = current.value;
  const about = detail.value;
  if (!row) return <aside class="inspector" aria-label="About the asset" />;
  return (
    <aside class="inspector" aria-label="About the asset">
      <header>
        <h2 title={visible(row.path)}>
          <Path path={row.path} />
        </h2>
        <p class="badges">
          <KindBadge kind={row.kind} />
          <span class={`badge verdict-${row.verdict}`}>{row.verdict}</span>
          {row.target && <Line class="target" text={row.target} />}
        </p>
      </header>
      <Decide row={row} />
      <div class="scroll" tabindex={0} role="region" aria-label="What changed and why">
        <section aria-label="What changed">
          <h3>What changed</h3>
          <p>
            <Prose text={row.words} />
          </p>
          {about && (
            <ul class="facts">
              {sentences(about.measures).map((words) => (
                <li key={words}>
                  <Prose text={words} />
                </li>
              ))}
            </ul>
          )}
        </section>
        {about ? <About about={about} row={row} /> : <p class="dim">Reading{"\u2026"}</p>}
      </div>
    </aside>
  );
}

function Decide({ row }: { row: Row }) {
  const ref = useRef<HTMLTextAreaElement>(null);
  const whole = subject.value.length > 1;
  const together = group(row);
  const open = subject.value.some(decidable);
  const now = whole && new Set(subject.value.map((each) => each.decision)).size > 1 ? "" : row.decision;
  useLayoutEffect(() => {
    const box = ref.current!;
    box.value = row.comment;
    return () => {
      if (!box.readOnly && box.value !== row.comment && document.activeElement === box) comment(row.path, box.value);
    };
  }, [row.path, row.comment]);
  const all = whole ? ` ${subject.value.length}` : "";
  return (
    <section class="decide" aria-label="Decision">
      <div class="buttons">
        <button class="approve" aria-pressed={now === "approve"} disabled={!open} onClick={() => decide("approve")}>
          <kbd>Y</kbd> {now === "approve" ? "Approved" : "Approve"}
          {all}
        </button>
        <button class="reject" aria-pressed={now === "reject"} disabled={!open} onClick={() => decide("reject")}>
          <kbd>N</kbd> {now === "reject" ? "Rejected" : "Reject"}
          {all}
        </button>
      </div>
      {!open && <p class="dim">{undecidable(row)}</p>}
      {!whole && together.length > 1 && (
        <div class="buttons small">
          <button onClick={() => decideGroup("approve")}>
            <kbd>{"\u21e7Y"}</kbd> Approve all {together.length} alike
          </button>
          <button onClick={() => decideGroup("reject")}>
            <kbd>{"\u21e7N"}</kbd> Reject all
          </button>
        </div>
      )}
      <textarea
        id="comment"
        ref={ref}
        rows={2}
        placeholder="Comment (C)"
        aria-label="Comment"
        maxLength={4000}
        readOnly={Boolean(project.value?.read_only)}
        onBlur={(event) => comment(row.path, event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) event.currentTarget.blur();
        }}
      />
    </section>
  );
}

function About({ about, row }: { about: Case; row: Row }) {
  const same = about.same.filter((path) => path !== row.path);
  return (
    <>
      {about.violations.length > 0 && (
        <section class="violations" aria-label="Violations">
          <h3>{many(about.violations.length, "violation")}</h3>
          <ul class="facts">
            {about.violations.map((each, n) => (
              <li key={n}>
                <Prose text={each.words} />{" "}
                <code>
                  <Line text={each.limit} />
                </code>
              </li>
            ))}
          </ul>
        </section>
      )}
      <section aria-label="Why">
        <h3>Why</h3>
        {about.why.length ? (
          <ul class="facts why">
            {about.why.map((words, n) => (
              <li key={n}>
                <Prose text={words} />
              </li>
            ))}
          </ul>
        ) : (
          <p class="dim">{WHY[row.kind] ?? "It is not known why it changed."}</p>
        )}
        {about.declared && (
          <p class="dim declared">
            declared as <Line text={about.declared} />{" "}
            {about.file && (
              <>
                in <Line text={about.line ? `${about.file}:${about.line}` : about.file} />
              </>
            )}
          </p>
        )}
        <Graph actions={about.graph} known={about.why} left={about.graph_left_out ?? 0} />
      </section>
      {about.parts.length > 0 && <Parts about={about} />}
      {same.length > 0 && (
        <section aria-label="Changed identically">
          <h3>{many(same.length, "other")} changed identically</h3>
          <ul class="paths">
            {same.slice(0, MOST_LINES).map((path) => (
              <li key={path}>
                <button class="link" onClick={() => goTo(path)}>
                  <Path path={path} />
                </button>
              </li>
            ))}
          </ul>
          {same.length > MOST_LINES && <p class="dim">and {same.length - MOST_LINES} more</p>}
        </section>
      )}
      <section aria-label="Identity" class="digests">
        <h3>Bytes</h3>
        <dl>
          <dt>now</dt>
          <dd>
            <Digest of={about.digest} none="gone" />
          </dd>
          <dt>baseline</dt>
          <dd>
            <Digest of={about.baseline} none="none" />
          </dd>
          {about.former && (
            <>
              <dt>former</dt>
              <dd>
                <Digest of={about.former} none="none" />
              </dd>
            </>
          )}
        </dl>
      </section>
    </>
  );
}

const Digest = ({ of, none }: { of: string; none: string }) =>
  of ? <code title={of}>{of.slice(0, 16)}</code> : <span class="dim">{none}</span>;

function Graph({ actions, known, left }: { actions: Action[]; known: string[]; left: number }) {
  if (!actions.length) return null;
  return (
    <ol class="graph" aria-label="What it is made by">
      {actions.map((action, n) => {
        const changed = action.params.filter((param) => "was" in param && value(param.was) !== value(param.value));
        const kept = action.params.filter((param) => !changed.includes(param));
        return (
          <li key={n} class={changed.length || action.verdict === "run" ? "changed" : ""}>
            <div class="action">
              <strong>
                <Line text={action.stage} />
              </strong>{" "}
              <Line class="dim" text={action.action} />
            </div>
            {action.reason && !known.includes(action.reason) && (
              <p class="reason">
                <Prose text={action.reason} />
              </p>
            )}
            {changed.map((param) => (
              <p class="param" key={param.name}>
                <code title={visible(param.origin)}>
                  <Line text={param.name} />
                </code>
                <del>
                  <Prose text={value(param.was)} />
                </del>{" "}
                <span aria-label="became">{"\u2192"}</span>{" "}
                <ins>
                  <Prose text={value(param.value)} />
                </ins>
              </p>
            ))}
            {kept.length > 0 && (
              <details>
                <summary>{many(kept.length, changed.length ? "other parameter" : "parameter")}</summary>
                {kept.map((param) => (
                  <p class="param" key={param.name}>
                    <code>
                      <Line text={param.name} />
                    </code>{" "}
                    <Prose text={value(param.value)} />
                  </p>
                ))}
              </details>
            )}
          </li>
        );
      })}
      {left > 0 && <li class="dim">and {many(left, "other action")}</li>}
    </ol>
  );
}

function Parts({ about }: { about: Case }) {
  return (
    <section aria-label="Files">
      <h3>{many(about.parts.length, "file")}</h3>
      <ul class="parts">
        {about.parts.slice(0, MOST_LINES).map((part) => (
          <li key={part.file}>
            <button
              class="link"
              aria-pressed={view.file.value === part.file}
              title={part.words}
              disabled={!about.pages?.some((page) => page.file === part.file)}
              onClick={() => {
                view.frame.value = -1;
                view.file.value = view.file.value === part.file ? "" : part.file;
              }}
            >
              <KindBadge kind={part.kind} /> <Line text={part.file} />
            </button>
            {part.kind !== "same" && (
              <p class="dim">
                <Prose text={part.words} />
              </p>
            )}
          </li>
        ))}
      </ul>
      {about.parts.length > MOST_LINES && <p class="dim">and {about.parts.length - MOST_LINES} more</p>}
    </section>
  );
}
