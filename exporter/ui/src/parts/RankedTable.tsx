import { Skeleton, Tabs, Text, UnstyledButton } from "@mantine/core";

import type { Answer } from "../api/fetch";
import type { Breakdown, BreakdownRow } from "../api/types";
import { changeOf, compact, count, duration, money, named, percent } from "../format";
import { apiUrl, type Dimension, DIMENSION_NAME, type View, type ViewControl } from "../view";
import { Card } from "./Card";
import { Failed } from "./States";

const TABS: { value: Dimension; label: string }[] = [
  { value: "service", label: "Services" },
  { value: "model", label: "Models" },
  { value: "provider", label: "Providers" },
  { value: "user", label: "Users" },
  { value: "action", label: "Actions" },
  { value: "error_code", label: "Errors" },
];

const TABLE_ROWS = "25";

/** The question behind the table; errors are counted among the calls that failed. */
export function tableUrl(view: View, route: "breakdown" | "breakdown.csv", limit = TABLE_ROWS): string {
  const asked = view.table === "error_code" ? { ...view, success: view.success ?? ("false" as const) } : view;
  const compare: Record<string, string> = route === "breakdown" ? { compare: "previous" } : {};
  return apiUrl(asked, route, { group_by: view.table, sort: view.sort, order: view.order, limit, ...compare });
}

function rowName(row: BreakdownRow, dimension: Dimension): string {
  const value = row.group[dimension];
  return dimension === "user" && row.user_email ? row.user_email : named(value);
}

/** Who and what used it, largest first; a row leads to the page of that row alone. */
export function RankedTable({ answer, control, api }: { answer: Answer<Breakdown>; control: ViewControl; api: string }) {
  const { view, change, addFilter } = control;
  const dimension = view.table;
  const isErrors = dimension === "error_code";
  const { data } = answer;
  // While another dimension is being fetched the rows are still those of the one before.
  const shown = data?.group_by[0] ?? dimension;
  const columns: [string, string][] = [
    ["name", DIMENSION_NAME[dimension]],
    ...((isErrors ? [["failed", "Failed"]] : [["cost", "Cost"], ["requests", "Requests"]]) as [string, string][]),
    ["tokens", "Tokens"],
    ["avg_duration_ms", "Time"],
  ];
  const most = Math.max(0, ...(data?.rows.map((row) => (isErrors ? row.failed : row.cost)) ?? []));
  const sortBy = (column: string) =>
    change({ sort: column, order: view.sort === column && view.order === "desc" ? "asc" : column === "name" && view.sort !== column ? "asc" : "desc" });
  // Where only successes are asked for, the table of errors is empty.
  const rows = isErrors ? data?.rows.filter((row) => row.failed > 0) : data?.rows;
  const showOnly = (value: string) => {
    if (isErrors && value === "") change({ success: "false", filters: [...view.filters, { dimension, value, exclude: false }] });
    else addFilter(shown, value);
  };
  return (
    <Card
      title="Who and what"
      api={api}
      downloads={[
        { label: "This table (CSV)", href: tableUrl(view, "breakdown.csv") },
        ...(data?.other ? [{ label: "All of its rows (CSV)", href: tableUrl(view, "breakdown.csv", "1000") }] : []),
        { label: "Every call behind it (CSV)", href: apiUrl(view, "export.csv") },
        { label: "Every call behind it (Parquet)", href: apiUrl(view, "export.parquet") },
      ]}
    >
      <Tabs
        value={dimension}
        onChange={(table) => table && change({ table: table as Dimension, sort: table === "error_code" ? "failed" : "cost", order: "desc" })}
        mb="xs"
      >
        <Tabs.List className="tabs">
          {TABS.map((tab) => (
            <Tabs.Tab key={tab.value} value={tab.value}>
              {tab.label}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        <Tabs.Panel value={dimension} tabIndex={-1}>
          {answer.error && !data ? (
            <Failed error={answer.error} retry={answer.retry} />
          ) : (
            <div className="scroll" tabIndex={0} role="region" aria-label={`Usage by ${DIMENSION_NAME[dimension].toLowerCase()}`}>
              <table className={answer.loading ? "ranked stale" : "ranked"}>
                <thead>
                  <tr>
                    {columns.map(([column, label]) => (
                      <th
                        key={column}
                        scope="col"
                        className={column === "name" ? "" : column === "tokens" || column === "avg_duration_ms" ? "right wide-only" : column === "requests" ? "right phone-off" : "right"}
                        aria-sort={view.sort === column ? (view.order === "desc" ? "descending" : "ascending") : "none"}
                      >
                        <UnstyledButton className="sort" onClick={() => sortBy(column)}>
                          {label}
                          <span aria-hidden="true">{view.sort === column ? (view.order === "desc" ? " ↓" : " ↑") : ""}</span>
                        </UnstyledButton>
                      </th>
                    ))}
                    <th scope="col" className="right">
                      Change
                    </th>
                  </tr>
                </thead>
                <tbody>
                  {!data &&
                    Array.from({ length: 6 }, (_, index) => (
                      <tr key={index}>
                        <td colSpan={6}>
                          <Skeleton height={20} />
                        </td>
                      </tr>
                    ))}
                  {rows?.map((row) => {
                    const value = row.group[shown];
                    const size = isErrors ? row.failed : row.cost;
                    const moved = changeOf(size, isErrors ? row.previous?.failed : row.previous?.cost);
                    const name = rowName(row, shown);
                    return (
                      <tr key={String(value)}>
                        <th scope="row" className="name-cell">
                          <span className="share-bar" style={{ width: `${most ? (100 * size) / most : 0}%` }} aria-hidden="true" />
                          <UnstyledButton
                            className="row-link"
                            onClick={() => showOnly(value === null || value === undefined ? "" : String(value))}
                            title={`Show only ${name}`}
                          >
                            {name}
                          </UnstyledButton>
                        </th>
                        {isErrors ? (
                          <td className="right strong">{count(row.failed)}</td>
                        ) : (
                          <td className="right strong" title={`${row.cost_usd} USD`}>
                            {money(row.cost)} <span className="dim share-note">{percent(row.cost_share)}</span>
                          </td>
                        )}
                        {!isErrors && (
                          <td className="right phone-off" title={count(row.requests)}>
                            {compact(row.requests)}
                          </td>
                        )}
                        <td className="right wide-only" title={count(row.tokens)}>
                          {compact(row.tokens)}
                        </td>
                        <td className="right wide-only">{duration(row.avg_duration_ms)}</td>
                        <td className="right">
                          <span className={moved && moved.direction > 0 ? "up" : moved && moved.direction < 0 ? "down" : "dim"}>
                            {moved ? moved.text : row.previous && row.previous.requests > 0 ? "–" : "new"}
                          </span>
                        </td>
                      </tr>
                    );
                  })}
                  {data?.other && data.other.requests > 0 && (
                    <tr className="other-row">
                      <th scope="row">{count(data.other.groups)} more</th>
                      {isErrors ? (
                        <td className="right">{count(data.other.failed)}</td>
                      ) : (
                        <>
                          <td className="right">
                            {money(data.other.cost)} <span className="dim share-note">{percent(data.other.cost_share)}</span>
                          </td>
                          <td className="right phone-off">{compact(data.other.requests)}</td>
                        </>
                      )}
                      <td className="right wide-only">{compact(data.other.tokens)}</td>
                      <td className="right wide-only">{duration(data.other.avg_duration_ms)}</td>
                      <td />
                    </tr>
                  )}
                </tbody>
              </table>
              {data && rows?.length === 0 && (
                <Text c="dimmed" size="sm" ta="center" py="lg">
                  {isErrors ? "No call failed in this period." : "No calls."}
                </Text>
              )}
            </div>
          )}
        </Tabs.Panel>
      </Tabs>
    </Card>
  );
}
