import { ActionIcon, Badge, Button, Group, Kbd, Menu, Text, Title, Tooltip, useMantineColorScheme } from "@mantine/core";
import { spotlight } from "@mantine/spotlight";

import type { Meta } from "../api/types";
import { clock, moment } from "../format";
import { Icon, type IconName } from "./icons";

const SCHEMES = { auto: ["light", "auto", "System colours"], light: ["dark", "sun", "Light"], dark: ["auto", "moon", "Dark"] } as const;

function SchemeSwitch() {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const [next, icon, label] = SCHEMES[colorScheme];
  return (
    <Tooltip label={`${label}: press for ${next}`}>
      <ActionIcon size="lg" variant="subtle" color="gray" onClick={() => setColorScheme(next)} aria-label={`Colours: ${label}. Change to ${next}`}>
        <Icon name={icon as IconName} />
      </ActionIcon>
    </Tooltip>
  );
}

/** Name of the page, how fresh its figures are, and what concerns the person looking at it. */
export function Header({ meta, at, zone }: { meta: Meta | null; at: Date | null; zone: string }) {
  return (
    <header className="header">
      <Group gap="sm" wrap="nowrap">
        <svg width="34" height="34" viewBox="0 0 32 32" aria-hidden="true">
          <rect width="32" height="32" rx="8" fill="#3b5bdb" />
          <path d="M8 23v-6M16 23V9M24 23V13" stroke="#fff" strokeWidth="4" strokeLinecap="round" />
        </svg>
        <div>
          <Title order={1} size="h3" lh={1.2}>
            AI Usage
          </Title>
          <Text size="xs" c="dimmed" className="as-of">
            {at ? `As of ${clock(at, zone)} (${zone})` : "Loading…"}
            {meta?.last_call && <span className="wide-only"> · newest call {moment(meta.last_call, zone)}</span>}
          </Text>
        </div>
      </Group>
      <Group gap={6} className="no-print" wrap="nowrap">
        {meta?.role === "viewer" && (
          <Tooltip label={meta.allowed_services ? `You see: ${meta.allowed_services.join(", ")}` : "You may look, not change"}>
            <Badge variant="light" tabIndex={0}>
              Viewer{meta.allowed_services ? ` · ${meta.allowed_services.length} service${meta.allowed_services.length === 1 ? "" : "s"}` : ""}
            </Badge>
          </Tooltip>
        )}
        <Button
          variant="default"
          size="sm"
          className="palette-button wide-only"
          leftSection={<Icon name="search" size={16} />}
          rightSection={<Kbd size="xs">Ctrl K</Kbd>}
          onClick={() => spotlight.open()}
        >
          Do or find
        </Button>
        <SchemeSwitch />
        <Menu position="bottom-end">
          <Menu.Target>
            <ActionIcon size="lg" variant="subtle" color="gray" aria-label="More">
              <Icon name="menu" />
            </ActionIcon>
          </Menu.Target>
          <Menu.Dropdown>
            <Menu.Item onClick={() => spotlight.open()}>Do or find…</Menu.Item>
            <Menu.Item component="a" href="/docs">
              API documentation
            </Menu.Item>
            <Menu.Item onClick={() => window.print()}>Print</Menu.Item>
            <Menu.Divider />
            <Menu.Item
              onClick={() => (document.getElementById("sign-out") as HTMLFormElement | null)?.requestSubmit()}
            >
              Sign out
            </Menu.Item>
          </Menu.Dropdown>
        </Menu>
        <form id="sign-out" method="post" action="/admin/ai-usage/logout" hidden />
      </Group>
    </header>
  );
}
