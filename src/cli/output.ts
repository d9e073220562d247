/** How commands print: columns for people, tab-separated lines when another program reads, JSON when asked for. */

export type OutputFormat = "table" | "json";

export interface Column<Row> {
  readonly title: string;
  readonly of: (row: Row) => string | number | boolean | null | undefined;
}

export function asJson(value: unknown): string {
  return JSON.stringify(value, null, 2);
}

/** `forPeople`: aligned and with a head line; else one line a row, with tabs. */
export function asTable<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  options: { readonly forPeople: boolean },
): string {
  const cells = rows.map((row) => columns.map((column) => shown(column.of(row), options.forPeople)));
  if (!options.forPeople) return cells.map((line) => line.join("\t")).join("\n");
  const lines = [columns.map((column) => column.title), ...cells];
  const widths = columns.map((_, index) => Math.max(...lines.map((line) => line[index]?.length ?? 0)));
  return lines
    .map((line) =>
      line
        .map((cell, index) => cell.padEnd(widths[index] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

function shown(value: string | number | boolean | null | undefined, forPeople: boolean): string {
  if (value === null || value === undefined || value === "") return forPeople ? "-" : "";
  if (typeof value === "boolean") return value ? "yes" : "no";
  return String(value);
}
