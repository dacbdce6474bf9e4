import { type ReactNode } from "react";

/** One part of the gallery, under its name. */
export function Part({ title, text, wide = false, children }: { title: string; text: string; wide?: boolean; children: ReactNode }) {
  return (
    <section className={wide ? "gallery__part gallery__part--wide" : "gallery__part"} id={title.toLowerCase().replaceAll(/\W+/g, "-")}>
      <header>
        <h2>{title}</h2>
        <p className="t3 s12">{text}</p>
      </header>
      {children}
    </section>
  );
}
