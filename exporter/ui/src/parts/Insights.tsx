import { Progress, Skeleton, Text, UnstyledButton } from "@mantine/core";
import { useMemo } from "react";

import { useAnswer } from "../api/fetch";
import type { Breakdown, BreakdownRow, Summary, Timeseries } from "../api/types";
import { forecastMonth } from "../forecast";
import { count, money, named, percent } from "../format";
import { apiUrl, dateIn, type ViewControl } from "../view";
import { Card } from "./Card";
import { Failed } from "./States";

/** The cost statuses of calls whose model has no known price. */
const WITHOUT_PRICE = ["unpriced", "estimated"];
const MOVERS = 4;

/** What the month will have cost. */
export function MonthEnd({ control, tick }: { control: ViewControl; tick: number }) {
  const { view } = control;
  const zone = view.zone;
  const firstOfMonth = dateIn(zone, { firstOfMonth: true });
  const today = dateIn(zone);
  const url = apiUrl(view, "timeseries", { from: dateIn(zone, { days: -31 }), tz: zone, interval: "day" }, false);
  const answer = useAnswer<Timeseries>(url, tick);
  const forecast = useMemo(() => {
    if (!answer.data) return null;
    const [year, month] = firstOfMonth.split("-").map(Number) as [number, number];
    const dateOf = (iso: string) => new Intl.DateTimeFormat("en-CA", { timeZone: zone, dateStyle: "short" }).format(new Date(iso));
    return forecastMonth(answer.data, firstOfMonth, new Date(Date.UTC(year, month, 0)).getUTCDate(), today, dateOf);
  }, [answer.data, firstOfMonth, today, zone]);
  return (
    <Card title="This month" api={url}>
      {answer.error && !answer.data ? (
        <Failed error={answer.error} retry={answer.retry} />
      ) : !answer.data ? (
        <Skeleton height={92} />
      ) : forecast ? (
        <>
          <div className="figure">{money(forecast.expected)}</div>
          <Text size="sm" c="dimmed" mb={10}>
            expected at month end, between {money(forecast.low)} and {money(forecast.high)}
          </Text>
          <Progress
            value={forecast.expected ? (100 * forecast.soFar) / forecast.expected : 0}
            aria-label={`${money(forecast.soFar)} spent of ${money(forecast.expected)} expected`}
            size="md"
          />
          <Text size="xs" c="dimmed" mt={6}>
            {money(forecast.soFar)} spent, {forecast.daysLeft} {forecast.daysLeft === 1 ? "day" : "days"} left
          </Text>
        </>
      ) : (
        <Text size="sm" c="dimmed" className="quiet">
          The forecast starts after four whole days of calls.
        </Text>
      )}
    </Card>
  );
}

interface Mover {
  group: BreakdownRow["group"];
  moved: number;
}

/** Models and actions that are gone have moved too. */
function moversOf(now: Breakdown, before: Breakdown): Mover[] {
  const movers = new Map<string, Mover>();
  const add = (rows: BreakdownRow[], sign: 1 | -1) => {
    for (const { group, cost } of rows) {
      const key = JSON.stringify(group);
      movers.set(key, { group, moved: (movers.get(key)?.moved ?? 0) + sign * cost });
    }
  };
  add(now.rows, 1);
  add(before.rows, -1);
  return [...movers.values()]
    .filter(({ moved }) => Math.abs(moved) > 0.00005)
    .sort((a, b) => Math.abs(b.moved) - Math.abs(a.moved))
    .slice(0, MOVERS);
}

/** The largest changes in cost against the period before, by model and action. */
export function WhatChanged({ control, before, tick }: { control: ViewControl; before: Summary["previous"]; tick: number }) {
  const { view, change } = control;
  const groups = { group_by: ["model", "action"], limit: "1000" };
  const url = apiUrl(view, "breakdown", groups);
  const answer = useAnswer<Breakdown>(url, tick);
  const urlBefore = before ? apiUrl(view, "breakdown", { from: before.from, to: before.to, tz: view.zone, ...groups }, false) : null;
  const earlier = useAnswer<Breakdown>(urlBefore, 0);
  const movers = useMemo(() => (answer.data && earlier.data ? moversOf(answer.data, earlier.data) : []), [answer.data, earlier.data]);
  const largest = Math.max(...movers.map(({ moved }) => Math.abs(moved)), 0);
  return (
    <Card title="What changed" note="vs. period before" api={url}>
      {answer.error && !answer.data ? (
        <Failed error={answer.error} retry={answer.retry} />
      ) : !answer.data || !earlier.data ? (
        <Skeleton height={190} />
      ) : movers.length === 0 ? (
        <Text size="sm" c="dimmed" className="quiet">
          Nothing cost noticeably more or less.
        </Text>
      ) : (
        <ul className="movers">
          {movers.map(({ group: { model, action }, moved }) => {
            return (
              <li key={`${String(model)} ${String(action)}`}>
                <UnstyledButton
                  className="mover"
                  onClick={() =>
                    change({
                      filters: [
                        ...view.filters.filter((filter) => filter.dimension !== "model" && filter.dimension !== "action"),
                        { dimension: "model", value: String(model ?? ""), exclude: false },
                        { dimension: "action", value: String(action ?? ""), exclude: false },
                      ],
                    })
                  }
                >
                  <span className="mover-name">
                    <span className="clip">{named(model)}</span>
                    <span className="dim clip">{named(action)}</span>
                  </span>
                  <span className={moved > 0 ? "number up" : "number down"}>
                    {moved > 0 ? "+" : "−"}
                    {money(Math.abs(moved))}
                  </span>
                  <span
                    className={moved > 0 ? "mover-bar bar-up" : "mover-bar bar-down"}
                    style={{ width: `${largest ? Math.max(2, (100 * Math.abs(moved)) / largest) : 0}%` }}
                    aria-hidden="true"
                  />
                </UnstyledButton>
              </li>
            );
          })}
        </ul>
      )}
    </Card>
  );
}

/** How far the cost can be trusted: the share of calls whose cost is known, and the models without a price. */
export function Coverage({ control, summary, tick }: { control: ViewControl; summary: Summary | null; tick: number }) {
  const { view, change } = control;
  const uncosted = summary ? summary.totals.requests - summary.totals.priced_requests : 0;
  const asks = uncosted > 0 && !view.filters.some((filter) => filter.dimension === "cost_status");
  const answer = useAnswer<Breakdown>(
    asks ? apiUrl(view, "breakdown", { group_by: "model", cost_status: WITHOUT_PRICE, sort: "requests", limit: "3" }) : null,
    tick,
  );
  if (!summary) return <Skeleton height={20} width={340} className="coverage" />;
  const { totals } = summary;
  if (totals.priced_share === null) return null;
  const complete = totals.priced_requests === totals.requests;
  const models = asks && answer.data ? answer.data.rows.length + (answer.data.other?.groups ?? 0) : 0;
  const share = complete ? "100 %" : percent(Math.min(99.9, totals.priced_share));
  return (
    <p className="coverage">
      <span className={complete ? "dot dot-good" : "dot dot-part"} aria-hidden="true" />
      <span>
        <strong>{share} priced</strong>
        {complete ? `: the cost of all ${count(totals.requests)} calls is known.` : models === 0 ? "." : ", "}
        {models > 0 && (
          <>
            <UnstyledButton className="text-link" onClick={() =>
                change({
                  filters: [
                    ...view.filters,
                    ...WITHOUT_PRICE.map((value) => ({ dimension: "cost_status" as const, value, exclude: false })),
                  ],
                })
              }>
              {models} {models === 1 ? "model" : "models"} without a price
            </UnstyledButton>
            {`: ${answer.data?.rows.map((row) => named(row.group["model"])).join(", ")}${models > 3 ? " …" : ""}`}
          </>
        )}
      </span>
    </p>
  );
}
