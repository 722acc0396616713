/** Colours that people with a colour vision deficiency can tell apart (Okabe and Ito, with two of Paul Tol's). */

const SAFE = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#7B6FD0", "#999933"] as const;
export const OTHER_COLOR = "#8E96A3";

function hash(text: string): number {
  let value = 2166136261;
  for (let index = 0; index < text.length; index += 1) value = Math.imul(value ^ text.charCodeAt(index), 16777619);
  return value >>> 0;
}

/** Give each name the colour its hash says; of two that meet, the alphabetically later one takes the next free. */
export function colorsOf(names: readonly string[]): Map<string, string> {
  const taken = new Set<number>();
  const colors = new Map<string, string>();
  for (const name of [...new Set(names)].sort()) {
    let slot = hash(name) % SAFE.length;
    if (taken.size < SAFE.length) while (taken.has(slot)) slot = (slot + 1) % SAFE.length;
    taken.add(slot);
    colors.set(name, SAFE[slot] ?? OTHER_COLOR);
  }
  return colors;
}
