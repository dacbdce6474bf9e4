// OpenCode, the real program: npm run test:agents -- opencode
import { acpBackend } from "../../src/agents/backends/acp.ts";
import { backendSuite } from "../../src/agents/backend.suite.ts";
import { makeRealAgent } from "../support/real-agent.ts";

backendSuite("opencode", () => makeRealAgent("opencode", acpBackend));
