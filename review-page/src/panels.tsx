// What is shown in the middle instead of a comparison: the steps on the way, and the candidates to pick from.
import { useEffect, useState } from "preact/hooks";
import * as api from "./api";
import type { Candidate, Step } from "./api";
import { again, load } from "./navigation";
import { complain, tell } from "./notices";
import { Pixels, unit } from "./pane";
import { type Picture, picture } from "./pictures";
import { current, detail, details } from "./state";
import { Line, Prose } from "./text";
import * as view from "./view";

const SIDE = 256; // CSS pixels of a picture

/** A picture from the server at a whole zoom that fits. */
function Card({ url, label }: { url: string; label: string }) {
  const [loaded, setLoaded] = useState<{ url: string; of: Picture | null } | null>(null);
  useEffect(() => {
    let wanted = true;
    void picture(url).then((of) => wanted && setLoaded({ url, of }));
    return () => {
      wanted = false;
    };
  }, [url]);
  const of = loaded?.url === url ? loaded.of : null;
  const room = of ? SIDE / Math.max(of.width, of.height) : 1;
  const zoom = (room >= 1 ? Math.floor(room) : room) * unit();
  return (
    <div
      class={`still ${view.background.value}`}
      style={view.background.value === "tint" ? { backgroundColor: view.tint.value } : {}}
    >
      {of ? (
        <Pixels
          of={of}
          label={label}
          class={zoom < 1 ? "smooth" : ""}
          style={{ width: `${of.width * zoom}px`, height: `${of.height * zoom}px` }}
        />
      ) : (
        <span class="dim">{loaded ? "not here" : "\u2026"}</span>
      )}
      {of && (
        <span class="sized">
          {of.width} {"\u00d7"} {of.height}
        </span>
      )}
    </div>
  );
}

export function Steps() {
  const path = current.value?.path ?? "";
  const [found, setFound] = useState<{ path: string; steps: Step[] | null }>({ path: "", steps: null });
  useEffect(() => {
    if (!path) return;
    let wanted = true;
    setFound({ path, steps: null });
    api.steps(path).then(
      (steps) => wanted && setFound({ path, steps }),
      (error: unknown) => {
        complain(error);
        if (wanted) setFound({ path, steps: [] });
      },
    );
    return () => {
      wanted = false;
    };
  }, [path]);
  if (found.path !== path || !found.steps)
    return <p class="empty">Making the steps again from what is kept{"\u2026"}</p>;
  if (!found.steps.length) return <p class="empty">Nothing of the way to this picture is kept.</p>;
  return (
    <ol class="cards steps" aria-label="Steps on the way" tabindex={0}>
      {found.steps.map((step, n) => (
        <li key={n}>
          <Card url={step.url} label={step.name} />
          <p>
            <Line text={step.name} />
          </p>
        </li>
      ))}
    </ol>
  );
}

export function Candidates() {
  const about = detail.value;
  if (!about) return null;
  if (!about.candidates.length) return <p class="empty">It has no candidates.</p>;
  const all = [...about.candidates].sort((a, b) => a.rank - b.rank || a.seed - b.seed);
  const best = Object.fromEntries(
    Object.keys(all[0]!.scores).map((name) => [name, Math.max(...all.map((each) => Math.abs(each.scores[name] ?? 0)))]),
  );
  return (
    <ul class="cards candidates" aria-label="Candidates, the suggested order first" tabindex={0}>
      {all.map((each) => (
        <CandidateCard key={each.seed} of={each} best={best} />
      ))}
    </ul>
  );
}

function CandidateCard({ of, best }: { of: Candidate; best: Record<string, number> }) {
  const name = `seed ${of.seed}`;
  return (
    <li class={of.picked ? "picked" : ""}>
      <Card url={of.url} label={`Candidate, ${name}`} />
      <p class="title">
        <strong>{of.rank}.</strong> {name} {of.picked && <span class="badge">picked</span>}
      </p>
      {of.words && (
        <p class="dim">
          <Prose text={of.words} />
        </p>
      )}
      <dl class="scores">
        {Object.entries(of.scores).map(([score, value]) => [
          <dt key={score}>
            <Line text={score.replaceAll("_", " ")} />
          </dt>,
          <dd key={`${score}=`}>
            <meter min={0} max={best[score] || 1} value={Math.abs(value)} aria-label={score} />{" "}
            {Number(value.toFixed(3))}
          </dd>,
        ])}
      </dl>
      <button disabled={of.picked} onClick={() => void pick(of)}>
        {of.picked ? "Picked" : `Pick ${name}`}
      </button>
    </li>
  );
}

async function pick(of: Candidate): Promise<void> {
  const about = detail.value;
  if (!about) return;
  try {
    const digest = of.digest ?? /[0-9a-f]{64}/.exec(of.url)?.[0] ?? "";
    const { candidates } = await api.pick(about.target, of.seed, digest);
    details.value = new Map(details.value).set(about.path, { ...about, candidates });
    tell(`Seed ${of.seed} is picked. The next build installs it.`);
    await load();
    await again(about.path);
    view.tab.value = "candidates";
  } catch (error) {
    complain(error);
  }
}
