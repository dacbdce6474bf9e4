import { Lock } from "lucide-react";
import { type ReactNode, useId } from "react";
import { Icon } from "./icon.tsx";
import { Keycap } from "./keycap.tsx";

export interface RadioCard<V extends string> {
  value: V;
  title: ReactNode;
  text?: ReactNode;
  keys?: string;
  /** Why it is not offered here; it stays seen, greyed out. */
  disabledReason?: ReactNode;
}

interface RadioCardsProps<V extends string> {
  /** What is chosen here: "Allow it for". */
  label: string;
  value: V;
  onChange: (value: V) => void;
  cards: readonly RadioCard<V>[];
  /** Two beside each other where there is room. */
  columns?: 1 | 2;
}

/** One of a few choices that need a sentence each, for example the scope of an approval. */
export function RadioCards<V extends string>({ label, value, onChange, cards, columns = 1 }: RadioCardsProps<V>) {
  const name = useId();
  return (
    <fieldset className={columns === 2 ? "opts opts--2" : "opts"}>
      <legend className="vh">{label}</legend>
      {cards.map((card) => (
        <label key={card.value} className="opt" data-off={card.disabledReason === undefined ? undefined : ""}>
          <input
            type="radio"
            className="check__box check__box--round"
            name={name}
            checked={value === card.value}
            disabled={card.disabledReason !== undefined}
            onChange={() => onChange(card.value)}
          />
          <span>
            {card.title} {(card.disabledReason ?? card.text) !== undefined && <small>{card.disabledReason ?? card.text}</small>}
          </span>
          {card.disabledReason !== undefined ? <Icon of={Lock} /> : card.keys !== undefined && <Keycap keys={card.keys} />}
        </label>
      ))}
    </fieldset>
  );
}
