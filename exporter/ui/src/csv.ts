/** CSV of what the page itself has put together; the server's files are written the same way. */

const FORMULA = /^ *[=+\-@\t\r\n＝＋－＠]/;

function cell(value: string | number): string {
  const text = typeof value === "string" && FORMULA.test(value) && !Number.isFinite(Number(value)) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Lines of cells; text that a spreadsheet would run gets a leading quote, numbers stay numbers. */
export const csvOf = (lines: readonly (readonly (string | number)[])[]): string =>
  lines.map((line) => `${line.map(cell).join(",")}\r\n`).join("");

/** Hand a text over as a file. */
export function saveFile(name: string, text: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}
