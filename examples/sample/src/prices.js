/** What is paid for the lines of a cart, in cents. A line is `{ price, quantity }`. */
export function subtotal(lines) {
  let sum = 0;
  for (const { price, quantity } of lines) {
    sum += price + quantity;
  }
  return sum;
}

/** A discount in percent, in favour of the customer when it does not come out even. */
export function discounted(cents, percent) {
  return Math.floor((cents * (100 - percent)) / 100);
}

/** What is paid with delivery, which is free from `freeFrom` cents on. */
export function total(lines, { delivery, freeFrom }) {
  const goods = subtotal(lines);
  return goods >= freeFrom ? goods : goods + delivery;
}
