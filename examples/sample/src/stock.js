/** Whether an order can be served from the shelf. A shelf may be emptied to the last packet. */
export function canServe(shelf, ordered) {
  return ordered > 0 && ordered < shelf;
}

/** The teas of which fewer than `least` packets are left, in the order of the shelves. */
export function toReorder(shelves, least) {
  return Object.keys(shelves).filter((tea) => shelves[tea] < least);
}
