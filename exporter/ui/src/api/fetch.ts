import { useCallback, useEffect, useState } from "react";

export const API = "/api/admin/ai-usage";

export class ApiError extends Error {}

/** Get one answer of the API; a lost session leads back to the sign-in form. */
export async function get<T>(url: string, signal?: AbortSignal): Promise<T> {
  const response = await fetch(url, { credentials: "same-origin", headers: { accept: "application/json" }, signal });
  if (response.status === 401) {
    location.reload();
    throw new ApiError("You are signed out.");
  }
  if (!response.ok) {
    const problem = (await response.json().catch(() => null)) as { detail?: string; title?: string } | null;
    throw new ApiError(problem?.detail || problem?.title || `The server answered ${response.status}.`);
  }
  return JSON.parse(await response.text(), withExactCost) as T;
}

/** The API's ``cost`` is rounded already; rounding it once more can be a cent off. Its exact neighbour is rounded once. */
function withExactCost(_: string, value: unknown): unknown {
  const sums = value as { cost?: unknown; cost_usd?: unknown } | null;
  if (typeof sums === "object" && typeof sums?.cost_usd === "string") sums.cost = Number(sums.cost_usd);
  return value;
}

export interface Answer<T> {
  /** The newest answer; while another one is under way, the one before. */
  data: T | null;
  /** The URL that ``data`` belongs to. */
  url: string | null;
  loading: boolean;
  error: string | null;
  at: Date | null;
  retry: () => void;
}

interface State<T> {
  data: T | null;
  url: string | null;
  /** The URL last answered, well or badly. */
  answered: string | null;
  error: string | null;
  at: Date | null;
}

/** Ask ``url`` now and whenever ``tick`` changes; null asks nothing. */
export function useAnswer<T>(url: string | null, tick: number): Answer<T> {
  const [{ answered, ...state }, setState] = useState<State<T>>({ data: null, url: null, answered: null, error: null, at: null });
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    if (url === null) return;
    const aborter = new AbortController();
    get<T>(url, aborter.signal).then(
      (data) => setState({ data, url, answered: url, error: null, at: new Date() }),
      (error: unknown) => {
        if (aborter.signal.aborted) return;
        const words = error instanceof ApiError ? error.message : "The server cannot be reached.";
        // Figures of another question are none of this one; those of the same stay, with their time.
        setState((before) => ({ ...before, data: before.url === url ? before.data : null, answered: url, error: words }));
      },
    );
    return () => aborter.abort();
  }, [url, tick, attempt]);
  const retry = useCallback(() => setAttempt((number) => number + 1), []);
  return { ...state, loading: url !== null && url !== answered, retry };
}
