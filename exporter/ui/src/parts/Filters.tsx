import { ActionIcon, Button, Combobox, Group, InputBase, Popover, ScrollArea, SegmentedControl, Select, Skeleton, Tooltip, UnstyledButton, useCombobox } from "@mantine/core";
import { lazy, Suspense, useMemo, useState } from "react";

import { useAnswer } from "../api/fetch";
import type { Breakdown, Meta } from "../api/types";
import { named, time } from "../format";
import { apiUrl, type Dimension, DIMENSION_NAME, LOCAL_ZONE, PRESET_NAME, PRESETS, type Preset, type View, type ViewControl } from "../view";
import { Icon } from "./icons";

const DayPicker = lazy(() => import("./DayPicker"));
/** Browsers list these zones by names that the cities have given up. */
const NEWER_NAME: Record<string, string> = {
  "America/Godthab": "America/Nuuk",
  "Asia/Calcutta": "Asia/Kolkata",
  "Asia/Katmandu": "Asia/Kathmandu",
  "Asia/Rangoon": "Asia/Yangon",
  "Asia/Saigon": "Asia/Ho_Chi_Minh",
  "Europe/Kiev": "Europe/Kyiv",
};
const MATCHES = 8;
/** The dearest users are offered; any other can be typed. */
const USERS = "500";

export function valuesOf(meta: Meta | null): [Dimension, string[]][] {
  return [
    ["service", meta?.services ?? []],
    ["model", meta?.models ?? []],
    ["provider", meta?.providers ?? []],
    ["action", meta?.actions ?? []],
    ["error_code", meta?.error_codes ?? []],
    ["cost_status", meta?.cost_statuses ?? []],
  ];
}

function FilterSearch({ meta, control }: { meta: Meta | null; control: ViewControl }) {
  const [search, setSearch] = useState("");
  const combobox = useCombobox({ onDropdownClose: () => combobox.resetSelectedOption() });
  const needle = search.trim().toLowerCase();
  const question = apiUrl(control.view, "breakdown", { group_by: "user", not_user: "", limit: USERS });
  const users = useAnswer<Breakdown>(combobox.dropdownOpened ? question : null, 0);
  const emails = new Map(users.data?.rows.map((row) => [String(row.group["user"]), row.user_email]));
  const labelOf = (value: string) => emails.get(value) ?? named(value);
  const isMeant = (value: string) => value.toLowerCase().includes(needle) || labelOf(value).toLowerCase().includes(needle);
  const groups = [...valuesOf(meta), ["user", [...emails.keys()]] as [Dimension, string[]]]
    .map(([dimension, values]) => [dimension, values.filter(isMeant)] as const)
    .filter(([, values]) => values.length > 0);
  const choose = (option: string) => {
    const cut = option.indexOf(":");
    control.addFilter(option.slice(0, cut) as Dimension, option.slice(cut + 1));
    setSearch("");
    combobox.closeDropdown();
  };
  return (
    <Combobox store={combobox} onOptionSubmit={choose} width={300} position="bottom-start">
      <Combobox.Target>
        <InputBase
          size="sm"
          w={210}
          className="filter-search"
          leftSection={<Icon name="filter" size={16} />}
          placeholder="Filter by anything…"
          aria-label="Add a filter"
          value={search}
          onChange={(event) => {
            setSearch(event.currentTarget.value);
            combobox.openDropdown();
            combobox.selectFirstOption();
          }}
          onFocus={() => combobox.openDropdown()}
          onBlur={() => combobox.closeDropdown()}
        />
      </Combobox.Target>
      <Combobox.Dropdown>
        <Combobox.Options aria-label="Filters">
          <ScrollArea.Autosize mah={340} type="scroll">
            {groups.map(([dimension, values]) => (
              <Combobox.Group key={dimension} label={DIMENSION_NAME[dimension]}>
                {values.slice(0, MATCHES).map((value) => (
                  <Combobox.Option key={value} value={`${dimension}:${value}`}>
                    {labelOf(value)}
                  </Combobox.Option>
                ))}
              </Combobox.Group>
            ))}
            {search.trim() && !emails.has(search.trim()) && (
              <Combobox.Group label="Any user">
                <Combobox.Option value={`user:${search.trim()}`}>User is “{search.trim()}”</Combobox.Option>
              </Combobox.Group>
            )}
            {groups.length === 0 && !search.trim() && <Combobox.Empty>Nothing to filter by yet</Combobox.Empty>}
          </ScrollArea.Autosize>
        </Combobox.Options>
      </Combobox.Dropdown>
    </Combobox>
  );
}

/** The chosen filters; pressing one turns it around, its cross removes it. */
export function Chips({ control }: { control: ViewControl }) {
  const { view, change, addFilter, removeFilter, clearFilters } = control;
  if (view.filters.length === 0 && !view.success) return null;
  return (
    <ul className="chips" aria-label="Filters in use">
      {view.filters.map((filter) => (
        <li key={`${filter.dimension} ${filter.exclude} ${filter.value}`} className={filter.exclude ? "chip chip-not" : "chip"}>
          <Tooltip label={filter.exclude ? "Press to include" : "Press to exclude"} openDelay={400}>
            <UnstyledButton className="chip-text" onClick={() => addFilter(filter.dimension, filter.value, !filter.exclude)}>
              <span className="dim">
                {DIMENSION_NAME[filter.dimension]} {filter.exclude ? "is not" : "is"}
              </span>{" "}
              {named(filter.value)}
            </UnstyledButton>
          </Tooltip>
          <UnstyledButton
            className="chip-close"
            aria-label={`Remove the filter ${DIMENSION_NAME[filter.dimension]} ${named(filter.value)}`}
            onClick={() => removeFilter(filter)}
          >
            <Icon name="close" size={13} />
          </UnstyledButton>
        </li>
      ))}
      {view.success && (
        <li className="chip">
          <span className="chip-text">{view.success === "true" ? "Succeeded" : "Failed"}</span>
          <UnstyledButton className="chip-close" aria-label="Remove the filter on success" onClick={() => change({ success: null })}>
            <Icon name="close" size={13} />
          </UnstyledButton>
        </li>
      )}
      <li>
        <Button size="compact-sm" variant="subtle" onClick={clearFilters}>
          Clear filters
        </Button>
      </li>
    </ul>
  );
}

/** The period and the filters in words, for paper. */
export function inWords(view: View, from: string, to: string): string {
  const edge = (iso: string) => time(iso, view.zone, { dateStyle: "medium", timeStyle: "short" });
  const filters = view.filters.map(({ dimension, value, exclude }) => `${DIMENSION_NAME[dimension]} ${exclude ? "is not" : "is"} ${named(value)}`);
  const outcome = view.success ? [view.success === "true" ? "succeeded" : "failed"] : [];
  return [`${edge(from)} to ${edge(to)} (${view.zone})`, ...filters, ...outcome].join(" · ");
}

function customLabel(view: View): string {
  if (view.range !== "custom" || !view.from) return "Custom";
  const isMidnight = (text: string) => time(text, view.zone, { hour: "2-digit", minute: "2-digit" }) === "00:00";
  const isDays = [view.from, view.to].every((text) => !text || text.length === 10 || isMidnight(text));
  const edge = (text: string, isEnd: boolean) => {
    if (text.length > 10 && isDays)
      return time(new Date(new Date(text).getTime() - (isEnd ? 1 : 0)), view.zone, { day: "numeric", month: "short" });
    if (text.length > 10) return time(text, view.zone, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
    const day = new Date(`${text}T12:00:00Z`);
    if (isEnd) day.setUTCDate(day.getUTCDate() - 1);
    return time(day, "UTC", { day: "numeric", month: "short" });
  };
  return `${edge(view.from, false)} – ${view.to ? edge(view.to, true) : "now"}`;
}

function CustomRange({ control }: { control: ViewControl }) {
  const { view, change } = control;
  const [open, setOpen] = useState(false);
  const [days, setDays] = useState<[string | null, string | null]>([null, null]);
  const apply = (range: [string | null, string | null]) => {
    setDays(range);
    const [from, last] = range;
    if (!from || !last) return;
    const to = new Date(`${last}T12:00:00Z`);
    to.setUTCDate(to.getUTCDate() + 1);
    change({ range: "custom", from, to: to.toISOString().slice(0, 10) });
    setOpen(false);
  };
  return (
    <Popover opened={open} onChange={setOpen} position="bottom-start" withinPortal trapFocus>
      <Popover.Target>
        <Button
          size="sm"
          variant={view.range === "custom" ? "light" : "default"}
          className="custom-range"
          onClick={() => {
            setDays([null, null]);
            setOpen(!open);
          }}
          aria-haspopup="dialog"
        >
          {customLabel(view)}
        </Button>
      </Popover.Target>
      <Popover.Dropdown aria-label="Choose first and last day">
        <Suspense fallback={<Skeleton width={252} height={282} />}>
          <DayPicker days={days} choose={apply} />
        </Suspense>
      </Popover.Dropdown>
    </Popover>
  );
}

function ZoneSelect({ control }: { control: ViewControl }) {
  const { view, change } = control;
  const data = useMemo(() => {
    const all = Intl.supportedValuesOf("timeZone")
      .map((zone) => NEWER_NAME[zone] ?? zone)
      .filter((zone) => zone !== "UTC" && zone !== LOCAL_ZONE);
    const first = LOCAL_ZONE === "UTC" ? [{ value: "UTC", label: "UTC" }] : [{ value: "UTC", label: "UTC" }, { value: LOCAL_ZONE, label: `${LOCAL_ZONE} (local)` }];
    return [...first, ...all.map((zone) => ({ value: zone, label: zone }))];
  }, []);
  const known = data.some((entry) => entry.value === view.zone) ? data : [...data, { value: view.zone, label: view.zone }];
  return (
    <Select
      size="sm"
      w={226}
      className="zone"
      leftSection={<Icon name="clock" size={16} />}
      aria-label="Time zone of days and hours"
      data={known}
      value={view.zone}
      onChange={(zone) => zone && change({ zone })}
      searchable
      allowDeselect={false}
      limit={60}
      nothingFoundMessage="No such time zone"
    />
  );
}

/** Which time and which calls the whole page is about. */
export function FilterBar({ meta, control, refresh, loading }: { meta: Meta | null; control: ViewControl; refresh: () => void; loading: boolean }) {
  const { view, change } = control;
  return (
    <div className="filter-bar no-print" role="search" aria-label="Period and filters">
      <Group gap="xs" className="filter-row">
        <div className="presets">
          <SegmentedControl
            size="sm"
            aria-label="Period"
            data={PRESETS.map((value) => ({ value, label: PRESET_NAME[value] }))}
            value={view.range}
            onChange={(range) => change({ range: range as Preset, from: null, to: null })}
          />
        </div>
        <CustomRange control={control} />
        <ZoneSelect control={control} />
        <FilterSearch meta={meta} control={control} />
        <Tooltip label="Refresh">
          <ActionIcon size="lg" variant="default" onClick={refresh} loading={loading} aria-label="Refresh">
            <Icon name="refresh" />
          </ActionIcon>
        </Tooltip>
      </Group>
      <Chips control={control} />
    </div>
  );
}
