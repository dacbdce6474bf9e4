// goose, the real program: npm run test:agents -- goose
import { makeAcpBackend } from "../../src/agents/backends/acp.ts";
import { backendSuite } from "../../src/agents/backend.suite.ts";
import { makeRealAgent } from "../support/real-agent.ts";

// Its pauses between tries would make every failing call take seven seconds.
const env = { GOOSE_PROVIDER_SKIP_BACKOFF: "true" };

backendSuite("goose", () => makeRealAgent("goose", makeAcpBackend({ cancelMs: 1500 }), { env }));
