import { Collapse, Skeleton, Text, Tooltip, UnstyledButton } from "@mantine/core";
import { lazy, type ReactNode, Suspense, useState } from "react";

import type { Measures, Summary, Timeseries } from "../api/types";
import { changeOf, compact, count, duration, money, percent } from "../format";

const CostLine = lazy(() => import("./CostLine"));

function Change({ now, before, goodDown }: { now: number; before: number | null | undefined; goodDown?: boolean }) {
  const change = changeOf(now, before);
  if (!change)
    return (
      <Text component="span" size="xs" c="dimmed">
        nothing to compare with
      </Text>
    );
  const tone = goodDown && change.direction !== 0 ? (change.direction > 0 ? "up" : "down") : "flat";
  return (
    <span className={`change change-${tone}`}>
      {change.text} <span className="change-note">vs. period before</span>
    </span>
  );
}

interface TileProps {
  label: string;
  value: string | null;
  exact?: string;
  below?: ReactNode;
  children?: ReactNode;
  accent?: boolean;
}

function Tile({ label, value, exact, below, children, accent }: TileProps) {
  return (
    <li className={accent ? "tile tile-accent" : "tile"}>
      <Text size="sm" c="dimmed" fw={500}>
        {label}
      </Text>
      {value === null ? (
        <Skeleton height={34} width="70%" my={3} />
      ) : (
        <Tooltip label={exact} disabled={!exact} position="bottom-start">
          <strong className="figure">{value}</strong>
        </Tooltip>
      )}
      <div className="tile-below">{value === null ? <Skeleton height={12} width="50%" mt={4} /> : below}</div>
      {children}
    </li>
  );
}

function TokenKinds({ totals }: { totals: Measures }) {
  const kinds: [string, number, number][] = [
    ["Input", totals.input_tokens, totals.tokens],
    ["of it cached", totals.cache_read_tokens, totals.input_tokens],
    ["of it written to cache", totals.cache_write_tokens, totals.input_tokens],
    ["Output", totals.output_tokens, totals.tokens],
    ["of it reasoning", totals.reasoning_tokens, totals.output_tokens],
  ];
  return (
    <dl className="kinds">
      {kinds.map(([label, value, whole]) => (
        <div key={label} className={label.startsWith("of it") ? "kind-part" : ""}>
          <dt>{label}</dt>
          <dd>
            {count(value)}
            <span className="share-note">{whole ? ` · ${percent((100 * value) / whole, 0)}` : ""}</span>
          </dd>
        </div>
      ))}
    </dl>
  );
}

interface TilesProps {
  summary: Summary | null;
  series: Timeseries | null;
  users: { now: number; before: number | null } | null;
  showUncosted: () => void;
  showFailed: () => void;
}

/** The headline figures: how much, and is that more than before. */
export function Tiles({ summary, series, users, showUncosted, showFailed }: TilesProps) {
  const [open, setOpen] = useState(false);
  const totals = summary?.totals;
  const before = summary?.previous?.totals;
  const each = (sums: Measures | undefined) => (sums && sums.requests ? sums.cost / sums.requests : null);
  const uncosted = totals ? totals.requests - totals.priced_requests : 0;
  const line = series?.buckets.map((_, index) =>
    series.series.reduce((sum, one) => sum + (one.points[index]?.cost ?? 0), 0),
  );
  return (
    <ul className="tiles" aria-label="Headline figures">
      <Tile
        accent
        label="Cost"
        value={totals ? money(totals.cost) : null}
        exact={totals && `${totals.cost_usd} USD`}
        below={totals && <Change now={totals.cost} before={before?.cost} goodDown />}
      >
        <div className="spark" inert>
          <Suspense fallback={null}>{line && line.length > 1 && <CostLine data={line} />}</Suspense>
        </div>
      </Tile>
      <Tile
        label="Requests"
        value={totals ? compact(totals.requests) : null}
        exact={totals && count(totals.requests)}
        below={totals && <Change now={totals.requests} before={before?.requests} />}
      >
        {totals && (
          <UnstyledButton className="tile-link" onClick={showFailed} disabled={totals.failed === 0}>
            {totals.failed === 0 ? "No errors" : `${percent((100 * totals.failed) / totals.requests)} errors (${count(totals.failed)})`}
          </UnstyledButton>
        )}
      </Tile>
      <Tile
        label="Tokens"
        value={totals ? compact(totals.tokens) : null}
        exact={totals && count(totals.tokens)}
        below={totals && <Change now={totals.tokens} before={before?.tokens} />}
      >
        {totals && (
          <>
            <UnstyledButton className="tile-link" onClick={() => setOpen(!open)} aria-expanded={open}>
              {open ? "Hide details" : "Input, cached, output"}
            </UnstyledButton>
            <Collapse expanded={open}>
              <TokenKinds totals={totals} />
            </Collapse>
          </>
        )}
      </Tile>
      <Tile
        label="Cost per request"
        value={summary ? (each(totals) === null ? "–" : money(each(totals) ?? 0)) : null}
        below={totals && <Change now={each(totals) ?? 0} before={each(before)} goodDown />}
      >
        {summary && (
          <Text size="xs" c="dimmed" className="tile-note">
            {duration(summary.duration.avg_ms)} on average
            {summary.duration.p95_ms !== null && `, 95 % within ${duration(summary.duration.p95_ms)}`}
          </Text>
        )}
      </Tile>
      <Tile
        label="Active users"
        value={users ? compact(users.now) : null}
        below={users && <Change now={users.now} before={users.before} />}
      >
        {users && totals && users.now > 0 && (
          <Text size="xs" c="dimmed" className="tile-note">
            {money(totals.cost / users.now)} a user
          </Text>
        )}
      </Tile>
      {uncosted > 0 && (
        <Tile
          label="Uncosted"
          value={compact(uncosted)}
          exact={count(uncosted)}
          below={<span className="change-note">{uncosted === 1 ? "call" : "calls"} without a known cost</span>}
        >
          <UnstyledButton className="tile-link" onClick={showUncosted}>
            Show these calls
          </UnstyledButton>
        </Tile>
      )}
    </ul>
  );
}
