/** What the month will have cost, by the days so far. */

import type { Timeseries } from "./api/types";

export interface Forecast {
  soFar: number;
  expected: number;
  low: number;
  high: number;
  daysLeft: number;
}

const LOOK_BACK = 14;
const MIN_DAYS = 4;

/**
 * Expect each remaining day to cost what the last 14 whole days did on average; the range is where the sum falls nine
 * times in ten if days vary as they did. Null with fewer than 4 whole days of calls.
 */
export function forecastMonth(daily: Timeseries, firstOfMonth: string, daysInMonth: number, today: string, dateOf: (iso: string) => string): Forecast | null {
  const days = daily.buckets.map((bucket, index) => ({
    date: dateOf(bucket.start),
    cost: daily.series.reduce((sum, one) => sum + (one.points[index]?.cost ?? 0), 0),
  }));
  const soFar = days.filter((day) => day.date >= firstOfMonth).reduce((sum, day) => sum + day.cost, 0);
  const start = days.findIndex((day) => day.cost > 0);
  const whole = start < 0 ? [] : days.slice(start).filter((day) => day.date < today).slice(-LOOK_BACK);
  if (whole.length < MIN_DAYS) return null;
  const mean = whole.reduce((sum, day) => sum + day.cost, 0) / whole.length;
  const variance = whole.reduce((sum, day) => sum + (day.cost - mean) ** 2, 0) / (whole.length - 1);
  const spent = days.find((day) => day.date === today)?.cost ?? 0;
  const daysLeft = daysInMonth - Number(today.slice(8));
  const expected = soFar + daysLeft * mean + Math.max(0, mean - spent);
  const margin = 1.645 * Math.sqrt(variance * (daysLeft + 1) * (1 + (daysLeft + 1) / whole.length));
  return { soFar, expected, low: Math.max(soFar, expected - margin), high: expected + margin, daysLeft };
}
