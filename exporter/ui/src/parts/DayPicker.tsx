import "@mantine/dates/styles.css";

import { DatePicker } from "@mantine/dates";

type Days = [string | null, string | null];

/** Choose the first and the last day; loaded when it is opened. */
export default function DayPicker({ days, choose }: { days: Days; choose: (days: Days) => void }) {
  return (
    <DatePicker
      type="range"
      value={days}
      onChange={choose}
      maxDate={new Date()}
      allowSingleDateInRange
      hideOutsideDates
      weekendDays={[]}
      ariaLabels={{ nextMonth: "Next month", previousMonth: "Previous month" }}
    />
  );
}
