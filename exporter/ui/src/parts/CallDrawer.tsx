import { Badge, Button, CloseButton, Code, CopyButton, Drawer, Group, Skeleton, Stack, Text, Title } from "@mantine/core";
import type { ReactNode } from "react";

import { API, useAnswer } from "../api/fetch";
import type { CallDetail } from "../api/types";
import { count, duration, exactMoment, money, named, percent } from "../format";
import type { ViewControl } from "../view";
import { asCurl } from "./Card";
import { STATUS_TONE } from "./NewestCalls";
import { Failed } from "./States";

const STATUS_MEANING: Record<string, string> = {
  priced: "Computed from the tokens and the price below.",
  reported: "The provider named this cost itself.",
  estimated: "No price is known for this model: a flat rate stands in, so that the spend is not invisible.",
  unpriced: "No price is known for this model, so the cost is unknown, not zero.",
  unmetered: "The call reported no tokens, so the cost is unknown, not zero.",
  free: "This call costs nothing.",
};

const unitName = (unit: string): string => unit.replaceAll("_", " ").replace(/^./, (letter) => letter.toUpperCase());

/** Exact, without the zeros at its end. */
const trimmed = (amount: string): string => (amount.includes(".") ? amount.replace(/\.?0+$/, "") : amount);

function Fact({ name, children }: { name: string; children: ReactNode }) {
  if (children === null || children === undefined || children === "") return null;
  return (
    <div className="fact">
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Explained({ call }: { call: CallDetail }) {
  const cached = call.input_tokens ? (100 * (call.cache_read_tokens ?? 0)) / call.input_tokens : 0;
  const full = call.price?.rates_usd_per_mtok["input"];
  const cacheLine = call.calculation.find((line) => line.unit.startsWith("cache_read"));
  const saved = full && cacheLine ? (cacheLine.quantity * (Number(full) - Number(cacheLine.rate_usd_per_mtok))) / 1e6 : 0;
  return (
    <section aria-label="How the cost came about">
      <Group justify="space-between" align="baseline">
        <Text className="figure">{call.cost_status === "unpriced" || call.cost_status === "unmetered" ? "unknown" : money(call.cost)}</Text>
        <Badge variant="light" tt="none" color={STATUS_TONE[call.cost_status] ?? "gray"}>
          {call.cost_status}
        </Badge>
      </Group>
      <Text size="sm" c="dimmed" mb="xs">
        {STATUS_MEANING[call.cost_status]}
      </Text>
      {call.calculation.length > 0 && (
        <div className="scroll" tabIndex={0} role="region" aria-label="The calculation">
        <table className="ranked calculation">
          <thead>
            <tr>
              <th scope="col">Tokens</th>
              <th scope="col" className="right">
                Count
              </th>
              <th scope="col" className="right">
                $ per million
              </th>
              <th scope="col" className="right">
                Amount
              </th>
            </tr>
          </thead>
          <tbody>
            {call.calculation.map((line) => (
              <tr key={line.unit}>
                <th scope="row">{unitName(line.unit)}</th>
                <td className="right">{count(line.quantity)}</td>
                <td className="right">{line.rate_usd_per_mtok}</td>
                <td className="right">{trimmed(line.amount_usd)}</td>
              </tr>
            ))}
            <tr className="total-row">
              <th scope="row" colSpan={3}>
                Cost, exact
              </th>
              <td className="right strong">{trimmed(call.cost_usd)}</td>
            </tr>
          </tbody>
        </table>
        </div>
      )}
      {call.price && (
        <Text size="xs" c="dimmed" mt={6}>
          Price of {call.price.provider} / {call.price.model}
          {call.price.tier && `, ${call.price.tier}`} from {call.price.source} {call.price.version}.
          {cached > 0 && ` ${percent(cached, 0)} of the input came from the cache`}
          {cached > 0 && (saved > 0 ? ` and saved ${money(saved)}.` : ".")}
        </Text>
      )}
      {call.reported_cost_usd && (
        <Text size="xs" c="dimmed" mt={6}>
          The app reported {call.reported_cost_usd} USD.
        </Text>
      )}
    </section>
  );
}

/** Everything known about one call: its cost line by line, its spans, its trace. */
export function CallDrawer({ control }: { control: ViewControl }) {
  const { view, closeCall } = control;
  const url = view.call ? `${API}/logs/${encodeURIComponent(view.call)}` : null;
  const answer = useAnswer<CallDetail>(url, 0);
  const call = answer.url === url ? answer.data : null;
  return (
    <Drawer
      opened={view.call !== null}
      onClose={closeCall}
      position="right"
      size="lg"
      // Its own header element would be a second banner of the page.
      withCloseButton={false}
      attributes={{ content: { "aria-label": "Call" } }}
      transitionProps={{ duration: 120 }}
    >
      <Group justify="space-between" mb="md">
        <Title order={2} size="h4">
          Call
        </Title>
        <CloseButton aria-label="Close the call" onClick={closeCall} />
      </Group>
      {answer.error && !call && <Failed error={answer.error} retry={answer.retry} />}
      {!call && !answer.error && <Skeleton height={420} />}
      {call && (
        <Stack gap="lg">
          <Explained call={call} />
          {!call.success && (
            <div className="error-box">
              <strong>{call.error_code ?? "Failed"}</strong>
              {call.error_message && <div>{call.error_message}</div>}
            </div>
          )}
          <dl className="facts" aria-label="What is known about the call">
            <Fact name="Started">{exactMoment(call.created_at, view.zone)}</Fact>
            <Fact name="Took">{duration(call.duration_ms)}</Fact>
            <Fact name="User">{call.user_email ? `${call.user_email} (${named(call.user)})` : call.user}</Fact>
            <Fact name="Service">{call.service}</Fact>
            <Fact name="Action">{call.action}</Fact>
            <Fact name="Provider">{call.provider}</Fact>
            <Fact name="Model">{call.model}</Fact>
            <Fact name="Asked for">{call.request_model !== call.model ? call.request_model : null}</Fact>
            <Fact name="Service tier">{call.service_tier}</Fact>
            <Fact name="Tokens">
              {`${count(call.input_tokens)} in, ${count(call.output_tokens)} out`}
              {call.reasoning_tokens ? `, ${count(call.reasoning_tokens)} of it reasoning` : ""}
            </Fact>
            <Fact name="Session">{call.session_id}</Fact>
            <Fact name="Trace">{call.trace_id && <Code>{call.trace_id}</Code>}</Fact>
            <Fact name="Span">{call.span_id && <Code>{call.span_id}</Code>}</Fact>
            <Fact name="Provider's id">{call.provider_response_id && <Code>{call.provider_response_id}</Code>}</Fact>
            <Fact name="Written by">{call.emitter}</Fact>
            <Fact name="Remarks">{call.usage_flags.join(", ")}</Fact>
          </dl>
          {call.metadata && Object.keys(call.metadata).length > 0 && (
            <div>
              <Title order={3} size="h6" mb={4}>
                Metadata
              </Title>
              <Code block>{JSON.stringify(call.metadata, null, 2)}</Code>
            </div>
          )}
          <div>
            <Title order={3} size="h6" mb={4}>
              Spans that restate this call
            </Title>
            {call.shadows.length === 0 ? (
              <Text size="sm" c="dimmed">
                None: one span described it.
              </Text>
            ) : (
              <ul className="shadows">
                {call.shadows.map((shadow, index) => (
                  <li key={shadow.span_id ?? index}>
                    <Code>{shadow.span_id ?? "–"}</Code> {shadow.reason.replaceAll("_", " ")}
                  </li>
                ))}
              </ul>
            )}
          </div>
          <Group>
            {call.trace_id && (
              <CopyButton value={call.trace_id}>
                {({ copied, copy }) => (
                  <Button size="xs" variant="default" onClick={copy}>
                    {copied ? "Copied" : "Copy trace id"}
                  </Button>
                )}
              </CopyButton>
            )}
            {url && (
              <CopyButton value={asCurl(url)}>
                {({ copied, copy }) => (
                  <Button size="xs" variant="default" onClick={copy}>
                    {copied ? "Copied" : "Copy as curl"}
                  </Button>
                )}
              </CopyButton>
            )}
          </Group>
        </Stack>
      )}
    </Drawer>
  );
}
