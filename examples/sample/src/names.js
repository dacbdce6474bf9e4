/** "Earl Grey, loose" as it stands in an address: "earl-grey-loose". */
export function slug(name) {
  return name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "");
}

/** Cut to the width of a label, with an ellipsis in the last place when something is missing. */
export function label(name, width) {
  return name.length <= width ? name : `${name.slice(0, width - 1)}…`;
}
