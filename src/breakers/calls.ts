import { randomUUID } from "node:crypto";
import type { Db } from "../db/plan.ts";
import { transact } from "../db/transact.ts";
import { mayChoose, providerSubject, type End } from "./breaker.ts";
import { planBreaker, planTrial } from "./count.ts";
import { findBreaker, listBreakersOf } from "./store.ts";

/** The breakers before calls to providers. A call is no attempt: nothing else is written when it ends, so its end is a plan of its own. */
export interface ProviderCalls {
  /** May these be asked, in this order? "trial": by one call at a time. Providers without trouble are not in the answer. */
  look(providers: readonly string[]): Promise<Map<string, "yes" | "trial" | "no">>;
  /** Makes this call the provider's one trial; null when another is faster. */
  begin(provider: string): Promise<string | null>;
  /** How a call ended. `trial` as `begin` gave it; null: an ordinary call. */
  end(provider: string, trial: string | null, ended: End, reason: string): Promise<void>;
}

export function makeProviderCalls({ db, now }: { db: Db; now(): number }): ProviderCalls {
  return {
    async look(providers) {
      const rows = await listBreakersOf(db.read, providers.map(providerSubject));
      const at = now();
      return new Map(
        providers.flatMap((provider) => {
          const row = rows.get(providerSubject(provider));
          return row ? [[provider, mayChoose(row, at)]] : [];
        }),
      );
    },
    async begin(provider) {
      const row = await findBreaker(db.read, providerSubject(provider));
      const at = now();
      if (!row || mayChoose(row, at) !== "trial") return null;
      const trial = randomUUID();
      const committed = await db.commit(planTrial(row, { attempt: trial, now: at }));
      return committed.kind === "committed" ? trial : null;
    },
    async end(provider, trial, ended, reason) {
      const subject = providerSubject(provider);
      await transact(db, async () => {
        const row = await findBreaker(db.read, subject);
        const plan = planBreaker(row, { subject, ended, attempt: trial ?? "", reason, now: now() });
        return { plan: plan.statements.length > 0 ? plan : null, result: null };
      });
    },
  };
}
