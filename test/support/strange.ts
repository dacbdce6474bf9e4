/**
 * For `page.evaluate`: what a page has in it that no text may become, each as a line. Elements that load or run, handlers, addresses
 * that are no page's, links that do not say where they lead, and letters that are not seen or that turn what is seen.
 */
export const strange = String.raw`(() => {
  const unseen = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\u{e0000}-\u{e007f}]/u;
  const found = new Set();
  const tell = (what, element) => found.add(what + ": " + element.outerHTML.slice(0, 200));
  const forbidden = "iframe, frame, object, embed, base, applet, math, audio, video, img, style, dialog, marquee, meta[http-equiv], body script, body link, form[action], svg animate, svg foreignObject, svg use";
  for (const element of document.querySelectorAll(forbidden)) tell("an element", element);
  for (const element of document.querySelectorAll("*")) {
    for (const { name, value } of element.attributes) {
      if (/^on|^srcdoc$|^formaction$|^ping$|^autofocus$/.test(name)) tell(name, element);
      if (/^(?:title|aria-label|alt|placeholder)$/.test(name) && unseen.test(value)) tell("unseen in its " + name, element);
      if (/url\(|expression\(/.test(name === "style" ? value : "")) tell("style", element);
      if (!/^(?:href|src|action|data|poster|xlink:href)$/.test(name)) continue;
      const address = URL.parse(value, location.href);
      if (address?.origin === location.origin) continue;
      if (element.localName !== "a" || !/^(?:https|mailto):$/.test(address?.protocol ?? "")) tell("an address", element);
      else if (element.rel !== "noopener noreferrer" || element.target !== "_blank") tell("a link that is not on its own", element);
      else if (address.protocol === "https:" && !element.textContent.includes("(" + address.host + ")")) tell("a link that hides where it leads", element);
    }
  }
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = texts.nextNode(); node; node = texts.nextNode()) if (unseen.test(node.data)) tell("unseen in its text", node.parentElement);
  if ("pwned" in globalThis) found.add("something has run");
  if (unseen.test(document.title)) found.add("unseen in the title");
  return [...found];
})()`;
