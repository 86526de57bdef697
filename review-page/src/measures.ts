// The numbers behind a change as sentences; knows no page.
import { many, value } from "./text";

type Measures = Record<string, unknown>;

const percent = (share: number) =>
  share > 0 && share < 0.001 ? "less than 0.1 %" : `${Number((share * 100).toFixed(1))} %`;
const AXES: Record<string, string> = { x: "left and right", y: "top and bottom", xy: "both ways" };

/** What the numbers say, one sentence each; those that say nothing are left out, those not known here are named. */
export function sentences(of: Measures): string[] {
  const { pixels, share, delta_e, box, worst, worst_share, axis, by, colors, mapped, size, ...others } = of;
  const said: string[] = [];
  if (isPair(size)) said.push(`The size went from ${sized(size[0])} to ${sized(size[1])}.`);
  if (typeof pixels === "number" && pixels > 0) {
    const part = typeof share === "number" ? `, ${percent(share)} of those that are visible` : "";
    said.push(`${many(pixels, "pixel")} ${pixels === 1 ? "differs" : "differ"} visibly${part}.`);
  }
  if (isNumbers(box, 4)) {
    const [left, top, right, bottom] = box as [number, number, number, number];
    said.push(`They lie within ${right - left} \u00d7 ${bottom - top} pixels at ${left}, ${top}.`);
  }
  if (isNumbers(worst, 2)) {
    const part = typeof worst_share === "number" ? `: ${percent(worst_share)} of the pixels around it differ` : "";
    said.push(`The worst place is ${worst[0]}, ${worst[1]}${part}.`);
  }
  if (typeof delta_e === "number" && delta_e > 0) {
    said.push(
      delta_e >= 100
        ? "Somewhere there is something instead of nothing, or nothing instead of something."
        : `The greatest color difference is \u0394E ${Number(delta_e.toFixed(1))} (2.3 is just noticeable).`,
    );
  }
  if (typeof axis === "string" && axis) said.push(`It was flipped: ${AXES[axis] ?? axis} changed places.`);
  if (isNumbers(by, 2)) said.push(`It moved by ${by[0]} to the right and ${by[1]} down.`);
  if (Array.isArray(colors) && colors.length) {
    const count = typeof mapped === "number" && mapped ? mapped : colors.length;
    said.push(`${many(count, "color became another", "colors became others")}.`);
  }
  for (const [name, each] of Object.entries(others)) {
    const empty = each === null || each === "" || each === false || each === 0 || (Array.isArray(each) && !each.length);
    if (!empty) said.push(`${name.replaceAll("_", " ")}: ${value(each)}`);
  }
  return said;
}

const isPair = (of: unknown): of is [unknown, unknown] => Array.isArray(of) && of.length === 2;
const isNumbers = (of: unknown, length: number): of is number[] =>
  Array.isArray(of) && of.length === length && of.every((each) => typeof each === "number");
const sized = (of: unknown) => (isNumbers(of, 2) ? `${of[0]} \u00d7 ${of[1]}` : value(of));
