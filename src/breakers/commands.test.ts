import assert from "node:assert/strict";
import { onBothStores, person } from "../../test/support/stores.ts";
import { sql } from "../db/plan.ts";
import { ask } from "../registry.ts";
import { failuresToOpen } from "./breaker.ts";
import { listBreakersQuery, resetBreaker } from "./commands.ts";
import { planBreaker } from "./count.ts";
import { findBreaker } from "./store.ts";

onBothStores((rule) => {
  rule("a person sees what is held back, and resets it with an event", async (store) => {
    const subject = `agent:${store.fresh("agent")}`;
    for (let failure = 1; failure <= failuresToOpen; failure += 1) {
      const end = { subject, ended: "failed", attempt: `T-${failure}/1`, now: store.services.clock.now() } as const;
      await store.write(planBreaker(await findBreaker(store.db.read, subject), end));
    }
    const caller = { actor: person, services: store.services };
    const listed = listBreakersQuery.output.parse(await ask(listBreakersQuery, caller, { limit: 500 }));
    assert.equal(listed.items.find((one) => one.subject === subject)?.state, "open");
    await store.call(resetBreaker, { subject });
    assert.equal(await findBreaker(store.db.read, subject), null);
    const events = await store.rows(
      sql`select data from events where stream = 'instance' and type = 'breaker.closed' order by seq desc limit 1`,
    );
    assert.deepEqual(JSON.parse(String(events[0]?.["data"])), { subject, by: "ann" });
    await assert.rejects(store.call(resetBreaker, { subject }), /breaker .* does not exist/);
  });
});
