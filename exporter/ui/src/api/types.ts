/** What the query API answers with; the server's OpenAPI document is the truth. */

import type { Dimension } from "../view";

export interface Measures {
  requests: number;
  failed: number;
  success_rate: number;
  tokens: number;
  input_tokens: number;
  output_tokens: number;
  cache_read_tokens: number;
  cache_write_tokens: number;
  reasoning_tokens: number;
  cost: number;
  cost_usd: string;
  priced_requests: number;
  priced_share: number | null;
  avg_duration_ms: number | null;
}

export interface GroupSums {
  tokens: number;
  cost: number;
  requests: number;
}

export interface Summary {
  from: string;
  to: string;
  time_zone: string;
  total_cost_usd: string;
  totals: Measures;
  by_cost_status: Record<string, GroupSums>;
  errors_by_code: Record<string, number>;
  duration: { avg_ms: number | null; p95_ms: number | null; p95_error: number };
  previous: { from: string; to: string; totals: Measures } | null;
}

export interface Point {
  requests: number;
  failed: number;
  tokens: number;
  cost: number;
  cost_usd: string;
}

export interface Series {
  name: string | null;
  is_other: boolean;
  totals: Measures;
  points: Point[];
}

export interface Timeseries {
  from: string;
  to: string;
  group_by: Dimension | null;
  interval: "15m" | "hour" | "day" | "week" | "month";
  buckets: { start: string; end: string }[];
  series: Series[];
  totals: Measures;
}

export interface BreakdownRow extends Measures {
  group: Record<string, string | boolean | null>;
  user_email: string | null;
  cost_share: number;
  previous: Measures | null;
}

export interface Breakdown {
  group_by: Dimension[];
  rows: BreakdownRow[];
  other: (Measures & { groups: number; cost_share: number }) | null;
  totals: Measures;
}

export interface Call {
  id: string;
  created_at: string;
  user: string | null;
  user_email: string | null;
  service: string;
  action: string | null;
  provider: string;
  model: string;
  input_tokens: number;
  output_tokens: number;
  total_tokens: number;
  cache_read_tokens: number | null;
  reasoning_tokens: number | null;
  cost: number;
  cost_usd: string;
  cost_status: string;
  duration_ms: number | null;
  success: boolean;
  error_code: string | null;
  trace_id: string | null;
}

export interface CallPage {
  items: Call[];
  next_cursor: string | null;
}

export interface CallDetail extends Call {
  request_model: string | null;
  operation: string | null;
  reported_cost_usd: string | null;
  error_message: string | null;
  metadata: Record<string, unknown> | null;
  service_tier: string | null;
  session_id: string | null;
  provider_response_id: string | null;
  span_id: string | null;
  parent_span_id: string | null;
  emitter: string | null;
  usage_flags: string[];
  ingested_at: string;
  price: {
    source: string;
    version: string;
    provider: string;
    model: string;
    tier: string;
    rates_usd_per_mtok: Record<string, string>;
  } | null;
  calculation: { unit: string; quantity: number; rate_usd_per_mtok: string; amount_usd: string }[];
  shadows: { trace_id: string | null; span_id: string | null; reason: string; details: Record<string, unknown> }[];
}

export interface Meta {
  services: string[];
  actions: string[];
  providers: string[];
  models: string[];
  error_codes: string[];
  cost_statuses: string[];
  first_call: string | null;
  last_call: string | null;
  now: string;
  role: string;
  allowed_services: string[] | null;
  version: string;
  /** Where this server takes spans, as it listens. */
  otlp_http: string | null;
}
