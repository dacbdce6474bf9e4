import { listSettings, readTerminal, type Setting } from "../../../config.ts";
import { oneLine, print, printJson, table, type Column, type ListView } from "../output.ts";

/** Every value of the configuration; of secrets only that they are set. With `origin` where each came from. */
export function listConfig({ origin = false }: { origin?: boolean }, view: ListView, json: boolean): void {
  const items = [...listSettings(), colourSetting()];
  if (json) return printJson({ items });
  const columns: Column<Setting>[] = [
    { title: "NAME", value: (item) => item.name },
    { title: "ORIGIN", value: (item) => item.origin, wide: !origin },
    { title: "VALUE", value: (item) => oneLine(item.value ?? "-") },
  ];
  print(table(items, columns, view));
}

/** The one value that a flag decides before the environment does. */
function colourSetting(): Setting {
  const flag = process.argv.some((word) => word === "--color" || word.startsWith("--color="));
  const { colour, colourFrom } = readTerminal();
  return {
    name: "color",
    value: flag ? "as the flag says" : colour === null ? "auto" : colour ? "always" : "never",
    origin: flag ? "--color" : colourFrom,
  };
}
