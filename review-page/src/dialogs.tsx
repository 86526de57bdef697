// The dialogs: the keys, and what saving will write; decides nothing itself.
import type { Row } from "./api";
import { save, saved, saving } from "./decisions";
import { Dialog } from "./dialog";
import { SECTIONS, help } from "./keys";
import { rows } from "./state";
import { Path, Prose, digits, many } from "./text";

const MOST_LISTED = 100;

export function Help() {
  if (!help.value) return null;
  return (
    <Dialog title="Keys" close={() => (help.value = false)}>
      <div class="keys" tabindex={0} role="group" aria-label="All keys">
        {SECTIONS.map((section) => (
          <section key={section.title}>
            <h3>{section.title}</h3>
            <dl>
              {section.bindings.map((binding) => [
                <dt key={binding.shown}>
                  {binding.shown
                    .split(/(, | then | \u2026 )/)
                    .map((part, n) => (n % 2 ? part : <kbd key={n}>{part}</kbd>))}
                </dt>,
                <dd key={`${binding.shown}=`}>{binding.words}</dd>,
              ])}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  );
}

export function Save() {
  if (!saving.value) return null;
  const close = () => {
    saving.value = "";
    saved.value = null;
  };
  const done = saved.value;
  if (done) {
    return (
      <Dialog title="Saved" close={close}>
        <p>
          {many(done.approved, "approval")} {done.approved === 1 ? "is" : "are"} in <code>{done.lock}</code>. Commit it
          to share {done.approved === 1 ? "it" : "them"}.
        </p>
        {done.rejected.length > 0 && (
          <p>
            {many(done.rejected.length, "rejection")} stay on this machine: change the declarations, build, and review
            again.
          </p>
        )}
        <footer>
          <button class="primary" onClick={close} autofocus>
            Go on
          </button>
        </footer>
      </Dialog>
    );
  }
  const all = [...rows.value.values()];
  const approved = all.filter((row) => row.decision === "approve");
  const rejected = all.filter((row) => row.decision === "reject");
  const fresh = approved.filter((row) => row.kind === "new").length;
  const gone = approved.filter((row) => row.kind === "deleted").length;
  const changed = approved.length - fresh - gone;
  const parts = [
    changed && `${many(changed, "baseline")} changed`,
    fresh && `${digits(fresh)} new`,
    gone && `${digits(gone)} removed`,
  ];
  return (
    <Dialog title="Save to the lock" close={close}>
      {approved.length ? (
        <p>
          This writes <strong>{many(approved.length, "approval")}</strong> into{" "}
          <code>lockfiles/sprites.lock</code>:{" "}
          {parts.filter(Boolean).join(", ")}. The bytes that were shown become the baselines; the former ones stay
          visible.
        </p>
      ) : (
        <p>Nothing is approved yet, so there is nothing to write.</p>
      )}
      {rejected.length > 0 && (
        <p>
          {many(rejected.length, "rejection")} {rejected.length === 1 ? "is" : "are"} not written; the check goes on
          failing there.
        </p>
      )}
      <Listed title="Approved" of={approved} />
      <Listed title="Rejected" of={rejected} />
      <footer>
        <a href="/api/decisions" download="decisions.json">
          Download decisions.json
        </a>
        <button onClick={close}>Cancel</button>
        <button
          class="primary"
          disabled={!approved.length || saving.value === "busy"}
          onClick={() => void save()}
          autofocus
        >
          {saving.value === "busy" ? "Saving\u2026" : "Save"}
        </button>
      </footer>
    </Dialog>
  );
}

function Listed({ title, of }: { title: string; of: Row[] }) {
  if (!of.length) return null;
  return (
    <details open={of.length <= 12}>
      <summary>
        {title}: {digits(of.length)}
      </summary>
      <ul class="paths">
        {of.slice(0, MOST_LISTED).map((row) => (
          <li key={row.path}>
            <Path path={row.path} />
            {row.comment && (
              <p class="dim">
                <Prose text={row.comment} />
              </p>
            )}
          </li>
        ))}
      </ul>
      {of.length > MOST_LISTED && <p class="dim">and {digits(of.length - MOST_LISTED)} more</p>}
    </details>
  );
}
