import { useMantineColorScheme } from "@mantine/core";
import { Spotlight, type SpotlightActionGroupData } from "@mantine/spotlight";

import type { Meta } from "../api/types";
import { named } from "../format";
import { apiUrl, DIMENSION_NAME, DIMENSIONS, LOCAL_ZONE, METRICS, PRESET_NAME, PRESETS, type ViewControl } from "../view";
import { valuesOf } from "./Filters";

/** Everything the page can do, by its name (Ctrl-K). */
export function Palette({ meta, control, refresh }: { meta: Meta | null; control: ViewControl; refresh: () => void }) {
  const { view, change, addFilter, clearFilters } = control;
  const { setColorScheme } = useMantineColorScheme();
  const actions: SpotlightActionGroupData[] = [
    {
      group: "Period",
      actions: [
        ...PRESETS.map((range) => ({
          id: `range-${range}`,
          label: `Show ${PRESET_NAME[range]}`,
          onClick: () => change({ range, from: null, to: null }),
        })),
        { id: "utc", label: "Days in UTC", onClick: () => change({ zone: "UTC" }) },
        { id: "local", label: `Days in ${LOCAL_ZONE}`, onClick: () => change({ zone: LOCAL_ZONE }) },
      ],
    },
    {
      group: "Chart",
      actions: [
        ...METRICS.map(({ value, label }) => ({ id: `metric-${value}`, label: `Chart ${label.toLowerCase()}`, onClick: () => change({ metric: value }) })),
        ...DIMENSIONS.map((group) => ({ id: `by-${group}`, label: `Stack by ${DIMENSION_NAME[group].toLowerCase()}`, onClick: () => change({ group }) })),
      ],
    },
    {
      group: "Do",
      actions: [
        { id: "refresh", label: "Refresh", onClick: refresh },
        { id: "clear", label: "Clear filters", onClick: clearFilters },
        { id: "csv", label: "Download every call shown as CSV", onClick: () => location.assign(apiUrl(view, "export.csv")) },
        { id: "print", label: "Print", onClick: () => window.print() },
        { id: "light", label: "Light colours", onClick: () => setColorScheme("light") },
        { id: "dark", label: "Dark colours", onClick: () => setColorScheme("dark") },
        { id: "auto", label: "Colours of the system", onClick: () => setColorScheme("auto") },
        { id: "docs", label: "API documentation", onClick: () => location.assign("/docs") },
      ],
    },
    ...valuesOf(meta).map(([dimension, values]) => ({
      group: `Only this ${DIMENSION_NAME[dimension].toLowerCase()}`,
      actions: values.map((value) => ({
        id: `${dimension}:${value}`,
        label: named(value),
        description: DIMENSION_NAME[dimension],
        onClick: () => addFilter(dimension, value),
      })),
    })),
  ];
  return (
    <Spotlight
      actions={actions}
      shortcut={["mod + K"]}
      nothingFound="Nothing of that name"
      highlightQuery
      limit={12}
      scrollable
      maxHeight={420}
      searchProps={{ placeholder: "Do or find…", "aria-label": "Do or find" }}
    />
  );
}
