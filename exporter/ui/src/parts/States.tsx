import { Alert, Button, Group, Stack, Text } from "@mantine/core";

/** Say what went wrong and offer to try again. */
export function Failed({ error, retry }: { error: string; retry: () => void }) {
  return (
    <Alert color="red" variant="light" title="This could not be loaded" role="alert">
      <Group justify="space-between">
        <Text size="sm">{error}</Text>
        <Button size="xs" variant="default" onClick={retry}>
          Try again
        </Button>
      </Group>
    </Alert>
  );
}

/** Say that nothing matches, and how to see something. */
export function Nothing({ filtered, clear, widen }: { filtered: boolean; clear: () => void; widen: () => void }) {
  return (
    <section className="card" aria-label="No calls">
      <Stack align="center" gap="xs" py={56}>
        <Text size="lg" fw={600}>
          {filtered ? "No calls match these filters in this period" : "No calls in this period"}
        </Text>
        <Text c="dimmed" size="sm">
          {filtered ? "Nothing is hidden: there is no such call." : "There are calls in other periods."}
        </Text>
        <Group mt="sm">
          {filtered && <Button onClick={clear}>Clear filters</Button>}
          <Button variant="default" onClick={widen}>
            Show the last 30 days
          </Button>
        </Group>
      </Stack>
    </section>
  );
}
