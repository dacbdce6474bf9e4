// The real program: npm run test:agents -- codex
import { rowsOf } from "../support/agent-row.ts";

rowsOf("codex");
