/** Numbers and times in words. Money below a cent keeps the digits that matter. */

import type { Timeseries } from "./api/types";

const whole = new Intl.NumberFormat("en-US");
const short = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });

export const count = (value: number): string => whole.format(value);
export const compact = (value: number): string => (Math.abs(value) < 10_000 ? whole.format(value) : short.format(value));

export function money(value: number): string {
  const size = Math.abs(value);
  const digits = size === 0 || size >= 0.1 ? 2 : Math.min(8, Math.max(2, 2 - Math.floor(Math.log10(size))));
  return new Intl.NumberFormat("en-US", {
    style: "currency",
    currency: "USD",
    minimumFractionDigits: 2,
    maximumFractionDigits: digits,
  }).format(value);
}

export const moneyShort = (value: number): string =>
  Math.abs(value) >= 10_000
    ? new Intl.NumberFormat("en-US", { style: "currency", currency: "USD", notation: "compact" }).format(value)
    : money(value).replace(/\.00$/, "");

export const percent = (value: number, digits = 1): string => `${value.toFixed(digits)} %`;

export function duration(ms: number | null): string {
  if (ms === null) return "–";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return ms < 60_000 ? `${(ms / 1000).toFixed(1)} s` : `${(ms / 60_000).toFixed(1)} min`;
}

export function time(iso: string | Date, zone: string, options: Intl.DateTimeFormatOptions): string {
  return new Intl.DateTimeFormat("en-GB", { timeZone: zone, ...options }).format(new Date(iso));
}

export const clock = (iso: string | Date, zone: string): string =>
  time(iso, zone, { hour: "2-digit", minute: "2-digit", second: "2-digit" });

export const moment = (iso: string | Date, zone: string): string =>
  time(iso, zone, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" });

export const exactMoment = (iso: string, zone: string): string =>
  `${time(iso, zone, { dateStyle: "medium", timeStyle: "medium" })} (${zone})`;

/** The label of a step on the axis. */
export function tick(iso: string, interval: Timeseries["interval"], zone: string): string {
  if (interval === "month") return time(iso, zone, { month: "short", year: "numeric" });
  if (interval === "day" || interval === "week") return time(iso, zone, { day: "numeric", month: "short" });
  return time(iso, zone, { hour: "2-digit", minute: "2-digit" });
}

/** The whole step in words. */
export function step(iso: string, interval: Timeseries["interval"], zone: string): string {
  if (interval === "month") return time(iso, zone, { month: "long", year: "numeric" });
  const day = time(iso, zone, { weekday: "short", day: "numeric", month: "short", year: "numeric" });
  if (interval === "week") return `Week of ${day}`;
  return interval === "day" ? day : `${day}, ${time(iso, zone, { hour: "2-digit", minute: "2-digit" })}`;
}

/** What a value is called where calls have none. */
export const named = (value: string | boolean | null | undefined): string =>
  value === null || value === undefined || value === "" ? "(none)" : String(value);

export interface ChangeInWords {
  text: string;
  direction: -1 | 0 | 1;
}

/** The change from ``before`` to ``now`` in percent; null when there was nothing before. */
export function changeOf(now: number, before: number | null | undefined): ChangeInWords | null {
  if (before === null || before === undefined || before === 0) return null;
  const share = (100 * (now - before)) / before;
  if (Math.abs(share) < 0.05) return { text: "±0 %", direction: 0 };
  const size = Math.abs(share);
  const digits = size >= 100 ? 0 : 1;
  const text = size > 9999 ? ">9,999 %" : `${size.toFixed(digits)} %`;
  return { text: `${share > 0 ? "+" : "−"}${text}`, direction: share > 0 ? 1 : -1 };
}
