import { Sparkline } from "@mantine/charts";

/** The course of the cost, without axes. */
export default function CostLine({ data }: { data: number[] }) {
  return (
    <Sparkline w="100%" h={34} data={data} color="indigo.5" fillOpacity={0.25} strokeWidth={1.5} curveType="monotone" />
  );
}
