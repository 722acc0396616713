/** What the page shows, kept in its URL: a copied link opens the same page and Back works. */

import { useCallback, useMemo, useSyncExternalStore } from "react";

import { API } from "./api/fetch";

export const DIMENSIONS = ["service", "model", "provider", "user", "action", "error_code", "cost_status"] as const;
export type Dimension = (typeof DIMENSIONS)[number];
export const DIMENSION_NAME: Record<Dimension, string> = {
  service: "Service",
  model: "Model",
  provider: "Provider",
  user: "User",
  action: "Action",
  error_code: "Error",
  cost_status: "Cost status",
};

export type Metric = "cost" | "tokens" | "requests";
export const METRICS: { value: Metric; label: string }[] = [
  { value: "cost", label: "Cost" },
  { value: "tokens", label: "Tokens" },
  { value: "requests", label: "Requests" },
];
export const PRESETS = ["today", "24h", "7d", "30d", "month", "last-month"] as const;
export type Preset = (typeof PRESETS)[number];
export const PRESET_NAME: Record<Preset, string> = {
  today: "Today",
  "24h": "24 h",
  "7d": "7 days",
  "30d": "30 days",
  month: "Month to date",
  "last-month": "Last month",
};

export interface Filter {
  dimension: Dimension;
  /** Empty: calls that have none. */
  value: string;
  exclude: boolean;
}

export interface View {
  range: Preset | "custom";
  from: string | null;
  to: string | null;
  zone: string;
  metric: Metric;
  group: Dimension;
  table: Dimension;
  sort: string;
  order: "asc" | "desc";
  filters: Filter[];
  success: "true" | "false" | null;
  call: string | null;
}

export const LOCAL_ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

function oneOf<T extends string>(value: string | null, allowed: readonly T[], fallback: T): T {
  return allowed.includes(value as T) ? (value as T) : fallback;
}

function knownZone(zone: string | null): string {
  if (!zone) return LOCAL_ZONE;
  try {
    Intl.DateTimeFormat("en", { timeZone: zone });
    return zone;
  } catch {
    return LOCAL_ZONE;
  }
}

export function readView(search: string): View {
  const query = new URLSearchParams(search);
  const from = query.get("from");
  const to = query.get("to");
  const filters = DIMENSIONS.flatMap((dimension) => [
    ...query.getAll(dimension).map((value) => ({ dimension, value, exclude: false })),
    ...query.getAll(`not_${dimension}`).map((value) => ({ dimension, value, exclude: true })),
  ]);
  return {
    range: from ? "custom" : oneOf(query.get("range"), PRESETS, "30d"),
    from,
    to: from ? to : null,
    zone: knownZone(query.get("tz")),
    metric: oneOf(query.get("metric"), ["cost", "tokens", "requests"], "cost"),
    group: oneOf(query.get("by"), DIMENSIONS, "model"),
    table: oneOf(query.get("table"), DIMENSIONS, "service"),
    sort: oneOf(query.get("sort"), ["cost", "requests", "tokens", "failed", "avg_duration_ms", "name"], "cost"),
    order: oneOf(query.get("order"), ["asc", "desc"], "desc"),
    filters,
    success: query.get("success") === "true" ? "true" : query.get("success") === "false" ? "false" : null,
    call: query.get("call"),
  };
}

export function writeView(view: View): string {
  const query = new URLSearchParams();
  if (view.range === "custom" && view.from) {
    query.set("from", view.from);
    if (view.to) query.set("to", view.to);
  } else query.set("range", view.range);
  query.set("tz", view.zone);
  if (view.metric !== "cost") query.set("metric", view.metric);
  if (view.group !== "model") query.set("by", view.group);
  if (view.table !== "service") query.set("table", view.table);
  if (view.sort !== "cost") query.set("sort", view.sort);
  if (view.order !== "desc") query.set("order", view.order);
  appendFilters(query, view);
  if (view.call) query.set("call", view.call);
  return `?${query}`;
}

function appendFilters(query: URLSearchParams, view: View): void {
  for (const { dimension, value, exclude } of view.filters) query.append(exclude ? `not_${dimension}` : dimension, value);
  if (view.success) query.set("success", view.success);
}

/** Today's date in a time zone, as 2026-11-24, moved by whole months or days. */
export function dateIn(zone: string, { days = 0, firstOfMonth = false, months = 0 } = {}): string {
  const [year, month, day] = new Intl.DateTimeFormat("en-CA", { timeZone: zone, dateStyle: "short" })
    .format(new Date())
    .split("-")
    .map(Number) as [number, number, number];
  return new Date(Date.UTC(year, month - 1 + months, firstOfMonth ? 1 : day + days)).toISOString().slice(0, 10);
}

function appendPeriod(query: URLSearchParams, view: View): void {
  const { zone } = view;
  switch (view.range) {
    case "today":
      query.set("from", dateIn(zone));
      break;
    case "24h":
      query.set("days", "1");
      break;
    case "7d":
      query.set("days", "7");
      break;
    case "30d":
      query.set("days", "30");
      break;
    case "month":
      query.set("from", dateIn(zone, { firstOfMonth: true }));
      break;
    case "last-month":
      query.set("from", dateIn(zone, { firstOfMonth: true, months: -1 }));
      query.set("to", dateIn(zone, { firstOfMonth: true }));
      break;
    case "custom":
      query.set("from", view.from ?? dateIn(zone));
      if (view.to) query.set("to", view.to);
  }
  query.set("tz", zone);
}

/** The URL of a question about what the view shows; ``period: false`` leaves the time to ``extra``. */
export function apiUrl(view: View, route: string, extra: Record<string, string | string[]> = {}, period = true): string {
  const query = new URLSearchParams();
  if (period) appendPeriod(query, view);
  for (const [name, value] of Object.entries(extra))
    for (const one of Array.isArray(value) ? value : [value]) query.append(name, one);
  appendFilters(query, view);
  return `${API}/${route}?${query}`;
}

/** Whether the period ends now, so that asking again can give more. */
export function isOpenEnded(view: View): boolean {
  return view.range !== "last-month" && !(view.range === "custom" && view.to);
}

const listeners = new Set<() => void>();
const announce = () => listeners.forEach((listener) => listener());
addEventListener("popstate", announce);

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export type Change = Partial<View>;

/** A way in that leads back out by the browser's own Back. */
type Step = "zoom" | "call";

export interface ChangeOptions {
  replace?: boolean;
  step?: Step;
}

const lastStep = (): Step | null => (history.state as { step?: Step } | null)?.step ?? null;

export interface ViewControl {
  view: View;
  change: (change: Change, options?: ChangeOptions) => void;
  /** Go back out of a zoom; nothing when the page was not zoomed into. */
  zoomOut: () => void;
  closeCall: () => void;
  addFilter: (dimension: Dimension, value: string, exclude?: boolean) => void;
  removeFilter: (filter: Filter) => void;
  clearFilters: () => void;
}

export function useView(): ViewControl {
  const search = useSyncExternalStore(subscribe, () => location.search);
  const view = useMemo(() => readView(search), [search]);
  const change = useCallback((part: Change, options: ChangeOptions = {}) => {
    const next = writeView({ ...readView(location.search), ...part });
    if (next === location.search) return;
    history[options.replace ? "replaceState" : "pushState"]({ step: options.step ?? null }, "", next);
    announce();
  }, []);
  const addFilter = useCallback(
    (dimension: Dimension, value: string, exclude = false) => {
      const filters = readView(location.search).filters.filter(
        (filter) => filter.dimension !== dimension || filter.value !== value,
      );
      change({ filters: [...filters, { dimension, value, exclude }] });
    },
    [change],
  );
  const removeFilter = useCallback(
    (gone: Filter) =>
      change({
        filters: readView(location.search).filters.filter(
          (filter) =>
            filter.dimension !== gone.dimension || filter.value !== gone.value || filter.exclude !== gone.exclude,
        ),
      }),
    [change],
  );
  const clearFilters = useCallback(() => change({ filters: [], success: null }), [change]);
  const zoomOut = useCallback(() => {
    if (lastStep() === "zoom") history.back();
  }, []);
  const closeCall = useCallback(() => {
    if (lastStep() === "call") history.back();
    else change({ call: null }, { replace: true });
  }, [change]);
  return { view, change, zoomOut, closeCall, addFilter, removeFilter, clearFilters };
}
