import { BarChart } from "@mantine/charts";
import { Group, Paper, SegmentedControl, Select, Skeleton, Text, UnstyledButton } from "@mantine/core";
import { useMemo, useRef, useState } from "react";
import { ReferenceArea } from "recharts";

import type { Answer } from "../api/fetch";
import type { Series, Timeseries } from "../api/types";
import { colorsOf, OTHER_COLOR } from "../colors";
import { compact, count, money, moneyShort, named, percent, step, tick } from "../format";
import { type Dimension, DIMENSION_NAME, DIMENSIONS, type Metric, METRICS, type ViewControl } from "../view";
import { csvOf, saveFile } from "../csv";
import { Card } from "./Card";
import { Failed } from "./States";

const HEIGHT = 320;
const CLICK_WAIT_MS = 260;
interface Line {
  key: string;
  label: string;
  color: string;
  series: Series;
}

interface TooltipEntry {
  dataKey?: unknown;
  value?: unknown;
}

const labelOf = (series: Series): string => (series.is_other ? "Other" : named(series.name));
const shown = (value: number, metric: Metric): string => (metric === "cost" ? money(value) : count(value));

function linesOf(data: Timeseries): Line[] {
  const colors = colorsOf(data.series.filter((one) => !one.is_other).map(labelOf));
  return data.series.map((series, index) => ({
    key: `s${index}`,
    label: labelOf(series),
    color: series.is_other ? OTHER_COLOR : (colors.get(labelOf(series)) ?? OTHER_COLOR),
    series,
  }));
}

/** Cost, tokens or requests over time, stacked by a dimension, with the same figures as a table behind it. */
export default function TimeChart({ answer, control, api }: { answer: Answer<Timeseries>; control: ViewControl; api: string }) {
  const { view, change, zoomOut, addFilter } = control;
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const [drag, setDrag] = useState<[number, number] | null>(null);
  const click = useRef<number | undefined>(undefined);
  // The line under the pressed button. Bars may be drawn anew before it is let go: they would never hear of a click.
  const pressed = useRef<string | null>(null);
  const { data } = answer;
  const lines = useMemo(() => (data ? linesOf(data) : []), [data]);
  const rows = useMemo(
    () =>
      data?.buckets.map((bucket, index) => ({
        step: bucket.start,
        ...Object.fromEntries(lines.map((line) => [line.key, line.series.points[index]?.[view.metric] ?? 0])),
      })) ?? [],
    [data, lines, view.metric],
  );
  const visible = lines.filter((line) => !hidden.has(line.label));

  const toggle = (label: string) =>
    setHidden((before) => {
      const after = new Set(before);
      if (!after.delete(label)) after.add(label);
      return after;
    });

  // A click filters only when no second one follows: a double click leads back out of a zoom.
  const filterBy = (line: Line) => {
    clearTimeout(click.current);
    click.current = window.setTimeout(() => {
      if (!line.series.is_other) addFilter(data?.group_by ?? view.group, line.series.name ?? "");
    }, CLICK_WAIT_MS);
  };
  const finishDrag = () => {
    const line = lines.find(({ key }) => key === pressed.current);
    if (!drag || drag[0] === drag[1]) {
      if (line) filterBy(line);
    } else if (data) {
      const first = data.buckets[Math.min(...drag)];
      const last = data.buckets[Math.max(...drag)];
      if (first && last) change({ range: "custom", from: first.start, to: last.end }, { step: "zoom" });
    }
    setDrag(null);
  };

  const back = () => {
    clearTimeout(click.current);
    zoomOut();
  };

  const tooltip = ({ label, payload }: { label?: unknown; payload?: readonly TooltipEntry[] }) => {
    if (!data || !payload?.length) return null;
    const total = payload.reduce((sum, entry) => sum + Number(entry.value ?? 0), 0);
    const entries = payload.filter((entry) => Number(entry.value) > 0).sort((a, b) => Number(b.value) - Number(a.value));
    return (
      <Paper className="tooltip" shadow="md" withBorder>
        <Group justify="space-between" gap="lg" mb={4}>
          <Text size="xs" fw={600}>
            {step(String(label), data.interval, view.zone)}
          </Text>
          <Text size="xs" fw={700} className="number">
            {shown(total, view.metric)}
          </Text>
        </Group>
        {entries.map((entry) => {
          const line = lines.find((one) => one.key === entry.dataKey);
          const value = Number(entry.value);
          return (
            line && (
              <div key={line.key} className="tooltip-row">
                <span className="swatch" style={{ background: line.color }} />
                <span className="tooltip-name">{line.label}</span>
                <span className="number">{shown(value, view.metric)}</span>
                <span className="number dim">{percent((100 * value) / total, 0)}</span>
              </div>
            )
          );
        })}
      </Paper>
    );
  };

  const name = METRICS.find((metric) => metric.value === view.metric)?.label ?? "";
  const save = () => {
    if (!data) return;
    const field = view.metric === "cost" ? "cost_usd" : view.metric;
    const lines = data.buckets.map(({ start, end }, index) => [start, end, ...visible.map((line) => line.series.points[index]?.[field] ?? 0)]);
    const file = `ai-usage_${view.metric}_by_${view.group}_${data.from.slice(0, 10)}_${data.to.slice(0, 10)}.csv`;
    saveFile(file, csvOf([["from", "to", ...visible.map((line) => line.label)], ...lines]));
  };
  return (
    <Card
      title={`${name} over time`}
      api={api}
      downloads={[{ label: "This chart (CSV)", save }]}
      controls={
        <>
          <SegmentedControl
            size="xs"
            data={METRICS}
            value={view.metric}
            onChange={(metric) => change({ metric: metric as Metric })}
            aria-label="What the bars show"
          />
          <Select
            size="xs"
            w={138}
            aria-label="Stack by"
            data={DIMENSIONS.map((value) => ({ value, label: `by ${DIMENSION_NAME[value].toLowerCase()}` }))}
            value={view.group}
            onChange={(group) => group && change({ group: group as Dimension })}
            allowDeselect={false}
          />
        </>
      }
    >
      {answer.error && !data ? (
        <Failed error={answer.error} retry={answer.retry} />
      ) : !data ? (
        <Skeleton height={HEIGHT + 44} />
      ) : (
        <>
          <div className={answer.loading ? "chart stale" : "chart"} onDoubleClick={back} role="group" aria-label={`${name} over time, stacked bars`}>
            <BarChart
              h={HEIGHT}
              data={rows}
              dataKey="step"
              type="stacked"
              maxBarWidth={48}
              series={visible.map((line) => ({ name: line.key, label: line.label, color: line.color }))}
              barProps={{
                isAnimationActive: false,
                cursor: "pointer",
                stroke: "var(--card)",
                strokeWidth: rows.length > 60 ? 0 : 1,
              }}
              gridAxis="x"
              tickLine="none"
              strokeDasharray="0"
              xAxisProps={{
                tickFormatter: (value: string) => tick(value, data.interval, view.zone),
                minTickGap: 24,
                interval: "preserveStartEnd",
              }}
              yAxisProps={{
                width: 64,
                tickFormatter: (value: number) => (view.metric === "cost" ? moneyShort(value) : compact(value)),
              }}
              tooltipAnimationDuration={0}
              tooltipProps={{ content: tooltip as never, isAnimationActive: false }}
              barChartProps={{
                onMouseDown: (state, event) => {
                  pressed.current = (event.target as Element).getAttribute("name");
                  const index = Number(state.activeTooltipIndex ?? NaN);
                  if (Number.isInteger(index)) setDrag([index, index]);
                },
                onMouseMove: (state) => {
                  const index = Number(state.activeTooltipIndex ?? NaN);
                  if (drag && Number.isInteger(index) && index !== drag[1]) setDrag([drag[0], index]);
                },
                onMouseUp: finishDrag,
                onMouseLeave: () => {
                  pressed.current = null;
                  setDrag(null);
                },
              }}
            >
              {drag && drag[0] !== drag[1] && (
                <ReferenceArea
                  x1={rows[Math.min(...drag)]?.step}
                  x2={rows[Math.max(...drag)]?.step}
                  fill="var(--mantine-color-indigo-5)"
                  fillOpacity={0.2}
                />
              )}
            </BarChart>
          </div>
          <ul className="legend" aria-label={`${DIMENSION_NAME[view.group]}s shown; press to hide or show`}>
            {lines.map((line) => (
              <li key={line.key}>
                <UnstyledButton
                  className="legend-item"
                  aria-pressed={!hidden.has(line.label)}
                  onClick={() => toggle(line.label)}
                >
                  <span className="swatch" style={{ background: line.color }} />
                  {line.label}
                  <span className="number dim">{shown(line.series.totals[view.metric], view.metric)}</span>
                </UnstyledButton>
              </li>
            ))}
          </ul>
          <details className="behind">
            <summary>The same figures as a table</summary>
            <div className="scroll" tabIndex={0} role="region" aria-label={`${name} over time as a table`}>
              <table className="plain">
                <thead>
                  <tr>
                    <th scope="col">From</th>
                    {lines.map((line) => (
                      <th scope="col" className="right" key={line.key}>
                        {line.label}
                      </th>
                    ))}
                  </tr>
                </thead>
                <tbody>
                  {data.buckets.map((bucket, index) => (
                    <tr key={bucket.start}>
                      <th scope="row">{step(bucket.start, data.interval, view.zone)}</th>
                      {lines.map((line) => (
                        <td className="right" key={line.key}>
                          {shown(line.series.points[index]?.[view.metric] ?? 0, view.metric)}
                        </td>
                      ))}
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          </details>
        </>
      )}
    </Card>
  );
}
