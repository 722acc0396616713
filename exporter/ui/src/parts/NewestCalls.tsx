import { Badge, Skeleton, Switch, Text, UnstyledButton } from "@mantine/core";
import { useDocumentVisibility } from "@mantine/hooks";
import { useEffect, useRef, useState } from "react";

import { get, useAnswer } from "../api/fetch";
import type { Call, CallPage } from "../api/types";
import { count, duration, moment, money, named } from "../format";
import { apiUrl, isOpenEnded, type ViewControl } from "../view";
import { Card } from "./Card";
import { Failed } from "./States";

const SHOWN = 12;
const POLL_MS = 2500;

export const STATUS_TONE: Record<string, string> = {
  priced: "teal",
  reported: "blue",
  free: "gray",
  estimated: "yellow",
  unpriced: "orange",
  unmetered: "orange",
};

export function CostOf({ call }: { call: Pick<Call, "cost" | "cost_usd" | "cost_status"> }) {
  if (call.cost_status === "unpriced" || call.cost_status === "unmetered")
    return (
      <Badge size="sm" variant="light" color="orange" tt="none">
        {call.cost_status}
      </Badge>
    );
  return <span title={`${call.cost_usd} USD (${call.cost_status})`}>{money(call.cost)}</span>;
}

/** The latest calls, kept up to date while the page is looked at; a call opens its details. */
export function NewestCalls({ control, tick }: { control: ViewControl; tick: number }) {
  const { view, change } = control;
  const [live, setLive] = useState(true);
  const [older, setOlder] = useState<Call[]>([]);
  const [cursor, setCursor] = useState<string | null>(null);
  const [pulse, setPulse] = useState(0);
  const isSeen = useDocumentVisibility() === "visible";
  const canFollow = isOpenEnded(view);
  const url = apiUrl(view, "logs", { limit: String(SHOWN) });
  const answer = useAnswer<CallPage>(url, tick + pulse);
  const known = useRef<{ url: string; ids: Set<string> } | null>(null);

  useEffect(() => {
    setOlder([]);
    setCursor(null);
  }, [url]);
  useEffect(() => {
    if (!live || !isSeen || !canFollow || older.length > 0) return;
    const timer = setInterval(() => setPulse((number) => number + 1), POLL_MS);
    return () => clearInterval(timer);
  }, [live, isSeen, canFollow, older.length]);

  const items = answer.data?.items ?? [];
  const fresh = new Set(
    known.current?.url === answer.url ? items.filter((call) => !known.current?.ids.has(call.id)).map((call) => call.id) : [],
  );
  useEffect(() => {
    if (answer.data && answer.url) known.current = { url: answer.url, ids: new Set(answer.data.items.map((call) => call.id)) };
  }, [answer.data, answer.url]);

  const next = cursor ?? answer.data?.next_cursor ?? null;
  const more = async () => {
    if (!next) return;
    const page = await get<CallPage>(apiUrl(view, "logs", { limit: "50", cursor: next })).catch(() => null);
    if (!page) return;
    setOlder((before) => [...before, ...page.items]);
    setCursor(page.next_cursor);
  };

  return (
    <Card
      title="Newest calls"
      api={url}
      downloads={[{ label: "These calls, all of them (CSV)", href: apiUrl(view, "export.csv") }]}
      controls={
        canFollow && (
          <Switch
            size="xs"
            label={live ? "Live" : "Paused"}
            checked={live}
            onChange={(event) => setLive(event.currentTarget.checked)}
          />
        )
      }
    >
      {answer.error && !answer.data ? (
        <Failed error={answer.error} retry={answer.retry} />
      ) : (
        <div className="scroll" tabIndex={0} role="region" aria-label="Calls, newest first">
          <table className={answer.loading ? "ranked calls stale" : "ranked calls"}>
            <thead>
              <tr>
                <th scope="col">Time</th>
                <th scope="col" className="wide-only">
                  User
                </th>
                <th scope="col" className="wide-only">Service</th>
                <th scope="col" className="wide-only">
                  Action
                </th>
                <th scope="col">Model</th>
                <th scope="col" className="right wide-only">
                  Input
                </th>
                <th scope="col" className="right wide-only">
                  Output
                </th>
                <th scope="col" className="right wide-only">
                  Time taken
                </th>
                <th scope="col" className="right">
                  Cost
                </th>
              </tr>
            </thead>
            <tbody>
              {!answer.data &&
                Array.from({ length: SHOWN }, (_, index) => (
                  <tr key={index}>
                    <td colSpan={9}>
                      <Skeleton height={20} />
                    </td>
                  </tr>
                ))}
              {[...items, ...older].map((call) => (
                <tr key={call.id} className={fresh.has(call.id) ? "fresh" : ""}>
                  <td className="nowrap">
                    <UnstyledButton className="row-link" onClick={() => change({ call: call.id }, { step: "call" })} aria-haspopup="dialog">
                      {moment(call.created_at, view.zone)}
                    </UnstyledButton>
                  </td>
                  <td className="wide-only clip">{call.user_email ?? named(call.user)}</td>
                  <td className="wide-only clip">{call.service}</td>
                  <td className="wide-only clip">{named(call.action)}</td>
                  <td className="clip model-cell">
                    {call.model} <span className="dim wide-only">{call.provider}</span>
                  </td>
                  <td className="right wide-only">{count(call.input_tokens)}</td>
                  <td className="right wide-only">{count(call.output_tokens)}</td>
                  <td className="right wide-only">{duration(call.duration_ms)}</td>
                  <td className="right">
                    {call.success ? (
                      <CostOf call={call} />
                    ) : (
                      <Badge size="sm" variant="light" color="red" tt="none">
                        {call.error_code ?? "failed"}
                      </Badge>
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
          {answer.data && items.length === 0 && (
            <Text c="dimmed" size="sm" ta="center" py="lg">
              No calls.
            </Text>
          )}
        </div>
      )}
      {next && (
        <UnstyledButton className="more no-print" onClick={() => void more()}>
          Show older calls
        </UnstyledButton>
      )}
    </Card>
  );
}
