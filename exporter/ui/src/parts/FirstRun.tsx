import { Button, CopyButton, Group, Loader, Stack, Text, Title } from "@mantine/core";

import type { Meta } from "../api/types";

/** The receiver's address as apps reach it: one that listens everywhere has the name this page was asked by. */
function endpointOf(listens: string | null): string {
  const { hostname, protocol } = location;
  const port = listens?.split(":").at(-1) ?? "4318";
  const isEverywhere = listens === null || /^(0\.0\.0\.0|\[::\]):/.test(listens);
  return `${protocol}//${isEverywhere ? `${hostname}:${port}` : listens}`;
}

/** Others than this machine's own programs need a key to send. */
const needsKey = (listens: string | null): boolean => listens !== null && !/^(127\.|localhost:|\[::1\]:)/.test(listens);

/** What to do when there is no call yet; it gives way to the page when the first span arrives. */
export function FirstRun({ meta }: { meta: Meta }) {
  const endpoint = endpointOf(meta.otlp_http);
  const snippet = [
    "pip install ai-usage-instrumentation",
    `export OTEL_EXPORTER_OTLP_ENDPOINT=${endpoint}`,
    "export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
    ...(needsKey(meta.otlp_http) ? ['export OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20$INGEST_KEY"'] : []),
    "export OTEL_SERVICE_NAME=my-app",
    "opentelemetry-instrument python app.py",
  ].join("\n");
  return (
    <section className="card first-run" aria-label="First call">
      <Stack gap="sm">
        <Title order={2} size="h3">
          Send your first call
        </Title>
        <Text c="dimmed">
          Nothing has arrived yet. Run your app like this; its code stays as it is.
          {needsKey(meta.otlp_http) && " The key is one that ai-usage keys create --role ingest prints."}
        </Text>
        <pre className="snippet" tabIndex={0}>
          <code>{snippet}</code>
        </pre>
        <Group justify="space-between">
          <Group gap="xs" role="status">
            <Loader size="xs" type="dots" />
            <Text size="sm">Waiting for the first span…</Text>
          </Group>
          <CopyButton value={snippet}>
            {({ copied, copy }) => <Button onClick={copy}>{copied ? "Copied" : "Copy"}</Button>}
          </CopyButton>
        </Group>
      </Stack>
    </section>
  );
}
