import { ActionIcon, CopyButton, Group, Menu, Text, Title, Tooltip } from "@mantine/core";
import type { ReactNode } from "react";

import { Icon } from "./icons";

export type Download = { label: string; href: string } | { label: string; save: () => void };

interface CardProps {
  title: string;
  /** Stands right of the title. */
  controls?: ReactNode;
  /** The question to the API behind the card. */
  api?: string;
  /** Downloads: what they hold, and where they are or how they are made. */
  downloads?: Download[];
  note?: ReactNode;
  children: ReactNode;
}

export const asCurl = (url: string): string =>
  `curl -H "Authorization: Bearer $AI_USAGE_TOKEN" '${new URL(url, location.origin).href.replaceAll("'", "%27")}'`;

/** A framed part of the page, with the way to get its figures elsewhere. */
export function Card({ title, controls, api, downloads, note, children }: CardProps) {
  return (
    <section className="card" aria-label={title}>
      <Group justify="space-between" align="center" gap="xs" mb="sm" className="card-head">
        <Group gap={8} align="baseline">
          <Title order={2} size="h5">
            {title}
          </Title>
          {note && (
            <Text size="xs" c="dimmed">
              {note}
            </Text>
          )}
        </Group>
        <Group gap="xs" className="no-print">
          {controls}
          {api && (
            <CopyButton value={asCurl(api)}>
              {({ copied, copy }) => (
                <Tooltip label={copied ? "Copied" : "Copy as curl"}>
                  <ActionIcon variant="subtle" color="gray" onClick={copy} aria-label={`${title}: copy as curl`}>
                    <Icon name={copied ? "copied" : "terminal"} />
                  </ActionIcon>
                </Tooltip>
              )}
            </CopyButton>
          )}
          {downloads && (
            <Menu position="bottom-end">
              <Menu.Target>
                <Tooltip label="Download">
                  <ActionIcon variant="subtle" color="gray" aria-label={`${title}: download`}>
                    <Icon name="download" />
                  </ActionIcon>
                </Tooltip>
              </Menu.Target>
              <Menu.Dropdown>
                {downloads.map((one) =>
                  "href" in one ? (
                    <Menu.Item key={one.label} component="a" href={one.href} download>
                      {one.label}
                    </Menu.Item>
                  ) : (
                    <Menu.Item key={one.label} onClick={one.save}>
                      {one.label}
                    </Menu.Item>
                  ),
                )}
              </Menu.Dropdown>
            </Menu>
          )}
        </Group>
      </Group>
      {children}
    </section>
  );
}
