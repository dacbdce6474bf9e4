// The real program: npm run test:agents -- openclaw
import { rowsOf } from "../support/agent-row.ts";

rowsOf("openclaw");
