import assert from "node:assert/strict";
import { Player, read, readAll } from "../../test/support/player.ts";
import { done, failed, onBothStores } from "../../test/support/stores.ts";
import { listAgentsQuery } from "../agents/commands.ts";
import { sql, statement } from "../db/plan.ts";
import { listProjectsQuery } from "./commands.ts";

const usage = { model: "m", inputTokens: 11, outputTokens: 0, cachedTokens: 0, costUsd: 0.25 };

onBothStores((rule) => {
  rule("projects and agents are listed with what goes on in them", async (store) => {
    const player = await Player.start(store);
    const [one, two, three] = [await player.running(), await player.running(), await player.running()];
    await player.startTurn(one);
    await player.endTurn(one, 1, { usage });
    await player.end(one, done());
    await player.end(two, failed());
    await player.askLeave(three, "shell", { command: "make" });
    const session = (await store.task(three)).session;
    const projects = await readAll((cursor) => read(store, listProjectsQuery, { limit: 2, cursor }));
    const project = projects.find(({ id }) => id === player.project);
    assert.deepEqual(
      [
        project?.counts.done,
        project?.counts.failed,
        project?.counts["needs you"],
        project?.counts.queued,
        project?.agents,
        project?.openApprovals,
      ],
      [1, 1, 1, 0, 1, 1],
    );
    const [newest] = await store.rows(sql`select max(at) as at from events where stream = ${player.project}`);
    assert.equal(project?.lastActivityAt, Number(newest?.["at"]));
    const agents = await readAll((cursor) => read(store, listAgentsQuery, { limit: 2, cursor }));
    const agent = agents.find(({ name }) => name === player.agent);
    assert.deepEqual(agent?.sessions, [session]);
    assert.deepEqual(agent?.lastWeek, { done: 1, failed: 1, tokens: 11, costUsd: 0.25 });
    const longAgo = store.services.clock.now() - 8 * 24 * 3_600_000;
    await store.write({
      statements: [
        statement(sql`update tasks set updated_at = ${longAgo} where id in (${one}, ${two})`, 2),
        statement(sql`update turns set finished_at = ${longAgo} where session = (select session from tasks where id = ${one})`),
      ],
      events: [],
    });
    const later = (await readAll((cursor) => read(store, listAgentsQuery, { limit: 50, cursor }))).find(
      ({ name }) => name === player.agent,
    );
    assert.deepEqual(later?.lastWeek, { done: 0, failed: 0, tokens: 0, costUsd: null });
  });
});
