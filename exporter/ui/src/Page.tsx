import { useDocumentVisibility } from "@mantine/hooks";
import { lazy, Suspense, useCallback, useEffect, useState } from "react";

import { useAnswer } from "./api/fetch";
import type { Breakdown, Meta, Summary, Timeseries } from "./api/types";
import { CallDrawer } from "./parts/CallDrawer";
import { FilterBar, inWords } from "./parts/Filters";
import { FirstRun } from "./parts/FirstRun";
import { Header } from "./parts/Header";
import { Coverage, MonthEnd, WhatChanged } from "./parts/Insights";
import { NewestCalls } from "./parts/NewestCalls";
import { Palette } from "./parts/Palette";
import { RankedTable, tableUrl } from "./parts/RankedTable";
import { Failed, Nothing } from "./parts/States";
import { Tiles } from "./parts/Tiles";
import { apiUrl, isOpenEnded, useView, type View, writeView } from "./view";

// The drawing library is two thirds of the code: the figures are there before it.
const TimeChart = lazy(() => import("./parts/TimeChart"));

const REFRESH_MS = 30_000;
const WAIT_FOR_FIRST_MS = 2_000;
const STACKED = "7";

function useTick(view: View, waiting: boolean): [number, () => void] {
  const [tick, setTick] = useState(0);
  const isSeen = useDocumentVisibility() === "visible";
  const open = isOpenEnded(view);
  useEffect(() => {
    if (!isSeen || (!open && !waiting)) return;
    const timer = setInterval(() => setTick((number) => number + 1), waiting ? WAIT_FOR_FIRST_MS : REFRESH_MS);
    return () => clearInterval(timer);
  }, [isSeen, open, waiting]);
  return [tick, useCallback(() => setTick((number) => number + 1), [])];
}

const howMany = (users: Breakdown | null): number | null => (users ? users.rows.length + (users.other?.groups ?? 0) : null);

/** Admin → AI Usage: how much, is that more than before, who, on what, and how sure is it. */
export function Page() {
  const control = useView();
  const { view, change } = control;
  const [isEmpty, setEmpty] = useState(false);
  const [tick, refresh] = useTick(view, isEmpty);
  useEffect(() => change({}, { replace: true }), [change]);

  const chartUrl = apiUrl(view, "timeseries", { group_by: view.group, limit: STACKED });
  const meta = useAnswer<Meta>("/api/admin/ai-usage/meta", tick);
  const summary = useAnswer<Summary>(apiUrl(view, "summary", { top_users: "0" }), tick);
  const chart = useAnswer<Timeseries>(chartUrl, tick);
  const table = useAnswer<Breakdown>(tableUrl(view, "breakdown"), tick);
  const isFiltered = view.filters.length > 0 || view.success !== null;
  // Unfiltered, users are counted from their sums at any size; calls of nobody then count as one more.
  const counted: Record<string, string> = { group_by: "user", limit: "1", ...(isFiltered ? { not_user: "" } : {}) };
  const users = useAnswer<Breakdown>(apiUrl(view, "breakdown", counted), tick);
  const before = summary.data?.previous;
  const usersBefore = useAnswer<Breakdown>(
    before
      ? apiUrl(view, "breakdown", { from: before.from, to: before.to, tz: view.zone, ...counted }, false)
      : null,
    0,
  );
  useEffect(() => {
    if (meta.data) setEmpty(meta.data.first_call === null);
  }, [meta.data]);
  useEffect(() => {
    document.title = writeView(view).includes("service=") ? `AI Usage – ${view.filters.map((one) => one.value).join(", ")}` : "AI Usage";
  }, [view]);

  const isNothing = summary.data !== null && !summary.loading && summary.data.totals.requests === 0;
  const now = howMany(users.data);
  return (
    <>
      <Header meta={meta.data} at={summary.at} zone={view.zone} />
      <Palette meta={meta.data} control={control} refresh={refresh} />
      <main className="page" aria-busy={summary.loading || chart.loading || table.loading}>
        {isEmpty && meta.data ? (
          <FirstRun meta={meta.data} />
        ) : (
          <>
            <FilterBar meta={meta.data} control={control} refresh={refresh} loading={summary.loading} />
            {summary.data && <p className="print-only">{inWords(view, summary.data.from, summary.data.to)}</p>}
            {summary.error && <Failed error={summary.error} retry={summary.retry} />}
            {isNothing ? (
              <Nothing filtered={isFiltered} clear={control.clearFilters} widen={() => change({ range: "30d", from: null, to: null })} />
            ) : (
              <>
                <Tiles
                  summary={summary.data}
                  series={chart.data}
                  users={now === null ? null : { now, before: howMany(usersBefore.data) }}
                  showUncosted={() =>
                    change({
                      filters: [
                        ...view.filters.filter((filter) => filter.dimension !== "cost_status"),
                        ...["unpriced", "unmetered", "estimated"].map((value) => ({ dimension: "cost_status" as const, value, exclude: false })),
                      ],
                    })
                  }
                  showFailed={() => change({ success: "false", table: "error_code", sort: "failed", order: "desc" })}
                />
                <Coverage control={control} summary={summary.data} tick={tick} />
                <Suspense fallback={<section className="card chart-place" aria-busy="true" />}>
                  <TimeChart answer={chart} control={control} api={chartUrl} />
                </Suspense>
                <div className="columns">
                  <RankedTable answer={table} control={control} api={tableUrl(view, "breakdown")} />
                  <div className="side">
                    <MonthEnd control={control} tick={tick} />
                    <WhatChanged control={control} before={before ?? null} tick={tick} />
                  </div>
                </div>
                <NewestCalls control={control} tick={tick} />
              </>
            )}
          </>
        )}
      </main>
      <footer className="footer">
        ai-usage {meta.data?.version ?? ""} · figures from this server only ·{" "}
        <a href="/docs">API</a>
      </footer>
      <CallDrawer control={control} />
    </>
  );
}
