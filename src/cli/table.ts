// Aligned columns.

/** How a column is aligned. */
export type Alignment = "left" | "right";

/** Pads cells so that columns line up, two spaces apart; no space is left at the end of a line. */
export function alignRows(rows: readonly (readonly string[])[], alignments: readonly Alignment[] = []): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, widthOf(cell));
  }
  return rows.map((row) => {
    const cells = row.map((cell, column) => {
      const gap = " ".repeat((widths[column] ?? 0) - widthOf(cell));
      return alignments[column] === "right" ? gap + cell : cell + gap;
    });
    return cells.join("  ").trimEnd();
  });
}

function widthOf(text: string): number {
  return Array.from(text).length;
}
